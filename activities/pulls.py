"""Reading a stream of a platform on, on that platform's own queue."""

from temporalio import activity

from activities.binding import failure
from domain.problems import ProblemError
from services.pulls import PullService
from workflows import messages


class PullActivities:
    """One activity, served by the worker of every platform's queue."""

    def __init__(self, pulls: PullService) -> None:
        self._pulls = pulls

    @activity.defn(name=messages.PULL_ACTIVITY)
    async def pull(self, pull: messages.StreamPull) -> messages.PullProgress:
        """Some pages of a stream, or a whole comparison. Fails as the platform's calls do."""
        try:
            if pull.task == "compare":
                found = await self._pulls.compare(pull.account_id, pull.stream, beat=activity.heartbeat)
                return messages.PullProgress(found.records, found.missing)
            pulled = await self._pulls.pull(pull.account_id, pull.stream, beat=activity.heartbeat)
        except ProblemError as error:
            raise failure(error.problem) from error
        return messages.PullProgress(pulled.records, pulled.missed, pulled.more)
