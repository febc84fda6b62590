"""Keeping grades true, beside tags and by the same occasions."""

from collections.abc import Collection, Sequence
from uuid import UUID

from domain.events import Event
from domain.ids import derived_id
from domain.tags import LiveGrading
from storage.customer_grades import CustomerGrades, GradeChange
from storage.unit_of_work import UnitOfWork

SOURCE = "/tandem/grades"


async def grade(work: UnitOfWork, gradings: Sequence[LiveGrading], customers: Collection[UUID]) -> list[Event]:
    """Bring grades of locked customers up to date; who has another one now, for the outbox."""
    if not customers:
        return []
    grades = CustomerGrades(work)
    return [
        _event(work, change) for grading in gradings for change in await grades.bring_up_to_date(grading, customers)
    ]


def _event(work: UnitOfWork, change: GradeChange) -> Event:
    return Event(
        id=derived_id("grade", str(change.customer_id), change.grading, str(change.turn)),
        source=SOURCE,
        type="tandem.customer.graded",
        time=work.now,
        subject=f"customer:{change.customer_id}",
        datacontenttype="application/json",
        data={
            "customer": str(change.customer_id),
            "grading": change.grading,
            "version": change.version,
            "grade": change.grade,
            "was": change.was,
            "score": change.score,
            "why": change.why,
        },
    )
