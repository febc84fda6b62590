"""What Tandem does for itself: drain the inbox and the outbox, look after runs, start runs by the clock."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from workflows import messages

ROUNDS = 200
"""Rounds before a drain continues as new, so that its history stays short."""


@workflow.defn(name=messages.DRAIN_WORKFLOW)
class DrainWorkflow:
    """Keeps one drain going for ever: an activity that works for a minute at a time, again and again."""

    @workflow.run
    async def run(self, drain: messages.Drain) -> None:
        """Never returns; a round that fails is followed by the next one after a pause."""
        for _ in range(ROUNDS):
            try:
                await workflow.execute_activity(
                    messages.DRAIN_ACTIVITY,
                    drain,
                    task_queue=messages.INBOX_QUEUE,
                    start_to_close_timeout=timedelta(minutes=5),
                    schedule_to_close_timeout=timedelta(minutes=15),
                    heartbeat_timeout=timedelta(seconds=8),
                    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10), maximum_attempts=20),
                    summary=drain.name,
                )
            except ActivityError:
                await workflow.sleep(timedelta(seconds=5))
        workflow.continue_as_new(drain)


@workflow.defn(name=messages.START_SCHEDULED_RUN_WORKFLOW)
class StartScheduledRunWorkflow:
    """Turns one stroke of a Schedule into a run whose version is chosen now."""

    @workflow.run
    async def run(self, start: messages.ScheduledStart) -> str | None:
        """The id of the run, None when the flow is not released any more."""
        start.fired_as = workflow.info().workflow_id
        run_id: str | None = await workflow.execute_activity(
            messages.START_SCHEDULED_RUN_ACTIVITY,
            start,
            start_to_close_timeout=timedelta(seconds=15),
            schedule_to_close_timeout=timedelta(hours=6),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
        )
        return run_id
