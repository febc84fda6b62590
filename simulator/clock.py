"""The simulator's clock: real time plus whatever an operator advanced it by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Tells the time of the simulated world; `wall` stays real, because receivers check push timestamps."""

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s

    def now(self) -> datetime:
        """The simulated instant, UTC."""
        return self.wall() + timedelta(seconds=self.offset_s)

    def wall(self) -> datetime:
        """The real instant, UTC."""
        return datetime.now(UTC)

    def advance(self, seconds: float) -> None:
        """Moves the simulated instant forward; ValueError for a step back."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.offset_s += seconds
