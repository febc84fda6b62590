"""What a flow can ask of a WeChat Pay merchant: transfer money to a WeChat user, look at a transfer, read a day's bill.

A transfer is rarely there at once: the payee must confirm it in WeChat within 24 hours. Source: the platform's merchant
transfer and bill documents.
"""

from datetime import date
from typing import Literal

from pydantic import AwareDatetime, Field, model_validator

from domain.calls import Call, Result
from domain.canonical.payouts import PayoutState
from domain.catalog.platforms import PlatformArguments, changing, platform_queue, reading
from domain.money import AmountMinor
from domain.problems import Text

WECHAT_PAY_QUEUE = platform_queue("wechat_pay")

NAME_REQUIRED_FROM_MINOR = 200_000
"""From ¥2000 the platform compares the payee's name, so it must be given."""


class TransferArguments(PlatformArguments):
    """Money for one WeChat user.

    out_bill_no: our number of the transfer; without it one is derived from the run and the task. The same number is
    never paid twice, whatever happens.
    """

    openid: str = Field(min_length=1, max_length=64, description="收款人在本应用的 openid · The payee's openid here")
    amount_minor: AmountMinor = Field(gt=0, le=10**9, description="金额（分） · The amount in fen")
    remark: str = Field(min_length=1, max_length=32, description="转账备注，收款人可见 · What the payee reads")
    payee_name: str | None = Field(
        default=None, min_length=1, max_length=64, description="收款人姓名，满 2000 元必填 · Required from ¥2000"
    )
    reports: dict[str, str] = Field(
        default={}, max_length=10, description="转账场景报备信息 · What the transfer's scene has to report, by type"
    )
    out_bill_no: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9]{1,32}$", description="商户单号 · Our number of the transfer"
    )

    @model_validator(mode="after")
    def _name_where_required(self) -> "TransferArguments":
        if self.amount_minor >= NAME_REQUIRED_FROM_MINOR and self.payee_name is None:
            raise ValueError("满 2000 元必须填写 payee_name · from ¥2000 payee_name is required")
        return self


class TransferOutput(Result):
    """A transfer as it stands. confirmation: what the payee's app needs to confirm it, while it waits for that."""

    out_bill_no: str
    payout_id: str | None = None
    state: PayoutState
    amount_minor: AmountMinor | None = None
    confirmation: str | None = Field(default=None, repr=False)
    fail_reason: str | None = None
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None


WECHAT_PAY_TRANSFER: Call[TransferArguments, TransferOutput] = changing(
    "wechat_pay.transfer",
    Text("微信支付商家转账", "Transfer money by WeChat Pay"),
    TransferArguments,
    TransferOutput,
    {
        "out_bill_no": "T20261123000000000001",
        "payout_id": "1330000071100999991182020050700019480001",
        "state": "wait_confirm",
        "amount_minor": 12000,
        "confirmation": "EXAMPLE",
    },
    grants=frozenset({"admin", "finance"}),
)


class TransferNumberArguments(PlatformArguments):
    """One transfer by our number of it."""

    out_bill_no: str = Field(pattern=r"^[A-Za-z0-9]{1,32}$", description="商户单号 · Our number of the transfer")


WECHAT_PAY_GET_TRANSFER: Call[TransferNumberArguments, TransferOutput] = reading(
    "wechat_pay.get_transfer",
    Text("查询微信支付转账", "Look at a WeChat Pay transfer"),
    TransferNumberArguments,
    TransferOutput,
    {"out_bill_no": "T20261123000000000001", "state": "succeeded", "amount_minor": 12000},
)


class BillArguments(PlatformArguments):
    """One day's bill; the platform has it from ten o'clock the next morning, for three months."""

    day: date = Field(description="账单日期 · The day")
    kind: Literal["trade", "funds"] = Field(
        default="trade", description="交易账单或资金账单 · What was traded, or what moved on the account"
    )


class BillOutput(Result):
    """A day's bill in figures, after its digest and its sums were checked. digest: SHA-1 of the bill's text; of
    what moved on several accounts each account's, with `+` between.

    in_minor: what was paid or came in. out_minor: what was refunded or went out. fee_minor: the platform's fees.
    """

    day: date
    kind: Literal["trade", "funds"]
    rows: int
    in_minor: AmountMinor
    out_minor: AmountMinor
    fee_minor: AmountMinor = 0
    digest: str | None = None


WECHAT_PAY_READ_BILL: Call[BillArguments, BillOutput] = reading(
    "wechat_pay.read_bill",
    Text("读取微信支付账单", "Read a WeChat Pay bill"),
    BillArguments,
    BillOutput,
    {
        "day": "2026-11-22",
        "kind": "trade",
        "rows": 120,
        "in_minor": 3_580_000,
        "out_minor": 29_900,
        "fee_minor": 21_480,
    },
)

WECHAT_PAY_CALLS = (WECHAT_PAY_TRANSFER, WECHAT_PAY_GET_TRANSFER, WECHAT_PAY_READ_BILL)
