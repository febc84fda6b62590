"""Reading a stream of a platform on, on that platform's own queue."""

import asyncio
import time

from temporalio import activity

from activities.binding import failure
from activities.drains import heart_beating
from domain.problems import ProblemError
from services.pulls import PullService
from workflows import messages

_ASKED_AGAIN_AFTER_S = 1.0


class PullActivities:
    """One activity, served by the worker of every platform's queue."""

    def __init__(self, pulls: PullService) -> None:
        self._pulls = pulls

    @activity.defn(name=messages.PULL_ACTIVITY)
    async def pull(self, pull: messages.StreamPull) -> messages.PullProgress:
        """Some pages of a stream, or of its comparison; a stream that is the first to tell is asked again each second
        for a while. Fails as the platform's calls do."""
        total = messages.PullProgress()
        try:
            # A page may wait for its turns longer than it takes to see that a worker died.
            async with heart_beating():
                if pull.task == "compare":
                    pulled = await self._pulls.compare_on(pull.account_id, pull.stream)
                    return messages.PullProgress(pulled.records, pulled.missed, pulled.more)
                until = time.monotonic() + self._pulls.asked_again_for(pull.account_id, pull.stream).total_seconds()
                while True:
                    pulled = await self._pulls.pull(pull.account_id, pull.stream)
                    total.records, total.missed = total.records + pulled.records, total.missed + pulled.missed
                    total.more = pulled.more
                    if pulled.more or activity.is_worker_shutdown() or time.monotonic() >= until:
                        return total
                    await asyncio.sleep(_ASKED_AGAIN_AFTER_S)
        except ProblemError as error:
            raise failure(error.problem) from error
