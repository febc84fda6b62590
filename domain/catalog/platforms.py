"""What the calls of every platform have in common: whose account they act for, and how patiently they are tried."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from domain.calls import Arguments, Call, Retry
from domain.problems import Text

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)

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


def reading(name: str, title: Text, takes: type[In], gives: type[Out], example: Mapping[str, Any]) -> Call[In, Out]:
    """The declaration of a platform's reading call; its queue follows from its name."""
    return Call(
        name=name,
        title=title,
        input=takes,
        output=gives,
        queue=platform_queue(name.partition(".")[0]),
        timeout_s=15,
        deadline_s=READ_DEADLINE_S,
        retry=READ_RETRY,
        example=example,
    )


def changing(
    name: str,
    title: Text,
    takes: type[In],
    gives: type[Out],
    example: Mapping[str, Any],
    *,
    deadline_s: float = EFFECT_DEADLINE_S,
    grants: frozenset[str] = frozenset(),
    moves_money: bool = False,
) -> Call[In, Out]:
    """The declaration of a platform's call that changes something, once per key."""
    return Call(
        name=name,
        title=title,
        input=takes,
        output=gives,
        effect="keyed",
        queue=platform_queue(name.partition(".")[0]),
        timeout_s=30,
        deadline_s=deadline_s,
        retry=EFFECT_RETRY,
        grants=grants,
        # What is told an amount pays it: its records are kept as those of payments are.
        moves_money=moves_money or "amount_minor" in takes.model_fields,
        example=example,
    )
