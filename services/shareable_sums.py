"""What payees can be paid by profit sharing: asked when a batch is planned, so that nobody approves what must fail."""

from collections.abc import Collection, Mapping
from datetime import date, datetime, time, timedelta
from uuid import UUID

from connectors.reading import CHINA
from connectors.wechat_pay.settings import WechatPaySettings
from domain.access import Scope
from domain.settlement.payouts import Payer
from services.trade_bills import PLATFORM, TradeBills
from storage.accounts import Accounts
from storage.paging import PageRequest
from storage.payout_shares import PayoutShares
from storage.shareable_payments import ShareablePayments
from storage.unit_of_work import UnitOfWork

_MOST = 200
_USUAL_PERCENT: int = WechatPaySettings.model_fields["profit_sharing_percent"].default


class ShareableSums:
    """bills: who reads what merchants were paid; None: what is known already has to do."""

    def __init__(self, bills: TradeBills | None = None) -> None:
        self._bills = bills

    async def freshen(self) -> None:
        """Read the bills that are there. Of a merchant whose bills cannot be had what is known counts: what is not
        planned now may be planned tomorrow, and what was approved for nothing only comes back."""
        if self._bills is not None:
            await self._bills.freshen()

    async def of(
        self, work: UnitOfWork, payer: Payer | None, payees: Collection[int], day: date, besides: UUID
    ) -> Mapping[int, int]:
        """What there is for each of these payees at the end of a Shanghai day, less what is to be paid of it. besides:
        a batch whose own payouts do not count."""
        none = dict.fromkeys(payees, 0)
        percent = await _percent(work, payer) if payees else None
        if payer is None or percent is None:
            return none
        evening = datetime.combine(day + timedelta(days=1), time(), CHINA)
        there = await ShareablePayments(work).available(payer.account, payees, percent, max(evening, work.now))
        promised = await PayoutShares(work).promised(payer.account, there.keys(), besides)
        return none | {payee: max(amount - promised.get(payee, 0), 0) for payee, amount in there.items()}


async def _percent(work: UnitOfWork, payer: Payer | None) -> int | None:
    """How much of a payment the merchant shares; None: it shares none now, or is another one by now."""
    page = await Accounts(work).list(Scope.everything(), PageRequest(_MOST), platform=PLATFORM)
    for each in page.items:
        told = each.settings
        if payer is not None and each.id == payer.account and each.active and told.get("mch_id") == payer.mch_id:
            return int(told.get("profit_sharing_percent", _USUAL_PERCENT)) if told.get("profit_sharing") else None
    return None
