"""Whose parcel it is that a warehouse tells without its shop: that of the only order with its number."""

from collections import defaultdict
from collections.abc import Sequence

from sqlmodel import col, select

from domain.customers.records import Record
from domain.goods_stock import WAREHOUSE_PLATFORM
from storage.orders import OrderRow
from storage.unit_of_work import UnitOfWork


async def find_shops(work: UnitOfWork, records: Sequence[Record]) -> None:
    """Name the shop of parcels whose warehouse does not, where one shop alone has an order of that number, here or
    among the records. Of others nobody knows whose they are: they hang on no order."""
    parcels = [each for each in records if each.shelf == "shipments" and _tells_no_shop(each)]
    if not parcels:
        return
    numbers = {each.key[2] for each in parcels}
    shops = defaultdict[str, set[str]](set)
    stored = select(OrderRow.order_id, OrderRow.account_id).where(col(OrderRow.order_id).in_(numbers))
    for order_id, account_id in await work.session.execute(stored):
        shops[order_id].add(account_id)
    for each in records:
        if each.shelf == "orders" and each.key[1] in numbers:
            shops[each.key[1]].add(each.account_id)
    for each in parcels:
        found = shops[each.key[2]]
        if len(found) == 1:
            (each.values["order_account"],) = found


def _tells_no_shop(parcel: Record) -> bool:
    return parcel.values["order_account"] is None and parcel.account_id.startswith(f"{WAREHOUSE_PLATFORM}/")
