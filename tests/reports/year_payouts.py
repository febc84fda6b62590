"""How payouts of the year go: planned, refused, approved, and ended in every way, as the rails are drawn to say."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from random import Random
from uuid import UUID

from sqlalchemy import text

from domain.settlement.payouts import Payer, RailQuota, State
from services.calculations import CalculationSteps
from services.payout_booking import (
    extra_payments,
    settle_after_all,
    settle_bounced,
    settle_once_more,
    settle_paid,
    settle_part,
    settle_returned,
    settle_sent_back,
)
from services.payout_planning import PayoutPlanning
from services.payouts import PayoutService, PayoutWish
from services.shareable_sums import ShareableSums
from storage.engine import Database
from storage.paging import PageRequest
from storage.payout_shares import PayoutShares
from storage.payouts import PayoutRow, Payouts
from storage.sales import PARTS
from storage.shareable_payments import BilledPayment, ShareablePayments
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.reports.year_bills import QIAN, WU

_ENDS: Sequence[State] = ("paid", "paid", "paid", "failed", "cancelled", "awaiting_user", "unknown")
_LATER: Sequence[State] = ("paid", "paid", "failed")
_MERCHANT = "wechat_pay/main"
_PAID_TWICE = ("promoters", "stores")


class _Plenty(ShareableSums):
    """Enough for everybody, however long ago their orders were paid."""

    async def of(
        self, work: UnitOfWork, payer: Payer | None, payees: Collection[int], day: date, besides: UUID
    ) -> Mapping[int, int]:
        return dict.fromkeys(payees, 10**12)


class YearPayouts:
    """Batches of a scheme, one after the other. clock: of the database; it only goes on."""

    def __init__(self, database: Database, clock: SteppedClock, steps: CalculationSteps) -> None:
        self._database = database
        self._clock = clock
        self._payouts = PayoutService(database, steps)
        self._planning = PayoutPlanning(database, sharing=_Plenty())
        self._pick = Random("payouts")
        self._open: dict[str, list[str]] = {}
        self._ended: dict[str, list[str]] = {}
        self._shared = 0
        self._begun = False

    def at(self, now: datetime) -> None:
        """Time goes on to an instant, if it is not later already."""
        self._clock.now = max(now, self._clock.now) if self._begun else now
        self._begun = True

    async def pay(self, scheme: str, day: date, *, is_last: bool = False) -> None:
        """What was left open of the last batch ends now, in another period; then another batch is planned and paid.

        One of the stores is refused first; the last one of influencers nobody has decided on.
        """
        self.at(datetime(day.year, day.month, day.day, 4, tzinfo=UTC))
        for number in self._open.pop(scheme, ()):
            await self._end(number, self._pick.choice(_LATER))
        before = self._ended.pop(scheme, [])
        for number in before:
            await self._comes_back(number, once_more=scheme == "promoters")
        if scheme == "stores" and day.month == 3:
            await self._payouts.decide(WU, await self._planned(scheme), approve=False)
        batch = await self._planned(scheme)
        if is_last and scheme == "influencers":
            return
        await self._payouts.decide(WU, batch, approve=True)
        for part in range(PARTS):
            await self._planning.reserve_part(batch, part)
        await self._planning.finish_reserving(batch)
        reserved = await self._payouts.payouts(QIAN, batch, PageRequest(200), state="reserved")
        for each in reserved.items:
            self._clock.advance(hours=19)
            end: State = self._pick.choice(_ENDS)
            if each.payout.rail == "profit-sharing":
                self._shared += 1
                end = "failed" if self._shared % 2 else "paid"
            if each.payout.rail == "bank":
                end = "paid"
            await self._end(each.payout.number, end)
            self._ended.setdefault(scheme, []).append(each.payout.number)
            if end not in ("paid", "failed", "cancelled"):
                self._open.setdefault(scheme, []).append(each.payout.number)
        if scheme in _PAID_TWICE:
            await self._turns_out_otherwise(self._ended.get(scheme, ()), back_and_forth=bool(before))

    async def _planned(self, scheme: str) -> UUID:
        wish = PayoutWish(scheme=scheme, quotas={"wechat-pay": RailQuota(payouts=2)})
        batch = (await self._payouts.ask(QIAN, wish)).id
        for part in range(PARTS):
            await self._planning.plan_part(batch, part)
        await self._planning.finish_plan(batch)
        return batch

    async def _end(self, number: str, state: State) -> None:
        """Let a rail say how a payout stands, and book it; what fails of profit sharing was paid in part."""
        async with UnitOfWork(self._database) as work:
            row = await Payouts(work).find(number, for_update=True)
            assert row is not None
            if row.state == "reserved" and state != "cancelled":
                Payouts(work).move(row, "submitting")
            part = row.amount_minor * 3 // 10
            if row.rail == "profit-sharing":
                await _shared(work, row, part, whole=state == "paid")
            why = {"reason": "13698765432 未实名"} if state == "failed" else {"rail_number": f"R{number[:9]}"}
            assert Payouts(work).move(row, state, **why)
            if state == "paid":
                await settle_paid(work, row, row.rail)
            elif state == "failed" and row.rail == "profit-sharing":
                await settle_part(work, row, row.rail, part)
            elif state in ("failed", "cancelled"):
                await settle_returned(work, row)

    async def _comes_back(self, number: str, *, once_more: bool) -> None:
        """What a bank paid is sent back, in another period. once_more: and what was paid once more."""
        async with UnitOfWork(self._database) as work:
            row = await Payouts(work).find(number, for_update=True)
            assert row is not None
            if Payouts(work).bounce(row):
                await settle_bounced(work, row)
            elif once_more and await extra_payments(work, row):
                await settle_sent_back(work, row)

    async def _turns_out_otherwise(self, numbers: Sequence[str], *, back_and_forth: bool) -> None:
        """Of the payouts of a batch one was paid once more; back_and_forth: what a bank sent back was paid after
        all."""
        once_more = False
        for number in numbers:
            async with UnitOfWork(self._database) as work:
                row = await Payouts(work).find(number, for_update=True)
                assert row is not None
                if back_and_forth and Payouts(work).bounce(row):
                    await settle_bounced(work, row)
                    await work.session.flush()
                    Payouts(work).pay_after_all(row, None)
                    await settle_after_all(work, row)
                elif row.state == "paid" and row.rail == "wechat-pay" and not once_more:
                    await settle_once_more(work, row)
                    once_more = True


async def _shared(work: UnitOfWork, row: PayoutRow, part: int, *, whole: bool) -> None:
    """Two shares of a payout: the first went through, the other one too if it is the whole."""
    await work.session.flush()
    numbers = [f"{row.number[:20]}-{place}" for place in range(2)]
    payments = [BilledPayment(each, each, row.amount_minor, work.now) for each in numbers]
    await ShareablePayments(work).add(_MERCHANT, payments)
    rows = text("SELECT id FROM shareable_payments WHERE transaction_id = ANY(:numbers) ORDER BY id")
    keys = list(await work.session.scalars(rows, {"numbers": numbers}))
    shares = PayoutShares(work)
    await shares.take_over(row.id, _MERCHANT)
    await shares.add(row.id, row.number, 0, dict(zip(keys, (part, row.amount_minor - part), strict=True)))
    for place, share in enumerate(await shares.of(row.id)):
        went_through = share.row.amount_minor == part if not whole else True
        await shares.note(share.row.out_order_no, "shared" if went_through else "failed", sharing_id=f"D{place}")
    await work.session.flush()
