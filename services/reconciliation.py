"""Reconciling a day: its bills against what our books say became money, and every difference a break.

It may be done again at any time, and changes nothing when nothing changed. Whatever a later bill or a later telling
settles is solved by itself; what a person explained stays explained while it stands as it did.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from domain.access import Actor, Permission
from domain.events import Event
from domain.ids import canonical_json, content_digest, derived_id
from domain.organisation import Placement
from domain.problems import ConflictProblem, Text
from domain.settlement.bill_extras import compared_discounts, compared_fees
from domain.settlement.bills import BillKind, day_of
from domain.settlement.days import require_day
from domain.settlement.leftovers import Leftover, discounts_left_over, fees_left_over, left_over
from domain.settlement.reconciliation import (
    Break,
    Family,
    Match,
    Ours,
    Outcome,
    Theirs,
    bill_of,
    reconciled,
)
from services.bills import COLLECTORS, BillTerms, is_ready, terms_of
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.billed_books import BilledBooks
from storage.bills import Bills, ReconciliationRow
from storage.breaks import BreakRow, Breaks
from storage.engine import Database
from storage.events import Events
from storage.leftovers import Days, Leftovers
from storage.locks import lock
from storage.unit_of_work import UnitOfWork

LOOKED_BACK = timedelta(days=14)
"""How far back days are caught up with that were not reconciled; a person may do older ones."""
MOST_DAYS = 7
"""Days that are caught up with at a time."""
_COMPARED: tuple[Family, ...] = ("payment", "refund", "transfer")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What came of a day. changed: whether it is anything else than the last time."""

    account: str
    day: date
    rows: int
    matched: int
    breaks: int
    not_compared: Sequence[str]
    digest: str
    changed: bool


class ReconciliationService:
    """By account and Shanghai day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reconcile(self, actor: Actor, account_id: str, day: date) -> Reconciled:
        """Reconcile a day of an account. Raises NotFoundProblem, or ConflictProblem when no bill of it was taken."""
        actor.require(Permission.SETTLEMENTS_RUN)
        async with UnitOfWork(self._database) as work:
            account = await Accounts(work).require(account_id, actor.scope)
            await lock(work, f"bills/{account_id}")
            terms = await terms_of(work, account_id)
            start = require_day(day) - timedelta(days=terms.window_days)
            days = await Bills(work).days(account_id, start, day)
            if not any(day in found for found in days.values()):
                raise ConflictProblem(
                    Text(f"{account_id} 还没有 {day} 的账单", f"There is no bill of {account_id} for {day} yet"),
                    retryable=False,
                )
            of = Days(account_id, start, day)
            lines = await Bills(work).lines(account_id, start, day)
            outcome, not_compared, left, old = await self._compared(work, terms, of, days, lines)
            digest = await asyncio.to_thread(_digest, outcome, not_compared)
            last = await Bills(work).reconciled(account_id, day)
            changed = last is None or last.digest != digest
            if changed:
                await Bills(work).note(account_id, day, outcome.matches)
            kept = await self._keep_breaks(work, of, outcome, old)
            await Leftovers(work).keep(of, left, outcome.matches, old)
            changed |= kept.changed
            if opened := [each for each in kept.opened if each.kind != "timing"]:
                await Events(work).add([_told(account_id, day, digest, opened, work)])
            row = ReconciliationRow(
                account=account_id,
                day=day,
                rows=sum(each.day == day for each in lines),
                matched=sum(each.day == day for match in outcome.matches for each in match.theirs),
                breaks=len(outcome.breaks),
                digest=digest,
                not_compared=not_compared,
                done_at=work.now,
            )
            if changed:
                await Bills(work).conclude(row)
                detail = {"day": str(day), "rows": row.rows, "matched": row.matched, "breaks": row.breaks}
                place = Placement(account.unit_path, account.id)
                await AuditLog(work).record(actor, "bill.reconcile", f"account:{account_id}", detail, place)
            return Reconciled(account_id, day, row.rows, row.matched, row.breaks, not_compared, digest, changed)

    async def due(self, account_id: str) -> Sequence[date]:
        """Days with bills that were not reconciled since the account was connected, the oldest first; a bounded number
        of them, not too far back."""
        async with UnitOfWork(self._database) as work:
            account = await Accounts(work).require(account_id)
            now, today = work.now, day_of(work.now)
            first = max(today - LOOKED_BACK, day_of(account.created_at))
            done = await Bills(work).reconciled_days(account_id, first)
        days = [first + timedelta(days=number) for number in range((today - first).days)]
        return [each for each in days if each not in done and is_ready(each, now)][:MOST_DAYS]

    async def _compared(
        self,
        work: UnitOfWork,
        terms: BillTerms,
        of: Days,
        days: Mapping[BillKind, Collection[date]],
        lines: Sequence[Theirs],
    ) -> "_Compared":
        families = [each for each in _COMPARED if _is_compared(each, terms)]
        not_compared: list[str] = [each for each in _COMPARED if each not in families]
        ours: dict[tuple[Family, str, str], Ours] = {}
        books = BilledBooks(work)
        for family in families:
            for on in sorted(days[bill_of(family)]):
                for one in await books.expected(family, terms.account, terms.shops, of.day, on):
                    ours[family, one.shop, one.number] = one
        # Several of one number belong together however far apart they are billed.
        named = {name for one in ours.values() for name in _names(one)} | {
            name for each in lines for name in _names(each)
        }
        old = await Leftovers(work).lines(of, named)
        lines = [*lines, *old]
        theirs = [each for each in lines if each.family in families]
        for family in families:
            numbers = {number for each in theirs if each.family == family for number in _names(each)}
            numbers -= {number for known, _, number in ours if known == family}
            for one in await books.named(family, terms.account, terms.shops, of.day, numbers):
                ours.setdefault((family, one.shop, one.number), one)
        through = await Bills(work).last_days(terms.account)
        # In a thread: a hundred thousand rows take seconds, and whoever waits for a heartbeat must hear one.
        outcome = await asyncio.to_thread(reconciled, ours.values(), theirs, through, terms.window_days)
        left = await asyncio.to_thread(left_over, ours.values(), theirs, outcome)
        if "payment" not in families:
            return _Compared(outcome, not_compared, left, old)
        extras = [await self._discounts(work, terms, lines), _fees(terms, outcome.matches, lines)]
        matches = [*outcome.matches, *(each for one, _ in extras for each in one.matches)]
        breaks = [*outcome.breaks, *(each for one, _ in extras for each in one.breaks)]
        left = [*left, *(each for _, more in extras for each in more)]
        return _Compared(Outcome(matches, breaks), not_compared, left, old)

    async def _discounts(
        self, work: UnitOfWork, terms: BillTerms, lines: Sequence[Theirs]
    ) -> tuple[Outcome, Sequence[Leftover]]:
        told = [each for each in lines if each.family == "discount"]
        numbers = {each.number for each in told if each.number is not None}
        orders = await BilledBooks(work).discounts(terms.shops, numbers)
        outcome = compared_discounts(orders, told)
        return outcome, discounts_left_over(orders, told, outcome)

    async def _keep_breaks(self, work: UnitOfWork, of: Days, outcome: Outcome, old: Sequence[Theirs]) -> "_Kept":
        """Open what is new, open again what stands otherwise, solve what is none any more."""
        found = {_break_id(of.account, each): each for each in outcome.breaks}
        breaks = Breaks(work)
        known = await breaks.known(list(found))
        gone = [each for each in await breaks.standing(*of) if each.id not in found]
        fees = {_order(each) for each in gone if each.family == "fee"}
        elsewhere = await Bills(work).fees_elsewhere(of.account, of.day, fees)
        gone = [each for each in gone if each.family != "fee" or _order(each) not in elsewhere]
        settled = {(one.family, one.shop, one.number) for match in outcome.matches for one in match.ours}
        settled |= {("fee", shop, number) for family, shop, number in settled if family == "payment"}
        gone += [each for each in await breaks.standing_of(of.account, settled, old) if each.id not in found]
        for row in gone:
            row.stands, row.changed_at = False, work.now
            if row.state != "solved":
                row.state, row.solved_by, row.solved_at = "solved", None, work.now
        new: list[BreakRow] = []
        again: list[BreakRow] = []
        back = False
        for break_id, each in found.items():
            kept = known.get(break_id)
            if kept is None:
                new.append(_row(break_id, of.account, each, work))
                continue
            if _stands_otherwise(kept, each):
                _open_again(kept, each, work)
                again.append(kept)
            back |= not kept.stands
            kept.stands, kept.day, kept.lines = True, each.day, _lines(each)
        await breaks.add(new)
        return _Kept([*new, *again], bool(gone or new or again or back))


class _Compared(NamedTuple):
    """left: what nothing was matched with. old: lines of other days that were looked at."""

    outcome: Outcome
    not_compared: list[str]
    left: Sequence[Leftover]
    old: Sequence[Theirs]


class _Kept(NamedTuple):
    """opened: breaks that are new, or stand otherwise than before."""

    opened: Sequence[BreakRow]
    changed: bool


def _told(account: str, day: date, digest: str, opened: Sequence[BreakRow], work: UnitOfWork) -> Event:
    """`tandem.breaks.opened`, one for a day: a ticket for each of ten thousand would help nobody."""
    platform, _, slug = account.partition("/")
    return Event(
        id=derived_id("breaks-opened", account, str(day), digest),
        source=f"/{account}",
        type="tandem.breaks.opened",
        time=work.now,
        subject=f"bill:{account}/{day}",
        datacontenttype="application/json",
        data={
            "platform": platform,
            "account": slug,
            "day": str(day),
            "breaks": len(opened),
            "difference_minor": sum(abs(each.difference_minor) for each in opened),
            "kinds": dict(sorted(Counter(each.kind for each in opened).items())),
        },
    )


def _is_compared(family: Family, terms: BillTerms) -> bool:
    """Payouts stand in the bills of who pays them; orders in those of their shops, or of who collects for them."""
    if family == "transfer":
        return terms.account.partition("/")[0] in COLLECTORS
    return bool(terms.shops)


def _fees(terms: BillTerms, matches: Sequence[Match], lines: Sequence[Theirs]) -> tuple[Outcome, Sequence[Leftover]]:
    if terms.fee_bps is None:
        return Outcome((), ()), ()
    charged = [each for each in lines if each.family == "fee"]
    return compared_fees(matches, charged, terms.fee_bps), fees_left_over(matches, charged, terms.fee_bps)


def _names(each: Ours | Theirs) -> list[str]:
    group = each.group if isinstance(each, Ours) else None
    return [name for name in (each.number, each.channel_number, group) if name is not None]


def _order(row: BreakRow) -> tuple[str, str]:
    return row.shop or "", row.number or ""


def _break_id(account: str, each: Break) -> UUID:
    """The same for the same order, refund or payout, or the same line, however often it is found."""
    if each.ours:
        return UUID(derived_id("break", account, each.family, each.ours[0].shop, each.ours[0].number))
    line = each.theirs[0]
    return UUID(derived_id("break", account, each.family, "line", str(line.bill), str(line.line), line.kind))


def _row(break_id: UUID, account: str, each: Break, work: UnitOfWork) -> BreakRow:
    first = each.theirs[0] if each.theirs else None
    return BreakRow(
        id=break_id,
        account=account,
        day=each.day,
        kind=each.kind,
        family=each.family,
        shop=each.ours[0].shop if each.ours else None,
        number=each.ours[0].number if each.ours else first and (first.number or first.channel_number),
        lines=_lines(each),
        our_minor=each.our_minor,
        their_minor=each.their_minor,
        suggestion=each.suggestion,
        opened_at=work.now,
        changed_at=work.now,
    )


def _stands_otherwise(row: BreakRow, each: Break) -> bool:
    by_itself = row.state == "solved" and row.solved_by is None
    return by_itself or (row.kind, row.our_minor, row.their_minor) != (each.kind, each.our_minor, each.their_minor)


def _open_again(row: BreakRow, each: Break, work: UnitOfWork) -> None:
    """What was said of it was said of something else; the audit log still has it."""
    row.kind, row.our_minor, row.their_minor = each.kind, each.our_minor, each.their_minor
    row.day, row.lines, row.suggestion = each.day, _lines(each), each.suggestion
    row.state, row.reason, row.note, row.changed_at = "open", None, None, work.now
    row.explained_by = row.explained_at = row.solved_by = row.solved_at = None


def _lines(each: Break) -> list[list[int | str]]:
    return [[line.bill, line.line, line.kind] for line in each.theirs]


def _digest(outcome: Outcome, not_compared: Sequence[str]) -> str:
    """Of all matches and breaks, which come in an order of their own."""
    matches = [[match.rule, _ours(match.ours), _named(match.theirs)] for match in outcome.matches]
    breaks = [
        [each.kind, each.family, str(each.day), _ours(each.ours), _named(each.theirs), each.our_minor, each.their_minor]
        for each in outcome.breaks
    ]
    return content_digest(canonical_json([matches, breaks, list(not_compared)]))


def _ours(ours: Sequence[Ours]) -> list[list[str]]:
    return [[each.family, each.shop, each.number] for each in ours]


def _named(lines: Sequence[Theirs]) -> list[list[int | str]]:
    return [[each.bill, each.line, each.kind] for each in lines]
