"""Grades of customers."""

from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from domain.tags.views import CustomerGrade
from storage.customer_tag_tables import CustomerGradeRow
from storage.unit_of_work import Repository


class CustomerGrades(Repository):
    """Grades as they are written; `storage.customer_traits` keeps them up to date."""

    async def of_customer(self, customer: UUID) -> list[CustomerGrade]:
        """A customer's grades, by grading."""
        statement = select(CustomerGradeRow).where(col(CustomerGradeRow.customer_id) == customer)
        return [
            CustomerGrade(row.grading, row.version, row.grade, row.score, row.since, row.why)
            for row in await self.session.scalars(statement.order_by(col(CustomerGradeRow.grading)))
        ]
