"""What sweeps see to: batches that no workflow goes on with, however many there are."""

from uuid import UUID, uuid4

import pytest
from temporalio.client import Client

from domain.settlement.payees import NewPayee, NewPayoutDetails
from domain.settlement.periods import period_of
from services import payout_starts
from services.calculations import CalculationSteps
from services.orchestrator import Orchestrator
from services.payee_terms import today
from services.payees import PayeeRegister
from services.payout_starts import PayoutStarts
from services.payouts import PayoutService
from storage.engine import Database
from storage.payees import Payees
from storage.payout_batches import BatchState, PayoutBatches, PayoutBatchRow
from storage.payouts import PayoutRow, Payouts
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.test_settlement_runs import QIAN


class NotingStarts(PayoutStarts):
    """Notes which batches it would have begun."""

    begun: list[UUID]

    async def _go_on(self, batch: PayoutBatchRow) -> None:
        self.begun.append(batch.id)

    async def swept(self) -> list[UUID]:
        self.begun = []
        await self.sweep()
        return self.begun


async def a_batch(database: Database, state: BatchState) -> UUID:
    """With one payout that has not ended."""
    details = NewPayoutDetails(openid="o-1")
    await PayeeRegister(database).put(QIAN, [NewPayee(code="P1", name="P1", role="promoter", details=details)])
    async with UnitOfWork(database) as work:
        start, end = period_of("month", today(work.now))
        period = await SettlementPeriods(work).open("promoters", "month", start, end, "CNY")
        batch = PayoutBatchRow(
            id=uuid4(), scheme="promoters", currency="CNY", period=period.id, day=start, state=state, terms={},
            asked_by="qian", asked_at=work.now,
        )  # fmt: skip
        await PayoutBatches(work).add(batch)
        payout = PayoutRow(
            batch=batch.id, part=0, number=f"P{uuid4().hex[:31]}", payee=(await Payees(work).rows(["P1"]))["P1"].id,
            rail="wechat-pay", amount_minor=100, offset_minor=0, currency="CNY", state="reserved", pay_on=start,
            next_at=work.now, created_at=work.now, changed_at=work.now,
        )  # fmt: skip
        await Payouts(work).insert(payout)
    return batch.id


async def test_what_was_approved_begins_at_once_however_many_batches_are_being_paid(
    database: Database, clock: SteppedClock, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payout_starts, "STARTED_AT_ONCE", 2)
    paying = []
    for _ in range(5):
        paying.append(await a_batch(database, "paying"))
        clock.advance(minutes=1)
    approved = await a_batch(database, "reserving")
    clock.advance(minutes=1)
    service = PayoutService(database, CalculationSteps(database))
    starts = NotingStarts(database, Orchestrator(temporal), service)
    assert [await starts.swept() for _ in range(4)] == [
        [approved, *paying[:2]],
        [approved, *paying[2:4]],
        [approved, paying[4]],
        [approved, *paying[:2]],
    ]
