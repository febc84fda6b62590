"""Money that the merchant pays out."""

from typing import Literal

from pydantic import AwareDatetime

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


class PayoutToConfirm(PayoutData):
    """A transfer that waits for its payee. payee, scheme: the merchant's names for them. openid: the payee's, in the
    app. mch_id, app_id, package_info: what `wx.requestMerchantTransfer` takes. expires_at: then the money comes back.
    """

    payee: str
    scheme: str
    openid: str | None = None
    mch_id: str
    app_id: str
    package_info: str
    expires_at: AwareDatetime
