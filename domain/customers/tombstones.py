"""What is left of records that come after their person was erased: amounts and numbers, and nobody."""

from collections.abc import Collection

from domain.canonical.keys import IdentityKey
from domain.customers.records import Record

ErasedKey = tuple[str, str, str]
"""Kind, scope and value of a key whose person was erased; kind `order`: an order of theirs, at an account."""

_PERSONAL = ("buyer", "receiver", "city", "reason", "close_reason")
KEPT_SHELVES = ("orders", "refunds", "goods", "stock")
"""Shelves of which a record without a person is worth keeping: accounting needs it."""


def order_key(account_id: str, order_id: str) -> ErasedKey:
    """What an erased order is known by."""
    return ("order", account_id, order_id)


def order_of(record: Record) -> ErasedKey | None:
    """The order that a record belongs to."""
    if record.shelf == "orders":
        return order_key(record.account_id, record.key[1])
    if record.shelf == "shipments":
        return order_key(record.values["order_account"] or record.account_id, record.key[2])
    order_id = record.values.get("order_id") if record.shelf == "refunds" else None
    return order_key(record.account_id, order_id) if order_id else None


def is_of_erased(record: Record, erased: Collection[ErasedKey], known: Collection[IdentityKey]) -> bool:
    """Whether a record is about somebody who was erased.

    It is when its best key is theirs. When only a lesser one is (a phone that a family shares), it is unless the best
    key is known as somebody else's. known: keys that are stored.
    """
    if order_of(record) in erased:
        return True
    if not record.people or not any(each in erased for each in record.people):
        return False
    return record.people[0] in erased or record.people[0] not in known


def made_nobodys(record: Record) -> Record | None:
    """The record without its person; None when nothing is left worth keeping."""
    if record.shelf not in KEPT_SHELVES:
        return None
    record.people = ()
    for name in _PERSONAL:
        if name in record.values:
            record.values[name] = None
    return record
