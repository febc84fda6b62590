"""Listening to a platform's channels, on that platform's own queue: some minutes at a time."""

import asyncio

from temporalio import activity

from activities.drains import IDLE_S, pause, work_for_a_round
from connectors.webhooks import Refusal
from services.channels import ChannelService
from workflows import messages

REFUSALS = "tandem_channel_refusals"
LISTEN_S = 200.0
"""Less than an activity's five minutes; what comes while the connection changes hands is sent again."""


class ChannelActivities:
    """One activity, served by the worker of every platform that pushes over a channel."""

    def __init__(self, channels: ChannelService, platforms: dict[str, str]) -> None:
        """platforms: by queue the platform that it is of."""
        self._channels = channels
        self._platforms = platforms

    @activity.defn(name=messages.CHANNEL_ACTIVITY)
    async def listen(self, drain: messages.Drain) -> None:
        """Listen for some minutes, or until the worker stops."""
        platform = self._platforms[drain.queue]
        refusals = activity.metric_meter().create_counter(
            REFUSALS, "Frames of a platform's channel that were not taken, by platform and reason"
        )

        def count(reason: Refusal) -> None:
            refusals.add(1, {"platform": platform, "reason": reason.value})

        async def step() -> None:
            listening = asyncio.ensure_future(self._channels.listen(platform, LISTEN_S, count))
            stopping = asyncio.ensure_future(activity.wait_for_worker_shutdown())
            try:
                await asyncio.wait([listening, stopping], return_when=asyncio.FIRST_COMPLETED)
                if listening.done() and not listening.result():
                    await pause(IDLE_S)
            finally:
                listening.cancel()
                stopping.cancel()
                await asyncio.gather(listening, stopping, return_exceptions=True)

        await work_for_a_round(drain.name, step)
