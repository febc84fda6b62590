"""What Tandem does for itself: drain the inbox and the outbox, deliver to subscribers, look after runs, start runs by
the clock, read platforms again."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from workflows import messages

GOES = 1_000
"""Goes of one pull, some pages each; what is left then is read after the next stroke of the clock."""
COMPARED_GOES = 3_000
"""Of a comparison, whose next stroke is the next night's; a platform that throttles may let it have a page at a go."""
PULL_TRIES = 720
"""Tries of one go, more than it has time for: what waits for room in the inbox asks each minute at the latest."""

ROUNDS = 200
"""Rounds before a drain continues as new, so that its history stays short."""


_ACTIVITIES = {"lookups": messages.LOOKUP_ACTIVITY, "channels": messages.CHANNEL_ACTIVITY}


@workflow.defn(name=messages.DRAIN_WORKFLOW)
class DrainWorkflow:
    """Keeps one drain going for ever: an activity that works for a minute at a time, again and again."""

    @workflow.run
    async def run(self, drain: messages.Drain) -> None:
        """Never returns; a round that fails is followed by the next one after a pause."""
        for _ in range(ROUNDS):
            try:
                await workflow.execute_activity(
                    _ACTIVITIES.get(drain.name, messages.DRAIN_ACTIVITY),
                    drain,
                    task_queue=drain.queue or messages.INBOX_QUEUE,
                    start_to_close_timeout=timedelta(minutes=5),
                    schedule_to_close_timeout=timedelta(minutes=15),
                    heartbeat_timeout=timedelta(seconds=8),
                    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10), maximum_attempts=20),
                    summary=drain.name,
                )
            except ActivityError:
                await workflow.sleep(timedelta(seconds=5))
        workflow.continue_as_new(drain)


@workflow.defn(name=messages.PULL_WORKFLOW)
class PullWorkflow:
    """Reads one stream of one account on, until nothing is left or it was enough for one time."""

    @workflow.run
    async def run(self, pull: messages.StreamPull) -> messages.PullProgress:
        """What came in all. Fails when the platform refuses for good; the next stroke of the clock tries again."""
        total = messages.PullProgress()
        for _ in range(COMPARED_GOES if pull.task == "compare" else GOES):
            progress: messages.PullProgress = await workflow.execute_activity(
                messages.PULL_ACTIVITY,
                pull,
                task_queue=pull.queue,
                result_type=messages.PullProgress,
                start_to_close_timeout=timedelta(minutes=10),
                schedule_to_close_timeout=timedelta(hours=2),
                heartbeat_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=5),
                    maximum_interval=timedelta(minutes=5),
                    maximum_attempts=PULL_TRIES,
                ),
                summary=f"{pull.task} {pull.account_id} {pull.stream}",
            )
            total.records += progress.records
            total.missed += progress.missed
            total.more = progress.more
            if not progress.more:
                break
            if progress.wait_s and workflow.patched("pull-pauses"):
                await workflow.sleep(progress.wait_s)
        return total


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
