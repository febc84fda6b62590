"""Platforms that push over a channel which we open and keep: what comes in is kept first and acknowledged then.

How a channel is opened (websocket, TLS, reconnecting) is the business of whoever runs `listen`; here are the frames.
One that cannot be read is kept as it came, so that it ends in quarantine and can be corrected there.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import structlog

from connectors.accounts import Account
from connectors.webhooks import Verified
from domain.problems import ProblemError, Text, UnavailableProblem, ValidationProblem

FRAME_KIND = "tandem.frame"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame holds. record: what is to be kept. owner: the platform's number of the shop it is about.

    answer: what to send once the record is kept; None when nothing is to be answered.
    """

    record: Verified | None = None
    owner: str = ""
    answer: str | None = None


class Connection(Protocol):
    """An open channel of texts."""

    async def receive(self) -> str | None:
        """The next text; None when the other side has closed."""

    async def send(self, text: str) -> None:
        """Send one text."""


class Channel(Protocol):
    """A platform's frames. Pure: time is given."""

    application: str
    """The same for all accounts that one channel serves."""
    owner: str
    """The platform's number of the account's shop, as frames name it; empty when the settings do not tell."""
    heartbeat_s: float
    """How often a sign of life is sent, at least."""
    silence_s: float
    """After so long without any frame the other side is taken for gone."""

    def address(self, now: datetime) -> str:
        """Where to connect to, signed for now."""

    def heartbeat(self, now: datetime) -> str:
        """A sign of life."""

    def read(self, text: str, received_at: datetime) -> Frame:
        """One frame. Raises ValidationProblem for what is none."""

    def known_by(self, text: str) -> str:
        """A digest that is the same whenever a frame is sent, also of one that cannot be read."""


Keep = Callable[[str, Verified], Awaitable[bool]]
SetAside = Callable[[Verified], Awaitable[None]]


async def listen(
    channel: Channel, connection: Connection, keep: Keep, set_aside: SetAside, now: Callable[[], datetime]
) -> None:
    """Take frames until the other side closes. A record is acknowledged when it is kept, not before.

    keep: stores a record of a shop and commits; whether it is to be acknowledged. One of a shop that is not ours is,
    too, as sending it again would not help. set_aside: stores a frame that cannot be read; without its number it cannot
    be acknowledged, and it comes again.
    Raises UnavailableProblem when the other side falls silent, and what `keep` and `set_aside` raise.
    """
    beating = asyncio.create_task(_beat(channel, connection, now))
    try:
        while True:
            try:
                async with asyncio.timeout(channel.silence_s):
                    text = await connection.receive()
            except TimeoutError:
                raise _silent(channel.silence_s) from None
            if text is None:
                return
            try:
                frame = channel.read(text, now())
            except ProblemError as problem:
                _log.warning("channel.unreadable", problem=str(problem), characters=len(text))
                await set_aside(Verified(FRAME_KIND, text.encode(), f"frame:{channel.known_by(text)}", now()))
                continue
            if frame.record is not None and not await keep(frame.owner, frame.record):
                continue
            if frame.answer is not None:
                await connection.send(frame.answer)
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def _beat(channel: Channel, connection: Connection, now: Callable[[], datetime]) -> None:
    while True:
        await asyncio.sleep(channel.heartbeat_s)
        await connection.send(channel.heartbeat(now()))


@runtime_checkable
class Listens(Protocol):
    """A connector whose platform pushes over a channel."""

    def channel(self, account: Account) -> Channel:
        """The channel of an account. Raises ConfigurationProblem for settings that are incomplete."""


def frame_again(channel: Channel, kept: Verified) -> Verified | None:
    """What a frame of `FRAME_KIND` says, after it was corrected or Tandem learned to read it; None when nothing.

    Raises ValidationProblem when it still cannot be read, or is about another shop than the one that it was kept for.
    """
    frame = channel.read(kept.payload.decode(errors="replace"), kept.received_at)
    if frame.record is not None and frame.owner != channel.owner:
        raise ValidationProblem(
            Text(
                f"这一帧属于店铺 {frame.owner}，不是账号的店铺 {channel.owner}；请搁置，该店铺的数据会由每晚的比对补上",
                f"The frame is of shop {frame.owner}, not of {channel.owner}, which the account is: put it away, the "
                "nightly comparison finds what it is about",
            ),
            retryable=False,
        )
    return frame.record


def frame_text(**members: Any) -> str:
    """A frame of ours, compact."""
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def _silent(seconds: float) -> UnavailableProblem:
    return UnavailableProblem(
        Text(
            f"消息通道 {seconds:.0f} 秒没有任何数据，重新连接",
            f"The channel was silent for {seconds:.0f} s; it is opened again",
        ),
        retryable=True,
    )
