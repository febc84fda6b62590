"""Payouts: a batch is planned; one that was approved is taken out of the balances and followed to its last payout."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from workflows import messages
    from workflows.settlement import problem_of, step

CHUNKS_AT_ONCE = 8
LONGEST_WAIT = timedelta(hours=1)
SHORTEST_WAIT = timedelta(seconds=1)
ROUNDS_IN_A_RUN = 200
"""Of a chunk, before its workflow goes on with an empty history."""


@workflow.defn(name=messages.PAYOUT_PLAN_WORKFLOW)
class PayoutPlanWorkflow:
    """Who is paid what, part by part; then the calendar."""

    @workflow.run
    async def run(self, batch: messages.PayoutBatch) -> None:
        """Fails when it cannot be planned, which is noted at the batch too."""
        try:
            await asyncio.gather(*(step(messages.PLAN_PAYOUTS_ACTIVITY, part) for part in _parts(batch)))
            await step(messages.FINISH_PAYOUT_PLAN_ACTIVITY, batch)
        except ActivityError as error:
            await step(messages.FAIL_PAYOUT_PLAN_ACTIVITY, messages.PayoutFailure(batch.id, problem_of(error)))
            raise


@workflow.defn(name=messages.PAYING_WORKFLOW)
class PayingWorkflow:
    """What was approved is reserved, then paid by child workflows of some thousand payouts each, a few at once."""

    @workflow.run
    async def run(self, batch: messages.PayoutBatch) -> None:
        """Over when every payout that a rail can be asked about has ended."""
        await asyncio.gather(*(step(messages.RESERVE_PAYOUTS_ACTIVITY, part) for part in _parts(batch)))
        await step(messages.FINISH_RESERVING_ACTIVITY, batch)
        chunks: Sequence[Sequence[int]] = await step(messages.PAYOUT_CHUNKS_ACTIVITY, batch)
        turns = asyncio.Semaphore(CHUNKS_AT_ONCE)

        async def pay(first: int, last: int) -> None:
            async with turns:
                await workflow.execute_child_workflow(
                    messages.PAYOUT_CHUNK_WORKFLOW,
                    messages.PayoutChunk(batch.id, first, last),
                    id=f"payouts/pay/{batch.id}/{first}",
                )

        await asyncio.gather(*(pay(first, last) for first, last in chunks))


@workflow.defn(name=messages.PAYOUT_CHUNK_WORKFLOW)
class PayoutChunkWorkflow:
    """Some payouts, asked about again until the last has ended. Its parent's time is its own."""

    @workflow.run
    async def run(self, chunk: messages.PayoutChunk) -> None:
        """Sleeps for as long as no rail has to be asked."""
        for _ in range(ROUNDS_IN_A_RUN):
            left: messages.PayoutsOpen = await step(
                messages.PAY_CHUNK_ACTIVITY, chunk, result_type=messages.PayoutsOpen
            )
            if not left.open:
                return
            wait = max(SHORTEST_WAIT, min(LONGEST_WAIT, timedelta(seconds=left.wait_s)))
            await workflow.sleep(wait)
        workflow.continue_as_new(chunk)


def _parts(batch: messages.PayoutBatch) -> list[messages.PayoutPart]:
    return [messages.PayoutPart(batch.id, part) for part in range(batch.parts)]
