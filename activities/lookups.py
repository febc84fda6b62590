"""Asking a platform about people and orders, on that platform's own queue: a minute of work at a time."""

from temporalio import activity

from activities.drains import GATHER_S, IDLE_S, pause, work_for_a_round
from services.lookups import LookupService
from workflows import messages


class LookupActivities:
    """One activity, served by the worker of every platform that can be asked."""

    def __init__(self, lookups: LookupService, platforms: dict[str, str]) -> None:
        """platforms: by queue the platform that it is of."""
        self._lookups = lookups
        self._platforms = platforms

    @activity.defn(name=messages.LOOKUP_ACTIVITY)
    async def drain(self, drain: messages.Drain) -> None:
        """Ask for a minute."""
        platform = self._platforms[drain.queue]

        async def step() -> None:
            if (await self._lookups.drain(platform)).asked:
                await pause(GATHER_S)
            else:
                await self._lookups.wait_for_work(platform, IDLE_S)

        await work_for_a_round(drain.name, step)
