"""Which records are about people who were erased: one answer for taking them in and for comparing them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, or_, tuple_
from sqlmodel import col, select

from domain.canonical.keys import IdentityKey
from domain.customers.records import Record
from domain.customers.tombstones import ErasedKey, is_of_erased, order_of
from domain.goods_stock import WAREHOUSE_PLATFORM
from storage.accounts import AccountRow
from storage.erasures import ErasedKeys
from storage.identities import Identities
from storage.orders import OrderName, OrderRow, ShipmentRow, shop_of_parcel
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


async def follow_orders(work: UnitOfWork, records: Sequence[Record], erased: ErasedPeople) -> None:
    """Let what follows of these people's orders be found by the orders' numbers, and delete the parcels that came
    before them: neither names anybody."""
    orders: dict[ErasedKey, ErasedKey] = {}
    for record in records:
        order = order_of(record) if record.shelf == "orders" and erased.have(record) else None
        theirs = next((each for each in record.people if each in erased.keys), None)
        if order is not None and theirs is not None:
            orders[order] = theirs
    if orders:
        await ErasedKeys(work).add_orders(orders)
        names = [(account, number) for _, account, number in orders]
        here = tuple_(shop_of_parcel(), col(ShipmentRow.order_id)).in_(names)
        await work.session.execute(delete(ShipmentRow).where(or_(here, await _of_no_shop(work, names))))


async def _of_no_shop(work: UnitOfWork, orders: Sequence[OrderName]) -> ColumnElement[bool]:
    """A warehouse's parcels whose shop was not known when they came, of orders whose numbers no other shop has."""
    numbers = {number for _, number in orders}
    is_other = tuple_(col(OrderRow.account_id), col(OrderRow.order_id)).not_in(orders)
    others = select(OrderRow.order_id).where(col(OrderRow.order_id).in_(numbers), is_other)
    numbers -= set(await work.session.scalars(others))
    warehouses = select(AccountRow.id).where(col(AccountRow.platform) == WAREHOUSE_PLATFORM)
    places = [(each, number) for each in await work.session.scalars(warehouses) for number in numbers]
    is_there = tuple_(shop_of_parcel(), col(ShipmentRow.order_id)).in_(places)
    return and_(col(ShipmentRow.order_account).is_(None), is_there)
