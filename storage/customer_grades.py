"""Grades of customers."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from domain.tags import LiveGrading
from domain.tags.views import CustomerGrade
from storage.crowds import Crowds
from storage.customer_tag_tables import CustomerGradeRow
from storage.grade_statements import compare_grades
from storage.prepared import run_by_index
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

    async def compare(
        self, grading: LiveGrading, customers: Collection[UUID]
    ) -> Sequence[tuple[str | None, str | None]]:
        """The grade that each of these customers has, and the one that a grading would give, a crowd left out; nothing
        is written."""
        looked_at = sorted(frozenset(customers) - await Crowds(self.work).among(customers))
        if not looked_at:
            return []
        given = {"customers": looked_at, "now": self.now}
        return [(row.was, row.grade) for row in await run_by_index(self.work, compare_grades(grading), given)]
