"""Computing a settlement (freeze, the first pass over all parts, a barrier, the second pass, the digest), and booking
one that was approved."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from workflows import messages

PASSES = (1, 2)
_RETRY = RetryPolicy(maximum_interval=timedelta(minutes=1), maximum_attempts=30)
_RETRY_WITHIN_A_MONTH = RetryPolicy(maximum_interval=timedelta(minutes=1))


@workflow.defn(name=messages.CALCULATION_WORKFLOW)
class CalculationWorkflow:
    """One calculation. Each step is an activity that may be repeated; a part that fails is done again alone."""

    @workflow.run
    async def run(self, calculation: messages.Calculation) -> str:
        """The digest. Fails when the calculation cannot be done, which is noted at the calculation too."""
        try:
            return await _computed(calculation)
        except ActivityError as error:
            failure = messages.CalculationFailure(calculation.id, problem_of(error))
            await step(messages.FAIL_CALCULATION_ACTIVITY, failure)
            raise


@workflow.defn(name=messages.SETTLEMENT_RUN_WORKFLOW)
class SettlementRunWorkflow:
    """The calculations of a run, one after the other: its own period, and closed ones that changed."""

    @workflow.run
    async def run(self, run: messages.SettlementRun) -> None:
        """Fails when one of them cannot be done, which is noted at the run too."""
        try:
            for calculation in run.calculations:
                await _computed(calculation)
            await step(messages.RUN_COMPUTED_ACTIVITY, run)
        except ActivityError as error:
            await step(messages.RUN_FAILED_ACTIVITY, messages.RunFailure(run.id, problem_of(error)))
            raise


@workflow.defn(name=messages.BOOKING_WORKFLOW)
class BookingWorkflow:
    """What was approved goes into the ledger, part by part."""

    @workflow.run
    async def run(self, run: messages.SettlementRun) -> None:
        """Every part books what it has not booked yet. A refusal is noted at the run; whatever may pass is not."""
        try:
            for calculation in run.calculations:
                parts = [messages.BookingPart(run.id, calculation.id, part) for part in range(calculation.parts)]
                await asyncio.gather(*(step(messages.BOOK_PART_ACTIVITY, each) for each in parts))
            await step(messages.FINISH_BOOKING_ACTIVITY, run)
        except ActivityError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.non_retryable:
                await step(messages.RUN_FAILED_ACTIVITY, messages.RunFailure(run.id, problem_of(error)))
            raise


async def _computed(calculation: messages.Calculation) -> str:
    await step(messages.FREEZE_CALCULATION_ACTIVITY, calculation)
    for number in PASSES:
        parts = [messages.CalculationPart(calculation.id, number, part) for part in range(calculation.parts)]
        await asyncio.gather(*(step(messages.CALCULATE_PART_ACTIVITY, each) for each in parts))
    digest: str = await step(messages.FINISH_CALCULATION_ACTIVITY, calculation)
    return digest


async def step(
    name: str,
    argument: Any,
    *,
    result_type: type[Any] | None = None,
    patient: bool = False,
    queue: str = messages.SETTLEMENT_QUEUE,
) -> Any:
    """What an activity of a settlement gives; a refusal that may pass is tried again for some hours, of a patient
    step for a month."""
    return await workflow.execute_activity(
        name,
        argument,
        result_type=result_type,
        task_queue=queue,
        start_to_close_timeout=timedelta(minutes=10),
        schedule_to_close_timeout=timedelta(days=30) if patient else timedelta(hours=2),
        heartbeat_timeout=timedelta(seconds=10),
        retry_policy=_RETRY_WITHIN_A_MONTH if patient else _RETRY,
    )


def problem_of(error: ActivityError) -> dict[str, Any]:
    """What the activity refused with; its words alone when it was no refusal."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        return dict(cause.details[0])
    said = str(cause or error)
    return {"title": said, "message": {"zh": said, "en": said}}
