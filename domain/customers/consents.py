"""Which of the statements of a person holds: the newest that speaks of the purpose and the channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from domain.canonical.consents import Channel, ConsentData, ConsentState, Purpose

CHANNELS: tuple[Channel, ...] = get_args(Channel)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person agreed to or took back. channel: None for every one. source: how they said so, at `at`.

    account_id, made_by: the account that told it, or the login of whoever wrote it down.
    """

    state: ConsentState
    purpose: Purpose
    channel: Channel | None
    source: str
    at: datetime
    recorded_at: datetime
    account_id: str | None = None
    made_by: str | None = None

    def speaks_of(self, purpose: Purpose, channel: Channel | None) -> bool:
        return self.purpose == purpose and self.channel in (None, channel)


def newest_first(statements: Sequence[Statement]) -> list[Statement]:
    """In the order in which they count; of two at one moment the withdrawal."""
    return sorted(statements, key=lambda each: (each.at, each.state == "withdrawn"), reverse=True)


def consent_to(statements: Sequence[Statement], purpose: Purpose, channel: Channel) -> ConsentState | None:
    """How a person stands to messages of a purpose in a channel; None when they never said anything."""
    return next((each.state for each in newest_first(statements) if each.speaks_of(purpose, channel)), None)


def in_force(statements: Sequence[Statement]) -> list[bool]:
    """For each of the statements, the newest first, whether no newer one has taken its place."""
    return [
        not any(newer.speaks_of(each.purpose, each.channel) for newer in statements[:place])
        for place, each in enumerate(statements)
    ]


def consent_row(data: ConsentData, at: datetime) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Key and values of a statement that an account told."""
    return (data.account_id, data.number), {
        "purpose": data.purpose,
        "channel": data.channel,
        "state": data.state,
        "source": data.source,
        "at": data.occurred_at or at,
    }
