"""WeChat Pay transfers as a rail: money for a WeChat user, who has to confirm it."""

from collections.abc import Mapping

from connectors.http import Link
from connectors.wechat_pay import WechatPayConnector
from connectors.wechat_pay.keys import PLATFORM
from domain.canonical.payouts import PayoutState
from domain.catalog.wechat_pay import TransferArguments, TransferNumberArguments, TransferOutput
from domain.problems import AuthenticationProblem, AuthorizationProblem, NotFoundProblem, ProblemError
from domain.settlement.payouts import NAMED_FROM_MINOR, State
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
        named = order.details.real_name if order.amount_minor >= NAMED_FROM_MINOR else None
        try:
            account = await self._connections.account(PLATFORM, order.account)
            request = TransferArguments(
                account=account.slug,
                openid=order.details.openid or "",
                amount_minor=order.amount_minor,
                remark=order.remark[:_REMARK],
                payee_name=named,
                out_bill_no=order.number,
            )
            client = self._connector.open(account, self._link)
            if order.until is not None and self._link.now() >= order.until:
                return RailAnswer("unknown", reason="somebody else goes on with it")
            return _answer(await client.transfer(request, key=order.number, resumed=resumed))
        except ProblemError as problem:
            return _refusal(problem)

    async def ask(self, order: PayoutOrder) -> RailAnswer:
        """Where it stands."""
        try:
            account = await self._connections.account(PLATFORM, order.account)
            request = TransferNumberArguments(account=account.slug, out_bill_no=order.number)
            return _answer(await self._connector.open(account, self._link).get_transfer(request))
        except NotFoundProblem as problem:
            return RailAnswer("failed", reason=str(problem), refused=True)
        except ProblemError as problem:
            # It took the payout once: whatever keeps us from asking, nothing is known to have failed.
            wait = problem.problem.as_dict().get("retry_after_s")
            return RailAnswer("unknown", reason=str(problem), retry_after_s=wait if isinstance(wait, float) else None)


def _answer(told: TransferOutput) -> RailAnswer:
    return RailAnswer(
        _STATES[told.state], rail_number=told.payout_id, confirmation=told.confirmation, reason=told.fail_reason
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
