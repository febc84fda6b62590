"""Paying by profit sharing: a payout comes out of the payments of the payee's own orders, in shares.

The shares of a payout never come to more than its amount; the database refuses it. What fails is cut again over other
payments, under new numbers, once it certainly failed. When no other payment is left, the payout has failed, and what
was shared stays shared: the answer says how much. Giving up is written down, so that nobody goes on with a payout whose
rest was given back.
"""

from dataclasses import dataclass

from connectors.http import Link
from connectors.wechat_pay import WechatPayConnector
from connectors.wechat_pay.settings import WechatPaySettings
from connectors.wechat_pay.sharing import ProfitSharing
from domain.catalog.wechat_pay_sharing import ReceiverArguments, ReceiverKind
from domain.problems import ConflictProblem, ProblemError, Text
from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import Payer
from domain.settlement.profit_sharing import CERTAIN_AFTER, ELSEWHERE, MOST_TURNS, OPEN_SHARES, cut, is_merchant
from services.connections import Connections
from services.payers import open_account
from services.payout_rails import PayoutOrder, RailAnswer
from services.share_requests import ACCOUNT_WAIT_S, Halt, ShareRequests, halted, is_due, is_final
from services.trade_bills import FRESH_FOR, TradeBills
from storage.engine import Database
from storage.payout_shares import NOT_SENT, PayoutShareRow, PayoutShares, ShareOf, SharePlanRow
from storage.shareable_payments import ShareablePayments
from storage.unit_of_work import UnitOfWork

PLATFORM = "wechat_pay"
MOST_AT_ONCE = 20
"""How many shares of a payout are asked for or about in one go."""
SHARES_PER_SECOND = 7.0
"""Thirty requests of profit sharing a second and merchant; an account has four turns for each of these."""
_NEXT_S, _PROCESSING_S = 1.0, 5.0


@dataclass(frozen=True, slots=True)
class _Merchant:
    id: str
    settings: WechatPaySettings
    client: ProfitSharing


class ProfitSharingRail:
    """See `services.payout_rails.PayoutRail`."""

    certain_after_s: float | None = None
    forgets = False

    def __init__(
        self, database: Database, connections: Connections, link: Link, bills: TradeBills | None = None
    ) -> None:
        self._database = database
        self._connections = connections
        self._link = link
        self._connector = WechatPayConnector()
        self._bills = bills or TradeBills(database, connections, link)

    async def pay(self, order: PayoutOrder, *, resumed: bool) -> RailAnswer:
        """Cut it, and ask for some of its shares. Every share knows by itself whether it was asked for before."""
        return await self._go_on(order, begins=True)

    async def ask(self, order: PayoutOrder) -> RailAnswer:
        """Where it stands; shares of a payout that was begun are asked for until there are none left. Of one that is
        withheld only those that were asked for before are followed to their ends."""
        return await self._go_on(order, begins=False)

    async def _go_on(self, order: PayoutOrder, *, begins: bool) -> RailAnswer:
        async with UnitOfWork(self._database) as work:
            plan = await PayoutShares(work).plan(order.id)
        if plan is None and not begins:
            return RailAnswer("reserved")
        unread = await self._bills.freshen() if plan is None or plan.turns == 0 else {}
        try:
            merchant = await self._merchant(order.payer, plan.merchant if plan is not None else None)
        except ProblemError as problem:
            return await self._stopped(order, Halt(str(problem), ACCOUNT_WAIT_S))
        async with UnitOfWork(self._database) as work:
            plan = await PayoutShares(work).take_over(order.id, merchant.id)
            unknown = await self._cut(work, plan, order, merchant, unread.get(merchant.id))
            shares = await PayoutShares(work).of(order.id)
            hand, given_up = plan.hand, plan.given_up_at is not None
        halt = unknown or await self._move(order, merchant, shares, hand, given_up)
        async with UnitOfWork(self._database) as work:
            repository = PayoutShares(work)
            plan = await repository.require(order.id)
            if plan.hand != hand:
                return RailAnswer("unknown", reason="in-other-hands", retry_after_s=_PROCESSING_S)
            await self._cut(work, plan, order, merchant, unread.get(merchant.id))
            return _answer(order, plan, await repository.of(order.id), halt)

    async def _merchant(self, payer: Payer | None, begun: str | None) -> _Merchant:
        """begun: who shares already, who is the only one to go on with it."""
        account = await open_account(self._connections, payer)
        number = f"{PLATFORM}/{account.slug}"
        if begun not in (None, number):
            raise ConflictProblem(
                Text(
                    f"这笔付款由 {begun} 开始分账，不能改由 {number} 继续",
                    f"{begun} began to share for this payout: {number} cannot go on with it",
                ),
                retryable=False,
            )
        link = self._link.paced(number, SHARES_PER_SECOND)
        return _Merchant(number, account.parse_settings(WechatPaySettings), self._connector.open(account, link))

    async def _stopped(self, order: PayoutOrder, halt: Halt) -> RailAnswer:
        """The merchant cannot be asked: what was begun stays as it is."""
        async with UnitOfWork(self._database) as work:
            plan = await PayoutShares(work).plan(order.id)
            if plan is None:
                return RailAnswer("reserved", reason=halt.reason, retry_after_s=halt.wait_s, unsent=True)
            return _answer(order, plan, await PayoutShares(work).of(order.id), halt)

    async def _cut(
        self, work: UnitOfWork, plan: SharePlanRow, order: PayoutOrder, merchant: _Merchant, unread: str | None
    ) -> Halt | None:
        """Cut what of a payout is in no share yet; give up when that cannot be done, or would not help. unread: why not
        all payments are known; what does not suffice then may suffice later."""
        repository = PayoutShares(work)
        if plan.given_up_at is not None:
            return None
        rows = [each.row for each in await repository.of(order.id)]
        failed = [row for row in rows if row.state == "failed"]
        missing = order.amount_minor - sum(row.amount_minor for row in rows if row.state != "failed")
        hopeless = [row.reason or "failed" for row in failed if row.reason not in (*ELSEWHERE, NOT_SENT)]
        if why := _refusal(order, merchant.settings):
            await repository.give_up(plan, why)
        elif hopeless:
            await repository.give_up(plan, hopeless[-1])
        elif missing > 0 and await repository.is_under_way(order.id):
            tried = {row.payment for row in failed}
            percent = merchant.settings.profit_sharing_percent
            there = await ShareablePayments(work).of_payee(merchant.id, order.payee, percent, without=tried)
            pieces = cut(missing, list(there.values()), percent, work.now) if plan.turns < MOST_TURNS else ()
            if pieces:
                plan.turns += 1
                keys = {payment.transaction_id: key for key, payment in there.items()}
                amounts = {keys[piece.transaction_id]: piece.amount_minor for piece in pieces}
                await repository.add(order.id, order.number, len(rows), amounts)
            elif unread is not None and not rows:
                return Halt(unread, FRESH_FOR.total_seconds())
            elif not any(row.state in OPEN_SHARES for row in rows):
                await repository.give_up(plan, str(failed[-1].reason) if failed else "nothing-to-share")
        return None

    async def _move(
        self, order: PayoutOrder, merchant: _Merchant, shares: list[ShareOf], hand: int, given_up: bool
    ) -> Halt | None:
        """Some shares one step on: first those that were asked for, as they may tell that the rest is in vain."""
        now = self._database.clock()
        due = sorted(
            (each for each in shares if is_due(each.row, now)),
            key=lambda each: (each.row.state == "planned", each.row.changed_at, each.row.out_order_no),
        )
        due, receiver = due[:MOST_AT_ONCE], receiver_of(order.details)
        begins = receiver is not None and any(each.row.state == "planned" for each in due)
        if receiver is not None and begins and (halt := await self._add(order, merchant, receiver)):
            return halt
        requests = ShareRequests(self._database, merchant.client, order, receiver, hand)
        for share in due:
            if halt := await requests.go_on(share, given_up=given_up):
                return halt
        return None

    async def _add(self, order: PayoutOrder, merchant: _Merchant, receiver: tuple[ReceiverKind, str]) -> Halt | None:
        """Let the payee get shares. A refusal of them ends the payout, as far as nothing of it was asked for."""
        kind, account = receiver
        adding = ReceiverArguments(kind=kind, receiver=account, name=order.details.real_name)
        try:
            await merchant.client.add_share_receiver(adding, key=order.number, resumed=False)
        except ProblemError as problem:
            halt = halted(problem)
            if is_final(problem):
                async with UnitOfWork(self._database) as work:
                    plan = await PayoutShares(work).require(order.id)
                    if plan.given_up_at is None:
                        await PayoutShares(work).give_up(plan, halt.reason)
            return halt
        return None


def receiver_of(details: PayoutDetails) -> tuple[ReceiverKind, str] | None:
    """Who gets the shares: a merchant by its number, which is digits, else a person by their openid."""
    receiver = details.merchant_receiver
    if not receiver:
        return None
    return ("merchant" if is_merchant(receiver) else "openid"), receiver


def _refusal(order: PayoutOrder, settings: WechatPaySettings) -> str | None:
    """Why a payout cannot be paid in this way at all, or any more."""
    if order.withheld is not None:
        return order.withheld
    receiver = receiver_of(order.details)
    if receiver is None:
        return "no-account"
    if receiver[0] == "merchant" and not order.details.real_name:
        return "no-real-name"
    if order.currency != "CNY":
        return "currency"
    return None if settings.profit_sharing else "profit-sharing-off"


def _answer(order: PayoutOrder, plan: SharePlanRow, shares: list[ShareOf], halt: Halt | None) -> RailAnswer:
    rows = [each.row for each in shares]
    shared = sum(row.amount_minor for row in rows if row.state == "shared")
    number = next((row.sharing_id for row in rows if row.sharing_id), None)
    if shared == order.amount_minor:
        return RailAnswer("paid", number)
    unended = [row for row in rows if row.ended_at is None]
    if plan.given_up_at is not None and not unended:
        return RailAnswer("failed", number, reason=plan.reason, paid_minor=shared)
    reason = halt.reason if halt is not None else None
    wait_s = halt.wait_s if halt is not None else _wait_s(unended)
    if all(row.sent_at is None for row in rows):
        return RailAnswer("reserved", reason=reason, retry_after_s=wait_s, unsent=True)
    nobody_knows = any(row.state in ("submitting", "unknown") for row in unended)
    return RailAnswer("unknown" if nobody_knows else "accepted", number, reason=reason, retry_after_s=wait_s)


def _wait_s(unended: list[PayoutShareRow]) -> float:
    if any(row.state in ("planned", "submitting", "unknown") for row in unended) or not unended:
        return _NEXT_S
    return _PROCESSING_S if any(row.state == "processing" for row in unended) else CERTAIN_AFTER.total_seconds()
