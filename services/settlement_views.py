"""What finance sees of settlements: how far a calculation is, what it comes to, and why, down to order lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.access import Actor, Permission
from domain.problems import ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.settlement.calculation import BOUNDS
from domain.settlement.scheme import Component, Scheme
from domain.settlement.scheme_reading import SCHEME, scheme_of
from services.earning_explanations import Below, EarningExplanations, ExplainedEarning, Fact, Line
from services.frozen_rates import FrozenRate, frozen_rates
from services.repeats import RepeatOutcome, outcome_of
from services.scheme_versions import remark_on
from services.settlement_remarks import remarks_on
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.definitions import Definitions
from storage.engine import Database
from storage.paging import Page, PageRequest
from storage.payees import Payees
from storage.unit_of_work import UnitOfWork

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
    the calculation that it repeats, if it is a repeat. rates: what currencies were worth on its last day."""

    row: CalculationRow
    done: int
    of: int
    components: Sequence[ComponentSum] = ()
    highest: Sequence[PayeeSum] = ()
    remarks: Sequence[Text] = ()
    repeat: RepeatOutcome | None = None
    rates: Sequence[FrozenRate] = ()


@dataclass(frozen=True, slots=True)
class EarningName:
    """A component of a payee's in a calculation; before: the calculation that it is compared with."""

    calculation: UUID
    payee: str
    component: str
    before: UUID | None = None


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
            row, payee = await _computed(work, calculation), await _payee(work, actor, code)
            scheme = await scheme_in(work, row)
            behind = EarningExplanations(work, row, scheme)
            earned = await Calculations(work).earned_by(row, payee)
            found = [await behind.earning(each) for each in earned]
            return Explanation(code, scheme.currency, sum(each.amount for each in earned), found)

    async def lines(self, actor: Actor, named: EarningName, page: PageRequest) -> Page[Line]:
        """The order lines behind an earning. Raises as `explain`, and for a component that the scheme has not."""
        async with UnitOfWork(self._database) as work:
            behind, payee, component = await _behind(work, actor, named)
            return await behind.lines(payee, component, page)

    async def facts(self, actor: Actor, named: EarningName, page: PageRequest) -> Page[Fact]:
        """The visits, reviews, bookings and scores behind an earning. Raises as `lines`."""
        async with UnitOfWork(self._database) as work:
            behind, payee, component = await _behind(work, actor, named)
            return await behind.facts(payee, component, page)

    async def below(self, actor: Actor, named: EarningName, page: PageRequest) -> Page[Below]:
        """Who earned what an earning is a share of. Raises as `lines`."""
        async with UnitOfWork(self._database) as work:
            behind, payee, component = await _behind(work, actor, named)
            return await behind.below(payee, component, page)


async def view_of(work: UnitOfWork, row: CalculationRow) -> CalculationView:
    """A calculation as it stands."""
    calculations = Calculations(work)
    done, scheme = len(await calculations.parts(row.id)), await scheme_in(work, row)
    tried, titles = remark_on(scheme, row.start, row.end), titles_of(scheme)
    told = [tried] if tried is not None else []
    repeat, rates = await outcome_of(work, row, titles), await frozen_rates(work, row)
    if row.state != "computed":
        return CalculationView(row, done, 2 * row.parts, remarks=told, repeat=repeat, rates=rates)
    components = [
        ComponentSum(name, titles[name], payees, amount)
        for name, payees, amount in await calculations.by_component(row)
    ]
    highest = await calculations.highest(row, HIGHEST_SHOWN)
    codes = await Payees(work).codes({payee for payee, _ in highest})
    sums = [PayeeSum(codes[payee], amount) for payee, amount in highest]
    told += await remarks_on(work, scheme, row)
    return CalculationView(row, done, 2 * row.parts, components, sums, told, repeat, rates)


async def _behind(work: UnitOfWork, actor: Actor, named: EarningName) -> tuple[EarningExplanations, int, Component]:
    actor.require(Permission.SETTLEMENTS_READ)
    row, payee = await _computed(work, named.calculation), await _payee(work, actor, named.payee)
    before = await _computed(work, named.before) if named.before is not None else None
    if before is not None and (before.scheme, before.cycle, before.start) != (row.scheme, row.cycle, row.start):
        raise ValidationProblem(
            Text(
                f"核算 {before.id} 不是同一方案、同一账期的，不能比较",
                f"The calculation {before.id} is of another scheme or period: it cannot be compared",
            )
        )
    behind = EarningExplanations(work, row, await scheme_in(work, row), before)
    component = behind.component(named.component)
    if component is None:
        raise NotFoundProblem(
            Text(
                f"方案 {row.scheme} {row.version} 没有收入项 {named.component}",
                f"The scheme {row.scheme} {row.version} has no component {named.component}",
            )
        )
    return behind, payee, component


async def _payee(work: UnitOfWork, actor: Actor, code: str) -> int:
    found = await Payees(work).find(code, actor.scope)
    if found is None:
        raise NotFoundProblem(Text(f"没有收款人 {code}", f"There is no payee {code}"))
    return found.id


async def _computed(work: UnitOfWork, calculation: UUID) -> CalculationRow:
    row = await _row(work, calculation)
    if row.state != "computed":
        raise ConflictProblem(Text("尚未算完", "It is not computed yet"))
    return row


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


def titles_of(*schemes: Scheme) -> dict[str, str]:
    """What their components are called, in their order, and the bounds last."""
    named = {each.name: each.title for scheme in schemes for each in scheme.components}
    return {**named, BOUNDS: "保底与封顶"}
