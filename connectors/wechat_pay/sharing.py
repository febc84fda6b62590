"""Profit sharing (分账): receivers, requests, what is left of a payment.

A request is asynchronous: it is taken first, and each receiver's part ends later. Its number is the platform's
idempotency key, as a transfer's is. Source: pay.weixin.qq.com, profit sharing of API v3 [O].
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from connectors.accounts import Account
from connectors.errors import asked_first, leaving_unknown, still_unknown
from connectors.http import Link
from connectors.reading import anomaly, minor, objects, optional_text, rfc3339, text
from connectors.wechat_pay.api import WechatPayApi
from connectors.wechat_pay.codes import SHARING_CODES
from connectors.wechat_pay.keys import PLATFORM
from domain.catalog.wechat_pay_sharing import (
    PaymentArguments,
    ReceiverArguments,
    ReceiverKind,
    ReceiverOutput,
    ReleaseArguments,
    Share,
    SharePaymentArguments,
    ShareResult,
    SharingNumberArguments,
    SharingOutput,
    UnsharedOutput,
)
from domain.ids import content_digest
from domain.problems import ConflictProblem, NotFoundProblem, ProblemError, Text

SHARINGS = "/v3/profitsharing/orders"
RECEIVERS = "/v3/profitsharing/receivers/add"
PAYMENTS = "/v3/profitsharing/transactions"
_TYPES: Mapping[ReceiverKind, str] = {"merchant": "MERCHANT_ID", "openid": "PERSONAL_OPENID"}
_KINDS: Mapping[str, ReceiverKind] = {told: kind for kind, told in _TYPES.items()}
_RESULTS: Mapping[str, ShareResult] = {"PENDING": "pending", "SUCCESS": "shared", "CLOSED": "closed"}
Parts = Sequence[tuple[ReceiverKind, str, int]]


class ProfitSharing:
    """One merchant's payments, shared. Methods raise problems as `connectors.errors` describes them."""

    def __init__(self, account: Account, link: Link) -> None:
        self.api = WechatPayApi(account, link)

    async def add_share_receiver(self, request: ReceiverArguments, *, key: str, resumed: bool) -> ReceiverOutput:
        """Let somebody get parts of payments; the platform takes it for done when it is done already."""
        payload: dict[str, Any] = {
            "appid": self.api.settings.app_id,
            "type": _TYPES[request.kind],
            "account": request.receiver,
            "relation_type": request.relation,
        }
        if request.name is not None:
            payload["name"] = self.api.keys.seal(request.name)
        await self.api.change(RECEIVERS, payload, SHARING_CODES)
        return ReceiverOutput(kind=request.kind, receiver=request.receiver)

    async def share_payment(self, request: SharePaymentArguments, *, key: str, resumed: bool) -> SharingOutput:
        """Share a payment once per number, which is the platform's idempotency key.

        As with a transfer, the number stays after any answer but a good one, and the platform is asked first what
        became of it. A refusal that is raised was confirmed so.
        """
        number = request.out_order_no or sharing_number(key)
        receivers = [
            {
                "type": _TYPES[part.kind],
                "account": part.receiver,
                "amount": part.amount_minor,
                "description": part.remark,
            }
            for part in request.shares
        ]
        payload = {
            "appid": self.api.settings.app_id,
            "transaction_id": request.transaction_id,
            "out_order_no": number,
            "receivers": receivers,
            "unfreeze_unsplit": request.release,
        }
        parts = [(part.kind, part.receiver, part.amount_minor) for part in request.shares]
        return await self._once(
            lambda: self.api.change(SHARINGS, payload, SHARING_CODES), request.transaction_id, number, parts, resumed
        )

    async def get_sharing(self, request: SharingNumberArguments) -> SharingOutput:
        """The request as it stands."""
        return _read(await self._query_sharing(request.transaction_id, request.out_order_no), request)

    async def get_unshared(self, request: PaymentArguments) -> UnsharedOutput:
        """What of the payment can still be shared."""
        answer = await self.api.get(f"{PAYMENTS}/{request.transaction_id}/amounts", SHARING_CODES)
        return UnsharedOutput(transaction_id=request.transaction_id, unshared_minor=minor(answer, "unsplit_amount"))

    async def release_payment(self, request: ReleaseArguments, *, key: str, resumed: bool) -> SharingOutput:
        """Give what is left of the payment to the merchant, once per number."""
        number = request.out_order_no or sharing_number(key)
        payload = {
            "transaction_id": request.transaction_id,
            "out_order_no": number,
            "description": request.remark,
        }
        return await self._once(
            lambda: self.api.change(f"{SHARINGS}/unfreeze", payload, SHARING_CODES),
            request.transaction_id,
            number,
            (),
            resumed,
        )

    async def _once(
        self, send: Callable[[], Awaitable[dict[str, Any]]], transaction: str, number: str, parts: Parts, resumed: bool
    ) -> SharingOutput:
        named = SharingNumberArguments(transaction_id=transaction, out_order_no=number)
        if resumed:
            known = await self._known_sharing(named, parts)
            if known is not None:
                return known
        try:
            answer = await send()
        except ProblemError as problem:
            if problem.problem.as_dict().get("outcome") == "unknown":
                raise
            with asked_first():
                known = await self._known_sharing(named, parts)
                if known is not None:
                    return known
                raise
        with leaving_unknown():
            return _read(answer, named)

    async def _known_sharing(self, named: SharingNumberArguments, parts: Parts) -> SharingOutput | None:
        """What became of a request; None when the platform never took it. Failing to ask leaves that unknown.

        Raises ConflictProblem when the number belongs to another one.
        """
        try:
            found = _read(await self._query_sharing(named.transaction_id, named.out_order_no), named)
        except NotFoundProblem:
            return None
        except ProblemError as problem:
            raise still_unknown(problem) from None
        # The merchant itself stands among them, too, when the rest was released.
        told = Counter((each.kind, each.receiver, each.amount_minor) for each in found.shares)
        if Counter(parts) - told:
            raise ConflictProblem(
                Text(
                    f"商户分账单号 {named.out_order_no} 已用于另一次分账（金额或接收方不同），请换一个单号",
                    f"Number {named.out_order_no} was used for another request (amounts or receivers differ); "
                    "take another one",
                ),
                platform=PLATFORM,
                retryable=False,
                outcome="not_done",
                asked_first=True,
            )
        return found

    async def _query_sharing(self, transaction: str, number: str) -> dict[str, Any]:
        return await self.api.get(f"{SHARINGS}/{number}?transaction_id={transaction}", SHARING_CODES)


def sharing_number(key: str) -> str:
    """Our number of a request, derived from the effect's key: the same for every attempt."""
    return "S" + content_digest(key).partition(":")[2][:31]


def _read(answer: Mapping[str, Any], named: SharingNumberArguments) -> SharingOutput:
    for field, wanted in (("out_order_no", named.out_order_no), ("transaction_id", named.transaction_id)):
        if optional_text(answer, field) not in (None, wanted):
            raise anomaly(field, Text("属于另一次分账", "belongs to another request"))
    return SharingOutput(
        out_order_no=named.out_order_no,
        transaction_id=named.transaction_id,
        sharing_id=optional_text(answer, "order_id"),
        finished=answer.get("state") == "FINISHED",
        shares=[_share(each) for each in objects(answer, "receivers")],
    )


def _share(told: Mapping[str, Any]) -> Share:
    return Share(
        kind=_KINDS.get(text(told, "type"), "openid"),
        receiver=text(told, "account"),
        amount_minor=minor(told, "amount"),
        # A result that no document names is none: it is asked for again.
        result=_RESULTS.get(str(told.get("result")), "pending"),
        reason=optional_text(told, "fail_reason", limit=256),
        share_id=optional_text(told, "detail_id"),
        ended_at=rfc3339(told, "finish_time"),
    )
