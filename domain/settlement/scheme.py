"""A scheme: who earns what by which rule, as it is read from YAML.

A scheme has *components*. Each component takes a *base* (what somebody sold, did or was scored, or what their downline
earned), keeps what its filter lets through, and turns it into money by one formula. Rounding happens once for each
payee and component.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from domain.settlement.exact import WEIGHT, Rounding
from domain.settlement.formulas import Formula, Step

Cycle = Literal["day", "week", "half-month", "month"]
CYCLES: tuple[Cycle, ...] = ("day", "week", "half-month", "month")

Base = Literal[
    "paid",
    "kept",
    "quantity",
    "orders",
    "fx-difference",
    "visits",
    "reviews",
    "bookings",
    "count",
    "score",
    "period",
]
"""What is measured.

paid: what buyers paid for the lines; kept: that, less what went back; quantity: pieces kept; orders: deals;
fx-difference: what lines in another currency are worth more at the rate of settlement than at that of the order, less
than nothing too; visits, reviews, bookings: counted as they happen; count: as those, of
facts of any name that the scheme says; score: a mark that somebody gave for the period;
period: nothing, there is one of it.
"""
BASES: Mapping[Base, str] = {
    "paid": "实付金额",
    "kept": "实付减退款",
    "quantity": "件数",
    "orders": "成交单数",
    "fx-difference": "汇兑差额",
    "visits": "到店数",
    "reviews": "评价数",
    "bookings": "预约数",
    "count": "累计数",
    "score": "考核分",
    "period": "每期",
}
MONEY_BASES: frozenset[Base] = frozenset({"paid", "kept", "fx-difference"})
LINE_BASES: frozenset[Base] = frozenset({"paid", "kept", "quantity", "orders", "fx-difference"})
"""Those that come from order lines, and may be filtered."""
DEEDS: tuple[Base, ...] = ("visits", "reviews", "bookings")
"""Those that are counted by facts of the same name, which add up."""
DONE_BASES: frozenset[Base] = LINE_BASES | set(DEEDS) | {"count"}
"""Those of which each piece was sold or done on some day."""

FIELDS_OF_LINES = frozenset({"category", "article", "bonded"})
"""What the lines of one order may differ in; everything else that lines are tested for is the whole order's."""

Grain = Literal["payee", "line"]


@dataclass(frozen=True, slots=True)
class LineTest:
    """What a line has to be. A text field is one of `values`; a flag is `flag`; an amount lies in `[low, high)`."""

    field: str
    values: tuple[str, ...] = ()
    flag: bool | None = None
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Weighting:
    """Lines that pass the tests count so many ten-thousandths; the first that fits holds, others count once."""

    tests: tuple[LineTest, ...]
    weight: int


@dataclass(frozen=True, slots=True)
class Override:
    """A share of what the downline earned by a component (层级返利). rates: by level, in `exact.RATE`, the nearest
    first."""

    component: str
    rates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Factor:
    """A coefficient by a score (绩效系数). steps: from which score on which one holds, in `exact.WEIGHT`; below the
    first it is nothing."""

    score: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Component:
    """One way of earning.

    counted: the names of the facts that add up to a `count`, and how many ten-thousandths each counts. level: whose
    sales: 0 the payee's own, 1 those of whom they brought in, and so on. grain: what is rounded, the whole base or each
    line. deducts: it is taken off instead. roles: who earns by it; empty for every payee of the scheme. days: orders
    paid and deeds done within these only, the last not included. rising: more of it was promised never to earn less.
    """

    name: str
    title: str
    base: Base | None
    formula: Formula | None
    override: Override | None = None
    score: str | None = None
    counted: tuple[tuple[str, int], ...] = ()
    level: int = 0
    tests: tuple[LineTest, ...] = ()
    weightings: tuple[Weighting, ...] = ()
    days: tuple[date, date] | None = None
    roles: tuple[str, ...] = ()
    grain: Grain = "payee"
    deducts: bool = False
    factor: Factor | None = None
    floor: int | None = None
    cap: int | None = None
    rising: bool = False

    @property
    def deeds(self) -> Mapping[str, int]:
        """The names of the facts that add up to its base, with how many ten-thousandths each counts; none where it is
        of something else."""
        return {self.base: WEIGHT} if self.base in DEEDS else dict(self.counted)

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores that it goes by."""
        return tuple(each for each in (self.score, self.factor and self.factor.score) if each)


@dataclass(frozen=True, slots=True)
class Scheme:
    """A version of a scheme, read.

    currency: of everything in it. counts: which orders count, `paid` ones or `completed` ones. start, end: Shanghai
    days of the periods that it is for, the end not included. floor, cap: of a payee's sum; minimum: less than that is
    carried over. hold_days: between the end of the period and the payout. instalments: over how many periods a clawback
    is spread; keep: what a clawback leaves of a period's sum, in `exact.RATE`. active: false where its periods are not
    settled, by it or by an earlier version.
    """

    name: str
    version: str
    title: str
    currency: str
    cycle: Cycle
    counts: Literal["paid", "completed"]
    start: date
    end: date | None
    roles: tuple[str, ...]
    levels: int
    rounding: Rounding
    grain: int
    components: tuple[Component, ...] = field(default=())
    floor: int | None = None
    cap: int | None = None
    minimum: int = 0
    hold_days: int = 0
    instalments: int = 1
    keep: int = 0
    active: bool = True

    @property
    def deeds(self) -> tuple[str, ...]:
        """The names of the facts that add up to something it pays for."""
        return tuple(dict.fromkeys(name for each in self.components for name in each.deeds))

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores that anything of it goes by."""
        return tuple(dict.fromkeys(score for each in self.components for score in each.scores))

    def is_for(self, start: date, end: date) -> bool:
        """Whether the whole of a period, its end not included, is settled by this version."""
        return self.start <= start and (self.end is None or end <= self.end)
