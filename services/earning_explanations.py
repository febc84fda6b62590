"""What is behind an earning: its rule in words, its base, and page after page the order lines, the facts, and who of
those below earned what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.money import major_from_minor
from domain.problems import Text
from domain.settlement.calculation import BOUNDS, Earned
from domain.settlement.exact import WEIGHT
from domain.settlement.explanation import rule_of
from domain.settlement.scheme import LINE_BASES, MONEY_BASES, Component, Scheme
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations, rates_of
from storage.paging import Page, PageRequest
from storage.payee_facts import FactsBehind, PayeeFacts
from storage.payees import Payees
from storage.sale_filters import Extent
from storage.sale_sums import SaleSums
from storage.unit_of_work import UnitOfWork

FIRST_SHOWN = 50
"""How many of each list come with an explanation; the others follow by its cursor."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order that counted for a component, with all its differences. counted: of the component's base;
    payee: who sold it, by code; amount_minor: what the line comes to, where each is rounded by itself."""

    account: str
    order_id: str
    line_id: str
    counted: str
    payee: str
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A visit, a review, a booking, or a score. counts: whether it does; of a score only the last one."""

    name: str
    day: date
    amount: int
    key: str
    counts: bool
    noted_at: datetime
    noted_by: str


@dataclass(frozen=True, slots=True)
class Below:
    """What somebody below earned. level: how many below; before_minor: what they earned in the calculation that this
    one is compared with."""

    payee: str
    level: int
    amount_minor: int
    before_minor: int | None = None


@dataclass(frozen=True, slots=True)
class ExplainedEarning:
    """Why a component comes to what it does: its rule in words, its base, and the first of what is behind it.

    lines, facts: all that count; with is_difference those alone that came since the calculation that this one is
    compared with. below: of what is earned by others, who they are and what they earned, each of whom can be asked
    about in turn. Each list goes on by its cursor, asked of `calculation` beside `before`.
    """

    calculation: UUID
    before: UUID | None
    component: str
    title: str
    rule: Text
    base: str
    amount_minor: int
    lines: Sequence[Line] = ()
    facts: Sequence[Fact] = ()
    below: Sequence[Below] = ()
    is_difference: bool = False
    lines_cursor: str | None = None
    facts_cursor: str | None = None
    below_cursor: str | None = None


class EarningExplanations:
    """Explains a calculation's earnings, or how they differ from those of the one that was booked before it."""

    def __init__(
        self, work: UnitOfWork, row: CalculationRow, scheme: Scheme, before: CalculationRow | None = None
    ) -> None:
        self._work = work
        self._row = row
        self._scheme = scheme
        self._before = before

    async def earning(self, earned: Earned) -> ExplainedEarning:
        """What a payee earned by a component, with the first of what is behind it."""
        component = self.component(earned.component)
        if component is None:
            bounds = Text("方案的保底与封顶", "the scheme's floor and cap")
            base = major_from_minor(earned.base, self._scheme.currency)
            return ExplainedEarning(self._row.id, None, earned.component, bounds.zh, bounds, base, earned.amount)
        first, payee = PageRequest(FIRST_SHOWN), earned.payee
        lines = await self.lines(payee, component, first)
        facts = await self.facts(payee, component, first)
        below = await self.below(payee, component, first)
        return ExplainedEarning(
            self._row.id,
            self._before.id if self._before is not None else None,
            component.name,
            component.title,
            rule_of(self._scheme, component),
            self._shown(component, earned.base),
            earned.amount,
            lines.items,
            facts.items,
            below.items,
            await self._since(component, payee) is not None,
            lines.next_cursor,
            facts.next_cursor,
            below.next_cursor,
        )

    def component(self, name: str) -> Component | None:
        """The scheme's component of a name; None for its bounds, and for what it has not."""
        return next((each for each in self._scheme.components if each.name == name and name != BOUNDS), None)

    async def lines(self, payee: int, component: Component, page: PageRequest) -> Page[Line]:
        """The order lines that count for a component, of those who sold them."""
        if component.base not in LINE_BASES:
            return Page([])
        row, since = self._row, await self._since(component, payee)
        extent = Extent(row.start, row.end, row.sales_upto or 0, None, await self._sellers(row, component, payee))
        extent = extent._replace(since=(since.sales_upto or 0) if since is not None else 0)
        found = await SaleSums(self._work).lines(self._scheme, component, extent, page, rates_of(row))
        codes = await Payees(self._work).codes({each.payee for each in found.items})
        sign = -1 if component.deducts else 1
        lines = [
            Line(
                each.account,
                each.order_id,
                each.line_id,
                self._shown(component, each.counted),
                codes[each.payee],
                None if each.amount is None else sign * each.amount,
            )
            for each in found.items
        ]
        return Page(lines, found.next_cursor)

    async def facts(self, payee: int, component: Component, page: PageRequest) -> Page[Fact]:
        """The visits, reviews and bookings that count for a component, and the scores that it goes by."""
        deeds = list(component.deeds)
        scores = list(component.scores)
        if not deeds and not scores:
            return Page([])
        row, since = self._row, await self._since(component, payee)
        start, end = component.days or (row.start, row.end)
        behind = FactsBehind(
            payee,
            deeds,
            max(start, row.start),
            min(end, row.end),
            scores,
            row.start,
            row.end,
            row.facts_upto or 0,
            (since.facts_upto or 0) if since is not None else 0,
        )
        found = await PayeeFacts(self._work).behind(behind, page)
        facts = [
            Fact(each.name, each.day, each.amount, each.key, each.counts, each.noted_at, each.noted_by)
            for each in found.items
        ]
        return Page(facts, found.next_cursor)

    async def below(self, payee: int, component: Component, page: PageRequest) -> Page[Below]:
        """Who of those below earned what a component is a share of, who earned most first; of a difference those who
        earned something else before."""
        if component.override is None:
            return Page([])
        levels, of = len(component.override.rates), component.override.component
        found = await Calculations(self._work).earned_below(self._row, payee, of, levels, page, self._before)
        codes = await Payees(self._work).codes({each.payee for each in found.items})
        below = [Below(codes[each.payee], each.level, each.amount_minor, each.before_minor) for each in found.items]
        return Page(below, found.next_cursor)

    async def _sellers(self, row: CalculationRow, component: Component, payee: int) -> Sequence[int]:
        """Whose sales count: the payee's own, or those of so many levels below."""
        if component.level == 0:
            return [payee]
        return await Calculations(self._work).downline(row, payee, component.level)

    async def _since(self, component: Component, payee: int) -> CalculationRow | None:
        """The calculation before, where what came since is the whole difference: it went by the same version, the same
        rates and the same people."""
        before, row = self._before, self._row
        if before is None or (before.version, before.rates) != (row.version, row.rates):
            return None
        of_same = await self._sellers(before, component, payee) == await self._sellers(row, component, payee)
        return before if of_same else None

    def _shown(self, component: Component, base: Any) -> str:
        """A base as people read it: an amount, or a count with up to four decimals."""
        if component.override is not None:
            return major_from_minor(base, self._scheme.currency)
        whole, rest = divmod(abs(base), WEIGHT)
        sign = "-" if base < 0 else ""
        decimals = f"{rest:04d}".rstrip("0")
        if component.base in MONEY_BASES:
            return f"{sign}{major_from_minor(whole, self._scheme.currency)}{decimals}"
        return f"{sign}{whole}" + (f".{decimals}" if rest else "")
