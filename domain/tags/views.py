"""Tags as people see them: what a customer carries and why, and what a rule would change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

LONGEST_TAG = 30
LONGEST_REASON = 500


def without_values(seen: Sequence[Any]) -> list[Any]:
    """What a rule saw, without the values: for who may not see all records that went into them."""
    return [{**each, "value": None} if isinstance(each, dict) and "value" in each else each for each in seen]


@dataclass(frozen=True, slots=True)
class TagMark:
    """What somebody decided. kind: `add` or `exclude`. ended_at, ended_by: when and by whom it was taken back."""

    id: UUID
    tag: str
    kind: str
    source: str
    actor: str
    reason: str
    marked_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None


@dataclass(frozen=True, slots=True)
class CarriedTag:
    """A tag that a customer carries. source: `rule`, `manual`, `run:…` (actor: its step) or `platform:…`; rule,
    version, why: of a rule."""

    tag: str
    source: str
    since: datetime
    rule: str | None = None
    version: str | None = None
    why: Sequence[dict[str, Any]] = ()
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerGrade:
    """A customer's grade by a grading, None when no word fits. why: the steps that were met, `{name, points}`."""

    grading: str
    version: str
    grade: str | None
    score: int
    since: datetime
    why: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TagsOfCustomer:
    """carried: what counts now. excluded: tags that no rule gives this customer. too_many_records: rules and gradings
    do not look at this customer any more, what they said last stays."""

    customer_id: UUID
    carried: Sequence[CarriedTag]
    excluded: Sequence[TagMark]
    grades: Sequence[CustomerGrade] = ()
    too_many_records: bool = False


@dataclass(frozen=True, slots=True)
class RuleReason:
    """What a rule says of a customer. why: as the answer last turned; now: at this moment, `{place, fact, measure, of,
    value, met}`. next_check_at: when time alone may change it.

    version: what gave that answer. decides: the version that counts for the customer now, None where none does.
    share_percent: of the version that is tried out, None when none is.
    """

    rule: str
    version: str
    title: str
    held: bool
    since: datetime | None
    why: Sequence[dict[str, Any]]
    now: Sequence[dict[str, Any]]
    next_check_at: datetime | None
    decides: str | None = None
    share_percent: float | None = None


@dataclass(frozen=True, slots=True)
class StepReason:
    """A stage or a condition worth points. met, seen: at this moment, as of `RuleReason.now`."""

    name: str
    points: int
    met: bool
    seen: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class GradeReason:
    """What a grading says of a customer. grade, score, since: as written, None when nothing is. steps: in their order,
    none when the grading is not in force any more."""

    grading: str
    version: str
    title: str
    grade: str | None
    score: int
    since: datetime | None
    steps: Sequence[StepReason]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a customer carries a tag or a grade, or does not. carried: whether it counts now."""

    customer_id: UUID
    tag: str
    carried: bool
    rules: Sequence[RuleReason]
    marks: Sequence[TagMark]
    grades: Sequence[GradeReason] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would change. examined of customers: how many were looked at before the time was up; share_percent:
    of these, for how many it would count.

    holds: customers for whom the rule would hold; gained, lost: who would carry a tag and does not now, and the other
    way round, whatever else gives it to them, with a few of them.
    """

    rule: str
    version: str
    tag: str
    customers: int
    examined: int
    complete: bool
    holds: int
    gained: int
    lost: int
    gained_samples: Sequence[UUID]
    lost_samples: Sequence[UUID]
    share_percent: float = 100


@dataclass(frozen=True, slots=True)
class GradeMove:
    """How many customers have one grade and would have another, None being none."""

    was: str | None
    grade: str | None
    customers: int


@dataclass(frozen=True, slots=True)
class GradePreview:
    """What a grading would change. examined of customers: how many were looked at before the time was up. moves: from
    which grade to which, those who keep theirs as well, the most first."""

    grading: str
    version: str
    customers: int
    examined: int
    complete: bool
    moves: Sequence[GradeMove]


@dataclass(frozen=True, slots=True)
class RuleState:
    """A rule in force. customers: how many were looked at with it so far; complete: whether those were all.

    holders: customers who carry the tag by rules; 10,000 stands for so many and more. candidate: the version that is
    tried out on `share_percent` of the customers, None when none is.
    """

    rule: str
    version: str
    tag: str
    group: str | None
    title: str
    active: bool
    customers: int
    complete: bool
    holders: int
    candidate: str | None = None
    share_percent: float | None = None
