"""Grades of customers, brought up to date for many at once."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from domain.tags import LiveGrading
from domain.tags.views import CustomerGrade
from storage.customer_tag_tables import CustomerGradeRow
from storage.grade_statements import grade_customers
from storage.prepared import run_prepared
from storage.tag_statements import by_index
from storage.unit_of_work import Repository


@dataclass(frozen=True, slots=True)
class GradeChange:
    """A grade that is another one now; None is no grade. turn: how many times it changed."""

    customer_id: UUID
    grading: str
    version: str
    grade: str | None
    was: str | None
    score: int
    turn: int
    why: list[dict[str, Any]]


class CustomerGrades(Repository):
    """Customers are to be locked (`CustomerTags.lock`) before their grades are brought up to date."""

    async def bring_up_to_date(self, grading: LiveGrading, customers: Collection[UUID]) -> list[GradeChange]:
        """Write what a grading says of these customers; what changed."""
        await self.session.execute(by_index(True))
        parameters = {"customers": sorted(customers), "now": self.now}
        rows = await run_prepared(self.work, grade_customers(grading), parameters)
        await self.session.execute(by_index(False))
        return [
            GradeChange(
                row.customer_id, grading.name, grading.version, row.grade, row.was, row.score, row.turn, row.why
            )
            for row in rows
        ]

    async def of_customer(self, customer: UUID) -> list[CustomerGrade]:
        """A customer's grades, by grading."""
        statement = select(CustomerGradeRow).where(col(CustomerGradeRow.customer_id) == customer)
        return [
            CustomerGrade(row.grading, row.version, row.grade, row.score, row.since, row.why)
            for row in await self.session.scalars(statement.order_by(col(CustomerGradeRow.grading)))
        ]
