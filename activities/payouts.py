"""The steps of payouts, on the queue of settlements; chunks are followed on a queue of their own."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from temporalio import activity

from activities.settlement import refusing
from services.paying import Paying
from services.payout_planning import PayoutPlanning
from workflows import messages


class PayoutActivities:
    """Each may be repeated, also while an earlier attempt still runs somewhere."""

    def __init__(self, planning: PayoutPlanning, paying: Paying) -> None:
        self._planning = planning
        self._paying = paying

    @property
    def all(self) -> Sequence[Callable[..., Awaitable[Any]]]:
        return [
            self.plan_part,
            self.finish_plan,
            self.fail_plan,
            self.reserve_part,
            self.finish_reserving,
            self.chunks,
            self.chunks_left,
            # Asked for here by chunks that were followed before they had a queue of their own.
            self.pay_chunk,
        ]

    @property
    def following(self) -> Sequence[Callable[..., Awaitable[Any]]]:
        return [self.pay_chunk]

    @activity.defn(name=messages.PLAN_PAYOUTS_ACTIVITY)
    async def plan_part(self, part: messages.PayoutPart) -> int:
        """How many payees of the part are paid."""
        async with refusing():
            return await self._planning.plan_part(UUID(part.batch), part.part)

    @activity.defn(name=messages.FINISH_PAYOUT_PLAN_ACTIVITY)
    async def finish_plan(self, batch: messages.PayoutBatch) -> None:
        """Note what the plan comes to."""
        async with refusing():
            await self._planning.finish_plan(UUID(batch.id))

    @activity.defn(name=messages.FAIL_PAYOUT_PLAN_ACTIVITY)
    async def fail_plan(self, failed: messages.PayoutFailure) -> None:
        """Note why there is no plan."""
        async with refusing():
            await self._planning.fail(UUID(failed.batch), failed.problem)

    @activity.defn(name=messages.RESERVE_PAYOUTS_ACTIVITY)
    async def reserve_part(self, part: messages.PayoutPart) -> int:
        """How many payouts of the part go on."""
        async with refusing():
            return await self._planning.reserve_part(UUID(part.batch), part.part)

    @activity.defn(name=messages.FINISH_RESERVING_ACTIVITY)
    async def finish_reserving(self, batch: messages.PayoutBatch) -> None:
        """Let the rails begin."""
        async with refusing():
            await self._planning.finish_reserving(UUID(batch.id))

    @activity.defn(name=messages.PAYOUT_CHUNKS_ACTIVITY)
    async def chunks(self, batch: messages.PayoutBatch) -> list[list[int]]:
        """First and last row of each chunk."""
        async with refusing():
            return [[first, last] for first, last in await self._paying.chunks(UUID(batch.id))]

    @activity.defn(name=messages.CHUNKS_LEFT_ACTIVITY)
    async def chunks_left(self, batch: messages.PayoutBatch) -> messages.ChunksLeft:
        """Chunks that nobody follows."""
        async with refusing():
            after = (date.fromordinal(batch.after[0]), batch.after[1]) if batch.after else None
            left = await self._paying.to_follow(UUID(batch.id), after)
            chunks = [
                messages.PayoutChunk(batch.id, each.first, each.last, each.day.isoformat()) for each in left.chunks
            ]
            return messages.ChunksLeft(left.open, left.wait_s, chunks, left.more)

    @activity.defn(name=messages.PAY_CHUNK_ACTIVITY)
    async def pay_chunk(self, chunk: messages.PayoutChunk) -> messages.PayoutsOpen:
        """What is left of the chunk."""
        async with refusing():
            day = date.fromisoformat(chunk.day) if chunk.day else None
            left = await self._paying.pay_chunk(UUID(chunk.batch), chunk.first, chunk.last, day)
            return messages.PayoutsOpen(left.open, left.wait_s)
