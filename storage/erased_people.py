"""Which records are about people who were erased: one answer for taking them in and for comparing them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from domain.canonical.keys import IdentityKey
from domain.customers.records import Record
from domain.customers.tombstones import ErasedKey, is_of_erased, order_of
from storage.erasures import ErasedKeys
from storage.identities import Identities
from storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ErasedPeople:
    """keys: of erased people, among those that some records name, with orders; known: best keys of the records that are
    stored."""

    keys: frozenset[ErasedKey] = frozenset()
    known: Collection[IdentityKey] = ()

    def have(self, record: Record) -> bool:
        """Whether one of the records is about them."""
        return is_of_erased(record, self.keys, self.known)


async def erased_people(work: UnitOfWork, records: Sequence[Record]) -> ErasedPeople:
    """The erased people whom records name; until the unit of work ends, nobody else becomes one."""
    asked: set[ErasedKey] = {each for record in records for each in (*record.people, order_of(record)) if each}
    keys = await ErasedKeys(work).find(asked)
    if not keys:
        return ErasedPeople()
    best = {record.people[0] for record in records if record.people}
    known = frozenset(await Identities(work).find(best))
    # An order that comes after its buyer was erased brings its parcels, which name nobody.
    orders = {order_of(each) for each in records if each.shelf == "orders" and is_of_erased(each, keys, known)}
    return ErasedPeople(keys.union(each for each in orders if each), known)
