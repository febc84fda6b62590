"""Payouts: a batch is planned; one that was approved is taken out of the balances and followed to its last payout.

A chunk's workflow submits its payouts, then waits for as long as the last of them takes: a day where payees confirm,
weeks where nobody knows. So nobody waits for it; the batch's own workflow only sees to it that every chunk whose day
has begun has one.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import date, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from workflows import messages
    from workflows.settlement import problem_of, step

CHUNKS_AT_ONCE = 8
"""Of batches that began before chunks were cut by day."""
BEGUN_AT_ONCE = 20
"""Chunks in a second: Temporal takes some hundred starts."""
BEGUN_IN_A_RUN = 500
"""Chunks, before the workflow of a batch goes on with an empty history: far from Temporal's 2,000 pending children."""
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
    """What was approved is reserved, then paid by workflows of a thousand payouts each, which begin on their days."""

    @workflow.run
    async def run(self, batch: messages.PayoutBatch) -> None:
        """Over when every payout that a rail can be asked about has ended."""
        if not batch.is_reserved:
            await asyncio.gather(*(step(messages.RESERVE_PAYOUTS_ACTIVITY, part) for part in _parts(batch)))
            await step(messages.FINISH_RESERVING_ACTIVITY, batch)
        if workflow.patched("chunks-by-day"):
            await self._follow(batch)
        else:
            await self._pay_in_turns(batch)

    async def _follow(self, batch: messages.PayoutBatch) -> None:
        """Begin every chunk whose day has begun, and again one that nobody follows, until no payout is open."""
        begun = 0
        while True:
            left: messages.ChunksLeft = await step(
                messages.CHUNKS_LEFT_ACTIVITY, batch, result_type=messages.ChunksLeft
            )
            for start in range(0, len(left.chunks), BEGUN_AT_ONCE):
                await asyncio.gather(*(_begin(chunk) for chunk in left.chunks[start : start + BEGUN_AT_ONCE]))
                await workflow.sleep(SHORTEST_WAIT)
            begun += len(left.chunks)
            after = _place_of(left.chunks[-1]) if left.more else None
            batch = messages.PayoutBatch(batch.id, batch.parts, True, after)
            if not left.open:
                return
            if not left.more:
                await workflow.sleep(max(SHORTEST_WAIT, min(LONGEST_WAIT, timedelta(seconds=left.wait_s))))
            if begun >= BEGUN_IN_A_RUN or workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(batch)

    async def _pay_in_turns(self, batch: messages.PayoutBatch) -> None:
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
    """Some payouts, asked about again until the last has ended."""

    @workflow.run
    async def run(self, chunk: messages.PayoutChunk) -> None:
        """Sleeps for as long as no rail has to be asked."""
        for _ in range(ROUNDS_IN_A_RUN):
            left: messages.PayoutsOpen = await step(
                messages.PAY_CHUNK_ACTIVITY,
                chunk,
                result_type=messages.PayoutsOpen,
                patient=True,
                # It waits for platforms most of the time, and would hold up whatever else is settled.
                queue=messages.PAYOUTS_QUEUE,
            )
            if not left.open:
                return
            wait = max(SHORTEST_WAIT, min(LONGEST_WAIT, timedelta(seconds=left.wait_s)))
            await workflow.sleep(wait)
        workflow.continue_as_new(chunk)


async def _begin(chunk: messages.PayoutChunk) -> None:
    """Let a chunk be followed, by one workflow at a time; it goes on when this one is over."""
    with contextlib.suppress(WorkflowAlreadyStartedError):
        await workflow.start_child_workflow(
            messages.PAYOUT_CHUNK_WORKFLOW,
            chunk,
            id=f"payouts/pay/{chunk.batch}/{chunk.day}/{chunk.first}",
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        )


def _place_of(chunk: messages.PayoutChunk) -> list[int] | None:
    return None if chunk.day is None else [date.fromisoformat(chunk.day).toordinal(), chunk.first]


def _parts(batch: messages.PayoutBatch) -> list[messages.PayoutPart]:
    return [messages.PayoutPart(batch.id, part) for part in range(batch.parts)]
