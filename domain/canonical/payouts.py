"""Money that the merchant pays out."""

from typing import Literal

from domain.canonical.origin import Origin
from domain.money import AmountMinor

PayoutState = Literal["accepted", "wait_confirm", "processing", "succeeded", "failed", "cancelled", "unknown"]
"""accepted: the platform has the order. wait_confirm: the payee has to say that they want the money. processing: it is
on its way. succeeded, failed, cancelled: it is over."""


class PayoutData(Origin):
    """A transfer to one payee as the platform tells it. out_bill_no: our number, payout_id: the platform's."""

    out_bill_no: str
    payout_id: str | None = None
    state: PayoutState
    amount_minor: AmountMinor | None = None
    currency: str = "CNY"
    fail_reason: str | None = None
