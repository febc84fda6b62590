"""Digests of nicknames and names: how a person is found by one although it is stored encrypted.

A name is found as a whole only (docs/profile.md). A digest is an HMAC under a key of the keyring; values that an older
key wrote are found as long as the keyring has it, and `digest_anew` brings them under the newest.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, select, true, update
from sqlmodel import col

from domain.customers.nicknames import buyers_nickname, normalised
from storage.encryption import Keyring
from storage.engine import Database
from storage.interactions import InteractionRow
from storage.orders import OrderRow
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


def buyer_digests(keyring: Keyring, account_id: str, buyer: Mapping[str, Any] | None) -> list[bytes] | None:
    """The digest of an order's buyer's nickname; None without one that is told whole."""
    nickname = buyers_nickname(account_id.partition("/")[0], buyer)
    return [keyring.mac(_PURPOSE, nickname.encode())] if nickname else None


def wanted_digests(keyring: Keyring, name: str) -> list[bytes]:
    """Every digest under which this name may be stored."""
    return [keyring.mac(_PURPOSE, normalised(name).encode(), key_id=key_id) for key_id in keyring.ids]


class _Named(NamedTuple):
    """A table whose rows are found by the names in one of its columns. key: in whose order batches take rows; having:
    which rows may have names; digests: those of a row, by its account and that column."""

    row: type[InteractionRow] | type[OrderRow]
    column: str
    key: tuple[str, ...]
    having: ColumnElement[bool]
    digests: Callable[[Keyring, str, Mapping[str, Any] | None], list[bytes] | None]


_NAMED = (
    _Named(
        InteractionRow,
        "personal",
        ("account_id", "kind", "key"),
        col(InteractionRow.kind).in_(_KINDS),
        lambda keyring, _, personal: name_digests(keyring, personal),
    ),
    _Named(OrderRow, "buyer", ("account_id", "order_id"), true(), buyer_digests),
)


async def digest_anew(database: Database) -> dict[str, int]:
    """Bring all digests of names under the keyring's first key, and make those that are missing, in short transactions;
    how many rows changed by `table.column`."""
    found = {named.row.__tablename__: await _anew(database, named) for named in _NAMED}
    return {f"{name}.names": changed for name, changed in found.items() if changed}


async def _anew(database: Database, named: _Named) -> int:
    table, changed, last = table_of(named.row), 0, 0
    told = table.c[named.column]
    anew = update(table).where(table.c.id == bindparam("number")).values(names=bindparam("wanted"))
    some = select(table.c.id).where(named.having, told.is_not(None)).order_by(table.c.id).limit(_BATCH)
    rows = select(table.c.id, table.c.account_id, table.c.names, told.label("told"))
    rows = rows.order_by(*(table.c[name] for name in named.key)).with_for_update(key_share=True)
    while True:
        async with UnitOfWork(database) as work:
            numbers = list(await work.session.scalars(some.where(table.c.id > last)))
            changes = [
                {"number": each.id, "wanted": wanted}
                for each in await work.session.execute(rows.where(table.c.id.in_(numbers)))
                if (wanted := named.digests(database.keyring, each.account_id, each.told)) != _stored(each.names)
            ]
            if changes:
                await (await work.session.connection()).execute(anew, changes)
        if not numbers:
            return changed
        last, changed = numbers[-1], changed + len(changes)


def _stored(names: Sequence[bytes] | None) -> list[bytes] | None:
    return None if names is None else [bytes(name) for name in names]
