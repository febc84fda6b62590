"""May this customer be reached now? Decided at the moment of sending, and a skip says why."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.canonical.consents import ConsentState, Purpose
from domain.journeys.quiet_hours import QuietHours

SkippedReason = Literal[
    "doubled",
    "contact_gone",
    "suppressed",
    "no_consent",
    "order_settled",
    "quiet_hours",
    "cap",
    "out_of_stock",
    "coupon_gone",
]
"""doubled: the customer turned out to be one whom another run of the flow took in, too; see `services.enrolments`."""


class Cap(BaseModel):
    """At most `messages` within any `days` days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: int = Field(ge=0, le=1000)
    days: int = Field(ge=1, le=366)


class ReachPolicy(BaseModel):
    """The house rules of a shop or a corp for marketing; service messages are bound by what the customer forbids alone.

    marketing_consent: whether somebody must have agreed to marketing, or may hear of it until they take it back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    quiet_hours: QuietHours | None = QuietHours()
    marketing_consent: Literal["required", "unless_withdrawn"] = "unless_withdrawn"
    caps: tuple[Cap, ...] = Field(default=(Cap(messages=1, days=1), Cap(messages=4, days=31)), max_length=10)

    @property
    def looks_back(self) -> timedelta:
        """How far back earlier messages matter."""
        return timedelta(days=max((cap.days for cap in self.caps), default=0))


class Customer(BaseModel):
    """What is known of the one to be reached, and of what the message is about.

    contact_gone: nobody is their contact any more who could write. suppressed: not to be reached at all.
    consent: what they said last to such messages in this channel, None for nothing. not_about_this: not with marketing
    about this. marketing_sent_at: earlier marketing messages, in any order. order_settled: what they were to be
    reminded of is paid, or closed. out_of_stock, coupon_gone: what is advertised cannot be bought, or used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    contact_gone: bool = False
    suppressed: bool = False
    not_about_this: bool = False
    consent: ConsentState | None = None
    marketing_sent_at: Sequence[datetime] = ()
    order_settled: bool = False
    out_of_stock: bool = False
    coupon_gone: bool = False


def skip_reason(policy: ReachPolicy, customer: Customer, purpose: Purpose, now: datetime) -> SkippedReason | None:
    """Why the message must not go out now; None when it may."""
    if customer.contact_gone:
        return "contact_gone"
    if customer.suppressed or (purpose == "marketing" and customer.not_about_this):
        return "suppressed"
    if customer.consent == "withdrawn":
        return "no_consent"
    if purpose == "service":
        return None
    if customer.consent is None and policy.marketing_consent == "required":
        return "no_consent"
    if customer.order_settled:
        return "order_settled"
    if policy.quiet_hours is not None and policy.quiet_hours.covers(now):
        return "quiet_hours"
    for cap in policy.caps:
        since = now - timedelta(days=cap.days)
        # Also what another worker began to send after this one looked at its clock.
        if sum(since < sent_at for sent_at in customer.marketing_sent_at) >= cap.messages:
            return "cap"
    if customer.out_of_stock:
        return "out_of_stock"
    return "coupon_gone" if customer.coupon_gone else None
