"""What a report is of: which periods, which calculations were booked in them, and what their components are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from domain.settlement.calculation import BOUNDS
from domain.settlement.formulas import Bonus, Tiers
from domain.settlement.reports import Days
from domain.settlement.scheme import LINE_BASES, MONEY_BASES, Component, Scheme
from storage.bulk import fetch
from storage.calculation_tables import CalculationRow
from storage.settlement_periods import SettlementPeriodRow
from storage.unit_of_work import Repository

BOUNDS_NUMBER = -1


class BookedCalculation(NamedTuple):
    """A calculation that a run of the frame booked, or that was booked before for the same period."""

    row: CalculationRow
    scheme: Scheme


class Kept(NamedTuple):
    """Periods by where they end: within the frame, before it, in the frame before; and all that there are."""

    inside: Sequence[int]
    before: Sequence[int]
    previous: Sequence[int]
    everything: Sequence[int]


@dataclass(frozen=True)
class ReportFrame:
    """Periods that end within `(days.start, days.end]`, of one scheme or of all. payee: only this one's rows, where a
    report has them. booked: calculations of the frame, and of the one before. today, hold_days: when what is held by a
    scheme can be paid."""

    days: Days
    kept: Kept
    booked: Sequence[BookedCalculation] = ()
    payee: int | None = None
    today: date | None = None
    hold_days: Mapping[str, int] = field(default_factory=dict)

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
            "payee": self.payee,
            "today": self.today,
            "hold_schemes": list(self.hold_days),
            "hold_days": list(self.hold_days.values()),
            **_components(self.booked),
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

    async def booked(self, periods: Sequence[int]) -> Sequence[CalculationRow]:
        """Every calculation that a booked run of these periods has to do with, the earliest first."""
        numbers = [each for (each,) in await fetch(self.work, _BOOKED, {"periods": list(periods)})]
        statement = select(CalculationRow).where(col(CalculationRow.id).in_(numbers))
        rows = await self.session.scalars(statement.order_by(col(CalculationRow.asked_at), col(CalculationRow.id)))
        return rows.all()

    async def under_way(self, periods: Sequence[int]) -> bool:
        """Whether a settlement of one of these periods is being booked."""
        ((found,),) = await fetch(self.work, _UNDER_WAY, {"periods": list(periods)})
        return bool(found)


_BOOKED = """
    SELECT c.calculation FROM settlement_run_calculations c JOIN settlement_runs r ON r.id = c.run
    WHERE r.state = 'booked' AND r.period = ANY(%(periods)b::integer[])
    UNION
    SELECT c.before FROM settlement_run_calculations c JOIN settlement_runs r ON r.id = c.run
    WHERE r.state = 'booked' AND r.period = ANY(%(periods)b::integer[]) AND c.before IS NOT NULL
"""
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


def _components(booked: Sequence[BookedCalculation]) -> dict[str, list[Any]]:
    """The components of calculations, column by column."""
    rows = [row for each in booked for row in _rows(each)]
    names = _ComponentOf._fields
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return {f"of_{name}": list(values) for name, values in zip(names, columns, strict=True)}


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
    row, scheme = booked
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
        component.factor.score if component.factor is not None else None,
    )


def _array(numbers: Sequence[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"
