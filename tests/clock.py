"""A clock that only tests move."""

from datetime import UTC, datetime, timedelta


class SteppedClock:
    """Starts at the real instant; `advance` moves it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **time: float) -> None:
        """Move on, e.g. `minutes=3`."""
        self.now += timedelta(**time)
