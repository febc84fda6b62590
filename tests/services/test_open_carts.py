"""The cart that a customer left waiting, and when it is none any more."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.catalog.customers import ProfileCart
from domain.catalog.goods import GoodsCheckArguments
from services.customer_facts import CustomerFactsService
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.people import SHOP, add_customers, add_identity, add_records, order

NOW = datetime.now(UTC)
ITEMS = ({"line_id": "1", "item_id": "hat"}, {"line_id": "2", "item_id": "coat"}, {"line_id": "3", "item_id": "hat"})


def cart(number: str, minutes_ago: int, state: str = "open") -> tuple[str, datetime, dict[str, Any]]:
    rest = {"title": "商品", "quantity": 1, "price_minor": 100, "total_minor": 100}
    lines = [{**item, **rest} for item in ITEMS]
    return "cart.updated", NOW - timedelta(minutes=minutes_ago), {"cart_id": number, "state": state, "lines": lines}


async def known(database: Database, *records: tuple[str, datetime, dict[str, Any]]) -> ProfileCart | None:
    async with UnitOfWork(database) as work:
        ((customer, identity),) = await add_customers(work, 1)
        other = await add_identity(work, customer)
        await add_records(work, [((identity, other)[place % 2], *each) for place, each in enumerate(records)])
    return await cart_of(database, customer)


async def cart_of(database: Database, customer: UUID) -> ProfileCart | None:
    return (await CustomerFactsService(database).get(str(customer))).open_cart


async def test_the_newest_cart_is_known_with_its_goods(database: Database) -> None:
    found = await known(database, cart("c2", 40), cart("c1", 90), order("E1", NOW - timedelta(minutes=60)))
    shop = {name: str(SHOP[name]) for name in ("platform", "account")}
    assert found == ProfileCart(
        account_id="youzan/flagship",
        cart_id="c2",
        filled_at=NOW - timedelta(minutes=40),
        items=tuple(GoodsCheckArguments(**shop, item_id=each) for each in ("coat", "hat")),
    )


@pytest.mark.parametrize("state", ["open", "ordered", "cleared"])
async def test_a_cart_that_was_cleared_or_ordered_from_waits_no_more(database: Database, state: str) -> None:
    found = await known(database, cart("c1", 90), cart("c2", 40, state))
    assert (found is not None) == (state == "open")


@pytest.mark.parametrize("status", ["unpaid", "paid", "closed"])
async def test_whoever_ordered_since_has_no_waiting_cart(database: Database, status: str) -> None:
    name, at, data = order("E1", NOW - timedelta(minutes=39))
    bought = (name, at, {**data, "status": status, "paid_at": at if status == "paid" else None, "created_at": at})
    assert await known(database, cart("c1", 40), bought) is None
    assert await known(database, ("chat.message", NOW, {"message_id": "m1", "direction": "in"})) is None
