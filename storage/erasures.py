"""Erasures: who was erased, how far that is, and by which digests their keys are known when they come again."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Index, LargeBinary, SmallInteger, Uuid, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlmodel import Field, col

from domain.customers.tombstones import ErasedKey
from storage.bulk import fetch
from storage.encryption import Keyring
from storage.locks import lock, lock_shared
from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository

_PURPOSE = "erased-key"
_LOCK = "erased-keys"


class ErasureRow(Table, table=True):
    """One erasure.

    identities, names: the numbers of the keys and the ids of the customer when it was asked for. step: what is worked
    on; cursor: how far that is; round: everything is read through twice, because what was under way when it began may
    have written behind the first reading. due_at: when it goes on, NULL when it is over. changed: how many rows of each
    table were emptied or deleted; unreadable: how many nobody could decrypt when they were read last.
    """

    __tablename__ = "erasures"
    id: UUID = identifier()
    customer_id: UUID = Field(unique=True, sa_column_args=[ForeignKey("customers.id")])
    identities: list[int] = Field(sa_type=ARRAY(BigInteger), nullable=False)
    names: list[UUID] = Field(sa_type=ARRAY(Uuid), nullable=False)
    requested_by: str
    requested_at: datetime = instant()
    step: str
    cursor: str = ""
    round: int = Field(default=1, sa_type=SmallInteger)
    due_at: datetime | None = instant(optional=True)
    changed: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB, nullable=False)
    unreadable: dict[str, Any] = Field(
        default_factory=dict, sa_type=JSONB, nullable=False, sa_column_kwargs={"server_default": "{}"}
    )
    problem: str | None = None
    ended_at: datetime | None = instant(optional=True)

    __table_args__ = (Index("ix_erasures_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),)


class ErasedKeyRow(Table, table=True):
    """A key whose person was erased: only its digest, and the key of the keyring that made it. It is never digested
    anew, because nobody knows the value any more."""

    __tablename__ = "erased_keys"
    key_id: str
    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    erasure_id: UUID = Field(index=True, sa_column_args=[ForeignKey("erasures.id")])


def is_erased(customer: Any) -> ColumnElement[bool]:
    """Whether somebody asked to erase this customer: the row of a customer stays, and is nobody's."""
    return select(col(ErasureRow.id)).where(col(ErasureRow.customer_id) == customer).exists()


class Erasures(Repository):
    """Erasures and where each stands."""

    async def of(self, customer: UUID) -> ErasureRow | None:
        """The erasure of a customer."""
        return (await self.session.scalars(select(ErasureRow).where(col(ErasureRow.customer_id) == customer))).first()

    async def claim(self, lease: timedelta) -> ErasureRow | None:
        """The erasure that is due the longest; nobody else gets it before the lease is over."""
        row = ErasureRow
        due = select(row).where(col(row.due_at) <= self.now).order_by(col(row.due_at)).limit(1)
        found = (await self.session.scalars(due.with_for_update(skip_locked=True))).first()
        if found is not None:
            found.due_at = self.now + lease
            await self.session.flush()
        return found

    async def locked(self, erasure: UUID) -> ErasureRow:
        """The erasure, for the one who works on it."""
        found = select(ErasureRow).where(col(ErasureRow.id) == erasure).with_for_update()
        return (await self.session.scalars(found)).one()


class ErasedKeys(Repository):
    """Keys whose person was erased."""

    async def hold(self) -> None:
        """Wait for the batches that are being taken in, and let no other begin until the unit ends."""
        await lock(self.work, _LOCK)

    async def keep_out(self) -> None:
        """Wait for who is being erased at this moment, and let nobody become so until the unit ends."""
        await lock_shared(self.work, _LOCK)

    async def add(self, erasure: UUID, keys: Collection[ErasedKey]) -> None:
        """Know these keys from now on; batches that are being taken in are waited for."""
        await self.hold()
        keyring = self.work.database.keyring
        rows = [
            {"key_id": keyring.current_id, "digest": _digest(keyring, keyring.current_id, key), "erasure_id": erasure}
            for key in keys
        ]
        if rows:
            await self.session.execute(insert(ErasedKeyRow).on_conflict_do_nothing(), rows)

    async def add_orders(self, orders: Mapping[ErasedKey, ErasedKey]) -> None:
        """Know the orders of erased people that came later, each with a key of theirs. Nobody is waited for: who takes
        in a batch keeps out those who begin."""
        keyring = self.work.database.keyring
        rows = [
            (keyring.current_id, _digest(keyring, keyring.current_id, order), _digest(keyring, key_id, form))
            for order, theirs in orders.items()
            for key_id in keyring.ids
            for form in _forms(theirs)
        ]
        if rows:
            key_ids, digests, theirs_digests = zip(*rows, strict=True)
            named = {"key_ids": list(key_ids), "digests": list(digests), "theirs": list(theirs_digests)}
            await fetch(self.work, _ADD_ORDERS, named)

    async def find(self, keys: Collection[ErasedKey]) -> frozenset[ErasedKey]:
        """Those of the keys whose person was erased. Until this unit of work ends, no other becomes one.

        A buyer's number within an account is theirs also where it was erased as one of the whole platform: that is how
        all numbers were stored once, and nobody knows of which account they were.
        """
        await self.keep_out()
        if not keys or not await self.session.scalar(select(func.count()).select_from(_any())):
            return frozenset()
        keyring = self.work.database.keyring
        digests: dict[bytes, set[ErasedKey]] = {}
        for key_id in keyring.ids:
            for key in keys:
                for form in _forms(key):
                    digests.setdefault(_digest(keyring, key_id, form), set()).add(key)
        rows = await fetch(self.work, _FIND, {"digests": list(digests)})
        return frozenset(key for (found,) in rows for key in digests[found])


_ADD_ORDERS = """
    INSERT INTO erased_keys (key_id, digest, erasure_id)
    SELECT DISTINCT ON (new.digest) new.key_id, new.digest, k.erasure_id
    FROM unnest(%(key_ids)b::text[], %(digests)b::bytea[], %(theirs)b::bytea[]) AS new (key_id, digest, theirs)
    JOIN erased_keys k ON k.digest = new.theirs
    ORDER BY new.digest, k.erasure_id
    ON CONFLICT DO NOTHING
"""
_FIND = "SELECT digest FROM erased_keys WHERE digest = ANY(%(digests)b::bytea[])"


def _any() -> Any:
    return select(col(ErasedKeyRow.digest)).limit(1).subquery()


def _forms(key: ErasedKey) -> Iterator[ErasedKey]:
    """What a key may have been stored as when its person was erased."""
    kind, scope, value = key
    yield key
    if kind == "buyer" and "/" in scope:
        yield kind, scope.partition("/")[0], value


def _digest(keyring: Keyring, key_id: str, key: ErasedKey) -> bytes:
    kind, scope, value = key
    return keyring.mac(_PURPOSE, f"{kind}:{len(scope)}:{scope}{value}".encode(), key_id=key_id)
