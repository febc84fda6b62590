"""Events on their way to a receiver."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime

from simulator.entities.row import Row


class PushState(StrEnum):
    """What became of a push."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Push(Row):
    """An event for a receiver; signed anew at each delivery, the message id stays."""

    platform: str
    account: str
    event: str
    message_id: str
    payload: dict[str, Any]
    created_at: AwareDatetime
    due_at: AwareDatetime
    attempts: int = 0
    state: PushState = PushState.PENDING
    last_error: str = ""
    bad_signature: bool = False
