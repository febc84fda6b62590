"""The steps of a settlement's calculation, on a queue of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from temporalio import activity

from activities.binding import failure
from activities.drains import heart_beating
from domain.problems import ProblemError
from services.calculations import ALONE, CalculationSteps
from services.settlement_runs import SettlementRunService
from workflows import messages


class SettlementActivities:
    """Each may be repeated, also while an earlier attempt still runs somewhere."""

    def __init__(self, steps: CalculationSteps, runs: SettlementRunService) -> None:
        self._steps = steps
        self._runs = runs

    @property
    def all(self) -> Sequence[Callable[..., Awaitable[Any]]]:
        return [
            self.freeze,
            self.calculate_part,
            self.finish,
            self.fail,
            self.run_computed,
            self.run_failed,
            self.book_part,
            self.finish_booking,
        ]

    @activity.defn(name=messages.FREEZE_CALCULATION_ACTIVITY)
    async def freeze(self, calculation: messages.Calculation) -> int:
        """How many payees take part."""
        async with refusing():
            return await self._steps.freeze(UUID(calculation.id))

    @activity.defn(name=messages.CALCULATE_PART_ACTIVITY)
    async def calculate_part(self, part: messages.CalculationPart) -> str:
        """The digest of the part."""
        async with refusing({"pass": part.pass_number, "part": part.part}):
            work = self._steps.earn_alone if part.pass_number == ALONE else self._steps.earn_by_downline
            return (await work(UUID(part.calculation), part.part)).digest

    @activity.defn(name=messages.FINISH_CALCULATION_ACTIVITY)
    async def finish(self, calculation: messages.Calculation) -> str:
        """The digest of the whole."""
        async with refusing():
            return await self._steps.finish(UUID(calculation.id))

    @activity.defn(name=messages.FAIL_CALCULATION_ACTIVITY)
    async def fail(self, failed: messages.CalculationFailure) -> None:
        """Note why there is no result."""
        async with refusing():
            await self._steps.fail(UUID(failed.calculation), failed.problem)

    @activity.defn(name=messages.RUN_COMPUTED_ACTIVITY)
    async def run_computed(self, run: messages.SettlementRun) -> None:
        """Note what comes of a run, and who has to approve it."""
        async with refusing():
            await self._runs.computed(UUID(run.id))

    @activity.defn(name=messages.RUN_FAILED_ACTIVITY)
    async def run_failed(self, failed: messages.RunFailure) -> None:
        """Note why a run comes to nothing."""
        async with refusing():
            await self._runs.failed(UUID(failed.run), failed.problem)

    @activity.defn(name=messages.BOOK_PART_ACTIVITY)
    async def book_part(self, part: messages.BookingPart) -> int:
        """How many transfers there are for the part."""
        async with refusing({"book": part.calculation, "part": part.part}):
            return await self._runs.book_part(UUID(part.run), UUID(part.calculation), part.part)

    @activity.defn(name=messages.FINISH_BOOKING_ACTIVITY)
    async def finish_booking(self, run: messages.SettlementRun) -> None:
        """Note that a run is booked, if its sums tie."""
        async with refusing():
            await self._runs.finish(UUID(run.id))


@asynccontextmanager
async def refusing(*details: object) -> AsyncIterator[None]:
    """Tell the server that this lives and what it works at, and refusals as it understands them."""
    try:
        async with heart_beating(*details):
            yield
    except ProblemError as error:
        raise failure(error.problem) from error
