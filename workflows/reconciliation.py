"""An account's bills, day by day: taken where the platform is served, then reconciled with our books."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from workflows import messages

# A bill may still be being made at half past ten.
_PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=10), maximum_interval=timedelta(minutes=10), maximum_attempts=40
)


@workflow.defn(name=messages.RECONCILIATION_WORKFLOW)
class ReconciliationWorkflow:
    """The days that are due, the oldest first. A day that fails is due again the next time, and holds up no other."""

    @workflow.run
    async def run(self, bills: messages.AccountBills) -> list[str]:
        """The days that were reconciled. Fails when some were not, and names them."""
        done: list[str] = []
        failed: list[str] = []
        days: list[str] = await _step(messages.BILLS_DUE_ACTIVITY, bills.account_id, messages.SETTLEMENT_QUEUE)
        for day in days:
            told = messages.BillDay(bills.account_id, day)
            try:
                await _step(messages.TAKE_BILLS_ACTIVITY, told, bills.queue)
                await _step(messages.RECONCILE_ACTIVITY, told, messages.SETTLEMENT_QUEUE)
            except ActivityError as error:
                failed.append(f"{day}: {error.cause or error}")
            else:
                done.append(day)
        if failed:
            raise ApplicationError("; ".join(failed), {"done": done}, non_retryable=True)
        return done


async def _step(name: str, argument: Any, queue: str) -> Any:
    return await workflow.execute_activity(
        name,
        argument,
        task_queue=queue,
        start_to_close_timeout=timedelta(minutes=10),
        schedule_to_close_timeout=timedelta(hours=3),
        heartbeat_timeout=timedelta(seconds=10),
        retry_policy=_PATIENT,
    )
