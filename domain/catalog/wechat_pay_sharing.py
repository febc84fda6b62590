"""What a flow can ask of WeChat Pay's profit sharing (分账): share a payment with others, and look at it.

A payment can be shared when it was made as one that will be, within thirty days, up to the merchant's ratio. Source:
the platform's profit sharing documents, API v3.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from domain.calls import Arguments, Call, Result
from domain.catalog.platforms import PlatformArguments, changing, reading
from domain.money import AmountMinor
from domain.privacy import Personal
from domain.problems import Text

MOST_RECEIVERS = 50
NUMBER = r"^[A-Za-z0-9_-]{1,64}$"
"""The platform takes `|`, `*` and `@` too; they would have to be escaped in addresses, which are signed."""
TRANSACTION = r"^[A-Za-z0-9]{1,32}$"
ReceiverKind = Literal["merchant", "openid"]
"""A merchant by its number, or a person by their openid in the merchant's app."""
Relation = Literal[
    "STORE", "STAFF", "STORE_OWNER", "PARTNER", "HEADQUARTER", "BRAND", "DISTRIBUTOR", "USER", "SUPPLIER"
]
ShareResult = Literal["pending", "shared", "closed"]


class ReceiverArguments(PlatformArguments):
    """Somebody who is to get parts of payments; saying it again changes nothing."""

    kind: ReceiverKind = Field(description="merchant 商户号，openid 个人 · A merchant, or a person")
    receiver: str = Field(min_length=1, max_length=64, description="商户号或 openid · The number or openid")
    name: Annotated[str | None, Personal("name")] = Field(
        default=None, min_length=1, max_length=100, description="商户全称（必填）或姓名 · Required for merchants"
    )
    relation: Relation = Field(default="DISTRIBUTOR", description="与分账方的关系 · What they are to the merchant")

    @model_validator(mode="after")
    def _merchants_have_a_name(self) -> "ReceiverArguments":
        if self.kind == "merchant" and self.name is None:
            raise ValueError("接收方是商户时必须填写商户全称 name · a merchant's full name is required")
        return self


class ReceiverOutput(Result):
    """Who can get parts of payments now."""

    kind: ReceiverKind
    receiver: str


WECHAT_PAY_ADD_SHARE_RECEIVER: Call[ReceiverArguments, ReceiverOutput] = changing(
    "wechat_pay.add_share_receiver",
    Text("添加分账接收方", "Add somebody who gets parts of payments"),
    ReceiverArguments,
    ReceiverOutput,
    {"kind": "merchant", "receiver": "1900000110"},
    grants=frozenset({"admin", "finance"}),
)


class Share(Result):
    """One receiver's part of a payment, and how it went. reason: why it was closed."""

    kind: ReceiverKind
    receiver: str
    amount_minor: AmountMinor
    result: ShareResult = "pending"
    reason: str | None = None
    share_id: str | None = None
    ended_at: AwareDatetime | None = None


class SharePart(Arguments):
    """What one receiver gets of a payment."""

    kind: ReceiverKind
    receiver: str = Field(min_length=1, max_length=64)
    amount_minor: AmountMinor = Field(gt=0, le=10**9)
    remark: str = Field(min_length=1, max_length=80)


class SharePaymentArguments(PlatformArguments):
    """Parts of one payment for several receivers.

    out_order_no: our number of the request; without it one is derived from the run and the task. The same number is
    never shared twice, whatever happens. release: give what is left to the merchant, so that nothing of it can be
    shared any more.
    """

    transaction_id: str = Field(pattern=TRANSACTION, description="微信支付订单号 · The payment's number at WeChat Pay")
    shares: Sequence[SharePart] = Field(
        min_length=1,
        max_length=MOST_RECEIVERS,
        description="kind、receiver、amount_minor（分）、remark · Who gets what, in fen",
    )
    release: bool = Field(default=False, description="同时解冻剩余资金 · Whether the rest is released")
    out_order_no: str | None = Field(
        default=None, pattern=NUMBER, description="商户分账单号 · Our number of the request"
    )


class SharingOutput(Result):
    """A request as it stands; it is over when nothing of it is pending. sharing_id: the platform's number."""

    out_order_no: str
    transaction_id: str
    sharing_id: str | None = None
    finished: bool
    shares: Sequence[Share] = ()


_SHARED = {"kind": "merchant", "receiver": "1900000110", "amount_minor": 1200, "result": "shared"}
_SHARING = {"out_order_no": "S20261123000000000001", "transaction_id": "4208450740201411110007820472"}

WECHAT_PAY_SHARE_PAYMENT: Call[SharePaymentArguments, SharingOutput] = changing(
    "wechat_pay.share_payment",
    Text("微信支付分账", "Share a payment by WeChat Pay"),
    SharePaymentArguments,
    SharingOutput,
    {**_SHARING, "finished": False, "shares": [{**_SHARED, "result": "pending"}]},
    grants=frozenset({"admin", "finance"}),
    moves_money=True,
)


class SharingNumberArguments(PlatformArguments):
    """One request by our number of it."""

    transaction_id: str = Field(pattern=TRANSACTION, description="微信支付订单号 · The payment's number at WeChat Pay")
    out_order_no: str = Field(pattern=NUMBER, description="商户分账单号 · Our number of the request")


WECHAT_PAY_GET_SHARING: Call[SharingNumberArguments, SharingOutput] = reading(
    "wechat_pay.get_sharing",
    Text("查询分账结果", "Look at a request to share a payment"),
    SharingNumberArguments,
    SharingOutput,
    {**_SHARING, "finished": True, "shares": [_SHARED]},
)


class PaymentArguments(PlatformArguments):
    """One payment."""

    transaction_id: str = Field(pattern=TRANSACTION, description="微信支付订单号 · The payment's number at WeChat Pay")


class UnsharedOutput(Result):
    """What of a payment can still be shared."""

    transaction_id: str
    unshared_minor: AmountMinor


WECHAT_PAY_GET_UNSHARED: Call[PaymentArguments, UnsharedOutput] = reading(
    "wechat_pay.get_unshared",
    Text("查询剩余待分金额", "What of a payment is not shared yet"),
    PaymentArguments,
    UnsharedOutput,
    {"transaction_id": "4208450740201411110007820472", "unshared_minor": 25800},
)


class ReleaseArguments(PlatformArguments):
    """A payment of which nothing more is to be shared. out_order_no: as of a request."""

    transaction_id: str = Field(pattern=TRANSACTION, description="微信支付订单号 · The payment's number at WeChat Pay")
    remark: str = Field(min_length=1, max_length=80, description="解冻原因 · Why")
    out_order_no: str | None = Field(
        default=None, pattern=NUMBER, description="商户分账单号 · Our number of the request"
    )


WECHAT_PAY_RELEASE_PAYMENT: Call[ReleaseArguments, SharingOutput] = changing(
    "wechat_pay.release_payment",
    Text("解冻剩余资金", "Release what is left of a payment"),
    ReleaseArguments,
    SharingOutput,
    {**_SHARING, "finished": False},
    grants=frozenset({"admin", "finance"}),
    moves_money=True,
)

WECHAT_PAY_SHARING_CALLS = (
    WECHAT_PAY_ADD_SHARE_RECEIVER,
    WECHAT_PAY_SHARE_PAYMENT,
    WECHAT_PAY_GET_SHARING,
    WECHAT_PAY_GET_UNSHARED,
    WECHAT_PAY_RELEASE_PAYMENT,
)
