"""Days that should have been reconciled and were not: no bill came, or nobody compared it.

Nothing of such a day is a break, so it would be missed by whoever only looks at breaks. An account counts from its
first bill, from its first terms, or from its connection where its platform makes the bills; one that had bills or terms
and was disconnected since, through the day on which it was.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from connectors.billing import bill_kinds_of
from connectors.registry import ConnectorRegistry
from domain.access import Actor, Permission, Scope
from domain.accounts import Account
from domain.events import Event
from domain.settlement.bills import BillKind, day_of
from domain.settlement.reconciliation import bill_of
from services.bill_terms import compared_families, terms_of
from services.bills import is_ready
from services.breaks import AGES, age_of
from services.weekly_notices import weekly_notice
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.bill_terms import BillTermsBook
from storage.engine import Database
from storage.events import Events
from storage.paging import LARGEST_PAGE, PageRequest
from storage.reconciliations import Known, Reconciliations
from storage.unit_of_work import UnitOfWork

LOOKED_BACK = timedelta(days=14)
"""How far back days are caught up with by themselves; a person may do older ones."""
LISTED_BACK = timedelta(days=400)
"""How far back days are listed."""
MOST_DAYS = 7
"""Days that are caught up with at a time."""
TOLD_AFTER = timedelta(days=3)
"""So much later finance is told that a day is missing; before that somebody may be at it."""
_MOST_TOLD = 31
Why = Literal["no-bill", "not-reconciled", "ended-otherwise"]
"""no-bill: a bill of that day is missing; not-reconciled: it is there, and was not compared; ended-otherwise: a payout
that it was matched with has ended unpaid since."""


@dataclass(frozen=True, slots=True)
class UnreconciledDay:
    """A day, why it is listed, and which of its bills are missing."""

    account: str
    day: date
    why: Why
    missing: Sequence[BillKind]


@dataclass(frozen=True, slots=True)
class AgedDays:
    """How many days of an account, by age."""

    account: str
    age: str
    days: int


class Unreconciled:
    """Within the actor's scope."""

    def __init__(self, database: Database, connectors: ConnectorRegistry) -> None:
        self._database = database
        self._connectors = connectors

    async def days(self, actor: Actor, account: str | None = None) -> Sequence[UnreconciledDay]:
        """The days, the oldest first; of one account where it is given. Raises NotFoundProblem for one out of scope."""
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            if account is not None:
                await Accounts(work).require(account, actor.scope)
            listed = listed_days(work, self._connectors, actor.scope, last_ready(work.now))
            found = [each async for each in listed if account in (None, each.account)]
        return sorted(found, key=lambda each: (each.day, each.account))

    async def aged(self, actor: Actor) -> Sequence[AgedDays]:
        """How many there are, by account and age."""
        today = day_of(self._database.clock())
        ranks = {name: rank for rank, (name, _) in enumerate(AGES)}
        counts = Counter((each.account, ranks[age_of(each.day, today)]) for each in await self.days(actor))
        return [AgedDays(account, AGES[rank][0], counts[account, rank]) for account, rank in sorted(counts)]

    async def due(self, account_id: str) -> Sequence[date]:
        """Days of an account whose platform makes bills, to be caught up with now, the oldest first: those that lack a
        bill or a comparison since it was connected, not too far back, and those that stand otherwise by now; a bounded
        number of them."""
        kinds = frozenset(bill_kinds_of(self._connectors, account_id))
        async with UnitOfWork(self._database) as work:
            account = await Accounts(work).require(account_id)
            last = last_ready(work.now)
            first = max(day_of(work.now) - LOOKED_BACK, day_of(account.created_at))
            known = await Reconciliations(work).known(account_id, first, last)
            otherwise = await Reconciliations(work).ended_otherwise(account_id)
        missed = {day for day in _between(first, last) if not kinds <= set(known.reconciled.get(day, ()))}
        return sorted(missed.union(otherwise))[:MOST_DAYS]

    async def tell(self) -> int:
        """Tell finance of connected accounts with days that nobody has reconciled for a while, once a week each; how
        many."""
        by_account: dict[str, list[UnreconciledDay]] = {}
        async with UnitOfWork(self._database) as work:
            today = day_of(work.now)
            listed = listed_days(work, self._connectors, Scope.everything(), last_ready(work.now), only_connected=True)
            async for each in listed:
                if today - each.day > TOLD_AFTER:
                    by_account.setdefault(each.account, []).append(each)
            events = [_missing(account, sorted(days, key=_day), work.now) for account, days in by_account.items()]
            return await Events(work).add(events)


async def listed_days(
    work: UnitOfWork,
    connectors: ConnectorRegistry,
    scope: Scope,
    last: date,
    first: date | None = None,
    *,
    only_connected: bool = False,
) -> AsyncIterator[UnreconciledDay]:
    """The days up to `last` of accounts within a scope, account by account. first: none before it; without it none that
    is too long ago."""
    first_bills = await Reconciliations(work).first_days()
    since = await BillTermsBook(work).since()
    cursor = None
    while True:
        page = await Accounts(work).list(scope, PageRequest(LARGEST_PAGE, cursor))
        for account in page.items:
            begun, ended = _first(connectors, account, first_bills, since), last
            if not account.active:
                # One that never had a bill or terms was connected by mistake.
                was_billed = account.id in first_bills or account.id in since
                if only_connected or not was_billed:
                    continue
                ended = min(last, await _disconnected_on(work, account.id) or last)
            begin = max(begun, first or last - LISTED_BACK) if begun is not None else None
            if begin is not None and begin <= ended:
                known = await Reconciliations(work).known(account.id, begin, ended)
                wanted = await _wanted(work, connectors, account.id)
                for each in _unreconciled(account.id, _between(begin, ended), wanted, known):
                    yield each
        cursor = page.next_cursor
        if cursor is None:
            return


def last_ready(now: datetime) -> date:
    """The last day whose bill is there."""
    yesterday = day_of(now) - timedelta(days=1)
    return yesterday if is_ready(yesterday, now) else yesterday - timedelta(days=1)


def _first(
    connectors: ConnectorRegistry, account: Account, first_bills: Mapping[str, date], since: Mapping[str, date]
) -> date | None:
    found = [each[account.id] for each in (first_bills, since) if account.id in each]
    if bill_kinds_of(connectors, account.id):
        found.append(day_of(account.created_at))
    return min(found, default=None)


async def _disconnected_on(work: UnitOfWork, account_id: str) -> date | None:
    """The day on which an account was disconnected last, by the audit log."""
    target, action = f"account:{account_id}", "account.disconnect"
    entries = await AuditLog(work).list(Scope.everything(), PageRequest(1), action=action, target=target)
    return day_of(entries.items[0].at) if entries.items else None


async def _wanted(work: UnitOfWork, connectors: ConnectorRegistry, account_id: str) -> frozenset[BillKind]:
    """The bills that a day has to have: those that the platform makes, else those that something is compared with."""
    made = bill_kinds_of(connectors, account_id)
    if made:
        return frozenset(made)
    return frozenset(bill_of(family) for family in compared_families(await terms_of(work, account_id)))


def _unreconciled(
    account: str, days: Sequence[date], wanted: frozenset[BillKind], known: Known
) -> Sequence[UnreconciledDay]:
    found = []
    for day in days:
        missing = sorted(wanted - set(known.billed.get(day, ())))
        if missing:
            found.append(UnreconciledDay(account, day, "no-bill", missing))
        elif not wanted <= set(known.reconciled.get(day, ())):
            found.append(UnreconciledDay(account, day, "not-reconciled", ()))
    listed = {each.day for each in found}
    otherwise = [UnreconciledDay(account, day, "ended-otherwise", ()) for day in known.ended_otherwise]
    return [*found, *(each for each in otherwise if each.day not in listed)]


def _missing(account: str, days: Sequence[UnreconciledDay], now: datetime) -> Event:
    """`tandem.bills.missing`: the same one for all of a week."""
    platform, _, slug = account.partition("/")
    told = {
        "platform": platform,
        "account": slug,
        "days": len(days),
        "first": str(days[0].day),
        "last": str(days[-1].day),
        "listed": [
            {"day": str(each.day), "why": each.why, "missing": list(each.missing)} for each in days[:_MOST_TOLD]
        ],
    }
    return weekly_notice("bills-missing", account, f"/{account}", f"bills:{account}", told, now)


def _between(first: date, last: date) -> Sequence[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _day(each: UnreconciledDay) -> date:
    return each.day
