"""What one simulator process is told at its start."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Settings of one simulator; limits follow the platforms' published ones unless a test tightens them.

    Durations end in `_s` (seconds). `state` is a folder; without it everything is forgotten at exit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8090, ge=0, le=65535)
    seed: int = 7
    state: Path | None = None
    push_base: str | None = "http://127.0.0.1:8000"
    trickle_s: float | None = Field(default=None, gt=0)
    customers: int = Field(default=120, ge=1, le=200_000)
    years: float = Field(default=2, ge=0, le=5)
    """How far back the shops' history reaches; 0: they are new, have sold nothing and talked to nobody yet."""
    epoch: AwareDatetime | None = None

    wecom_token_s: float = 7200
    wecom_calls_per_minute: int = 10_000
    wecom_calls_per_hour: int = 150_000
    youzan_token_s: float = 7 * 24 * 3600
    youzan_calls_per_second: int = 300
    youzan_read_lag_s: float = 0
    """How long a new trade or refund stays invisible to reads; the platform asks for 30 s after a push."""

    tokens_s: dict[str, float] = Field(default_factory=dict)
    """Life of an access token by platform, where it is to be another than the platform's own."""
    calls_per_second: dict[str, int] = Field(default_factory=dict)
    """Calls a second and account by platform, where they are to be others than the platform's own."""

    read_lag_s: dict[str, float] = Field(default_factory=dict)
    """How long a change stays missing from lists of changes, by platform; Pinduoduo admits to ten minutes."""

    transit_s: float = 20
    """How long a returned parcel travels until it is signed for."""
    staff_confirm_s: float = 0
    """How long staff take to confirm a customer message that the API only proposed."""

    push_concurrency: int = Field(default=8, ge=1, le=256)
    push_timeout_s: float = 5
    push_retry_scale: float = Field(default=1.0, ge=0)
    """Multiplies the platforms' own retry delays; 0 retries at once (tests)."""
    push_queue_limit: int = Field(default=50_000, ge=1)
    hang_s: float = 30
    """How long a request is held by the timeout faults unless a rule says otherwise."""

    def started_at(self, now: datetime) -> datetime:
        """The instant that seeded history counts back from."""
        return self.epoch or now
