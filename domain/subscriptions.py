"""Subscriptions: which events go out to a subscriber, in which form, and when a delivery that failed is tried again.

Source: CloudEvents 1.0.2 (JSON format), Standard Webhooks (at least once, in order, retried with growing pauses).
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.access import Scope
from domain.events import Event
from domain.organisation import AccountId
from domain.privacy import Masking
from domain.publishing import account_of

MOST_SUBSCRIPTIONS = 50
MOST_ATTEMPTS = 10

LONGEST_WAIT = timedelta(days=1)
"""How long a subscriber may have itself left alone by Retry-After, each time."""
LONGEST_OVERLAP = timedelta(days=30)

_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(hours=1)
_WILDCARD = ".*"
_TYPE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?|\*")
# What names an event is the same for every subscriber, or nobody could tell two deliveries from two events.
_IDENTIFYING = ("specversion", "id", "source", "type", "time")
_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_INTEGERS = range(-(2**31), 2**31)


def _event_type(text: str) -> str:
    if not _TYPE.fullmatch(text):
        raise ValueError(
            "应为事件类型（tandem.order.paid）、其前缀（tandem.order.*）或 * · this must be an event type "
            "(tandem.order.paid), a prefix of types (tandem.order.*) or *"
        )
    return text


TypePattern = Annotated[str, Field(max_length=256), AfterValidator(_event_type)]
"""An event type, `prefix.*` for every type below a prefix, or `*` for all."""


class Start(StrEnum):
    """From when on a new subscription gets events."""

    NOW = "now"
    BEGINNING = "beginning"


class NewSubscription(BaseModel):
    """What somebody asks for. types: exact or `prefix.*`; accounts: only events of these (`youzan/flagship`), none for
    all; masked: personal data hidden; batched: many events in one request; start: from now on, or all that is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=128)
    url: str = Field(min_length=1, max_length=2048)
    types: tuple[TypePattern, ...] = Field(min_length=1, max_length=50)
    accounts: tuple[AccountId, ...] = Field(default=(), max_length=200)
    masked: bool = True
    batched: bool = False
    start: Start = Start.NOW


class Subscription(BaseModel):
    """A subscription as people see it, without its secret. cursor_xact, cursor: transaction and seq of the last event
    that is done with; delivered: events taken by the subscriber so far; attempts:
    of the event that is next; problem: why the last delivery failed, None once one succeeded. previous_until: how long
    the secret before this one signs as well."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: UUID
    name: str
    url: str
    types: tuple[str, ...]
    accounts: tuple[str, ...]
    masked: bool
    batched: bool
    created_at: datetime
    created_by: str
    paused_at: datetime | None
    cursor_xact: int
    cursor: int
    delivered: int
    attempts: int
    next_attempt_at: datetime
    problem: str | None
    problem_at: datetime | None
    previous_until: datetime | None

    def wants(self, type_: str, source: str, reach: Scope) -> bool:
        """Whether an event goes to this subscriber. reach: the data scope of who published the event."""
        if not any(_matches(pattern, type_) for pattern in self.types):
            return False
        if not self.accounts:
            return True
        everywhere = reach.kind == "everything" or Scope.of_accounts(*self.accounts).covers(reach)
        return everywhere and account_of(source) in self.accounts


def outgoing(event: Event, masking: Masking | None) -> dict[str, Any]:
    """The event in CloudEvents' JSON format; masking: hides the personal data in it, None leaves it in clear.

    An attribute of CloudEvents is a text, an integer or a truth value, named by lower-case letters and digits:
    `tandemkeys` is joined by commas, what else an author put beside `data` goes as JSON, under another name not at all.
    """
    envelope = event.envelope()
    shown = envelope if masking is None else {**masking.mask(envelope), **_identity_of(envelope)}
    keys = shown.pop("tandemkeys", None)
    for name in event.model_extra or {}:
        value = shown.pop(name, None)
        if value is not None and _ATTRIBUTE.fullmatch(name):
            shown[name] = _attribute(value)
    return {**shown, "tandemkeys": ",".join(keys)} if keys else shown


def pause_after(attempts: int, asked: timedelta | None = None) -> timedelta:
    """How long to wait after so many attempts (1 or more): 5 s, doubled each time, up to an hour.

    asked: what the subscriber asks for; it makes the pause longer, never shorter, and never longer than `LONGEST_WAIT`.
    """
    pause = min(_FIRST_PAUSE * (1 << min(attempts - 1, 20)), _LONGEST_PAUSE)
    return pause if asked is None else max(pause, min(asked, LONGEST_WAIT))


def _matches(pattern: str, type_: str) -> bool:
    if pattern == "*":
        return True
    if pattern.endswith(_WILDCARD):
        return type_.startswith(pattern.removesuffix("*"))
    return type_ == pattern


def _attribute(value: Any) -> str | int:
    if isinstance(value, str | bool) or (isinstance(value, int) and value in _INTEGERS):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _identity_of(envelope: Mapping[str, Any]) -> dict[str, Any]:
    return {name: envelope[name] for name in _IDENTIFYING if name in envelope}
