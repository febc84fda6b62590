"""A payee's account in a period, explained: each entry, and behind what was earned or taken back, the order lines."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from domain.access import Actor, Permission
from domain.problems import NotFoundProblem, Text
from domain.settlement.calculation import Earned
from domain.settlement.scheme import Cycle
from services.settlement_views import ExplainedEarning, explained_earning, scheme_in
from storage.calculations import Calculations
from storage.engine import Database
from storage.payee_entries import PayeeEntries, PayeeEntry
from storage.payees import Payees
from storage.payouts import Payouts
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork

MOST_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class ExplainedChange:
    """What a component comes to now, what was booked for it before, and the order lines that came in between."""

    earning: ExplainedEarning
    before_minor: int
    change_minor: int


@dataclass(frozen=True, slots=True)
class ExplainedEntry:
    """An entry. start, end: the period that it is of, where it is another one's: a late order, a refund. payout: its
    number, rail and state."""

    entry: PayeeEntry
    start: date | None = None
    end: date | None = None
    changes: Sequence[ExplainedChange] = field(default=())
    payout: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class PayeeAccount:
    """What a payee had, what became of it in a period, and what they have: now, later, and less what they owe."""

    payee: str
    scheme: str
    currency: str
    start: date
    end: date
    closed_at: datetime | None
    opening_minor: int
    closing_minor: int
    entries: Sequence[ExplainedEntry]


class PayeeAccounts:
    """For who may see settlements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_day(self, actor: Actor, day: date, code: str) -> Sequence[PayeeAccount]:
        """The accounts by every scheme with a period that the day is in, without those that hold nothing.

        :raises NotFoundProblem: no such payee.
        """
        async with UnitOfWork(self._database) as work:
            periods = await SettlementPeriods(work).with_day(day)
        found = [await self.explain(actor, each.scheme, day, code, each.cycle) for each in periods]
        return [each for each in found if each.entries or each.opening_minor]

    async def explain(
        self, actor: Actor, scheme: str, day: date, code: str, cycle: Cycle | None = None
    ) -> PayeeAccount:
        """The account in the period that a day is in.

        :raises NotFoundProblem: no such payee, or no period of the scheme was ever settled there.
        """
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            payee = await Payees(work).find(code, actor.scope)
            if payee is None:
                raise NotFoundProblem(Text(f"没有收款人 {code}", f"There is no payee {code}"))
            period = await SettlementPeriods(work).of_day(scheme, day, cycle)
            if period is None:
                raise NotFoundProblem(
                    Text(f"方案 {scheme} 在 {day} 没有结算过的账期", f"No period of {scheme} with {day} was settled")
                )
            entries = PayeeEntries(work)
            opening = await entries.before(payee.id, scheme, period.currency, period.start)
            found = [
                await _explained(work, payee.id, each)
                for each in await entries.within(payee.id, period.id, MOST_ENTRIES)
            ]
            return PayeeAccount(
                code,
                scheme,
                period.currency,
                period.start,
                period.end,
                period.closed_at,
                opening,
                opening + sum(each.entry.net_minor for each in found),
                found,
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
    scheme = await scheme_in(work, row)
    now = {each.component: each for each in await calculations.earned_by(row, payee)}
    then = {each.component: each for each in await calculations.earned_by(before, payee)} if before else {}
    changes = []
    for name in dict.fromkeys((*now, *then)):
        earned = now.get(name, Earned(payee, name, 0, 0))
        was = then[name].amount if name in then else 0
        if earned.amount != was:
            since = (before.sales_upto or 0) if before is not None else 0
            told = await explained_earning(work, row, scheme, earned, since)
            changes.append(ExplainedChange(told, was, earned.amount - was))
    return ExplainedEntry(entry, row.start, row.end, changes)
