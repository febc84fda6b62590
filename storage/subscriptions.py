"""Subscriptions: a cursor of each over the events in the order of their transactions, and the letters nobody took.

`seq` is drawn when an event is written and shows when its transaction commits, so a higher one may show first. The
stream therefore goes by (`written_in`, `seq`), and only as far as every transaction has ended: below
`pg_snapshot_xmin`. What is read there is complete for ever, and a cursor over it skips nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, delete, func, literal_column, select, tuple_, update
from sqlalchemy import Text as SqlText
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import Field, col

from domain.access import EVERYTHING, Scope
from domain.events import Event
from domain.problems import NotFoundProblem, Text
from domain.subscriptions import NewSubscription, Start, Subscription
from storage.encryption import EncryptedJson
from storage.events import EventRow, Events
from storage.paging import Order, Page, PageRequest, paginate
from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository

MOST_COUNTED = 10_000
_LONGEST_REASON = 2_000
# Every transaction below it has ended, and its rows are visible to this statement.
_HORIZON: Any = literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint", BigInteger)


class SubscriptionRow(Table, table=True):
    """One subscriber. cursor_xact, cursor: transaction and seq of the last event that is done with. claims: counts who
    took it to deliver; who took it before writes nothing any more. previous_secret: signs as well until
    `previous_until`."""

    __tablename__ = "subscriptions"

    id: UUID = identifier()
    name: str
    url: str
    types: list[str] = Field(sa_type=ARRAY(SqlText), nullable=False)
    accounts: list[str] = Field(sa_type=ARRAY(SqlText), nullable=False)
    masked: bool
    batched: bool
    secret: Any = Field(sa_type=EncryptedJson("subscriptions.secret"), nullable=False)
    created_at: datetime = instant()
    created_by: str
    paused_at: datetime | None = instant(optional=True)
    cursor_xact: int = Field(sa_type=BigInteger)
    cursor: int = Field(sa_type=BigInteger)
    delivered: int = Field(default=0, sa_type=BigInteger)
    attempts: int = 0
    next_attempt_at: datetime = instant()
    claims: int = Field(default=0, sa_type=BigInteger)
    problem: str | None = None
    problem_at: datetime | None = instant(optional=True)
    previous_secret: Any = Field(default=None, sa_type=EncryptedJson("subscriptions.previous_secret"), nullable=True)
    previous_until: datetime | None = instant(optional=True)


class DeadLetterRow(Table, table=True):
    """An event that a subscriber did not take. redriven_at: when somebody asked for another attempt, which is due."""

    __tablename__ = "dead_letters"

    subscription_id: UUID = Field(primary_key=True, sa_column_args=[ForeignKey("subscriptions.id", ondelete="CASCADE")])
    seq: int = Field(
        primary_key=True,
        index=True,
        sa_type=BigInteger,
        sa_column_args=[ForeignKey("events.seq", ondelete="CASCADE")],
    )
    reason: str
    attempts: int
    failed_at: datetime = instant()
    redriven_at: datetime | None = instant(optional=True)

    __table_args__ = (
        Index(
            "ix_dead_letters_redriven",
            "subscription_id",
            "seq",
            postgresql_where=sql_text("redriven_at IS NOT NULL"),
        ),
    )


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the stream: the transaction that wrote an event, and the event's seq."""

    xact: int
    seq: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A subscription that is this process's to deliver to until the lease is over."""

    subscription: Subscription
    secret: str
    claim: int
    previous_secret: str | None = None


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event and where it stands. event: None when the subscriber does not want it."""

    position: Position
    event: Event | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up for one subscriber, and why. It stays until it is delivered or its event goes."""

    seq: int
    event: Event
    reason: str
    attempts: int
    failed_at: datetime
    redriven_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a subscriber is behind. events: not yet looked at, counted up to `MOST_COUNTED`; since: the oldest one's
    arrival; dead: letters not delivered."""

    events: int
    since: datetime | None
    dead: int


_NO_PREVIOUS: dict[str, Any] = {"previous_secret": None, "previous_until": None}
_BY_SEQ = Order("dead-letters", (DeadLetterRow.seq,), descending=False)


class Subscriptions(Repository):
    """What people ask of subscriptions."""

    async def add(self, new: NewSubscription, secret: str, by: str) -> Subscription:
        """Store one; it starts at the oldest kept event, or behind every transaction that has ended."""
        xact = 0 if new.start is Start.BEGINNING else await self.session.scalar(select(_HORIZON)) or 0
        row = SubscriptionRow(
            name=new.name,
            url=new.url,
            types=list(new.types),
            accounts=list(new.accounts),
            masked=new.masked,
            batched=new.batched,
            secret=secret,
            created_at=self.now,
            created_by=by,
            cursor_xact=xact,
            cursor=0,
            next_attempt_at=self.now,
        )
        await self.insert(row)
        return Subscription.model_validate(row)

    async def count(self) -> int:
        return await self.session.scalar(select(func.count()).select_from(SubscriptionRow)) or 0

    async def list(self) -> Sequence[Subscription]:
        """All of them, the oldest first; there are `MOST_SUBSCRIPTIONS` at most."""
        rows = await self.session.scalars(select(SubscriptionRow).order_by(col(SubscriptionRow.id)))
        return [Subscription.model_validate(row) for row in rows]

    async def get(self, subscription_id: UUID) -> Subscription:
        """Raises NotFoundProblem."""
        row = await self.session.get(SubscriptionRow, subscription_id, populate_existing=True)
        if row is None:
            raise NotFoundProblem(Text(f"没有订阅 {subscription_id}", f"There is no subscription {subscription_id}"))
        return Subscription.model_validate(row)

    async def remove(self, subscription_id: UUID) -> None:
        """With its dead letters."""
        await self.session.execute(delete(SubscriptionRow).where(col(SubscriptionRow.id) == subscription_id))

    async def pause(self, subscription_id: UUID) -> None:
        """Nothing is delivered until it is resumed; what is under way may still arrive."""
        await self._change(subscription_id, paused_at=self.now)

    async def resume(self, subscription_id: UUID) -> None:
        """Deliver at once, and count attempts anew."""
        await self._change(subscription_id, paused_at=None, attempts=0, next_attempt_at=self.now)

    async def rotate(self, subscription_id: UUID, secret: str, until: datetime) -> None:
        """A new secret; the present one signs too until then, the one before that no more."""
        held = select(col(SubscriptionRow.secret)).where(col(SubscriptionRow.id) == subscription_id).with_for_update()
        # Read and written anew: a value is encrypted for its own column.
        present = await self.session.scalar(held)
        kept = {"previous_secret": present, "previous_until": until} if until > self.now else _NO_PREVIOUS
        await self._change(subscription_id, secret=secret, **kept)

    async def lag(self, subscription: Subscription) -> Lag:
        """How far the subscriber is behind."""
        place = tuple_(col(EventRow.written_in), col(EventRow.seq))
        cursor = tuple_(subscription.cursor_xact, subscription.cursor)
        behind = select(col(EventRow.received_at)).where(place > cursor).limit(MOST_COUNTED).subquery()
        count, since = (await self.session.execute(select(func.count(), func.min(behind.c.received_at)))).one()
        dead = select(func.count()).where(col(DeadLetterRow.subscription_id) == subscription.id)
        return Lag(count, since, await self.session.scalar(dead) or 0)

    async def dead_letters(self, subscription_id: UUID, page: PageRequest) -> Page[DeadLetter]:
        """What the subscriber did not take, the oldest first."""
        statement = select(DeadLetterRow).where(col(DeadLetterRow.subscription_id) == subscription_id)
        rows = await paginate(self.session, statement, _BY_SEQ, page, lambda row: row)
        events = await Events(self.work).readable([row.seq for row in rows.items])
        letters = [
            DeadLetter(row.seq, events[row.seq], row.reason, row.attempts, row.failed_at, row.redriven_at)
            for row in rows.items
            if row.seq in events
        ]
        return Page(letters, next_cursor=rows.next_cursor)

    async def redrive(self, subscription_id: UUID, seqs: Collection[int] | None) -> int:
        """One more attempt for these dead letters, for all of them without `seqs`; how many there were."""
        statement = update(DeadLetterRow).where(col(DeadLetterRow.subscription_id) == subscription_id)
        if seqs is not None:
            statement = statement.where(col(DeadLetterRow.seq).in_(seqs))
        marked = statement.values(redriven_at=self.now).returning(col(DeadLetterRow.seq))
        found = list(await self.session.scalars(marked))
        if found:
            await self._change(subscription_id, next_attempt_at=self.now)
        return len(found)

    async def _change(self, subscription_id: UUID, **values: Any) -> None:
        await self.session.execute(
            update(SubscriptionRow).where(col(SubscriptionRow.id) == subscription_id).values(**values)
        )


class Deliveries(Repository):
    """What the delivery asks of subscriptions. Whoever does not hold the newest claim changes nothing."""

    async def claim(self, limit: int, lease: timedelta) -> list[Claimed]:
        """Subscriptions that are due, the longest waiting first; nobody else gets them before the lease is over."""
        row = SubscriptionRow
        due = (
            select(col(row.id))
            .where(col(row.paused_at).is_(None), col(row.next_attempt_at) <= self.now)
            .order_by(col(row.next_attempt_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(row)
            .where(col(row.id).in_(due.scalar_subquery()))
            .values(next_attempt_at=self.now + lease, claims=row.claims + 1)
            .returning(row)
        )
        return [await self._claimed(each) for each in await self.session.scalars(statement)]

    async def ahead(self, subscription: Subscription, position: Position, limit: int) -> list[StreamEvent]:
        """What follows the position in the stream, as far as it is complete; only what is wanted is decrypted."""
        place = (col(EventRow.written_in), col(EventRow.seq))
        statement = (
            select(*place, col(EventRow.type), col(EventRow.source), col(EventRow.reach))
            .where(tuple_(*place) > tuple_(position.xact, position.seq), col(EventRow.written_in) < _HORIZON)
            .order_by(*place)
            .limit(limit)
        )
        found = (await self.session.execute(statement)).all()
        wanted = [seq for _, seq, type_, source, reach in found if subscription.wants(type_, source, _scope(reach))]
        events = await Events(self.work).readable(wanted) if wanted else {}
        return [StreamEvent(Position(xact, seq), events.get(seq)) for xact, seq, *_ in found]

    async def redriven(self, subscription_id: UUID, limit: int) -> list[tuple[int, Event]]:
        """Dead letters that somebody wants delivered again, the oldest first."""
        statement = (
            select(col(EventRow.seq))
            .join(DeadLetterRow, col(DeadLetterRow.seq) == col(EventRow.seq))
            .where(col(DeadLetterRow.subscription_id) == subscription_id, col(DeadLetterRow.redriven_at).is_not(None))
            .order_by(col(EventRow.seq))
            .limit(limit)
        )
        return list((await Events(self.work).readable(list(await self.session.scalars(statement)))).items())

    async def advance(self, held: Claimed, position: Position, delivered: int) -> bool:
        """The subscriber is done with everything up to the position; False when the claim is not ours any more, or the
        subscription is paused or gone."""
        row = SubscriptionRow
        values: dict[str, Any] = {"cursor_xact": position.xact, "cursor": position.seq, "attempts": 0}
        if delivered:
            values |= {"delivered": row.delivered + delivered, "problem": None, "problem_at": None}
        return await self._settle(held, **values)

    async def fail(self, held: Claimed, reason: str, due_at: datetime, *, attempts: int) -> None:
        """Try the same event again later."""
        await self._settle(held, attempts=attempts, next_attempt_at=due_at, **self._problem(reason))

    async def give_up(self, held: Claimed, position: Position, seqs: Sequence[int], reason: str, attempts: int) -> None:
        """These events become dead letters, the stream goes on after the position, at once."""
        values = {"cursor_xact": position.xact, "cursor": position.seq, "attempts": 0, "next_attempt_at": self.now}
        if await self._settle(held, **values, **self._problem(reason)):
            for seq in seqs:
                await self._bury(held.subscription.id, seq, reason, attempts)

    async def redelivered(self, held: Claimed, seq: int) -> bool:
        """A dead letter was taken after all; False as for `advance`."""
        await self.session.execute(delete(DeadLetterRow).where(*_letter(held.subscription.id, seq)))
        return await self._settle(held, delivered=SubscriptionRow.delivered + 1)

    async def refused_again(self, held: Claimed, seq: int, reason: str) -> None:
        """A dead letter stays one."""
        values = {"redriven_at": None, "reason": reason[:_LONGEST_REASON], "failed_at": self.now}
        statement = update(DeadLetterRow).where(*_letter(held.subscription.id, seq))
        await self.session.execute(statement.values(**values, attempts=DeadLetterRow.attempts + 1))

    async def halt(self, held: Claimed, reason: str) -> None:
        """Pause it: the subscriber wants nothing any more."""
        await self._settle(held, paused_at=self.now, **self._problem(reason))

    async def release(self, held: Claimed, due_at: datetime) -> None:
        """Others may claim it from then on."""
        await self._settle(held, next_attempt_at=due_at)

    async def _claimed(self, row: SubscriptionRow) -> Claimed:
        if row.previous_until is not None and row.previous_until <= self.now:
            await Subscriptions(self.work)._change(row.id, **_NO_PREVIOUS)
            return Claimed(Subscription.model_validate(row), row.secret, row.claims)
        return Claimed(Subscription.model_validate(row), row.secret, row.claims, row.previous_secret)

    def _problem(self, reason: str) -> dict[str, Any]:
        return {"problem": reason[:_LONGEST_REASON], "problem_at": self.now}

    async def _bury(self, subscription_id: UUID, seq: int, reason: str, attempts: int) -> None:
        # Retention may delete the event meanwhile; locked, it stays until the letter points at it.
        kept = select(col(EventRow.seq)).where(col(EventRow.seq) == seq).with_for_update(key_share=True, read=True)
        if await self.session.scalar(kept) is None:
            return
        values = {"reason": reason[:_LONGEST_REASON], "attempts": attempts, "failed_at": self.now}
        letter = insert(DeadLetterRow).values(subscription_id=subscription_id, seq=seq, **values)
        await self.session.execute(letter.on_conflict_do_nothing())

    async def _settle(self, held: Claimed, **values: Any) -> bool:
        row = SubscriptionRow
        statement = (
            update(row)
            .where(col(row.id) == held.subscription.id, col(row.claims) == held.claim)
            .values(**values)
            .returning(col(row.paused_at).is_(None))
        )
        return await self.session.scalar(statement) or False


def _letter(subscription_id: UUID, seq: int) -> tuple[Any, ...]:
    return (col(DeadLetterRow.subscription_id) == subscription_id, col(DeadLetterRow.seq) == seq)


def _scope(reach: dict[str, Any] | None) -> Scope:
    return EVERYTHING if reach is None else Scope.model_validate(reach)
