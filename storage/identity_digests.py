"""Digests of identity keys: how a key is found although its value is stored encrypted.

A digest is an HMAC under a key of the keyring. Which one is written in the database, so that all processes agree on it
while keys rotate: the newest row writes, all rows are looked for. Rotation (`storage.identity_rotation`) adds a row,
digests everything anew, and drops the old row. A process whose settings lack a key that is named here is refused, and
stores nothing.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import BigInteger, Identity, UniqueConstraint, delete, select
from sqlmodel import Field, col

from domain.canonical.keys import IdentityKey
from storage.encryption import Keyring
from storage.locks import lock, lock_shared
from storage.tables import Table
from storage.unit_of_work import Repository, UnitOfWork

_PURPOSE = "identity-digest"
_LOCK = "identity-digests"


class IdentityDigestKeyRow(Table, table=True):
    """A key of the keyring under which digests are stored; two of them only while keys rotate."""

    __tablename__ = "identity_digest_keys"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    key_id: str

    __table_args__ = (UniqueConstraint("key_id"),)


def digest_of(keyring: Keyring, key_id: str, kind: str, scope: str, value: str) -> bytes:
    """The digest of a key; lengths keep the parts apart. Raises ConfigurationProblem when the key id is unknown."""
    return keyring.mac(_PURPOSE, f"{kind}:{len(scope)}:{scope}{value}".encode(), key_id=key_id)


class IdentityDigests(Repository):
    """Reads the digests' keys once in a unit of work, and holds them in place until it ends."""

    def __init__(self, work: UnitOfWork) -> None:
        super().__init__(work)
        self._key_ids: tuple[str, ...] = ()

    async def of(self, keys: Collection[IdentityKey]) -> Mapping[bytes, IdentityKey]:
        """Every digest that one of the keys may be stored under."""
        return self._digests(keys, await self._current_keys())

    async def current(self, keys: Collection[IdentityKey]) -> Mapping[bytes, IdentityKey]:
        """The digests that new keys are stored under."""
        return self._digests(keys, (await self._current_keys())[:1])

    def _digests(self, keys: Collection[IdentityKey], key_ids: tuple[str, ...]) -> dict[bytes, IdentityKey]:
        keyring = self.work.database.keyring
        return {digest_of(keyring, key_id, *key): key for key_id in key_ids for key in keys}

    async def _current_keys(self) -> tuple[str, ...]:
        if not self._key_ids:
            # Whoever stores keys and whoever rotates them exclude each other: a key is never stored under two digests.
            await lock_shared(self.work, _LOCK)
            self._key_ids = await self._stored() or await self._begin()
        return self._key_ids

    async def _stored(self) -> tuple[str, ...]:
        row = IdentityDigestKeyRow
        return tuple(await self.session.scalars(select(col(row.key_id)).order_by(col(row.id).desc())))

    async def _begin(self) -> tuple[str, ...]:
        """The very first key."""
        await lock(self.work, f"{_LOCK}-first")
        found = await self._stored()
        if not found:
            await self.insert(IdentityDigestKeyRow(key_id=self.work.database.keyring.current_id))
            found = await self._stored()
        return found

    async def rotate(self) -> bool:
        """Let the keyring's first key write digests from now on; False when it does already."""
        await lock(self.work, _LOCK)
        stored, current = await self._stored(), self.work.database.keyring.current_id
        if not stored or stored[0] == current:
            return False
        if current in stored:
            await self.session.execute(delete(IdentityDigestKeyRow).where(col(IdentityDigestKeyRow.key_id) == current))
        await self.insert(IdentityDigestKeyRow(key_id=current))
        return True

    async def is_rotating(self) -> bool:
        """Whether digests of an old key may be left."""
        return len(await self._stored()) > 1

    async def finish(self) -> None:
        """Forget all keys but the newest: no digest of theirs is left."""
        _, *old = await self._stored()
        await self.session.execute(delete(IdentityDigestKeyRow).where(col(IdentityDigestKeyRow.key_id).in_(old)))
