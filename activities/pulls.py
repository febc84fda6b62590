"""Reading a stream of a platform on, on that platform's own queue."""

from temporalio import activity

from activities.binding import failure
from activities.drains import heart_beating
from domain.problems import ProblemError
from services.pulls import PullService
from workflows import messages


class PullActivities:
    """One activity, served by the worker of every platform's queue."""

    def __init__(self, pulls: PullService) -> None:
        self._pulls = pulls

    @activity.defn(name=messages.PULL_ACTIVITY)
    async def pull(self, pull: messages.StreamPull) -> messages.PullProgress:
        """Some pages of a stream, or of its comparison. Fails as the platform's calls do."""
        try:
            # A page may wait for its turns longer than it takes to see that a worker died.
            async with heart_beating():
                work = self._pulls.compare_on if pull.task == "compare" else self._pulls.pull
                pulled = await work(pull.account_id, pull.stream)
        except ProblemError as error:
            raise failure(error.problem) from error
        return messages.PullProgress(pulled.records, pulled.missed, pulled.more)
