"""What a payee is paid of their balance, by which rail, and how a payout goes from state to state."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.ids import content_digest
from domain.money import HOME_CURRENCY
from domain.problems import Text
from domain.settlement.exact import RATE
from domain.settlement.payees import Payee, PayoutDetails
from domain.settlement.profit_sharing import is_merchant

Rail = Literal["wechat-pay", "profit-sharing", "bank"]
RAILS: tuple[Rail, ...] = ("wechat-pay", "profit-sharing", "bank")
State = Literal[
    "created", "reserved", "submitting", "accepted", "awaiting_user", "unknown", "paid", "failed", "cancelled"
]
"""created: planned; reserved: taken out of the balance; submitting: the rail is being asked; accepted: it took it;
awaiting_user: the payee has to confirm; unknown: nobody knows until the rail says; the others are ends."""
ENDS: frozenset[State] = frozenset({"paid", "failed", "cancelled"})
UNDER_WAY: frozenset[State] = frozenset({"submitting", "accepted", "awaiting_user", "unknown"})
"""A rail may have it."""
FOLLOWERS: Mapping[State, frozenset[State]] = {
    "created": frozenset({"reserved", "cancelled"}),
    "reserved": frozenset({"submitting", "cancelled"}),
    # Back to reserved when the rail certainly did not take it: it is tried again under the same number.
    "submitting": frozenset({"reserved", *UNDER_WAY, *ENDS}),
    "accepted": frozenset({*UNDER_WAY, *ENDS}),
    "awaiting_user": frozenset({*UNDER_WAY, *ENDS}),
    "unknown": frozenset({"reserved", *UNDER_WAY, *ENDS}),
    "paid": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
Omission = Literal[
    "below-minimum",
    "owes",
    "no-account",
    "no-real-name",
    "inactive",
    "account-changed",
    "nothing-to-share",
    "currency",
    "above-maximum",
]
OMISSIONS: Mapping[Omission, Text] = {
    "below-minimum": Text("不足最低付款额，留在余额里", "Less than the minimum: it stays in the balance"),
    "owes": Text("全部抵扣了欠款", "All of it goes to what they owe"),
    "no-account": Text("没有可用渠道的账户，请登记", "Nothing to pay to by these rails: enter an account"),
    "no-real-name": Text("这样付款须有真实姓名，请登记", "A real name is required for that: enter it"),
    "inactive": Text("收款人已停用", "They are not active"),
    "account-changed": Text(
        "计划之后收款账户或真实姓名改过，没有人批准过新的；请在下一批付，银行付款须先撤回",
        "Their account or real name was changed after the plan, and nobody approved the new one: pay by the next "
        "batch; what is paid by bank has to be called off first",
    ),
    "nothing-to-share": Text(
        "本人订单里还能分账的支付不够付这笔，请登记其他渠道的账户，或等新的订单",
        "What can still be shared of the payments of their own orders does not suffice: enter an account of another "
        "rail, or wait for new orders",
    ),
    "currency": Text(
        "微信支付与分账只付人民币，请用银行渠道", "WeChat Pay and profit sharing pay yuan only: pay by bank"
    ),
    "above-maximum": Text(
        "超过微信支付单笔上限 1000 万元，请用银行渠道",
        "More than WeChat Pay transfers at once, ¥10,000,000: pay by bank",
    ),
}
"""Why a payee with a balance is not paid, and what to do about it."""

NAMED_FROM_MINOR = 200_000
"""From 2,000 yuan on WeChat Pay wants the payee's real name."""
MOST_TRANSFERRED_MINOR = 10**9
_YUAN_ONLY: frozenset[Rail] = frozenset({"wechat-pay", "profit-sharing"})


class Confirmation(BaseModel):
    """What a payee's app needs so that they can confirm a payout, as `wx.requestMerchantTransfer` takes it.

    account: the slug of the platform account that pays. expires_at: what is not confirmed by then comes back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    mch_id: str
    app_id: str
    package_info: str
    expires_at: AwareDatetime


class RailQuota(BaseModel):
    """How much a rail takes in a day. None: as much as there is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    payouts: int | None = Field(default=None, ge=1)
    amount_minor: int | None = Field(default=None, ge=1)


class Payer(BaseModel):
    """Who pays by a rail: a connected account (`wechat_pay/main`), and the merchant that it was of when it was asked.
    Payouts are asked of nobody else, or one could be made twice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    mch_id: str


class Terms(BaseModel):
    """What a batch pays by, as it was asked for. rails: the first that can pay a payee is taken. payers: of those rails
    that a connected account pays by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum_minor: int = Field(default=0, ge=0)
    instalments: int = Field(default=1, ge=1)
    keep: int = Field(default=0, ge=0, le=RATE)
    rails: Sequence[Rail] = RAILS
    quotas: Mapping[Rail, RailQuota] = {}
    payers: Mapping[Rail, Payer] = {}


class Debt(NamedTuple):
    """What was taken back. ago: how many periods began since it was booked, of the cycle that it had been earned by;
    more than there are instalments need not be counted."""

    amount_minor: int
    ago: int


class Standing(NamedTuple):
    """A payee's accounts in a scheme. payable: less than nothing when they owe. repaid: of all debts, up to now."""

    payable_minor: int
    debts: Sequence[Debt] = ()
    repaid_minor: int = 0


class Planned(NamedTuple):
    """offset: of the balance for what they owe; amount: to be paid; the rest stays."""

    offset_minor: int
    amount_minor: int


def due_of(debts: Sequence[Debt], instalments: int) -> int:
    """What of all debts is to have been repaid by now, in equal instalments from the first period on."""
    return sum(each.amount_minor * min(each.ago + 1, instalments) // instalments for each in debts)


def planned(standing: Standing, terms: Terms) -> Planned:
    """What of a balance goes to what is owed, and what is paid; less than the minimum stays where it is."""
    payable = max(standing.payable_minor, 0)
    due = max(due_of(standing.debts, terms.instalments) - standing.repaid_minor, 0)
    left = -(-payable * terms.keep // RATE)
    offset = min(due, payable - left)
    amount = payable - offset
    return Planned(offset, amount if amount >= max(terms.minimum_minor, 1) else 0)


def rail_of(
    details: PayoutDetails,
    amount_minor: int,
    rails: Sequence[Rail],
    currency: str = HOME_CURRENCY,
    shareable_minor: int | None = None,
) -> tuple[Rail | None, Omission | None]:
    """The first rail that can pay somebody, or why none can: of those that they have an account for, the last one.

    shareable_minor: what there is for them to share; None: nobody asked, and it is taken to suffice.
    """
    reason: Omission = "no-account"
    for rail in rails:
        found = obstacle(details, amount_minor, currency, rail)
        # A rail pays all of a payout or is not begun with, so what suffices for a part does not count.
        if found is None and rail == "profit-sharing" and shareable_minor is not None:
            found = "nothing-to-share" if shareable_minor < amount_minor else None
        if found is None:
            return rail, None
        if found != "no-account":
            reason = found
    return None, reason


def obstacle(details: PayoutDetails, amount_minor: int, currency: str, rail: Rail) -> Omission | None:
    """Why a rail cannot pay somebody so much, as far as it can be known without asking it."""
    if not _account(details, rail):
        return "no-account"
    if rail in _YUAN_ONLY and currency != HOME_CURRENCY:
        return "currency"
    if rail == "wechat-pay" and amount_minor > MOST_TRANSFERRED_MINOR:
        return "above-maximum"
    return "no-real-name" if _wants_name(details, amount_minor, rail) and not details.real_name else None


def receiver_for(details: PayoutDetails, amount_minor: int, rail: Rail) -> PayoutDetails:
    """Only what a rail is told of a payee when it pays them so much."""
    match rail:
        case "wechat-pay":
            name = details.real_name if _wants_name(details, amount_minor, rail) else None
            return PayoutDetails(openid=details.openid, real_name=name)
        case "profit-sharing":
            return PayoutDetails(merchant_receiver=details.merchant_receiver, real_name=details.real_name)
        case "bank":
            account, name = details.bank_account, details.real_name
            return PayoutDetails(bank_account=account, bank_name=details.bank_name, real_name=name)


def why_withheld(
    payee: Payee, approved: PayoutDetails | None, amount_minor: int, currency: str, rail: Rail
) -> Omission | None:
    """Why a payout that was planned is not to be sent any more. approved: to whom it was to go then (`receiver_for`);
    None: nobody wrote that down."""
    if not payee.active:
        return "inactive"
    lacking = obstacle(payee.details, amount_minor, currency, rail)
    if lacking is not None or approved is None:
        return lacking
    return None if receiver_for(payee.details, amount_minor, rail) == approved else "account-changed"


def _wants_name(details: PayoutDetails, amount_minor: int, rail: Rail) -> bool:
    match rail:
        case "wechat-pay":
            return amount_minor >= NAMED_FROM_MINOR
        case "profit-sharing":
            return details.merchant_receiver is not None and is_merchant(details.merchant_receiver)
        case "bank":
            return True


def _account(details: PayoutDetails, rail: Rail) -> str | None:
    match rail:
        case "wechat-pay":
            return details.openid
        case "profit-sharing":
            return details.merchant_receiver
        case "bank":
            return details.bank_account


def number_of(batch: str, payee: int) -> str:
    """The number of a payout: 32 letters and digits, the same for every attempt."""
    return "P" + content_digest(f"{batch}/{payee}").partition(":")[2][:31]


class Calendar:
    """Days on which payouts of a rail are made, one after the other, so that no day has more than the rail takes.
    taken: how many other payouts are made on a day, and what they come to."""

    def __init__(self, first: date, quota: RailQuota, taken: Mapping[date, tuple[int, int]] | None = None) -> None:
        self.day = first
        self._quota = quota
        self._taken = taken or {}
        self._payouts, self._amount = self._taken.get(first, (0, 0))

    def place(self, amount_minor: int) -> date:
        """The day of the next payout; one that is more than a whole day's sum has a day to itself."""
        while self._is_full(amount_minor):
            self.day += timedelta(days=1)
            self._payouts, self._amount = self._taken.get(self.day, (0, 0))
        self._payouts += 1
        self._amount += amount_minor
        return self.day

    def _is_full(self, amount_minor: int) -> bool:
        most, sum_minor = self._quota.payouts, self._quota.amount_minor
        if most is not None and self._payouts >= most:
            return True
        return sum_minor is not None and self._payouts > 0 and self._amount + amount_minor > sum_minor
