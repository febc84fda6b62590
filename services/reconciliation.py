"""Reconciling a day: its bills against what our books say became money, and every difference a break.

It may be done again at any time, and changes nothing when nothing changed. Whatever a later bill or a later telling
settles is solved by itself; what a person explained stays explained while it stands as it did.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from domain.access import Actor, Permission
from domain.ids import canonical_json, content_digest
from domain.organisation import Placement
from domain.problems import ConflictProblem, Text
from domain.settlement.bill_extras import FeeTerms, compared_discounts, compared_fees, without_discount
from domain.settlement.bills import BillKind
from domain.settlement.days import require_day
from domain.settlement.leftovers import Leftover, discounts_left_over, fees_left_over, left_over
from domain.settlement.reconciliation import (
    Family,
    Match,
    Ours,
    Outcome,
    Theirs,
    bill_of,
    reconciled,
)
from services.bill_terms import BillTerms, compared_families, terms_of
from services.break_keeping import keep_breaks, told_of
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.billed_books import BilledBooks
from storage.bills import Bills
from storage.engine import Database
from storage.events import Events
from storage.leftovers import Days, Leftovers, Looked
from storage.locks import lock
from storage.reconciliations import ReconciliationRow, Reconciliations
from storage.unit_of_work import UnitOfWork

_COMPARED: tuple[Family, ...] = ("payment", "refund", "transfer", "share")


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
            outcome, looked, not_compared, left, old = await self._compared(work, terms, of, days, lines)
            digest = await asyncio.to_thread(_digest, outcome, not_compared)
            kinds = sorted(kind for kind, found in days.items() if day in found)
            last = await Reconciliations(work).find(account_id, day)
            changed = last is None or (last.digest, last.kinds) != (digest, kinds)
            if changed:
                await Bills(work).note(account_id, day, looked.families, outcome.matches)
            kept = await keep_breaks(work, of, looked, outcome, old)
            await Leftovers(work).keep(of, looked, left, outcome.matches, old)
            changed |= kept.changed
            if opened := [each for each in kept.opened if each.kind != "timing"]:
                await Events(work).add(told_of(account_id, digest, opened, work))
            row = ReconciliationRow(
                account=account_id,
                day=day,
                rows=sum(each.day == day for each in lines),
                matched=sum(each.day == day for match in outcome.matches for each in match.theirs),
                breaks=len(outcome.breaks),
                digest=digest,
                kinds=kinds,
                not_compared=not_compared,
                done_at=work.now,
            )
            if changed:
                await Reconciliations(work).conclude(row)
                detail = {"day": str(day), "rows": row.rows, "matched": row.matched, "breaks": row.breaks}
                place = Placement(account.unit_path, account.id)
                await AuditLog(work).record(actor, "bill.reconcile", f"account:{account_id}", detail, place)
            return Reconciled(account_id, day, row.rows, row.matched, row.breaks, not_compared, digest, changed)

    async def _compared(
        self,
        work: UnitOfWork,
        terms: BillTerms,
        of: Days,
        days: Mapping[BillKind, Collection[date]],
        lines: Sequence[Theirs],
    ) -> "_Compared":
        families = compared_families(terms)
        not_compared: list[str] = [
            each for each in _COMPARED if each not in families or of.day not in days[bill_of(each)]
        ]
        ours: dict[tuple[Family, str, str], Ours] = {}
        books = BilledBooks(work)
        for family in families:
            for on in sorted(days[bill_of(family)]):
                for one in await books.expected(family, terms.account, terms.shops, of.day, on, bank=terms.bank):
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
            for one in await books.named(family, terms.account, terms.shops, of.day, numbers, bank=terms.bank):
                ours.setdefault((family, one.shop, one.number), one)
        through = await Bills(work).last_days(terms.account)
        # In a thread: a hundred thousand rows take seconds, and whoever waits for a heartbeat must hear one.
        outcome = await asyncio.to_thread(reconciled, ours.values(), theirs, through, terms.window_days)
        left = await asyncio.to_thread(left_over, ours.values(), theirs, outcome)
        looked = {family: days[bill_of(family)] for family in families}
        if "payment" not in families:
            return _Compared(outcome, Looked(looked), not_compared, left, old)
        looked["discount"] = days["trade"]
        if terms.fee_bps is not None:
            looked |= {"fee": days["trade"], "refund-fee": days["trade"]}
        discounts, unknown = await self._discounts(work, terms, lines)
        if any(_is_discount(each, terms) and each.day == of.day and each.number in unknown for each in lines):
            not_compared.append("discount")
        extras = [discounts, await self._fees(work, terms, outcome.matches, lines)]
        matches = [*outcome.matches, *(each for one, _ in extras for each in one.matches)]
        breaks = [*outcome.breaks, *(each for one, _ in extras for each in one.breaks)]
        left = [*left, *(each for _, more in extras for each in more)]
        return _Compared(Outcome(matches, breaks), Looked(looked), not_compared, left, old)

    async def _discounts(
        self, work: UnitOfWork, terms: BillTerms, lines: Sequence[Theirs]
    ) -> tuple[tuple[Outcome, Sequence[Leftover]], Collection[str]]:
        """With the numbers of orders that cannot be compared."""
        told = [each for each in lines if _is_discount(each, terms)]
        numbers = {each.number for each in told if each.number is not None}
        orders = await BilledBooks(work).discounts(terms.shops, numbers)
        outcome = await asyncio.to_thread(compared_discounts, orders, told)
        left = await asyncio.to_thread(discounts_left_over, orders, told, outcome)
        return (outcome, left), without_discount(orders)

    async def _fees(
        self, work: UnitOfWork, terms: BillTerms, matches: Sequence[Match], lines: Sequence[Theirs]
    ) -> tuple[Outcome, Sequence[Leftover]]:
        if terms.fee_bps is None:
            return Outcome((), ()), ()
        charged = [each for each in lines if each.family == "fee"]
        numbers = {each.number for each in charged if each.number is not None}
        known = await BilledBooks(work).known(terms.shops, numbers)
        agreed = FeeTerms(terms.fee_bps, terms.gives_fees_back)
        outcome = await asyncio.to_thread(compared_fees, matches, charged, agreed, known)
        return outcome, await asyncio.to_thread(fees_left_over, matches, charged, agreed, known)


class _Compared(NamedTuple):
    """left: what nothing was matched with. old: lines of other days that were looked at."""

    outcome: Outcome
    looked: Looked
    not_compared: list[str]
    left: Sequence[Leftover]
    old: Sequence[Theirs]


def _is_discount(line: Theirs, terms: BillTerms) -> bool:
    """Whether a line is of an order's discount. The coupon of who collects for a shop is a voucher that paid a part of
    the order, and none of the shop's; bills that were taken before that was known have lines of them."""
    return line.family == "discount" and not (terms.collects and line.kind == "coupon")


def _names(each: Ours | Theirs) -> list[str]:
    group = each.group if isinstance(each, Ours) else None
    return [name for name in (each.number, each.channel_number, group) if name is not None]


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
