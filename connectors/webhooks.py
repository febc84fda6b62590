"""A platform's push on its way in: as it came over HTTP, as it was verified, as it is answered."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from connectors.accounts import Account
from domain.ids import content_digest
from domain.problems import ProblemError, ValidationProblem

MAX_BODY_BYTES = 1_048_576
UNPARSED_KIND = "tandem.unparsed"
"""The kind of a push that its platform signed and that does not have the shape of its pushes: it is stored as it came,
and goes to quarantine with the reason."""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request at `/hooks/{platform}/{account}`. Header names are lower-case; the body is exactly what came."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Verified:
    """A push that its sender is known of: what the inbox stores and what is parsed later.

    kind: the platform's own name of the event. payload: decrypted, otherwise as sent. dedupe_key: equal for every
    delivery of the same push. echo: set when the platform only asks whether the address works; nothing is stored then.
    parts: the messages of a push that holds several; they are stored in its place, each by itself, so that one which
    cannot be read is put aside alone.
    """

    kind: str
    payload: bytes
    dedupe_key: str
    received_at: datetime
    sent_at: datetime | None = None
    echo: bytes | None = None
    parts: tuple["Verified", ...] = ()


@runtime_checkable
class KeepsUnparsed(Protocol):
    """A connector that can tell whose a push is before it reads it."""

    def read_push(self, kept: Verified, account: Account) -> Verified:
        """What a signed push says that was kept as it came; raises ValidationProblem with the reason when it cannot be
        read, and AuthenticationProblem when it is another account's."""


def read_or_keep(
    request: WebhookRequest, payload: bytes, read: Callable[[Verified], Verified], sent_at: datetime | None = None
) -> Verified:
    """What a push says whose signature holds, or the push as it came when it cannot be read: no byte of it is lost."""
    kept = Verified(UNPARSED_KIND, payload, "", request.received_at, sent_at)
    try:
        return read(kept)
    except ValidationProblem:
        return replace(kept, dedupe_key=content_digest(payload))


class Refusal(StrEnum):
    """Why a push was not taken. A connector says which by the member `reason` of its AuthenticationProblem."""

    SIGNATURE = "wrong-signature"
    STALE = "stale"
    """Signed rightly, but too long ago or in the future: a replay, or a wrong clock."""
    RECEIVER = "wrong-receiver"
    """Signed rightly, but meant for another account."""
    ACCOUNT = "unknown-account"
    SETTINGS = "misconfigured"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    TOO_MANY = "too-many"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PushAnswer:
    """An answer in the platform's own format."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(status: int, body: Mapping[str, Any]) -> PushAnswer:
    """An answer of one JSON object, its Chinese as it is read."""
    return PushAnswer(status, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), "application/json")


def refusal_text(problem: ProblemError) -> str:
    """What went wrong, in Chinese and in English, for whoever reads the platform's record of its pushes."""
    return " · ".join(dict.fromkeys(problem.text))
