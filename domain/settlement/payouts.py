"""What a payee is paid of their balance, by which rail, and how a payout goes from state to state."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.ids import content_digest
from domain.settlement.exact import RATE
from domain.settlement.payees import PayoutDetails

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
UNSENT_WHILE_RESERVED: frozenset[Rail] = frozenset({"profit-sharing"})
"""Rails that let a payout be reserved only while nothing of it was ever sent. Others say so also of what they did not
take, which may have been sent more than once."""
Omission = Literal["below-minimum", "owes", "no-account", "no-real-name", "inactive", "nothing-to-share"]
"""Why a payee with a balance is not paid: too little; all of it goes to what they owe; nothing to pay to; no real name
where one is required; they are not active; no order whose payment could be shared."""

NAMED_FROM_MINOR = 200_000
"""From 2,000 yuan on WeChat Pay wants the payee's real name."""


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


class Terms(BaseModel):
    """What a batch pays by, as it was asked for. rails: the first that a payee has an account for is taken. accounts:
    whose of a rail's platform accounts pays, where there are several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum_minor: int = Field(default=0, ge=0)
    instalments: int = Field(default=1, ge=1)
    keep: int = Field(default=0, ge=0, le=RATE)
    rails: Sequence[Rail] = RAILS
    quotas: Mapping[Rail, RailQuota] = {}
    accounts: Mapping[Rail, str] = {}


class Debt(NamedTuple):
    """What was taken back. ago: how many periods before the present one it was booked in."""

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


def rail_of(details: PayoutDetails, amount_minor: int, rails: Sequence[Rail]) -> tuple[Rail | None, Omission | None]:
    """The first rail that can pay somebody, or why none can."""
    reason: Omission = "no-account"
    for rail in rails:
        if not _account(details, rail):
            continue
        if rail == "wechat-pay" and amount_minor >= NAMED_FROM_MINOR and not details.real_name:
            reason = "no-real-name"
            continue
        if rail == "bank" and not details.real_name:
            reason = "no-real-name"
            continue
        return rail, None
    return None, reason


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
    """Days on which payouts of a rail are made, one after the other, so that no day has more than the rail takes."""

    def __init__(self, first: date, quota: RailQuota) -> None:
        self.day = first
        self._quota = quota
        self._payouts = 0
        self._amount = 0

    def place(self, amount_minor: int) -> date:
        """The day of the next payout; one that is more than a whole day's sum has a day to itself."""
        most, sum_minor = self._quota.payouts, self._quota.amount_minor
        full = most is not None and self._payouts >= most
        over = sum_minor is not None and self._payouts > 0 and self._amount + amount_minor > sum_minor
        if full or over:
            self.day += timedelta(days=1)
            self._payouts = self._amount = 0
        self._payouts += 1
        self._amount += amount_minor
        return self.day
