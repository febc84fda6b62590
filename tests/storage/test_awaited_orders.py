"""Steps of orders that wait: sealed at rest, and none holds up another."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from storage.awaited_orders import AGAIN_AFTER, INBOX_PATIENCE, PATIENCE, UNREADABLE_FOR, AwaitedOrders, OrderStep
from storage.encryption import Keyring
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.orders import OrderName
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


async def claimed(database: Database, limit: int, without: tuple[str, ...] = ()) -> list[OrderName]:
    async with UnitOfWork(database) as work:
        return await AwaitedOrders(work).claim("pinduoduo", limit, without)


async def test_a_busy_shop_leaves_the_others_their_turn(database: Database, clock: SteppedClock) -> None:
    await wait(database, "a1", "a2", account="pinduoduo/quiet")
    await wait(database, "b1", account="pinduoduo/away")
    await wait(database, "c1", account="jd/other")
    clock.advance(seconds=60)
    await wait(database, *(f"busy-{number:02}" for number in range(50)), account="pinduoduo/busy")
    first = await claimed(database, 4, without=("pinduoduo/away",))
    assert [shop for shop, _ in first[:2]] == ["pinduoduo/busy", "pinduoduo/quiet"]
    assert set(first) == {("pinduoduo/busy", f"busy-{number}") for number in (48, 49)} | {
        ("pinduoduo/quiet", "a1"), ("pinduoduo/quiet", "a2")
    }  # fmt: skip
    assert await claimed(database, 2) == [("pinduoduo/away", "b1"), ("pinduoduo/busy", "busy-47")]
    assert len(await claimed(database, 100)) == 47
    assert await claimed(database, 100) == [], "not again at once"
    clock.advance(seconds=AGAIN_AFTER.total_seconds() + 1)
    assert {shop for shop, _ in await claimed(database, 3)} == {"pinduoduo/busy", "pinduoduo/quiet", "pinduoduo/away"}


async def test_all_steps_of_an_order_are_one_question(database: Database) -> None:
    await wait(database, "o1")
    async with UnitOfWork(database) as work:
        event = an_order("shipped", "o1", at=work.now)
        await AwaitedOrders(work).add([OrderStep(("pinduoduo/shop", "o1"), 2, event, work.now, work.now)])
    assert await claimed(database, 10) == [("pinduoduo/shop", "o1")]
    assert await claimed(database, 10) == []


async def test_a_claim_waits_for_nobody_and_two_at_once_share_what_there_is(database: Database) -> None:
    await wait(database, "o1", "o2", "o3")
    async with UnitOfWork(database) as reading:
        # A batch completes one of them, and is not committed yet.
        assert len(await AwaitedOrders(reading).take({("pinduoduo/shop", "o3"): 1})) == 1
        async with UnitOfWork(database) as one, UnitOfWork(database) as other:
            assert await AwaitedOrders(one).claim("pinduoduo", 2) == [("pinduoduo/shop", "o2")]
            assert await AwaitedOrders(other).claim("pinduoduo", 10) == [("pinduoduo/shop", "o1")]
    assert await claimed(database, 10) == []


async def test_what_lies_in_the_inbox_may_be_the_whole_order_and_is_read_first(
    database: Database, clock: SteppedClock
) -> None:
    def push(account: str) -> Push:
        return Push("pinduoduo", account, "asked:order:o1:1", "order", b"{}", clock.now)

    await wait(database, "o1", account="pinduoduo/behind")
    await wait(database, "o2", account="pinduoduo/read")
    clock.advance(minutes=15)
    async with UnitOfWork(database) as work:
        await Inbox(work).add(push("behind"))
    clock.advance(seconds=PATIENCE.total_seconds() - 15 * 60 + 1)
    async with UnitOfWork(database) as work:
        await Inbox(work).add(push("read"))
    assert await overdue(database) == ["o2"], "what came after its time is up holds it no longer"
    clock.advance(minutes=30)
    assert await overdue(database) == []
    clock.advance(seconds=INBOX_PATIENCE.total_seconds())
    assert await overdue(database) == ["o1"], "but not for ever"
