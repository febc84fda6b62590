"""A rule's condition as a tree: all, any or none of conditions about one fact each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, Optional

Operator = Literal["in", "not-in", "at-least", "at-most", "more-than", "less-than", "starts-with", "exists"]
Measure = Literal["count", "sum", "distinct", "share", "latest", "earliest", "silence"]
GroupWord = Literal["all", "any", "none"]

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class RecordTest:
    """Which records count: a field compared with values. Money is in minor units."""

    field: str
    operator: Operator
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a measure has to be. low, high: of a number, both included; of a share in millionths; of a silence in
    percent of the interval, `high` not included.

    older, newer: of an instant t at the instant now, `t <= now - older` and `now - newer < t`; negative lengths reach
    into the future. after: of an instant, the one that it has to lie after; nothing does while there is none.
    assumed_days: of a silence, the interval while nobody knows one.
    """

    low: int | None = None
    high: int | None = None
    older: timedelta | None = None
    newer: timedelta | None = None
    after: Optional["Leaf"] = None
    assumed_days: int | None = None

    @property
    def is_contradictory(self) -> bool:
        if self.low is not None and self.high is not None and self.low > self.high:
            return True
        return self.older is not None and self.newer is not None and self.newer <= self.older


@dataclass(frozen=True, slots=True)
class Leaf:
    """One measure of one fact's records within a window. of: the field that is added up, told apart or looked at.

    among: of a share, the records that it is a part of. pointer: where it stands, below the rule's own root.
    """

    fact: str
    tests: tuple[RecordTest, ...]
    within: timedelta | None
    measure: Measure
    of: str
    bounds: Bounds
    pointer: str = ""
    among: tuple[RecordTest, ...] = ()

    @property
    def looked_at(self) -> tuple[RecordTest, ...]:
        """What every record passes that matters to it."""
        return self.among if self.measure == "share" else self.tests

    @property
    def subject(self) -> tuple[object, ...]:
        """What is measured, without the bounds: two leaves with the same one speak of the same value."""
        return (self.fact, self.tests, self.within, self.measure, self.of, self.among)


@dataclass(frozen=True, slots=True)
class Group:
    word: GroupWord
    children: tuple["Condition", ...]


Condition = Leaf | Group


def rhythms_of(conditions: Iterable["Condition"]) -> frozenset[str] | None:
    """The categories whose purchase intervals matter to conditions; None for all of them, nothing when none does."""
    found: set[str] = set()
    for condition in conditions:
        for leaf in leaves(condition):
            if leaf.fact != "replenishment":
                continue
            named = [test.values for test in leaf.tests if test.field == "category" and test.operator == "in"]
            if not named:
                return None
            found.update(map(str, named[0]))
    return frozenset(found)


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Every leaf, in the order of the text, with what it is compared with."""
    if isinstance(condition, Leaf):
        yield condition
        if (other := condition.bounds.after) is not None:
            yield replace(other, pointer=f"{condition.pointer}/{condition.measure}/after")
        return
    for each in condition.children:
        yield from leaves(each)
