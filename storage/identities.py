"""Identities and customers: which keys there are, and who each of them belongs to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, UniqueConstraint, delete, select, text
from sqlmodel import Field, col

from domain.canonical.keys import IdentityKey, KeyKind
from domain.customers.naming import keeping_rank
from domain.customers.strength import TIER_OF, Known, Tier
from storage.bulk import fetch
from storage.encryption import EncryptedText
from storage.identity_digests import IdentityDigests
from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository, UnitOfWork

VALUE_CONTEXT = "identities.value"


class CustomerRow(Table, table=True):
    """One person. merged_into: the customer that took this one's place; NULL for one that is there."""

    __tablename__ = "customers"
    id: UUID = identifier()
    merged_into: UUID | None = Field(default=None, sa_column_args=[ForeignKey("customers.id")])
    created_at: datetime = instant()
    changed_at: datetime = instant()

    __table_args__ = (
        Index("ix_customers_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    )


class IdentityRow(Table, table=True):
    """One key of a person. digest: a keyed hash of kind, scope and value, by which it is found without decrypting.

    home: the customer that began with it, and that it goes back to when a merge is taken back; NULL for a key that
    joined a customer later, unless only phones and devices were there before it. crowded: a bit for each tier of links
    in which it is a crowd's, and says nothing about anybody.
    """

    __tablename__ = "identities"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    kind: str
    scope: str
    digest: bytes
    value: str = Field(sa_type=EncryptedText(VALUE_CONTEXT))
    customer_id: UUID = Field(index=True, sa_column_args=[ForeignKey("customers.id")])
    first_seen_at: datetime = instant()
    home: UUID | None = None
    crowded: int = Field(default=0, sa_type=SmallInteger, sa_column_kwargs={"server_default": "0"})

    __table_args__ = (UniqueConstraint("digest"),)


class StoredKey(NamedTuple):
    """What is stored of a key, but for its value."""

    id: int
    kind: KeyKind
    scope: str
    customer_id: UUID
    home: UUID | None
    crowded: int

    @property
    def tier(self) -> Tier:
        return TIER_OF[self.kind]

    @property
    def known(self) -> Known:
        return Known(self.kind, self.scope, self.crowded)


class NewKey(NamedTuple):
    """A key that is not stored yet, the customer it is to belong to, and its home."""

    key: IdentityKey
    customer_id: UUID
    home: UUID | None
    seen_at: datetime


class Placed(NamedTuple):
    """A key's customer and home from now on."""

    id: int
    customer_id: UUID
    home: UUID | None


_FIND = """
    SELECT digest, id, kind, scope, customer_id, home, crowded FROM identities
    WHERE digest = ANY(%(digests)b::bytea[])
"""
_ADD = """
    INSERT INTO identities (kind, scope, digest, value, customer_id, home, first_seen_at)
    SELECT kind, scope, digest, value, customer, home, seen
    FROM unnest(%(kinds)b::text[], %(scopes)b::text[], %(digests)b::bytea[], %(values)b::bytea[],
        %(customers)b::uuid[], %(homes)b::uuid[], %(seen)b::timestamptz[])
        AS new (kind, scope, digest, value, customer, home, seen)
    ON CONFLICT (digest) DO NOTHING RETURNING digest, id
    """
_PLACE = """
    UPDATE identities SET customer_id = new.customer, home = new.home
    FROM unnest(%(ids)b::bigint[], %(customers)b::uuid[], %(homes)b::uuid[]) AS new (id, customer, home)
    WHERE identities.id = new.id
    """
_CROWD = """
    UPDATE identities SET crowded = identities.crowded | new.bits
    FROM unnest(%(ids)b::bigint[], %(bits)b::smallint[]) AS new (id, bits) WHERE identities.id = new.id
    """
_CUSTOMERS = "SELECT id, customer_id FROM identities WHERE id = ANY(%(ids)b::bigint[])"
_KEYS = "SELECT id, kind, scope, customer_id, home, crowded FROM identities WHERE customer_id = %(customer)b::uuid"
_NEW_CUSTOMERS = """
    INSERT INTO customers (created_at, changed_at)
    SELECT %(now)b::timestamptz, %(now)b::timestamptz FROM generate_series(1, %(count)b::integer) RETURNING id
    """
# Aliases of which no key is left follow as well, so that one step leads from any id to who it is now.
_FOLLOW = """
    UPDATE customers SET merged_into = new.target
    FROM unnest(%(ids)b::uuid[], %(targets)b::uuid[]) AS new (id, target) WHERE customers.merged_into = new.id
"""
_ALIASES = "SELECT merged_into, id FROM customers WHERE merged_into = ANY(%(ids)b::uuid[]) ORDER BY id"
_ALIAS = """
    UPDATE customers SET merged_into = new.target, changed_at = %(now)b::timestamptz
    FROM unnest(%(ids)b::uuid[], %(targets)b::uuid[]) AS new (id, target)
    WHERE customers.id = new.id AND customers.merged_into IS DISTINCT FROM new.target
    """


class Identities(Repository):
    """Keys and their customers. All methods take many at once, and cost one statement."""

    def __init__(self, work: UnitOfWork) -> None:
        super().__init__(work)
        self._digests = IdentityDigests(work)

    async def find(self, keys: Collection[IdentityKey]) -> Mapping[IdentityKey, StoredKey]:
        """Those of the keys that are stored."""
        digests = await self._digests.of(keys)
        rows = await fetch(self.work, _FIND, {"digests": list(digests)})
        return {digests[digest]: StoredKey(*stored) for digest, *stored in rows}

    async def add(self, new: Sequence[NewKey]) -> Mapping[IdentityKey, int]:
        """Store keys; the ids of those that nobody else stored meanwhile (whoever is at it is waited for)."""
        keyring = self.work.database.keyring
        by_key = {each.key: each for each in new}
        digests = await self._digests.current(by_key)
        # The same order for everybody: two batches with the same keys wait for each other, and not crosswise.
        ordered = [(digest, by_key[digests[digest]]) for digest in sorted(digests)]
        rows = await fetch(
            self.work,
            _ADD,
            {
                "kinds": [each.key.kind for _, each in ordered],
                # The one character that PostgreSQL keeps in no text; in the digest it counts.
                "scopes": [each.key.scope.replace("\0", "") for _, each in ordered],
                "digests": [digest for digest, _ in ordered],
                "values": [keyring.encrypt(each.key.value.encode(), VALUE_CONTEXT) for _, each in ordered],
                "customers": [each.customer_id for _, each in ordered],
                "homes": [each.home for _, each in ordered],
                "seen": [each.seen_at for _, each in ordered],
            },
        )
        return {digests[digest]: number for digest, number in rows}

    async def place(self, placed: Collection[Placed]) -> None:
        """Change the customers and homes of keys."""
        if placed:
            ids, customers, homes = zip(*placed, strict=True)
            await fetch(self.work, _PLACE, {"ids": list(ids), "customers": list(customers), "homes": list(homes)})

    async def mark_crowded(self, bits: Mapping[int, int]) -> None:
        """Note in which tiers keys turned out to be a crowd's; that never ends."""
        if bits:
            await fetch(self.work, _CROWD, {"ids": list(bits), "bits": list(bits.values())})

    async def customers_of(self, ids: Collection[int]) -> Mapping[int, UUID]:
        """The customer of each key that is there."""
        rows = await fetch(self.work, _CUSTOMERS, {"ids": list(ids)})
        return {row[0]: row[1] for row in rows}

    async def keeper(self, customer: UUID) -> int | None:
        """The key of a customer at which people's decisions about them are kept: it most surely stays theirs."""
        keys = [StoredKey(*row) for row in await fetch(self.work, _KEYS, {"customer": customer})]
        return min(keys, key=lambda each: keeping_rank(each.id, each, customer)).id if keys else None

    async def of_customers(self, customers: Collection[UUID]) -> Sequence[IdentityRow]:
        """The keys of customers with their values, the oldest first."""
        statement = select(IdentityRow).where(col(IdentityRow.customer_id).in_(customers)).order_by(col(IdentityRow.id))
        return (await self.session.scalars(statement)).all()

    async def rows(self, ids: Collection[int]) -> Mapping[int, IdentityRow]:
        """Keys with their values, by id."""
        found = await self.session.scalars(select(IdentityRow).where(col(IdentityRow.id).in_(ids)))
        return {row.id: row for row in found}


class Customers(Repository):
    """Customers' ids."""

    async def add(self, count: int) -> Sequence[UUID]:
        """So many new customers."""
        if not count:
            return []
        rows = await fetch(self.work, _NEW_CUSTOMERS, {"now": self.now, "count": count})
        return [customer for (customer,) in rows]

    async def alias(self, targets: Mapping[UUID, UUID | None]) -> None:
        """Say which customers are others now, and which are themselves (None)."""
        if targets:
            names = {"ids": list(targets), "targets": list(targets.values()), "now": self.now}
            await fetch(self.work, _ALIAS, names)
        gone = {customer: target for customer, target in targets.items() if target is not None}
        if gone:
            await fetch(self.work, _FOLLOW, {"ids": list(gone), "targets": list(gone.values())})

    async def remove(self, ids: Iterable[UUID]) -> None:
        """Forget customers that nothing was ever said about."""
        await self.session.execute(delete(CustomerRow).where(col(CustomerRow.id).in_(ids)))

    async def current(self, customer_id: UUID) -> UUID | None:
        """The customer that an id stands for today, None when there never was one."""
        row = CustomerRow
        found = await self.session.execute(select(col(row.id), col(row.merged_into)).where(col(row.id) == customer_id))
        for own, merged_into in found:
            return UUID(str(merged_into or own))
        return None

    async def currents(self, customers: Collection[UUID]) -> Mapping[UUID, UUID]:
        """The customer that each of these ids stands for today; ids that nobody ever had are left out."""
        row = CustomerRow
        found = await self.session.execute(select(col(row.id), col(row.merged_into)).where(col(row.id).in_(customers)))
        return {own: merged_into or own for own, merged_into in found}

    async def aliases(self, customers: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        """The former ids of each customer that has any."""
        found: dict[UUID, list[UUID]] = {}
        for customer, alias in await fetch(self.work, _ALIASES, {"ids": list(customers)}):
            found.setdefault(customer, []).append(alias)
        return found

    async def every_name(self, name: str) -> list[str]:
        """What the customer of an id, or of a subject `customer:{id}`, is and was called, in the same form; any other
        text alone."""
        form, _, number = name.rpartition(":")
        try:
            asked = UUID(number)
        except ValueError:
            return [name]
        current = await self.current(asked)
        if current is None or form not in ("", "customer"):
            return [name]
        former = (await self.aliases([current])).get(current, ())
        return [f"{form}:{each}" if form else str(each) for each in (current, *former)]
