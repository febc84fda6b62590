"""Two batches about one order, article or person at one moment: the second sees what the first wrote."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from psycopg.errors import QueryCanceled
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from connectors.loading import load_connectors
from domain.calls import Catalog
from domain.canonical.announcing import announce
from domain.problems import UnavailableProblem
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Arrival, Intake
from storage.engine import Database
from storage.failures import is_too_slow
from storage.orders import OrderName
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.test_goods import SHOP, WAREHOUSE, connect, goods, stock, tell
from tests.services.test_selling import NOW, a_refund, an_order
from tests.services.test_shop_stock import heard

INTAKE = Intake(IdentityService())


def too_slow() -> UnavailableProblem:
    problem = UnavailableProblem("too slow")
    problem.__cause__ = OperationalError("SELECT", {}, QueryCanceled())
    return problem


async def take_in(work: UnitOfWork, *told: Any) -> None:
    await INTAKE.take_in(work, [Arrival.of(announce(each, work.now), work.now) for each in told])


async def taken_in(database: Database, *told: Any) -> None:
    async with UnitOfWork(database) as work:
        await take_in(work, *told)


async def at_once(database: Database, first: Any, second: Any) -> None:
    """The second batch begins, and would end, before the first one is written."""
    async with UnitOfWork(database) as work:
        await take_in(work, first)
        other = asyncio.create_task(taken_in(database, second))
        await asyncio.sleep(0.3)
    await other


async def one(database: Database, question: str) -> Any:
    async with UnitOfWork(database) as work:
        return await work.session.scalar(text(question))


def refund(number: str, amount: int, version: int = 1, status: str = "refunded") -> Any:
    changes = {"refund_id": number, "status": status, "occurred_at": NOW}
    return a_refund(amount, version).model_copy(update=changes)


async def test_two_refunds_of_an_order_are_both_taken_off(database: Database) -> None:
    await taken_in(database, an_order())
    await at_once(database, refund("R1", 10_000), refund("R2", 5_000))
    assert await one(database, "SELECT refunded_minor FROM orders") == 15_000


async def test_what_a_closed_refund_silenced_stays_lifted(database: Database) -> None:
    await taken_in(database, an_order(occurred_at=NOW), refund("R1", 10_000, status="requested"))
    await one(database, "UPDATE refunds SET told_at = now() RETURNING 1")
    assert await one(database, "SELECT count(*) FROM suppressions") == 0, "told long ago"
    await taken_in(database, an_order(version=2))
    assert await one(database, "SELECT count(*) > 0 FROM suppressions")
    await at_once(database, refund("R1", 10_000, 2, "closed"), an_order(version=3))
    assert await one(database, "SELECT count(*) FROM suppressions") == 0


async def test_two_warehouses_without_stock_are_told_as_sold_out(database: Database) -> None:
    await connect(database, SHOP, WAREHOUSE)
    await tell(database, goods(code="DT"))
    here, there = (stock("DT", 5).model_copy(update={"warehouse": each}) for each in ("W1", "W2"))
    await taken_in(database, here, there)
    gone = [each.model_copy(update={"available": 0, "version": 2}) for each in (here, there)]
    await at_once(database, *gone)
    assert (await heard(database))[-1].data["available"] == 0


class Faulty(Intake):
    """Breaks over one order, and over more than two at once."""

    def __init__(self, breaks: Callable[[], Exception]) -> None:
        super().__init__()
        self.breaks = breaks
        self.settled: list[OrderName] = []

    async def settle(self, work: UnitOfWork, orders: Any) -> int:
        if ("shop", "E3") in orders or len(orders) > 2:
            raise self.breaks()
        self.settled += orders
        return len(orders)


@pytest.mark.parametrize("breaks", [lambda: ValueError("a bug"), lambda: KeyError("another")])
async def test_a_refund_that_cannot_be_settled_stops_no_push(
    database: Database, breaks: Callable[[], Exception]
) -> None:
    intake = Faulty(breaks)
    inbox = InboxService(database, load_connectors(Catalog()), intake)
    inbox._told = {("shop", f"E{number}") for number in range(6)}
    assert (await inbox.drain()).read == 0
    assert intake.settled == [("shop", f"E{number}") for number in range(6) if number != 3]


async def test_a_process_that_begins_settles_what_another_one_left(database: Database, clock: SteppedClock) -> None:
    """It ended between two batches that each brought one of the two, and nobody began again for a day."""
    await taken_in(database, an_order(), refund("R1", 10_000))
    await one(database, "UPDATE orders SET refunded_minor = 0 RETURNING 1")
    await one(database, "UPDATE refunds SET unsettled = true, identity_id = NULL RETURNING 1")
    clock.advance(days=1)
    await InboxService(database, load_connectors(Catalog()), INTAKE).drain()
    assert await one(database, "SELECT refunded_minor FROM orders") == 10_000


@pytest.mark.parametrize("hindered", [UnavailableProblem("locked"), too_slow(), asyncio.CancelledError()])
async def test_a_process_that_could_not_look_back_looks_as_far_later(
    database: Database, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch, hindered: BaseException
) -> None:
    await taken_in(database, an_order(), refund("R1", 10_000))
    await one(database, "UPDATE orders SET refunded_minor = 0 RETURNING 1")
    await one(database, "UPDATE refunds SET unsettled = true, identity_id = NULL RETURNING 1")
    clock.advance(days=1)

    async def hinder(*_: object) -> None:
        raise hindered

    inbox = InboxService(database, load_connectors(Catalog()), INTAKE)
    with monkeypatch.context() as patched:
        patched.setattr(INTAKE, "met_lately", hinder)
        with suppress(UnavailableProblem, asyncio.CancelledError):
            await inbox.drain()
    await inbox.drain()
    assert await one(database, "SELECT refunded_minor FROM orders") == 0, "what cannot be looked for stops no batch"
    inbox._looks_back_at = 0.0
    if is_too_slow(hindered.__cause__):
        inbox._meets_far_at = 0.0  # ten minutes later
    await inbox.drain()
    assert await one(database, "SELECT refunded_minor FROM orders") == 10_000
