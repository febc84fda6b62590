"""Publishing events: stored once, by source and id; `services.event_dispatch` brings them to whoever wants them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from domain.access import Actor, Permission
from domain.canonical.records import FUTURE_TOLERANCE
from domain.customers.records import record_of
from domain.events import Event, rfc3339
from domain.ids import canonical_json
from domain.problems import Text, ValidationProblem
from domain.publishing import require_right_to_publish
from domain.validation_texts import reasons
from storage.audit import AuditLog
from storage.engine import Database
from storage.events import Events, ParkedEvent
from storage.paging import Page, PageRequest
from storage.placements import Placements
from storage.unit_of_work import UnitOfWork

MOST_EVENTS_AT_ONCE = 1_000
LARGEST_EVENT_BYTES = 512_000
MOST_KEYS = 100
LONGEST_KEY = 256
LONGEST_NAME_BYTES = 2_000
"""Of source and id together: an index of PostgreSQL takes no more than 2,704 bytes a row."""


@dataclass(frozen=True, slots=True)
class Published:
    """How many events came, and how many were new."""

    received: int
    new: int


class EventService:
    """Publishing, for people and for the program."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def publish(self, actor: Actor, events: Sequence[Event]) -> Published:
        """Store events and let them be dispatched, within the actor's data scope; those known by source and id change
        nothing.

        :raises AuthorizationProblem: one of them speaks for an account outside the scope; none is stored.
        :raises ValidationProblem: one of them says that it is a platform's record, and is none.
        """
        actor.require(Permission.EVENTS_PUBLISH)
        _check(events)
        async with UnitOfWork(self._database) as work:
            places = await Placements(work).of_sources({event.source for event in events})
            for event in events:
                require_right_to_publish(actor, event, places.get(event.source))
                _check_record(event, work.now)
            new = await Events(work).add(events, actor.scope)
            types = sorted({event.type for event in events})
            await AuditLog(work).record(actor, "event.publish", "events", {"new": new, "types": types[:20]})
        return Published(len(events), new)

    async def publish_emitted(self, envelopes: Sequence[dict[str, Any]]) -> int:
        """Store what a run emits; how many were new.

        :raises ValidationProblem: one of them is no CloudEvent.
        """
        try:
            events = [Event.model_validate(envelope) for envelope in envelopes]
        except ValidationError as error:
            why = reasons(error)
            raise ValidationProblem(Text(f"事件不符合 CloudEvents：{why.zh}", f"No CloudEvent: {why.en}")) from None
        for event in events:
            _check_names(event)
        async with UnitOfWork(self._database) as work:
            return await Events(work).add(events)

    async def parked(self, actor: Actor, page: PageRequest) -> Page[ParkedEvent]:
        """Events that were given up after too many attempts, the oldest first."""
        actor.require(Permission.EVENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            return await Events(work).parked(page)

    async def unpark(self, actor: Actor, seqs: Sequence[int]) -> int:
        """Dispatch parked events again; how many there were."""
        actor.require(Permission.EVENTS_PUBLISH)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            found = await Events(work).unpark(seqs)
            await AuditLog(work).record(actor, "event.unpark", "events", {"seqs": list(seqs)[:100], "found": found})
        return found


def _check(events: Sequence[Event]) -> None:
    if not 1 <= len(events) <= MOST_EVENTS_AT_ONCE:
        raise ValidationProblem(
            Text(f"一次请提交 1 到 {MOST_EVENTS_AT_ONCE} 个事件", f"Publish 1 to {MOST_EVENTS_AT_ONCE} events at once")
        )
    for event in events:
        _check_names(event)
        if len(canonical_json(event.envelope())) > LARGEST_EVENT_BYTES:
            raise ValidationProblem(
                Text(
                    f"事件 {event.id} 超过 {LARGEST_EVENT_BYTES} 字节，请在 data 中只放编号",
                    f"The event {event.id} is larger than {LARGEST_EVENT_BYTES} bytes; put ids into its data",
                )
            )


def _check_record(event: Event, now: datetime) -> None:
    """Flows and subscribers act on a platform's word: what is told in its name is held to what a push is held to."""
    try:
        record = record_of(event, now)
    except ValidationProblem as problem:
        raise ValidationProblem.of(problem.problem.model_copy(update={"event": event.id})) from None
    if record is not None and event.time is not None and event.time > now + FUTURE_TOLERANCE:
        raise ValidationProblem(
            Text(
                f"事件 {event.type} 的 time 为 {rfc3339(event.time)}，晚于收到的时间",
                f"The time of a {event.type} is {rfc3339(event.time)}, after it came in",
            ),
            field="time",
            event=event.id,
            retryable=False,
        )


def _check_names(event: Event) -> None:
    """What an event is found by must fit into the indexes it is found in."""
    if len(event.source.encode()) + len(event.id.encode()) > LONGEST_NAME_BYTES:
        raise ValidationProblem(
            Text(
                f"事件 {event.id[:40]} 的 source 与 id 合计超过 {LONGEST_NAME_BYTES} 字节，请缩短",
                f"`source` and `id` of the event {event.id[:40]} are longer than {LONGEST_NAME_BYTES} bytes together: "
                "shorten them",
            )
        )
    if len(event.tandemkeys) > MOST_KEYS or any(len(key) > LONGEST_KEY for key in event.tandemkeys):
        raise ValidationProblem(
            Text(
                f"事件 {event.id[:40]} 的 tandemkeys 最多 {MOST_KEYS} 个，每个不超过 {LONGEST_KEY} 字",
                f"`tandemkeys` of the event {event.id[:40]}: {MOST_KEYS} at most, of {LONGEST_KEY} characters at most",
            )
        )
