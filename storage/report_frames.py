"""What a report is of: which periods, which calculations were booked in them, and what their components are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, literal, select
from sqlmodel import col

from domain.settlement.calculation import BOUNDS
from domain.settlement.formulas import Bonus, Tiers
from domain.settlement.reports import Days
from domain.settlement.scheme import LINE_BASES, MONEY_BASES, Component, Scheme
from storage.bulk import fetch
from storage.calculation_tables import CalculationRow
from storage.report_texts import SIGNED, filled, run
from storage.settlement_periods import SettlementPeriodRow
from storage.unit_of_work import Repository

BOUNDS_NUMBER = -1


class BookedCalculation(NamedTuple):
    """A calculation that counts: that a run of the frame booked last for its period, or that was booked before. sign:
    how often in the frame altogether; nothing when it was booked and replaced in it."""

    row: CalculationRow
    scheme: Scheme
    sign: int = 1


class Falling(NamedTuple):
    """What falls due by a scheme on a day; None: what does not. sort: why, or where it is. payees: how many have it."""

    scheme: str
    sort: str
    due: date | None
    currency: str
    payees: int
    amount: int


class Kept(NamedTuple):
    """Periods by where they end: within the frame, before it, in the frame before; and all that there are."""

    inside: Sequence[int]
    before: Sequence[int]
    previous: Sequence[int]
    everything: Sequence[int]


@dataclass(frozen=True)
class ReportFrame:
    """Periods that end within `(days.start, days.end]`, of one scheme or of all. payee: only this one's rows, where a
    report has them. booked: calculations that count in the frame, or in the one before where that is asked for.
    today: the age of debts of a frame that goes on. falling: what falls due when, where that is asked for."""

    days: Days
    kept: Kept
    booked: Sequence[BookedCalculation] = ()
    scheme: str | None = None
    payee: int | None = None
    today: date = date.max
    falling: Sequence[Falling] = ()

    @property
    def values(self) -> dict[str, Any]:
        """What the statements of reports ask for, by name."""
        return {
            "inside": list(self.kept.inside),
            "before": list(self.kept.before),
            "previous": list(self.kept.previous),
            "everything": list(self.kept.everything),
            "start": self.days.start,
            "end": self.days.end,
            "scheme": self.scheme,
            "payee": self.payee,
            "today": self.today,
            **_columns("falling", Falling, self.falling),
            **_columns("of", _ComponentOf, [row for each in self.booked for row in _rows(each)]),
        }


class ReportFrames(Repository):
    """Frames as the database knows them."""

    async def periods(self, scheme: str | None, days: Days, before: Days) -> Kept:
        """The periods of a scheme, or of all, by where they end."""
        row = SettlementPeriodRow
        statement = select(col(row.id), col(row.end)).order_by(col(row.id))
        if scheme is not None:
            statement = statement.where(col(row.scheme) == scheme)
        found = [(number, end) for number, end in await self.session.execute(statement)]

        def ending(start: date, end: date) -> list[int]:
            return [number for number, at in found if start < at <= end]

        return Kept(
            ending(days.start, days.end),
            ending(date.min, days.start),
            ending(before.start, before.end),
            [number for number, _ in found],
        )

    async def schemes(self, periods: Sequence[int]) -> Sequence[str]:
        """The names of the schemes of these periods."""
        row = SettlementPeriodRow
        statement = select(col(row.scheme)).where(col(row.id).in_(periods)).distinct().order_by(col(row.scheme))
        return (await self.session.scalars(statement)).all()

    async def booked(self, periods: Sequence[int]) -> Sequence[tuple[CalculationRow, int]]:
        """The calculations that count of what was booked in these periods and how often, the earliest first."""
        signs = dict(await run(self.work, _COUNTING, {"inside": list(periods)}))
        row = CalculationRow
        statement = select(row).where(col(row.id) == any_(literal(list(signs), ARRAY(Uuid))))
        rows = await self.session.scalars(statement.order_by(col(row.asked_at), col(row.id)))
        return [(each, signs[each.id]) for each in rows]

    async def under_way(self, periods: Sequence[int]) -> bool:
        """Whether a settlement of one of these periods is being booked."""
        ((found,),) = await fetch(self.work, _UNDER_WAY, {"periods": list(periods)})
        return bool(found)


_COUNTING = filled("SELECT calculation, sum(sign)::integer FROM ({signed}) s GROUP BY calculation", signed=SIGNED)
_UNDER_WAY = """
    SELECT EXISTS (
        SELECT 1 FROM settlement_runs WHERE state = 'approved' AND period = ANY(%(periods)b::integer[])
    )
"""


def sort_of(component: Component) -> str:
    """Of which sort a component is; each is of one."""
    if component.override is not None:
        return "override"
    if component.deducts:
        return "deduction"
    if component.base == "fx-difference":
        return "fx"
    if isinstance(component.formula, Bonus):
        return "bonus"
    if component.level > 0:
        return "downline"
    return "sale" if component.base in LINE_BASES else "deed"


class _ComponentOf(NamedTuple):
    calculation: UUID
    number: int
    component: str
    title: str
    sort: str
    measured: str
    level: int
    shared: int | None
    rates: str
    marks: str | None
    score: str | None


def _rows(booked: BookedCalculation) -> list[_ComponentOf]:
    row, scheme, _ = booked
    named = {each.name: each for each in scheme.components}
    numbers = {name: number for number, name in enumerate(row.components)}
    found = [_row(row.id, number, named[name], numbers) for name, number in numbers.items() if name in named]
    bounds = _ComponentOf(row.id, BOUNDS_NUMBER, BOUNDS, "保底与封顶", "bounds", "money", 0, None, "{}", None, None)
    return [*found, bounds]


def _row(calculation: UUID, number: int, component: Component, numbers: Mapping[str, int]) -> _ComponentOf:
    override, formula = component.override, component.formula
    is_money = override is not None or component.base in MONEY_BASES
    marks = [step.mark for step in formula.steps] if isinstance(formula, Tiers | Bonus) else None
    return _ComponentOf(
        calculation,
        number,
        component.name,
        component.title,
        sort_of(component),
        "money" if is_money else str(component.base),
        component.level,
        numbers[override.component] if override is not None else None,
        _array(override.rates if override is not None else ()),
        _array(marks) if marks is not None else None,
        component.factor.score if component.factor is not None else component.score,
    )


def _columns(prefix: str, kind: type[NamedTuple], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows column by column, for `unnest`."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(kind._fields)
    return {f"{prefix}_{name}": list(values) for name, values in zip(kind._fields, columns, strict=True)}


def _array(numbers: Sequence[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"
