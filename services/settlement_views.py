"""What finance sees of settlements: how far a calculation is, what it comes to, and why, down to order lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.access import Actor, Permission
from domain.money import major_from_minor
from domain.problems import ConflictProblem, NotFoundProblem, Text
from domain.settlement.calculation import BOUNDS, Earned
from domain.settlement.exact import WEIGHT
from domain.settlement.explanation import rule_of
from domain.settlement.scheme import LINE_BASES, MONEY_BASES, Component, Scheme
from domain.settlement.scheme_reading import SCHEME, scheme_of
from services.repeats import RepeatOutcome, outcome_of
from services.scheme_versions import remark_on
from services.settlement_remarks import remarks_on
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.definitions import Definitions
from storage.engine import Database
from storage.paging import Page, PageRequest
from storage.payees import Payees
from storage.sale_filters import Extent
from storage.sale_sums import SaleSums
from storage.unit_of_work import UnitOfWork

MOST_ORDERS_SHOWN = 500
HIGHEST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ComponentSum:
    """What a component comes to over all payees."""

    component: str
    title: str
    payees: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class PayeeSum:
    """What a payee earned in all, by code."""

    payee: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class CalculationView:
    """A calculation. done: parts of both passes, of `of`. remarks: what is odd about it. repeat: how it compares with
    the calculation that it repeats, if it is a repeat."""

    row: CalculationRow
    done: int
    of: int
    components: Sequence[ComponentSum] = ()
    highest: Sequence[PayeeSum] = ()
    remarks: Sequence[Text] = ()
    repeat: RepeatOutcome | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order that counted for a component, with all its differences. counted: of the component's base."""

    account: str
    order_id: str
    line_id: str
    counted: str


@dataclass(frozen=True, slots=True)
class ExplainedEarning:
    """Why a component comes to what it does: its rule in words, its base, and the order lines behind it; of what is
    earned by others, who they are and what they earned, each of whom can be asked about in turn."""

    component: str
    title: str
    rule: Text
    base: str
    amount_minor: int
    lines: Sequence[Line]
    more_lines: bool
    below: Sequence[PayeeSum] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """A payee's sum in a calculation, down to order lines."""

    payee: str
    currency: str
    amount_minor: int
    earnings: Sequence[ExplainedEarning]


class SettlementViews:
    """Calculations for who may see settlements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, actor: Actor, page: PageRequest, *, scheme: str | None = None) -> Page[CalculationRow]:
        """Calculations, the newest first."""
        actor.require(Permission.SETTLEMENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            return await Calculations(work).search(page, scheme=scheme)

    async def show(self, actor: Actor, calculation: UUID) -> CalculationView:
        """How far it is, and what it comes to. Raises NotFoundProblem."""
        actor.require(Permission.SETTLEMENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            return await view_of(work, await _row(work, calculation))

    async def explain(self, actor: Actor, calculation: UUID, code: str) -> Explanation:
        """Why a payee's sum is what it is.

        :raises NotFoundProblem: no such calculation, or payee in it. :raises ConflictProblem: it is not computed yet.
        """
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            row = await _row(work, calculation)
            payee = await Payees(work).find(code, actor.scope)
            if payee is None:
                raise NotFoundProblem(Text(f"没有收款人 {code}", f"There is no payee {code}"))
            if row.state != "computed":
                raise ConflictProblem(Text("尚未算完", "It is not computed yet"))
            scheme = await scheme_in(work, row)
            earned = await Calculations(work).earned_by(row, payee.id)
            found = [await explained_earning(work, row, scheme, each) for each in earned]
            return Explanation(code, scheme.currency, sum(each.amount for each in earned), found)


async def view_of(work: UnitOfWork, row: CalculationRow) -> CalculationView:
    """A calculation as it stands."""
    calculations = Calculations(work)
    done, scheme = len(await calculations.parts(row.id)), await scheme_in(work, row)
    tried, titles = remark_on(scheme, row.start, row.end), _titles(scheme)
    told = [tried] if tried is not None else []
    repeat = await outcome_of(work, row, titles)
    if row.state != "computed":
        return CalculationView(row, done, 2 * row.parts, remarks=told, repeat=repeat)
    components = [
        ComponentSum(name, titles[name], payees, amount)
        for name, payees, amount in await calculations.by_component(row)
    ]
    highest = await calculations.highest(row, HIGHEST_SHOWN)
    codes = await Payees(work).codes({payee for payee, _ in highest})
    sums = [PayeeSum(codes[payee], amount) for payee, amount in highest]
    told += await remarks_on(work, scheme)
    return CalculationView(row, done, 2 * row.parts, components, sums, told, repeat)


async def explained_earning(
    work: UnitOfWork, row: CalculationRow, scheme: Scheme, earned: Earned, since: int = 0
) -> ExplainedEarning:
    """Why a component comes to what it does. since: only lines of sales that were added after that one."""
    component = next((each for each in scheme.components if each.name == earned.component), None)
    if component is None:
        bounds = Text("方案的保底与封顶", "the scheme's floor and cap")
        base = major_from_minor(earned.base, scheme.currency)
        return ExplainedEarning(earned.component, bounds.zh, bounds, base, earned.amount, (), more_lines=False)
    sellers: Sequence[int] = [earned.payee]
    below: Sequence[PayeeSum] = ()
    if component.override is not None:
        below = await _below(work, row, earned.payee, component.override.component, len(component.override.rates))
        sellers = []
    elif component.level > 0:
        sellers = await Calculations(work).downline(row, earned.payee, component.level)
    lines: list[tuple[str, str, str, int]] = []
    if component.base in LINE_BASES:
        extent = Extent(row.start, row.end, row.sales_upto or 0, None, sellers, since)
        lines = await SaleSums(work).lines(scheme, component, extent, MOST_ORDERS_SHOWN + 1)
    return ExplainedEarning(
        component.name,
        component.title,
        rule_of(scheme, component),
        _shown(component, scheme, earned.base),
        earned.amount,
        [
            Line(account, order_id, line_id, _shown(component, scheme, counted))
            for account, order_id, line_id, counted in lines[:MOST_ORDERS_SHOWN]
        ],
        more_lines=len(lines) > MOST_ORDERS_SHOWN,
        below=below,
    )


async def _below(work: UnitOfWork, row: CalculationRow, payee: int, component: str, levels: int) -> Sequence[PayeeSum]:
    """What those below a payee earned by a component, who earned most first."""
    found = await Calculations(work).earned_below(row, payee, component, levels, MOST_ORDERS_SHOWN)
    codes = await Payees(work).codes({each for each, _ in found})
    return [PayeeSum(codes[each], amount) for each, amount in found]


async def _row(work: UnitOfWork, calculation: UUID) -> CalculationRow:
    row = await Calculations(work).find(calculation)
    if row is None:
        raise NotFoundProblem(Text(f"没有核算 {calculation}", f"There is no calculation {calculation}"))
    return row


async def scheme_in(work: UnitOfWork, row: CalculationRow) -> Scheme:
    """As the calculation's own version says. Raises NotFoundProblem."""
    version = await Definitions(work).get((SCHEME, "", row.scheme, row.version))
    if version is None:
        raise NotFoundProblem(Text(f"没有方案 {row.scheme}", f"There is no scheme {row.scheme}"))
    return scheme_of(version.properties)


def _titles(scheme: Scheme) -> dict[str, str]:
    return {**{each.name: each.title for each in scheme.components}, BOUNDS: "保底与封顶"}


def _shown(component: Component, scheme: Scheme, base: Any) -> str:
    """A base as people read it: an amount, or a count with up to four decimals."""
    if component.override is not None:
        return major_from_minor(base, scheme.currency)
    whole, rest = divmod(abs(base), WEIGHT)
    sign = "-" if base < 0 else ""
    if component.base in MONEY_BASES:
        decimals = f"{rest:04d}".rstrip("0")
        return f"{sign}{major_from_minor(whole, scheme.currency)}{decimals}"
    return f"{sign}{whole}" + (f".{rest:04d}".rstrip("0") if rest else "")
