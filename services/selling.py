"""From orders to sales: whose an order is, decided once, and the differences that its newest state makes.

Orders come from a queue that whoever changes one puts it in. Looking twice at the same state adds nothing, so an order
may be queued as often as one likes.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import structlog

from domain.money import HOME_CURRENCY, minor_rate
from domain.problems import ProblemError
from domain.settlement.attribution import AttributionRules, Basis, Clues, Invited, Key, Shares, attribute, keys_of
from domain.settlement.selling import WORD_FIELDS, Sale, SoldLine, SoldOrder, differences, sales_of
from services.attribution_book import AttributionBook
from services.order_standings import (
    OthersMisjudged,
    began_at,
    counting_orders,
    firsts_of,
    influencer_of,
    is_closed,
    may_lack_refund,
    order_day,
)
from services.sale_problems import NO_LINES, NO_RATE, REFUND_CURRENCY
from storage.attributions import Attributed, Attributions, Standing
from storage.engine import Database
from storage.exchange_rates import ExchangeRates
from storage.failures import depends_on_rows
from storage.first_orders import FirstOrders
from storage.invitations import Invitations, InvitedBy
from storage.left_out import REFUND_AMOUNT, RULES
from storage.locks import lock
from storage.orders import OrderName
from storage.payees import Payees
from storage.sale_queue import QueuedOrder, SaleQueue
from storage.sales import Sales
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

BATCH = 500
PUT_OFF = timedelta(hours=1)
"""How long an order that cannot be looked at waits."""
SINGLY_S = 20.0
"""How long orders are looked at one by one before others get a turn."""
_TURNS = 3
_AGAIN_EVERY_S = 60.0
"""So often those that could not be looked at come before others: on a day of sales there are always others."""
_CATEGORY = WORD_FIELDS.index("category")


@dataclass(slots=True)
class Looked:
    """What one round did: orders looked at, rows added to sales, whether a sweep queued more orders."""

    orders: int = 0
    sales: int = 0
    swept: bool = False


@dataclass(slots=True)
class _Batch:
    """Orders under way. standings: what was found when each began to count; owners: whose each is, by role; bonded: by
    order and line, as it was found when the line began to count; begun: in which ways each ever counted."""

    orders: Sequence[QueuedOrder]
    standings: dict[int, Standing]
    lines: Mapping[int, Sequence[SoldLine]]
    owners: dict[int, dict[str, Shares]] = field(default_factory=dict)
    bonded: Mapping[int, Mapping[str, bool | None]] = field(default_factory=dict)
    begun: Mapping[int, Mapping[Basis, bool]] = field(default_factory=dict)


class Selling:
    """The drain of the queue of orders."""

    def __init__(self, database: Database, book: AttributionBook | None = None) -> None:
        self._database = database
        self._book = book or AttributionBook()
        self._again_at = 0.0

    async def note(self, work: UnitOfWork, orders: Collection[OrderName], moved: Collection[UUID] = ()) -> None:
        """Have orders that this unit of work changes looked at, if anybody is paid by them; moved: customers whom it
        merges or parts, whose first order may be another one then."""
        if (orders or moved) and await self._book.current(work) is not None:
            if moved:
                await FirstOrders(work).queue(orders, moved)
            else:
                await SaleQueue(work).add(orders)

    async def note_keys(self, work: UnitOfWork, orders: Collection[int]) -> None:
        """As `note`, of orders by their keys."""
        if orders and await self._book.current(work) is not None:
            await SaleQueue(work).add_keys(orders)

    async def drain(self, limit: int = BATCH) -> Looked:
        """Look at the orders that wait longest, and let a sweep queue more when few wait.

        One that cannot be looked at stops no other: it waits for an hour, or until it changes.
        """
        again_first = time.monotonic() >= self._again_at
        if again_first:
            self._again_at = time.monotonic() + _AGAIN_EVERY_S
        looked = await self._look_anyhow(limit, again_first=again_first)
        # Those that were put off are few while any number of others waits.
        if looked.orders < limit and not again_first:
            looked.swept |= await self._sweep()
        return looked

    async def _look_anyhow(self, limit: int, *, again_first: bool) -> Looked:
        """All at once, or one by one where that cannot be."""
        try:
            return await self._look(limit, again_first=again_first)
        except Exception as error:
            if _is_of_the_place(error):
                raise
            log.exception("orders are looked at one by one")
        async with UnitOfWork(self._database) as work:
            waiting = await SaleQueue(work).waiting(limit, again_first=again_first)
        looked, end = Looked(), time.monotonic() + SINGLY_S
        for order, queued_at in waiting:
            if time.monotonic() > end:
                break  # others wait for the end of this round; the rest is the next one's
            try:
                one = await self._look(1, [order])
                looked.orders, looked.sales = looked.orders + one.orders, looked.sales + one.sales
            except Exception as error:
                if _is_of_the_place(error):
                    raise
                log.exception("an order cannot be looked at", order=order)
                async with UnitOfWork(self._database) as work:
                    await SaleQueue(work).put_off(order, queued_at, work.now + PUT_OFF)
        return looked

    async def _look(self, limit: int, only: Collection[int] | None = None, *, again_first: bool = False) -> Looked:
        queued: set[int] = set()
        for _ in range(_TURNS):
            try:
                return await self._look_once(limit, only, queued, again_first=again_first)
            except OthersMisjudged as others:
                # By themselves: who holds an order and waits for another may be waited for by whoever holds that one.
                async with UnitOfWork(self._database) as work:
                    await SaleQueue(work).add_keys(others.orders)
                queued |= others.orders
        # The queue has all of them by now: the next round begins with what is in it.
        return Looked(swept=True)

    async def _look_once(
        self, limit: int, only: Collection[int] | None, queued: Collection[int], *, again_first: bool
    ) -> Looked:
        """queued: orders that were put in the queue since these began to be looked at."""
        async with UnitOfWork(self._database) as work:
            rules = await self._book.current(work)
            if rules is None:
                return Looked()
            orders = await SaleQueue(work).take(limit, only, again_first=again_first)
            if not orders:
                return Looked()
            standings = await Attributions(work).standings([each.key for each in orders])
            firsts = await firsts_of(work, orders, standings, queued)
            sales = await self._look_at(work, rules, orders, standings, firsts)
        return Looked(len(orders), sales)

    async def _sweep(self) -> bool:
        """Queue the next orders of a sweep, if there is one; a version of the rules begins with one.

        By itself: it waits for whoever changes an order that it queues, and they may wait for one that is looked at.
        """
        async with UnitOfWork(self._database) as work:
            rules, queue = await self._book.current(work), SaleQueue(work)
            if rules is None:
                return False
            if not await queue.was_swept(begins_with(rules)):
                await lock(work, "sale-sweeps")
                if not await queue.was_swept(begins_with(rules)):
                    await queue.ask_for_sweep(rules.since, begins_with(rules))
            return await queue.sweep(rules.since)

    async def has_work(self) -> bool:
        """Whether anything is to be looked at."""
        async with UnitOfWork(self._database) as work:
            rules, queue = await self._book.current(work), SaleQueue(work)
            return rules is not None and (await queue.has_work() or not await queue.was_swept(begins_with(rules)))

    async def _look_at(
        self,
        work: UnitOfWork,
        rules: AttributionRules,
        orders: Sequence[QueuedOrder],
        standings: Mapping[int, Standing],
        firsts: Mapping[int, bool],
    ) -> int:
        keys = [each.key for each in orders]
        counting, stand = counting_orders(rules, orders, standings, firsts)
        batch = _Batch(counting, stand, await SaleQueue(work).lines([each.key for each in counting]))
        ever = await self._attribute(work, rules, batch)
        days = {day for standing in standings.values() for day in standing.days.values()}
        before: Sequence[Sale] = ()
        if days and ever:
            before = await Sales(work).told(keys, days, ever)
            batch.begun = await Sales(work).begun(keys, days, ever)
            batch.bonded = await _bonded(work, batch, before, days, ever)
        now = await self._sales(work, rules, batch)
        # What went back of these is not known in their currency: what was told of them stays until it is.
        aside = {key for key, each in batch.standings.items() if each.problem == REFUND_CURRENCY}
        changes = differences(now, [each for each in before if each.of.order_key not in aside])
        await Sales(work).add(changes)
        await Attributions(work).counted(batch.standings)
        return len(changes)

    async def _attribute(self, work: UnitOfWork, rules: AttributionRules, batch: _Batch) -> Collection[int]:
        """Whose the orders are: as it was decided, and in roles that nobody was found for, as can be said now.

        Of an order without lines hardly more than its number was told yet: deciding now would be too soon. Gives back
        everybody who had part in one of them before.
        """
        known = await Attributions(work).known([each.key for each in batch.orders])
        open_to: dict[int, AttributionRules] = {}
        for each in batch.orders:
            owners = batch.owners[each.key] = dict(known.owners.get(each.key, {}))
            left = {role: ways for role, ways in rules.roles.items() if role not in owners}
            if left and batch.lines.get(each.key):
                open_to[each.key] = rules._replace(roles=left)
        undecided = [each for each in batch.orders if each.key in open_to]
        invited = await _invited(work, rules, undecided)
        clues = await self._clues(work, rules, undecided, invited)
        wanted = {key for order, clue in clues.items() for key in keys_of(open_to[order], clue)}
        by_invitation = {Key("invitation", str(each.invitation)): each.payee for each in invited}
        holdings = {
            **await Payees(work).holdings(wanted - by_invitation.keys()),
            **await Payees(work).standing({key: payee for key, payee in by_invitation.items() if key in wanted}),
        }
        found = {order: attribute(open_to[order], clue, holdings) for order, clue in clues.items()}
        for order, owners_found in found.items():
            batch.owners[order] |= {each.role: each.shares for each in owners_found}
        await Attributions(work).decide(
            {
                order: [
                    Attributed(each.role, payee, share, each.way, f"{each.key.kind}:{each.key.value}", rules.version)
                    for each in owners_found
                    for payee, share in each.shares
                ]
                for order, owners_found in found.items()
            }
        )
        return known.ever

    async def _clues(
        self, work: UnitOfWork, rules: AttributionRules, orders: Sequence[QueuedOrder], invited: Sequence[InvitedBy]
    ) -> dict[int, Clues]:
        """What orders say of whose they are. invited: who stands above their buyers."""
        above: dict[int, list[Invited]] = defaultdict(list)
        began = {each.key: began_at(each) for each in orders}
        for one in invited:
            above[one.order_key].append(Invited(str(one.invitation), one.level, began[one.order_key] - one.at))
        scans: dict[int, list[tuple[str, timedelta]]] = defaultdict(list)
        if rules.furthest_scan:
            buyers = {each.key: (each.identity_id, began_at(each)) for each in orders if each.identity_id is not None}
            for scan in await SaleQueue(work).scans(buyers, rules.furthest_scan):
                scans[scan.order_key].append((scan.code, buyers[scan.order_key][1] - scan.at))
        return {
            each.key: Clues(
                day=order_day(each),
                shop=each.account_id,
                unit_path=each.unit_path,
                channel=each.channel,
                influencer=influencer_of(each),
                scans=scans[each.key],
                invited=above[each.key],
            )
            for each in orders
        }

    async def _sales(self, work: UnitOfWork, rules: AttributionRules, batch: _Batch) -> list[Sale]:
        keys = [each.key for each in batch.orders]
        refunds, unclear = await SaleQueue(work).refunds(keys), await SaleQueue(work).unclear_refunds(keys)
        rates = await self._rates(work, batch.orders)
        found: list[Sale] = []
        for each in batch.orders:
            rate, problem = rates.get(each.key), None
            if each.currency != HOME_CURRENCY and rate is None:
                problem = NO_RATE
            elif not batch.lines.get(each.key):
                problem = NO_LINES
            elif each.key in unclear and may_lack_refund(each, batch.lines[each.key], refunds.get(each.key, ())):
                problem = REFUND_CURRENCY if unclear[each.key] else REFUND_AMOUNT
            batch.standings[each.key] = batch.standings[each.key]._replace(problem=problem)
            if problem in (None, REFUND_AMOUNT):
                sold = SoldOrder(
                    order_key=each.key,
                    shop=each.account_id,
                    paid_minor=each.paid_minor,
                    postage_minor=each.postage_minor,
                    lines=batch.lines[each.key],
                    refunds=refunds.get(each.key, ()),
                    days=batch.standings[each.key].days,
                    currency=each.currency,
                    rate=rate,
                    channel=each.channel,
                    influencer=influencer_of(each),
                    is_first=batch.standings[each.key].is_first,
                    is_closed=is_closed(each, refunds.get(each.key, ())),
                    bonded=batch.bonded.get(each.key, {}),
                    begun=batch.begun.get(each.key, {}),
                )
                found += sales_of(sold, list(batch.owners[each.key].values()), rules)
        return found

    async def _rates(self, work: UnitOfWork, orders: Sequence[QueuedOrder]) -> dict[int, tuple[int, int]]:
        """What a minor unit of each order's currency was worth when it was paid, where that is not the merchant's."""
        wanted = {each.key: (each.currency, order_day(each)) for each in orders if each.currency != HOME_CURRENCY}
        rates: Mapping[tuple[str, date], Decimal] = await ExchangeRates(work).on(set(wanted.values()))
        return {key: minor_rate(rates[named], named[0]) for key, named in wanted.items() if named in rates}


async def _invited(work: UnitOfWork, rules: AttributionRules, orders: Sequence[QueuedOrder]) -> Sequence[InvitedBy]:
    """Who stands above the buyers of orders, where the rules ask for that."""
    buyers = {each.key: (each.identity_id, began_at(each)) for each in orders if each.identity_id is not None}
    return await Invitations(work).inviters(buyers, rules.most_invitations)


async def _bonded(
    work: UnitOfWork, batch: _Batch, before: Sequence[Sale], days: Collection[date], ever: Collection[int]
) -> Mapping[int, Mapping[str, bool | None]]:
    """What was found of lines when they began to count. before: what they come to; of what comes to nothing by now the
    rows themselves are asked."""
    found: dict[int, dict[str, bool | None]] = defaultdict(dict)
    for of, _ in before:
        known = of.is_bonded or of.words[_CATEGORY]
        found[of.order_key][of.line_id] = of.is_bonded if known else None
    gone = [
        each.key
        for each in batch.orders
        if any(line.line_id not in found[each.key] for line in batch.lines.get(each.key, ()))
    ]
    if gone:
        for (order, line), bonded in (await Sales(work).bonded(gone, days, ever)).items():
            found[order].setdefault(line, bonded)
    return found


def _is_of_the_place(error: Exception) -> bool:
    """Whether no order is to blame: the database is away, or asks for another try."""
    return isinstance(error, ProblemError) and not depends_on_rows(error)


def begins_with(rules: AttributionRules) -> str:
    """Why all orders are looked at when a version of the rules comes into force: the reason of its sweep."""
    return f"{RULES}{rules.version}"
