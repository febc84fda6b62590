"""Steps of orders that wait: sealed at rest, and none holds up another."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from storage.awaited_orders import PATIENCE, UNREADABLE_FOR, AwaitedOrders, OrderStep
from storage.encryption import Keyring
from storage.engine import Database
from storage.rekey import rekey
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.test_awaited_orders import an_order


async def wait(database: Database, *orders: str, account: str = "pinduoduo/shop", stage: int = 1) -> None:
    """Let a paid step of each order wait, each read a second after the one before."""
    async with UnitOfWork(database) as work:
        for place, order in enumerate(orders):
            event = an_order("paid", order, at=work.now).model_copy(update={"source": f"/{account}"})
            came = work.now + timedelta(seconds=place - len(orders))
            await AwaitedOrders(work).add([OrderStep((account, order), stage, event, came, work.now)])


async def overdue(database: Database) -> list[str]:
    async with UnitOfWork(database) as work:
        return [step.order[1] for step in await AwaitedOrders(work).take_overdue(100)]


async def waiting(database: Database) -> int:
    async with UnitOfWork(database) as work:
        return int(await work.session.scalar(text("SELECT count(*) FROM awaited_orders")) or 0)


async def spoil(database: Database, order: str) -> None:
    """What another release wrote, or somebody altered."""
    async with UnitOfWork(database) as work:
        changed = (
            "UPDATE awaited_orders SET event = set_byte(event, 30, 255 - get_byte(event, 30)) WHERE order_id = :id"
        )
        await work.session.execute(text(changed), {"id": order})


async def test_what_waits_is_sealed_and_follows_the_keys(database: Database, database_url: str) -> None:
    await wait(database, "o1")
    async with UnitOfWork(database) as work:
        stored = bytes(await work.session.scalar(text("SELECT event FROM awaited_orders")))
    assert b"order" not in stored
    during = Database(database_url, Keyring({"k2": b"2" * 32, "k1": b"1" * 32}), pool_size=2)
    assert (await rekey(during))["awaited_orders.event"] == 1
    await during.close()
    after = Database(database_url, Keyring({"k2": b"2" * 32}), pool_size=2)
    async with UnitOfWork(after) as work:
        [step] = await AwaitedOrders(work).take({("pinduoduo/shop", "o1"): 1})
        assert step.event.subject == "order:o1"
    await after.close()


@pytest.mark.parametrize("by", ["overdue", "whole order"])
async def test_what_cannot_be_read_holds_nothing_up_and_is_given_up_in_the_end(
    database: Database, clock: SteppedClock, by: str
) -> None:
    await wait(database, "spoilt", "sound")
    await spoil(database, "spoilt")
    clock.advance(seconds=PATIENCE.total_seconds() + 1)
    if by == "overdue":
        assert await overdue(database) == ["sound"]
    else:
        async with UnitOfWork(database) as work:
            names = {("pinduoduo/shop", order): 1 for order in ("spoilt", "sound")}
            assert [step.order[1] for step in await AwaitedOrders(work).take(names)] == ["sound"]
    assert await overdue(database) == []
    assert await waiting(database) == 1, "another process may be able to read it"
    await spoil(database, "spoilt")
    clock.advance(hours=2)
    assert await overdue(database) == ["spoilt"]
    await wait(database, "spoilt")
    await spoil(database, "spoilt")
    clock.advance(seconds=UNREADABLE_FOR.total_seconds() + 1)
    assert await overdue(database) == []
    assert await waiting(database) == 0
