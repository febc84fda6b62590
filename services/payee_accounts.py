"""A payee's account of some days, explained: each entry, and behind what was earned or taken back, the order lines."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from domain.access import Actor, Permission
from domain.problems import NotFoundProblem, Text
from domain.settlement.calculation import BOUNDS, Earned
from domain.settlement.periods import period_of
from domain.settlement.scheme import Cycle
from services.earning_explanations import EarningExplanations, ExplainedEarning
from services.scheme_versions import own_cycle
from services.settlement_views import scheme_in
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.engine import Database
from storage.paging import PageRequest
from storage.payee_entries import AccountDays, PayeeEntries, PayeeEntry
from storage.payees import PayeeRow, Payees, payee_of
from storage.payouts import Payouts
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork

_FIRST = PageRequest()


@dataclass(frozen=True, slots=True)
class ExplainedChange:
    """What a component comes to now, what was booked for it before, and the order lines that came in between."""

    earning: ExplainedEarning
    before_minor: int
    change_minor: int


@dataclass(frozen=True, slots=True)
class ExplainedEntry:
    """An entry. start, end: the period that it is of, also where that is an earlier one: a late order, a refund.
    calculation, before: what was booked, and what it took the place of. payout: its number, rail and state."""

    entry: PayeeEntry
    start: date | None = None
    end: date | None = None
    calculation: UUID | None = None
    before: UUID | None = None
    changes: Sequence[ExplainedChange] = field(default=())
    payout: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class PayeeAccount:
    """What a payee had, what became of it in a period, and what they have: now, later, and less what they owe.

    closed_at: when the period was closed. The sums are of all `count` entries, whichever of them are shown.
    """

    payee: str
    scheme: str
    currency: str
    cycle: Cycle
    start: date
    end: date
    closed_at: datetime | None
    opening_minor: int
    closing_minor: int
    count: int
    entries: Sequence[ExplainedEntry]
    next_cursor: str | None = None


class PayeeAccounts:
    """For who may see settlements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_day(
        self, actor: Actor, day: date, code: str, cycle: Cycle | None = None, page: PageRequest = _FIRST
    ) -> Sequence[PayeeAccount]:
        """The accounts by every scheme that was settled by then, without those that hold nothing; the first entries.

        :raises NotFoundProblem: no such payee.
        """
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            payee = await _payee(work, actor, code)
            days = [
                found
                for scheme in await SettlementPeriods(work).schemes()
                if (found := await _days(work, payee, scheme, day, cycle)) is not None
            ]
            accounts = [await _account(work, code, each, page) for each in days]
            return [each for each in accounts if each.count or each.opening_minor]

    async def explain(
        self,
        actor: Actor,
        scheme: str,
        day: date,
        code: str,
        cycle: Cycle | None = None,
        page: PageRequest = _FIRST,
    ) -> PayeeAccount:
        """The account of the period that a day is in, by the payee's own cycle when none is named, else the scheme's.

        :raises NotFoundProblem: no such payee, or nothing was settled by the scheme up to these days.
        """
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            days = await _days(work, await _payee(work, actor, code), scheme, day, cycle)
            if days is None:
                raise NotFoundProblem(
                    Text(f"方案 {scheme} 到 {day} 为止没有结算过", f"Nothing was settled by {scheme} up to {day}")
                )
            return await _account(work, code, days, page)


@dataclass(frozen=True, slots=True)
class _Days:
    days: AccountDays
    cycle: Cycle
    closed_at: datetime | None


async def _payee(work: UnitOfWork, actor: Actor, code: str) -> PayeeRow:
    payee = await Payees(work).find(code, actor.scope)
    if payee is None:
        raise NotFoundProblem(Text(f"没有收款人 {code}", f"There is no payee {code}"))
    return payee


async def _days(work: UnitOfWork, payee: PayeeRow, scheme: str, day: date, cycle: Cycle | None) -> _Days | None:
    """The days of a payee's account; None when the scheme had not begun to be settled."""
    periods = SettlementPeriods(work)
    first = await periods.first_of(scheme)
    if first is None:
        return None
    own, currency = await own_cycle(work, scheme, day)
    named = cycle or payee_of(payee).cycle or own
    start, end = period_of(named, day)
    if end <= first.start:
        return None
    period = await periods.find(scheme, named, start)
    if period is not None:
        currency = period.currency
    closed_at = period.closed_at if period is not None else None
    return _Days(AccountDays(payee.id, scheme, currency, start, end), named, closed_at)


async def _account(work: UnitOfWork, code: str, of: _Days, page: PageRequest) -> PayeeAccount:
    days = of.days
    found = await PayeeEntries(work).page(days, page)
    return PayeeAccount(
        code,
        days.scheme,
        days.currency,
        of.cycle,
        days.start,
        days.end,
        of.closed_at,
        found.opening_minor,
        found.closing_minor,
        found.transfers,
        [await _explained(work, days.payee, each) for each in found.entries.items],
        found.entries.next_cursor,
    )


async def _explained(work: UnitOfWork, payee: int, entry: PayeeEntry) -> ExplainedEntry:
    what, _, rest = entry.source.partition("/")
    if what == "run":
        run, _, calculation = rest.partition("/")
        return await _earned(work, payee, entry, UUID(run), UUID(calculation))
    if what == "payout":
        payout = await Payouts(work).find(rest)
        if payout is not None:
            return ExplainedEntry(entry, payout=(payout.number, payout.rail, payout.state))
    return ExplainedEntry(entry)


async def _earned(work: UnitOfWork, payee: int, entry: PayeeEntry, run: UUID, calculation: UUID) -> ExplainedEntry:
    calculations = Calculations(work)
    row = await calculations.find(calculation)
    if row is None:
        return ExplainedEntry(entry)
    before_id = await PayeeEntries(work).booked_before(run, calculation)
    before = await calculations.find(before_id) if before_id is not None else None
    now = {each.component: each for each in await calculations.earned_by(row, payee)}
    then = {each.component: each for each in await calculations.earned_by(before, payee)} if before else {}
    changes = []
    for name in dict.fromkeys((*now, *then)):
        earned = now.get(name, Earned(payee, name, 0, 0))
        was = then[name].amount if name in then else 0
        if earned.amount != was:
            told = await _told(work, row, before, earned, then.get(name))
            changes.append(ExplainedChange(told, was, earned.amount - was))
    return ExplainedEntry(entry, row.start, row.end, row.id, before_id, changes)


async def _told(
    work: UnitOfWork, row: CalculationRow, before: CalculationRow | None, now: Earned, then: Earned | None
) -> ExplainedEarning:
    """Why a component comes to what it does now; of one that the version has no more, what it came to before."""
    scheme = await scheme_in(work, row)
    explanations = EarningExplanations(work, row, scheme, before)
    is_gone = now.component != BOUNDS and explanations.component(now.component) is None
    if not is_gone or before is None or then is None:
        return await explanations.earning(now)
    told = await EarningExplanations(work, before, await scheme_in(work, before)).earning(then)
    rule = Text(
        f"版本 {row.version} 已没有这一项；版本 {before.version}：{told.rule.zh}",
        f"version {row.version} has it no more; version {before.version}: {told.rule.en}",
    )
    return replace(told, rule=rule, amount_minor=0)
