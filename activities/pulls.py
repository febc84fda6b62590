"""Reading a stream of a platform on, on that platform's own queue."""

import time

from temporalio import activity

from activities.binding import failure
from activities.drains import heart_beating, pause
from domain.problems import ProblemError
from services.inbox_room import InboxFullProblem
from services.pulls import PullService
from workflows import messages

_ASKED_AGAIN_AFTER_S = 1.0
MOST_ASKING_AGAIN = 40
"""Streams that one worker asks again at once. Each keeps one of its hundred places meanwhile, which refunds, shipping
and messages of the platform need too; what finds no place waits for its next stroke."""
_ROOM_AGAIN_S, _ROOM_AGAIN_AT_MOST_S = 5.0, 60.0
"""How much longer each try waits while the inbox is full: hundreds of shops would use up the queue's rate otherwise."""
_AGAIN_S, _AGAIN_AT_MOST_S, _DOUBLINGS = 5.0, 300.0, 10
"""How long a go that failed waits before the next try: twice as long each time, at most so long, or what the platform
asks for where that is more."""
_LONGEST_S = 120.0
"""After that a reading ends whatever the hour, well within the time that its activity has."""


class PullActivities:
    """One activity, served by the worker of every platform's queue."""

    def __init__(self, pulls: PullService) -> None:
        self._pulls = pulls
        self._asking_again = 0

    @activity.defn(name=messages.PULL_ACTIVITY)
    async def pull(self, pull: messages.StreamPull) -> messages.PullProgress:
        """Some pages of a stream, or of its comparison; a stream that is the first to tell is asked again each second
        until its next stroke is near. Fails as the platform's calls do."""
        try:
            # A page may wait for its turns longer than it takes to see that a worker died.
            async with heart_beating():
                if pull.task == "compare":
                    pulled = await self._pulls.compare_on(pull.account_id, pull.stream)
                    return messages.PullProgress(pulled.records, pulled.missed, pulled.more, pulled.wait_s)
                return await self._read_on(pull)
        except InboxFullProblem as full:
            attempt = activity.info().attempt
            raise failure(full.problem, at_least_s=min(attempt * _ROOM_AGAIN_S, _ROOM_AGAIN_AT_MOST_S)) from full
        except ProblemError as error:
            # However short a pause the platform asks for: one that throttles is asked less and less.
            growing_s = _AGAIN_S * 2.0 ** min(activity.info().attempt - 1, _DOUBLINGS)
            raise failure(error.problem, at_least_s=min(growing_s, _AGAIN_AT_MOST_S)) from error

    async def _read_on(self, pull: messages.StreamPull) -> messages.PullProgress:
        pulled = await self._pulls.pull(pull.account_id, pull.stream)
        total = messages.PullProgress(pulled.records, pulled.missed, pulled.more, pulled.wait_s)
        if pulled.more or pulled.in_vain or self._asking_again >= MOST_ASKING_AGAIN:
            return total
        self._asking_again += 1
        try:
            await self._ask_again(pull, total)
        finally:
            self._asking_again -= 1
        return total

    async def _ask_again(self, pull: messages.StreamPull, total: messages.PullProgress) -> None:
        """Add to the total what comes until the stream's next stroke is near, or more comes than one time is for."""
        end = time.monotonic() + _LONGEST_S
        while self._pulls.is_asked_again(pull.account_id, pull.stream) and time.monotonic() < end:
            await pause(_ASKED_AGAIN_AFTER_S)
            if activity.is_worker_shutdown():
                return
            try:
                pulled = await self._pulls.pull(pull.account_id, pull.stream)
            except ProblemError as problem:
                if problem.problem.as_dict().get("retryable") is not True:
                    raise
                return  # the stream remembers why, and its next stroke tries again
            total.records, total.missed = total.records + pulled.records, total.missed + pulled.missed
            total.more, total.wait_s = pulled.more, pulled.wait_s
            if pulled.more or pulled.in_vain:
                return
