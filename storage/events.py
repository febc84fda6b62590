"""Events: an append-only table, and the outbox of those not dispatched yet."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from psycopg.types.json import Jsonb
from pydantic import ValidationError
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    column,
    delete,
    func,
    or_,
    text,
    type_coerce,
    update,
)
from sqlalchemy import select as sa_select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import defer
from sqlmodel import Field, col, select

from domain.access import EVERYTHING, Scope
from domain.events import Event
from domain.ids import derived_id
from domain.problems import ConfigurationProblem, ProblemError, RuntimeProblem
from domain.problems import Text as Said
from storage.bulk import array_literal, fetch
from storage.encryption import EncryptedJson, Keyring
from storage.notifications import EVENTS_CHANNEL, notify
from storage.paging import Order, Page, PageRequest, paginate
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_LONGEST_REASON = 2_000
_MINUTES_FOR_A_KEY = 60
_FURTHEST_AHEAD = timedelta(minutes=10)
_ENVELOPE = "events.envelope"

EventName = tuple[str, str]
"""Source and id of an event."""


class EventRow(Table, table=True):
    """One event, never changed. seq: the order in which events came. event_id: see `_stored_id`. reach: the data scope
    of who published it, NULL when it reaches every run. written_in: the transaction, see `storage.subscriptions`."""

    __tablename__ = "events"
    seq: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    source: str
    event_id: str
    type: str
    subjects: list[str] = Field(sa_type=ARRAY(Text), nullable=False)
    envelope: dict[str, Any] = Field(sa_type=EncryptedJson(_ENVELOPE))
    reach: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)
    received_at: datetime = instant(index=True)
    written_in: int = Field(
        default=None,
        sa_type=BigInteger,
        nullable=False,
        sa_column_kwargs={"server_default": text("pg_current_xact_id()::text::bigint")},
    )

    __table_args__ = (
        UniqueConstraint("source", "event_id"),
        Index("ix_events_written_in_seq", "written_in", "seq"),
        Index("ix_events_subjects", "subjects", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )


class EventOutboxRow(Table, table=True):
    """An event that is not dispatched yet. due_at: when it is tried (again). cursor: the last run that got it, while it
    goes out to all runs of a type in batches. parked_at: when it was given up. hears_from: since when runs that it
    begins are told what came, where it waited before it was stored."""

    __tablename__ = "event_outbox"
    seq: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_args=[ForeignKey("events.seq", ondelete="CASCADE")]
    )
    due_at: datetime = instant()
    attempts: int = 0
    cursor: str = ""
    reason: str | None = None
    parked_at: datetime | None = instant(optional=True)
    hears_from: datetime | None = instant(optional=True)

    __table_args__ = (
        Index("ix_event_outbox_due_at_seq", "due_at", "seq", postgresql_where=text("parked_at IS NULL")),
        Index("ix_event_outbox_parked_seq", "seq", postgresql_where=text("parked_at IS NOT NULL")),
    )


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event whose dispatch was claimed. attempts counts this one too. reach: which runs it may reach; event_id: its
    own id, another one when its reach is narrow; hears_from: since when a run that it begins is told what came."""

    seq: int
    event: Event
    event_id: str
    reach: Scope
    hears_from: datetime
    attempts: int
    cursor: str


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that was given up after too many attempts, and why."""

    seq: int
    event: Event
    attempts: int
    reason: str
    parked_at: datetime


# Whether an event reaches a run is `domain.access.Scope.allows`, here in SQL. OFFSET 0 keeps the planner from walking
# all events backwards in the hope of finding enough soon.
_MISSED = text(
    """
    SELECT r.id, e.envelope
    FROM runs r
    CROSS JOIN LATERAL (
        SELECT seq, envelope
        FROM (SELECT * FROM events WHERE subjects && r.subjects OFFSET 0) of_subjects
        WHERE received_at >= r.hears_from
            AND (type = ANY(r.listens) OR '*' = ANY(r.listens))
            AND (
                reach IS NULL
                OR starts_with(r.unit_path, reach ->> 'branch')
                OR reach -> 'accounts' @> to_jsonb(r.account_id)
                OR reach ->> 'owner' = r.customer_owner
            )
        ORDER BY seq DESC
        LIMIT :limit
    ) e
    WHERE r.id = ANY(:ids) AND r.subjects <> '{}' AND r.listens <> '{}'
    ORDER BY r.id, e.seq
    """
).columns(column("id", String), column("envelope", EncryptedJson(_ENVELOPE)))
_ADD = """
    WITH told AS MATERIALIZED (
        SELECT * FROM unnest(
            %(sources)b::text[], %(ids)b::text[], %(types)b::text[], %(subjects)b::text[], %(envelopes)b::bytea[],
            %(since)b::timestamptz[]
        ) AS told (source, event_id, type, subjects, envelope, since)
    ),
    new AS (
        INSERT INTO events (source, event_id, type, subjects, envelope, reach, received_at)
        SELECT source, event_id, type, subjects::text[], envelope, %(reach)b::jsonb, %(now)b::timestamptz FROM told
        ON CONFLICT DO NOTHING RETURNING seq, source, event_id
    ),
    queued AS (
        INSERT INTO event_outbox (seq, due_at, attempts, cursor, hears_from)
        SELECT seq, %(now)b::timestamptz, 0, '', nullif(since, %(now)b::timestamptz)
        FROM new JOIN told USING (source, event_id) WHERE %(queue)b::boolean
    )
    SELECT seq FROM new
"""
_ENVELOPES: Any = EventRow.envelope
_SEALED = type_coerce(col(EventRow.envelope), LargeBinary).label("sealed")
_IN_ORDER = Order("parked-events", (EventRow.seq,), descending=False)


class Events(Repository):
    """Events and their outbox."""

    async def add(
        self,
        events: Sequence[Event],
        reach: Scope = EVERYTHING,
        *,
        queue: bool = True,
        waited: Mapping[EventName, datetime] = MappingProxyType({}),
    ) -> int:
        """Store and queue those that are new (by source, id and reach); how many that were. Wakes the drainer.

        reach: the data scope of who publishes them; they reach no run outside of it. Without `queue` they are
        remembered and start nothing. waited: since when those wait that do not come only now; runs that they begin are
        told what came meanwhile.
        """
        # The first telling of an event counts.
        new = list({(event.source, event.id): event for event in reversed(events)}.values())[::-1]
        if not new:
            return 0
        keyring = self.work.database.keyring
        values = {
            "sources": [event.source for event in new],
            "ids": [_stored_id(event, reach) for event in new],
            "types": [event.type for event in new],
            "subjects": [array_literal(event.subjects) for event in new],
            "envelopes": [keyring.encrypt(event.envelope_json(), _ENVELOPE) for event in new],
            "since": [waited.get((event.source, event.id), self.now) for event in new],
            "reach": Jsonb(_reach_json(reach)) if reach != EVERYTHING else None,
            "now": self.now,
            "queue": queue,
        }
        added = await fetch(self.work, _ADD, values)
        if added and queue:
            await notify(self.work, EVENTS_CHANNEL)
        return len(added)

    async def missed_by(self, run_ids: Collection[str], limit: int) -> dict[str, list[Event]]:
        """What each of these runs may not have been told: events that came since it hears, about one of its subjects
        and of a type it listens for, and that reach it; the newest `limit` of each, oldest first."""
        found: dict[str, list[Event]] = defaultdict(list)
        if run_ids:
            parameters = {"ids": list(run_ids), "limit": limit}
            for run_id, envelope in await self.session.execute(_MISSED, parameters):
                found[run_id].append(Event.model_validate(envelope))
        return found

    async def has_due(self) -> bool:
        """Whether anything waits to be dispatched now."""
        statement = select(EventOutboxRow.seq).where(col(EventOutboxRow.parked_at).is_(None), self._is_due()).limit(1)
        return (await self.session.scalar(statement)) is not None

    async def claim(self, limit: int, lease: timedelta) -> list[PendingEvent]:
        """Due events, the longest waiting first; nobody else gets them before the lease is over. One that cannot be
        decrypted is parked."""
        due = (
            select(EventOutboxRow.seq)
            .where(col(EventOutboxRow.parked_at).is_(None), self._is_due())
            .order_by(col(EventOutboxRow.due_at), col(EventOutboxRow.seq))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed = (
            update(EventOutboxRow)
            .where(col(EventOutboxRow.seq).in_(due.scalar_subquery()))
            .values(due_at=self.now + lease, attempts=EventOutboxRow.attempts + 1)
            .returning(
                col(EventOutboxRow.seq),
                col(EventOutboxRow.attempts),
                col(EventOutboxRow.cursor),
                col(EventOutboxRow.hears_from),
            )
        )
        places = {
            seq: (attempts, cursor, since) for seq, attempts, cursor, since in await self.session.execute(claimed)
        }
        if not places:
            return []
        pending: list[PendingEvent] = []
        for row in await self._rows(places):
            attempts, cursor, since = places[row.seq]
            try:
                event = self._read(row)
            except ProblemError as problem:
                await self._put_aside(row.seq, attempts, problem)
                continue
            hears_from = since or row.received_at
            pending.append(
                PendingEvent(row.seq, event, row.event_id, _reach_of(row.reach), hears_from, attempts, cursor)
            )
        return pending

    def _is_due(self) -> ColumnElement[bool]:
        # None is put off for so long: what lies further ahead was written before a clock was set back.
        due_at = col(EventOutboxRow.due_at)
        return or_(due_at <= self.now, due_at > self.now + _FURTHEST_AHEAD)

    async def readable(self, seqs: Collection[int]) -> dict[int, Event]:
        """Those of the events that can be read; one that was altered is not among them.

        :raises ConfigurationProblem: one was encrypted with a key that this process does not have.
        """
        found: dict[int, Event] = {}
        for row in await self._rows(seqs):
            try:
                found[row.seq] = self._read(row)
            except RuntimeProblem:
                continue
        return found

    async def _put_aside(self, seq: int, attempts: int, problem: ProblemError) -> None:
        """Park an event that cannot be read; leave one whose key is missing here to another process for an hour: while
        keys change, processes get the new one after the other."""
        if isinstance(problem, ConfigurationProblem) and attempts < _MINUTES_FOR_A_KEY:
            await self.retry(seq, self.now + timedelta(minutes=1), str(problem), count=True)
        else:
            await self.park(seq, str(problem))

    async def _rows(self, seqs: Collection[int]) -> Sequence[Any]:
        """Events as they are stored, in their order: one that cannot be decrypted hides no other."""
        row = EventRow
        known = (col(row.seq), col(row.source), col(row.event_id), col(row.type), col(row.reach), col(row.received_at))
        statement = sa_select(*known, _SEALED).where(col(row.seq).in_(seqs)).order_by(col(row.seq))
        return (await self.session.execute(statement)).all()

    def _read(self, row: Any) -> Event:
        """Raises ProblemError for one that was altered, or that is no event."""
        return unsealed(self.work.database.keyring, bytes(row.sealed), _ENVELOPE)

    async def dispatched(self, seqs: Collection[int]) -> None:
        """Take events off the outbox."""
        if seqs:
            await self.session.execute(delete(EventOutboxRow).where(col(EventOutboxRow.seq).in_(seqs)))

    async def continue_later(self, seq: int, cursor: str) -> None:
        """The event goes on to the runs after `cursor` at once, and its attempts count anew."""
        await self._change(seq, due_at=self.now, cursor=cursor, attempts=0)
        await notify(self.work, EVENTS_CHANNEL)

    async def retry(self, seq: int, due_at: datetime, reason: str, *, count: bool) -> None:
        """The event is tried again later; without `count` the attempt that failed is forgotten."""
        attempts = EventOutboxRow.attempts if count else func.greatest(col(EventOutboxRow.attempts) - 1, 0)
        await self._change(seq, due_at=due_at, reason=reason[:_LONGEST_REASON], attempts=attempts)

    async def park(self, seq: int, reason: str) -> None:
        """Give an event up until somebody looks at it."""
        await self._change(seq, parked_at=self.now, reason=reason[:_LONGEST_REASON])

    async def parked(self, page: PageRequest) -> Page[ParkedEvent]:
        """Events given up, the oldest first."""
        statement = select(EventRow).join(EventOutboxRow).where(col(EventOutboxRow.parked_at).is_not(None))
        statement = statement.options(defer(_ENVELOPES, raiseload=True))
        found = await paginate(self.session, statement, _IN_ORDER, page, lambda row: row.seq)
        outbox = {
            row.seq: row
            for row in await self.session.scalars(
                select(EventOutboxRow).where(col(EventOutboxRow.seq).in_(found.items))
            )
        }
        rows = [row for row in await self._rows(found.items) if row.seq in outbox]
        return Page([self._parked(row, outbox[row.seq]) for row in rows], next_cursor=found.next_cursor)

    def _parked(self, row: Any, place: EventOutboxRow) -> ParkedEvent:
        try:
            event = self._read(row)
        except ProblemError:
            event = Event(id=row.event_id, source=row.source, type=row.type)
        return ParkedEvent(
            seq=place.seq,
            event=event,
            attempts=place.attempts,
            reason=place.reason or "",
            parked_at=place.parked_at or row.received_at,
        )

    async def unpark(self, seqs: Collection[int]) -> int:
        """Try parked events again, from their first attempt; how many there were."""
        statement = (
            update(EventOutboxRow)
            .where(col(EventOutboxRow.seq).in_(seqs), col(EventOutboxRow.parked_at).is_not(None))
            .values(parked_at=None, attempts=0, due_at=self.now, reason=None)
            .returning(col(EventOutboxRow.seq))
        )
        found = list(await self.session.scalars(statement))
        await notify(self.work, EVENTS_CHANNEL)
        return len(found)

    async def _change(self, seq: int, **values: Any) -> None:
        await self.session.execute(update(EventOutboxRow).where(col(EventOutboxRow.seq) == seq).values(**values))


def unsealed(keyring: Keyring, sealed: bytes, context: str) -> Event:
    """An event that was stored encrypted.

    :raises ConfigurationProblem: its key is missing. :raises RuntimeProblem: it was altered, or is no event.
    """
    envelope = json.loads(keyring.decrypt(sealed, context))
    try:
        return Event.model_validate(envelope)
    except ValidationError as error:
        raise RuntimeProblem(Said(f"事件无法解读：{error}", f"The event cannot be read: {error}")) from None


def _reach_json(reach: Scope) -> dict[str, Any]:
    return reach.model_dump(mode="json", exclude_defaults=True)


def _reach_of(stored: dict[str, Any] | None) -> Scope:
    return EVERYTHING if stored is None else Scope.model_validate(stored)


def _stored_id(event: Event, reach: Scope) -> str:
    """What the event is known by beside its source: one of a narrow reach never takes the place of another's, nor of
    the platform's own."""
    return event.id if reach == EVERYTHING else derived_id("reach", reach.key, event.id)
