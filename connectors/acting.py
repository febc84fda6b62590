"""How long an attempt may begin to change anything outside.

Who gives up on an attempt begins the next one, which asks what became of it. A process that was held up all that time
knows nothing of that: it must not act any more.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from domain.problems import CommunicationProblem, Text

LAST_REQUEST = timedelta(seconds=10)
"""How long after that a request may land which was sent at the last moment."""
_until: ContextVar[tuple[float, float] | None] = ContextVar("acting_until", default=None)
"""By the clock that goes on evenly, and by that of the wall: the first stands still while the machine sleeps, and the
second may be set back."""


class TooLate(CommunicationProblem):
    """The attempt sent nothing more, and the next one may have begun."""


@contextmanager
def acting_for(seconds: float) -> Iterator[None]:
    """For one attempt: what changes something is sent within so many seconds from now, or not at all."""
    token = _until.set((time.monotonic() + seconds, time.time() + seconds))
    try:
        yield
    finally:
        _until.reset(token)


def require_time_to_act(platform: str) -> None:
    """Returns when the attempt may still act. Raises TooLate."""
    until = _until.get()
    if until is not None and (time.monotonic() > until[0] or time.time() > until[1]):
        raise TooLate(
            Text(
                f"本次尝试耗时过长，没有再向平台 {platform} 发出请求，由下一次尝试进行",
                f"This attempt took too long and sent nothing more to {platform}; the next one does it",
            ),
            status=503,
            platform=platform,
            retryable=True,
            outcome="not_done",
        )
