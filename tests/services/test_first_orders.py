"""Which order is its customer's first, whichever came in first."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from domain.access import Role
from domain.canonical import Buyer, OrderData
from services.customers import CustomerService
from storage.engine import Database
from storage.sale_queue import SaleQueue
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_selling import NOW, Counter, an_order

SUPERVISOR = an_actor("wang", Role.SUPERVISOR)
ORDERS = 6
APRIL = datetime(2026, 4, 20, 4, 0, tzinfo=UTC)
"""Before the rules are for orders."""


@pytest.fixture
async def counter(database: Database) -> Counter:
    found = Counter(database)
    await found.publish()
    await found.people()
    await found.settle()
    return found


async def told_as(counter: Counter) -> dict[str, bool | None]:
    """Of each order with sales whether these say that it is the first: one thing, or nothing of it would be left."""
    statement = text(
        "SELECT o.order_id, s.is_first FROM sales s JOIN orders o ON o.id = s.order_key "
        "GROUP BY 1, 2, s.basis, s.payee HAVING sum(s.orders) <> 0"
    )
    async with UnitOfWork(counter.database) as work:
        rows = {(row.order_id, row.is_first) for row in await work.session.execute(statement)}
    assert len({number for number, _ in rows}) == len(rows)
    return dict(rows)


def an_hour(hours: float) -> dict[str, Any]:
    return {"paid_at": NOW + timedelta(hours=hours)}


async def test_an_older_order_that_is_read_late_is_the_first(counter: Counter) -> None:
    await counter.told(an_order("E1", **an_hour(-2)), an_order("E2", **an_hour(-1)))
    assert await told_as(counter) == {"E1": True, "E2": False}
    before = await counter.sold()
    await counter.told(an_order("E0", **an_hour(-3)))
    assert await told_as(counter) == {"E0": True, "E1": False, "E2": False}
    rows = await counter.rows()
    await counter.told(an_order("E1", 2, **an_hour(-2)), an_order("E0", 2, **an_hour(-3)))
    assert await counter.rows() == rows, "it stays so, and nobody goes on looking"
    assert (await counter.sold())["P1 paid"][0] == before["P1 paid"][0] + 30_000


async def test_an_older_order_that_does_not_count_itself_was_bought_all_the_same(counter: Counter) -> None:
    await counter.told(an_order("E1"))
    await counter.told(an_order("E0", created_at=APRIL, paid_at=APRIL))
    assert await told_as(counter) == {"E1": False}


async def test_when_the_first_was_paid_later_than_it_was_said_another_one_is_it(counter: Counter) -> None:
    await counter.told(an_order("E1", **an_hour(-5)), an_order("E2", **an_hour(-4)), an_order("E3", **an_hour(-3)))
    await counter.told(an_order("E1", 2, **an_hour(-1)))
    assert await told_as(counter) == {"E1": False, "E2": True, "E3": False}


async def test_who_turn_out_to_be_one_customer_bought_for_the_first_time_once(counter: Counter) -> None:
    await counter.told(an_order("E1", **an_hour(-2)), an_order("E2", buyer=Buyer(unionid="U2"), **an_hour(-1)))
    assert await told_as(counter) == {"E1": True, "E2": True}
    customers = CustomerService(counter.database)
    async with UnitOfWork(counter.database) as work:
        statement = text(
            "SELECT k.customer_id FROM orders o JOIN identities k ON k.id = o.identity_id ORDER BY o.order_id"
        )
        one, other = await work.session.scalars(statement)
    merged = await customers.merge(SUPERVISOR, one, [other], "同一人的两个微信")
    await counter.settle()
    assert await told_as(counter) == {"E1": True, "E2": False}
    await customers.undo(SUPERVISOR, merged.decision)
    await counter.settle()
    assert await told_as(counter) == {"E1": True, "E2": True}


async def test_an_order_that_somebody_looks_at_at_that_moment_is_looked_at_once_more(counter: Counter) -> None:
    await counter.told(an_order("E1", **an_hour(-1)))
    await counter.taken_in(an_order("E1", 2, **an_hour(-1)))
    async with UnitOfWork(counter.database) as other:
        assert len(await SaleQueue(other).take(10)) == 1
        await counter.taken_in(an_order("E0", **an_hour(-2)))
        looking = asyncio.create_task(counter.selling.drain())
        await asyncio.sleep(0.3)
        assert not looking.done(), "it waits for whoever may not have seen the older one"
    await looking
    await counter.settle()
    assert await told_as(counter) == {"E0": True, "E1": False}


def a_history(name: str, pick: Random) -> list[list[OrderData]]:
    """What is told of one customer's orders, each in its own order: in two shops, at one instant too, some before the
    rules, by a unionid, a number or both, so that they turn out to be one person's."""
    keys = {"unionid": f"W{name}"}, {"buyer_id": f"B{name}"}, {"unionid": f"W{name}", "buyer_id": f"B{name}"}
    found = []
    for number in range(ORDERS):
        paid_at = APRIL if pick.random() < 0.1 else NOW - timedelta(hours=pick.randrange(1, 5))
        head: dict[str, Any] = {
            "account": pick.choice(("flagship", "outlet")),
            "buyer": Buyer(**(keys[2] if number == 0 else pick.choice(keys)), buyer_scope="youzan"),
            "created_at": paid_at,
            "paid_at": paid_at,
        }
        told = [an_order(f"{name}-{number}", **head)]
        told.append(an_order(f"{name}-{number}", 2, **head, status="completed", completed_at=NOW))
        found.append(told[pick.randrange(2) :])
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_order_they_come_in_the_sales_are_the_same(counter: Counter, seed: int) -> None:
    """The same histories, of other customers each time, told in another order."""
    pick, ended = Random(seed), []
    for turn in range(3):
        left = [each for case in range(4) for each in a_history(f"{turn}{case}", Random(f"{seed}/{case}"))]
        while left:
            batch = [each.pop(0) for each in pick.sample(left, min(len(left), pick.choice((1, 1, 3))))]
            left = [each for each in left if each]
            await (counter.told if pick.random() < 0.6 else counter.taken_in)(*batch)
        await counter.settle()
        ended.append(
            {name[1:]: is_first for name, is_first in (await told_as(counter)).items() if name[0] == f"{turn}"}
        )
        firsts = [name[0] for name, is_first in ended[-1].items() if is_first]
        assert len(firsts) == len(set(firsts))
        assert None not in ended[-1].values()
    assert ended[1:] == ended[:-1]
