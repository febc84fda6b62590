"""Payouts asked for and approved: a workflow plans them, and another pays them, now or soon."""

from datetime import datetime, timedelta
from uuid import UUID

from domain.access import Actor
from services.orchestrator import Orchestrator
from services.overdue_payouts import note_unanswered
from services.payout_planning import PARTS
from services.payouts import PayoutService, PayoutWish
from services.settlement_workflows import START_AGAIN_AFTER, STARTED_AT_ONCE, SettlementWorkflows, begin_soon
from storage.engine import Database
from storage.payout_batches import PayoutBatchRow
from storage.unit_of_work import UnitOfWork
from workflows import messages

NOTED_AT_ONCE = 200
"""Payouts by bank that become overdue, in one sweep."""
LOOKED_AGAIN_AFTER = timedelta(hours=1)


class PayoutStarts:
    """Beginning what batches wait for."""

    def __init__(self, database: Database, orchestrator: Orchestrator, payouts: PayoutService) -> None:
        self._database = database
        self._workflows = SettlementWorkflows(orchestrator)
        self._payouts = payouts
        self._after: tuple[datetime, UUID] | None = None
        self._looked_at: datetime | None = None

    async def ask(self, actor: Actor, wish: PayoutWish) -> PayoutBatchRow:
        """Begin to plan a batch; raises as `PayoutService.ask`."""
        batch = await self._payouts.ask(actor, wish)
        await begin_soon(self._go_on(batch), batch=str(batch.id))
        return batch

    async def decide(self, actor: Actor, batch_id: UUID, *, approve: bool, note: str | None = None) -> PayoutBatchRow:
        """Approve or refuse a batch; with enough approvals it is paid now. Raises as `PayoutService.decide`."""
        batch = await self._payouts.decide(actor, batch_id, approve=approve, note=note)
        if batch.state == "reserving":
            await begin_soon(self._go_on(batch), batch=str(batch.id))
        return batch

    async def sweep(self) -> int:
        """Begin what Temporal was not told of, end batches whose payouts have all ended, and note what a bank has not
        answered for long; how many batches were tried.

        What waits to begin comes first each time; what is being paid, which takes weeks, comes in turn.
        """
        await self._look_for_unanswered()
        before = self._database.clock() - START_AGAIN_AFTER
        rows = await self._payouts.unfinished(before, STARTED_AT_ONCE, self._after)
        paying = [row for row in rows if row.state == "paying"]
        self._after = (paying[-1].asked_at, paying[-1].id) if len(paying) == STARTED_AT_ONCE else None
        for row in rows:
            await self._go_on(row)
        return len(rows)

    async def _look_for_unanswered(self) -> None:
        now = self._database.clock()
        if self._looked_at is not None and now - self._looked_at < LOOKED_AGAIN_AFTER:
            return
        async with UnitOfWork(self._database) as work:
            if await note_unanswered(work, NOTED_AT_ONCE) < NOTED_AT_ONCE:
                self._looked_at = now

    async def _go_on(self, batch: PayoutBatchRow) -> None:
        argument = messages.PayoutBatch(str(batch.id), PARTS)
        if batch.state == "planning":
            await self._workflows.start(messages.PAYOUT_PLAN_WORKFLOW, argument, f"payouts/plan/{batch.id}")
        else:
            name, workflow_id = messages.PAYING_WORKFLOW, f"payouts/pay/{batch.id}"
            # However many days its calendar has: it is over when the last payout has ended.
            await self._workflows.start(name, argument, workflow_id, within=None)
