"""WeChat Pay transfers as a rail: money for a WeChat user, who has to confirm it."""

from collections.abc import Mapping
from datetime import timedelta

from connectors.accounts import Account
from connectors.http import Link
from connectors.wechat_pay import WechatPayConnector
from connectors.wechat_pay.client import WechatPayMerchant
from connectors.wechat_pay.keys import PLATFORM
from domain.canonical.payouts import PayoutState
from domain.catalog.wechat_pay import (
    WECHAT_PAY_TRANSFER,
    TransferArguments,
    TransferNumberArguments,
    TransferOutput,
)
from domain.problems import AuthenticationProblem, AuthorizationProblem, NotFoundProblem, ProblemError
from domain.settlement.payouts import NAMED_FROM_MINOR, Confirmation, State
from services.connections import Connections
from services.payout_rails import LEASE_S, PayoutOrder, RailAnswer

_REMARK = 32
_STATES: Mapping[PayoutState, State] = {
    "accepted": "accepted",
    "processing": "accepted",
    "wait_confirm": "awaiting_user",
    "succeeded": "paid",
    "failed": "failed",
    "cancelled": "cancelled",
    "unknown": "unknown",
}
_OURS = (AuthenticationProblem, AuthorizationProblem, NotFoundProblem)
"""Refusals that say something of the merchant's account, and nothing of the payee."""
_MENDED_S = 600.0
_CONFIRMED_WITHIN = timedelta(hours=24)
"""Then the platform closes a transfer, and the money comes back [O]."""


class WechatPayRail:
    """See `services.payout_rails.PayoutRail`.

    A request is signed when it is sent, and its signature lives for five minutes.
    """

    certain_after_s: float | None = LEASE_S + 360.0

    def __init__(self, connections: Connections, link: Link) -> None:
        self._connections = connections
        self._connector = WechatPayConnector()
        self._link = link

    async def pay(self, order: PayoutOrder, *, resumed: bool) -> RailAnswer:
        """Have it paid. resumed: an earlier attempt may have reached the platform, so it is asked by number first."""
        try:
            account = await self._connections.account(PLATFORM, order.account)
            request = _request(order, account)
            client = self._connector.open(account, self._link)
            if self._is_late(order):
                return RailAnswer("unknown", reason="somebody else goes on with it")
            return self._answer(account, client, await client.transfer(request, key=order.number, resumed=resumed))
        except ProblemError as problem:
            return _refusal(problem)

    async def ask(self, order: PayoutOrder) -> RailAnswer:
        """Where it stands; with what the payee needs to confirm it, where nobody could be told that before."""
        try:
            account = await self._connections.account(PLATFORM, order.account)
            client = self._connector.open(account, self._link)
            asked = TransferNumberArguments(account=account.slug, out_bill_no=order.number)
            told = await client.get_transfer(asked)
            if told.state == "wait_confirm" and not order.is_confirmable and not self._is_late(order):
                told = await client.with_package(_request(order, account), told)
            return self._answer(account, client, told)
        except NotFoundProblem as problem:
            return RailAnswer("failed", reason=str(problem), refused=True)
        except ProblemError as problem:
            # It took the payout once: whatever keeps us from asking, nothing is known to have failed.
            wait = problem.problem.as_dict().get("retry_after_s")
            return RailAnswer("unknown", reason=str(problem), retry_after_s=wait if isinstance(wait, float) else None)

    def _is_late(self, order: PayoutOrder) -> bool:
        return order.until is not None and self._link.now() >= order.until

    def _answer(self, account: Account, client: WechatPayMerchant, told: TransferOutput) -> RailAnswer:
        settings, confirmation = client.api.settings, None
        if told.state == "wait_confirm" and told.confirmation is not None:
            confirmation = Confirmation(
                account=account.slug,
                mch_id=settings.mch_id,
                app_id=settings.app_id,
                package_info=told.confirmation,
                expires_at=(told.created_at or self._link.now()) + _CONFIRMED_WITHIN,
            )
        return RailAnswer(
            _STATES[told.state], rail_number=told.payout_id, confirmation=confirmation, reason=told.fail_reason
        )


def _request(order: PayoutOrder, account: Account) -> TransferArguments:
    """Raises ValidationProblem for what the platform would not take, as when the payee's openid is gone meanwhile."""
    named = order.details.real_name if order.amount_minor >= NAMED_FROM_MINOR else None
    return WECHAT_PAY_TRANSFER.parse_arguments(
        {
            "account": account.slug,
            "openid": order.details.openid or "",
            "amount_minor": order.amount_minor,
            "remark": order.remark[:_REMARK],
            "payee_name": named,
            "out_bill_no": order.number,
        }
    )


def _refusal(problem: ProblemError) -> RailAnswer:
    """What a refusal says: nobody knows; not now; not by this account; or never."""
    members = problem.problem.as_dict()
    wait = members.get("retry_after_s")
    after = float(wait) if isinstance(wait, int | float) else None
    if members.get("outcome", "not_done") != "not_done":
        return RailAnswer("unknown", reason=str(problem), retry_after_s=after)
    if members.get("retryable"):
        return RailAnswer("reserved", reason=str(problem), retry_after_s=after)
    if isinstance(problem, _OURS):
        return RailAnswer("reserved", reason=str(problem), retry_after_s=_MENDED_S)
    return RailAnswer("failed", reason=str(problem), refused=True)
