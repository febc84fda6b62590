"""Grades as events, and why somebody has one; `services.tagging` keeps them true."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from domain.events import Event
from domain.ids import derived_id
from domain.tags import LiveGrading, LiveRule
from domain.tags.views import GradeReason, StepReason
from storage.customer_grades import CustomerGrades
from storage.customer_tags import CustomerTags
from storage.customer_traits import GradeChange
from storage.unit_of_work import UnitOfWork

SOURCE = "/tandem/grades"


def graded_events(work: UnitOfWork, changes: Iterable[GradeChange]) -> list[Event]:
    """Who has another grade now, for the outbox."""
    return [_event(work, change) for change in changes]


async def explain_grades(
    work: UnitOfWork, gradings: Sequence[LiveGrading], customer: UUID, word: str
) -> list[GradeReason]:
    """What every grading that knows this word, or gave it to the customer, says of them, step by step."""
    written = {each.grading: each for each in await CustomerGrades(work).of_customer(customer)}
    live = {each.name: each for each in gradings}
    named = {name for name, each in live.items() if word in each.words}
    named |= {name for name, each in written.items() if each.grade == word}
    return [
        GradeReason(
            name,
            row.version if row else live[name].version,
            live[name].title if name in live else name,
            row.grade if row else None,
            row.score if row else 0,
            row.since if row else None,
            await _steps(work, live[name], customer) if name in live else (),
        )
        for name in sorted(named)
        for row in (written.get(name),)
    ]


async def _steps(work: UnitOfWork, grading: LiveGrading, customer: UUID) -> list[StepReason]:
    """Each step as if it were a tag rule of its own: what it sees now."""
    rules = [
        LiveRule(str(place), grading.version, step.name, step.condition, grading.looks_at)
        for place, step in enumerate(grading.steps)
        if step.condition is not None
    ]
    found = {each.rule: each for each in await CustomerTags(work).compare(rules, [customer])}
    steps = []
    for place, step in enumerate(grading.steps):
        seen = found.get(str(place))
        is_met = step.condition is None or (seen is not None and seen.holds)
        steps.append(StepReason(step.name, step.points, is_met, seen.why if seen is not None else ()))
    return steps


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
