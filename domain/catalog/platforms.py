"""What the calls of every platform have in common: whose account they act for, and how patiently they are tried."""

from pydantic import Field

from domain.calls import Arguments, Retry

# A platform's bad hour must not fail a run: reads wait it out for half an hour, effects for most of a day.
READ_RETRY = Retry(attempts=10, initial_s=1.0, factor=2.0, ceiling_s=120.0)
READ_DEADLINE_S = 1800.0
EFFECT_RETRY = Retry(attempts=60, initial_s=2.0, factor=2.0, ceiling_s=900.0)
EFFECT_DEADLINE_S = 43_200.0


class PlatformArguments(Arguments):
    """Arguments of a call that acts for one account: one shop or one corp on a platform."""

    account: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="账号代号，平台只有一个账号时可省略 · The account's slug; optional while there is only one",
    )


def platform_queue(platform: str) -> str:
    """The task queue that holds a platform's rate limit."""
    return f"platform.{platform}"
