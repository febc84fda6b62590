"""Digests of nicknames and names: how a person is found by one although it is stored encrypted.

A name is found as a whole only (docs/profile.md). A digest is an HMAC under a key of the keyring; values that an older
key wrote are found as long as the keyring has it, and `digest_anew` brings them under the newest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlmodel import col

from domain.customers.nicknames import normalised
from storage.encryption import Keyring
from storage.engine import Database
from storage.interactions import InteractionRow
from storage.recordsets import table_of
from storage.unit_of_work import UnitOfWork

_PURPOSE = "nickname-digest"
_KINDS = ("contact", "follow", "member")
_BATCH = 500
_MEMBERS = ("name", "nickname")


def name_digests(keyring: Keyring, personal: Mapping[str, Any] | None) -> list[bytes] | None:
    """Digests of the names in an interaction's personal data; None without any."""
    names = {normalised(name) for member in _MEMBERS if isinstance(name := (personal or {}).get(member), str)} - {""}
    return sorted(keyring.mac(_PURPOSE, name.encode()) for name in names) or None


def wanted_digests(keyring: Keyring, name: str) -> list[bytes]:
    """Every digest under which this name may be stored."""
    return [keyring.mac(_PURPOSE, normalised(name).encode(), key_id=key_id) for key_id in keyring.ids]


async def digest_anew(database: Database) -> int:
    """Bring all digests of names under the keyring's first key, and make those that are missing, in short transactions;
    how many rows changed."""
    row, changed, last = InteractionRow, 0, 0
    anew = update(table_of(row)).where(table_of(row).c.id == bindparam("number")).values(names=bindparam("wanted"))
    while True:
        async with UnitOfWork(database) as work:
            found = (
                await work.session.execute(
                    select(col(row.id), col(row.names), col(row.personal))
                    .where(col(row.id) > last, col(row.kind).in_(_KINDS), col(row.personal).is_not(None))
                    .order_by(col(row.id))
                    .limit(_BATCH)
                    .with_for_update()
                )
            ).all()
            changes = [
                {"number": each.id, "wanted": wanted}
                for each in found
                if (wanted := name_digests(database.keyring, each.personal)) != _stored(each.names)
            ]
            if changes:
                await (await work.session.connection()).execute(anew, changes)
        if not found:
            return changed
        last, changed = found[-1].id, changed + len(changes)


def _stored(names: Sequence[bytes] | None) -> list[bytes] | None:
    return None if names is None else [bytes(name) for name in names]
