"""What rules and gradings say of customers, brought up to date for many of them at once."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.tags import LiveGrading, LiveRule
from storage.crowds import Crowds
from storage.customer_tags import RULES_AT_ONCE, CustomerTags
from storage.grade_statements import steps_of
from storage.prepared import run_by_index
from storage.tag_statements import leaves_of
from storage.trait_statements import bring_up_to_date
from storage.unit_of_work import Repository

_MEASURES_AT_ONCE = 300
"""How many measures one statement takes, some columns each; PostgreSQL has at most 1,664 in a row."""


@dataclass(frozen=True, slots=True)
class TagChange:
    """A rule's answer that turned, or whose tag has another name now. turn: how many times it was gained."""

    customer_id: UUID
    rule: str
    tag: str
    was_tag: str
    holds: bool
    was_held: bool
    turn: int
    why: list[dict[str, Any]]


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


@dataclass(frozen=True, slots=True)
class Turned:
    """What is another now. crowds: who was not looked at, see `storage.crowds`."""

    tags: list[TagChange]
    grades: list[GradeChange]
    crowds: frozenset[UUID] = frozenset()

    def __add__(self, other: "Turned") -> "Turned":
        return Turned([*self.tags, *other.tags], [*self.grades, *other.grades], self.crowds | other.crowds)


class CustomerTraits(Repository):
    """Tags by rules, grades, and the checks that time makes due."""

    async def bring_up_to_date(
        self,
        rules: Sequence[LiveRule],
        gradings: Sequence[LiveGrading],
        customers: Collection[UUID],
        *,
        exact: bool = False,
    ) -> Turned:
        """Write what rules and gradings say of these customers, who are locked (`CustomerTags.lock`); what turned.
        What is written of a crowd stays as it is.

        exact: checks are set to the very instant; otherwise one that is too early stays.
        """
        if not customers or not (rules or gradings):
            return Turned([], [])
        if exact:
            names = [*(rule.name for rule in rules), *(grading.key for grading in gradings)]
            await CustomerTags(self.work).forget_checks(customers, names)
        turned = Turned([], [], await Crowds(self.work).among(customers))
        ids = sorted(frozenset(customers) - turned.crowds)
        if not ids:
            return turned
        for some_rules, some_gradings in _at_once(rules, gradings):
            # As late as it is: whoever held these customers before may have looked at a later moment than this unit's.
            await self._bring_up_to_date(some_rules, some_gradings, ids, self.work.database.clock(), turned)
        return turned

    async def _bring_up_to_date(
        self,
        rules: Sequence[LiveRule],
        gradings: Sequence[LiveGrading],
        ids: Sequence[UUID],
        now: datetime,
        turned: Turned,
    ) -> None:
        statement = bring_up_to_date(tuple(rules), tuple(gradings))
        for row in await run_by_index(self.work, statement, {"customers": ids, "now": now}):
            why = row.why or []
            if row.place is None:
                change = TagChange(row.customer_id, row.name, row.says, row.said, row.holds, row.held, row.turn, why)
                turned.tags.append(change)
            else:
                version = gradings[row.place].version
                turned.grades.append(
                    GradeChange(row.customer_id, row.name, version, row.says, row.said, row.score, row.turn, why)
                )


def _at_once(
    rules: Sequence[LiveRule], gradings: Sequence[LiveGrading]
) -> Iterator[tuple[list[LiveRule], list[LiveGrading]]]:
    """Rules and gradings by what one statement takes; mostly all of them."""
    some_rules: list[LiveRule] = []
    some_gradings: list[LiveGrading] = []
    measures = 0
    both: list[LiveRule | LiveGrading] = [*rules, *gradings]
    for each in both:
        more = len(leaves_of((each,)) if isinstance(each, LiveRule) else steps_of((each,)))
        if (some_rules or some_gradings) and (
            measures + more > _MEASURES_AT_ONCE or len(some_rules) + len(some_gradings) >= RULES_AT_ONCE
        ):
            yield some_rules, some_gradings
            some_rules, some_gradings, measures = [], [], 0
        measures += more
        if isinstance(each, LiveRule):
            some_rules.append(each)
        else:
            some_gradings.append(each)
    if some_rules or some_gradings:
        yield some_rules, some_gradings
