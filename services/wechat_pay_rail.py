"""WeChat Pay transfers as a rail: money for a WeChat user, who has to confirm it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from pydantic import ValidationError

from connectors.accounts import Account
from connectors.http import Link
from connectors.wechat_pay import WechatPayConnector
from connectors.wechat_pay.client import WechatPayMerchant
from connectors.wechat_pay.codes import DAYS_QUOTA
from domain.canonical.payouts import PayoutState
from domain.catalog.wechat_pay import TransferArguments, TransferNumberArguments, TransferOutput
from domain.problems import AuthenticationProblem, AuthorizationProblem, NotFoundProblem, ProblemError
from domain.settlement.payouts import NAMED_FROM_MINOR, Confirmation, State, obstacle
from domain.validation_texts import reasons
from services.connections import Connections
from services.payers import open_account
from services.payout_rails import LEASE_S, PayoutOrder, RailAnswer

TRANSFERS_PER_SECOND = 25.0
"""A hundred transfers a second and merchant; an account has four turns for each of these."""
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
_OF_THE_ACCOUNT = (AuthenticationProblem, AuthorizationProblem, NotFoundProblem)
"""The platform's refusals that say something of the merchant's account, and nothing of the payee."""
_MENDED_S = 600.0
_CONFIRMED_WITHIN = timedelta(hours=24)
"""Then the platform closes a transfer, and the money comes back [O]."""


class WechatPayRail:
    """See `services.payout_rails.PayoutRail`.

    A request is signed when it is sent, and its signature lives for five minutes.
    """

    certain_after_s: float | None = LEASE_S + 360.0
    forgets = True

    def __init__(self, connections: Connections, link: Link) -> None:
        self._connections = connections
        self._connector = WechatPayConnector()
        self._link = link

    async def pay(self, order: PayoutOrder, *, resumed: bool) -> RailAnswer:
        """Have it paid. resumed: an earlier attempt may have reached the platform, so it is asked by number first."""
        request = _request(order)
        if isinstance(request, str):
            return await self._unpayable(order, request, resumed=resumed)
        try:
            account, client = await self._open(order)
        except ProblemError as problem:
            if resumed:
                return _nobody_asked(problem)
            return RailAnswer("reserved", reason=str(problem), retry_after_s=_MENDED_S, unsent=True)
        try:
            if self._is_late(order):
                return RailAnswer("unknown", reason="somebody else goes on with it")
            return self._answer(account, client, await client.transfer(request, key=order.number, resumed=resumed))
        except ProblemError as problem:
            return _refusal(problem)

    async def ask(self, order: PayoutOrder) -> RailAnswer:
        """Where it stands; with what the payee needs to confirm it, where nobody could be told that before."""
        try:
            account, client = await self._open(order)
        except ProblemError as problem:
            return _nobody_asked(problem)
        try:
            told = await client.get_transfer(TransferNumberArguments(out_bill_no=order.number))
            request = _request(order)
            is_to_be_told = told.state == "wait_confirm" and not order.is_confirmable and not self._is_late(order)
            if is_to_be_told and not isinstance(request, str):
                told = await client.with_package(request, told)
            return self._answer(account, client, told)
        except NotFoundProblem as problem:
            return RailAnswer("failed", reason=str(problem), refused=True)
        except ProblemError as problem:
            # It took the payout once: whatever keeps us from asking, nothing is known to have failed.
            wait = problem.problem.as_dict().get("retry_after_s")
            return RailAnswer("unknown", reason=str(problem), retry_after_s=wait if isinstance(wait, float) else None)

    def _is_late(self, order: PayoutOrder) -> bool:
        return order.until is not None and self._link.now() >= order.until

    async def _unpayable(self, order: PayoutOrder, why: str, *, resumed: bool) -> RailAnswer:
        """What cannot be sent (any more) fails; where it may have been sent, the platform says what became of it."""
        if not resumed:
            return RailAnswer("failed", reason=why, unsent=True)
        answer = await self.ask(order)
        return replace(answer, reason=why) if answer.refused else answer

    async def _open(self, order: PayoutOrder) -> tuple[Account, WechatPayMerchant]:
        """The merchant of the payout. Whatever this raises says nothing of what the platform knows."""
        account = await open_account(self._connections, order.payer)
        link = self._link.paced(f"{account.platform}/{account.slug}", TRANSFERS_PER_SECOND)
        return account, self._connector.open(account, link)

    def _answer(self, account: Account, client: WechatPayMerchant, told: TransferOutput) -> RailAnswer:
        confirmation = None
        if told.state == "wait_confirm" and told.confirmation is not None:
            settings = client.api.settings
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


def _request(order: PayoutOrder) -> TransferArguments | str:
    """What the platform is asked for, or why it cannot be: what a payee lacks may have changed since the plan."""
    why = obstacle(order.details, order.amount_minor, order.currency, "wechat-pay")
    if why is not None:
        return why
    try:
        return TransferArguments(
            openid=order.details.openid or "",
            amount_minor=order.amount_minor,
            remark=order.remark[:_REMARK],
            payee_name=order.details.real_name if order.amount_minor >= NAMED_FROM_MINOR else None,
            out_bill_no=order.number,
        )
    except ValidationError as error:
        return reasons(error).en


def _nobody_asked(problem: ProblemError) -> RailAnswer:
    return RailAnswer("unknown", reason=str(problem), retry_after_s=_MENDED_S)


def _refusal(problem: ProblemError) -> RailAnswer:
    """What a refusal says: nobody knows; not today; not now; not by this account; or never."""
    members = problem.problem.as_dict()
    wait = members.get("retry_after_s")
    after = float(wait) if isinstance(wait, int | float) else None
    if members.get("outcome", "not_done") != "not_done":
        return RailAnswer("unknown", reason=str(problem), retry_after_s=after)
    if members.get("platform_code") in DAYS_QUOTA:
        return RailAnswer("reserved", reason=str(problem), tomorrow=True)
    if members.get("retryable"):
        return RailAnswer("reserved", reason=str(problem), retry_after_s=after)
    if isinstance(problem, _OF_THE_ACCOUNT):
        return RailAnswer("reserved", reason=str(problem), retry_after_s=_MENDED_S)
    return RailAnswer("failed", reason=str(problem), refused=True)
