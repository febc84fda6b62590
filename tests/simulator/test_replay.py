"""History pushed again: every row as it was then, through the real contracts, with the faults in force."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import pytest

from simulator.entities import Order, Refund
from simulator.happenings import What
from simulator.history import happening, order_at, past, refund_at
from simulator.settings import Settings
from simulator.world import World
from tests.simulator.harness import Receiver, Sim, eventually, served, simulator
from tests.simulator.test_truth import pages

EPOCH = datetime(2026, 11, 28, tzinfo=UTC)
EVER = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> World:
    return World(Settings(customers=200, epoch=EPOCH))


def test_the_past_ends_in_the_present(world: World) -> None:
    for order in world.orders:
        assert order_at(world, order, EPOCH) == order
    for refund in world.refunds:
        assert refund_at(refund, EPOCH) == refund


def test_every_telling_of_an_order_is_newer_than_the_one_before(world: World) -> None:
    told: dict[str, list[Order | Refund]] = defaultdict(list)
    for each in past(world, EVER, EPOCH, {shop.id for shop in world.shops}):
        found = happening(world, each)
        assert found is not None
        if isinstance(found.row, Order | Refund):
            told[found.row.id].append(found.row)
    assert len(told) == len(world.orders) + len(world.refunds)
    for rows in told.values():
        versions = [row.updated_at if isinstance(row, Order) else row.modified_at for row in rows]
        assert versions == sorted(set(versions))
        last: Any = world.orders.get(rows[-1].id) or world.refunds.get(rows[-1].id)
        assert rows[-1].status == last.status


def test_a_span_and_its_accounts(world: World) -> None:
    since, until = EPOCH - timedelta(days=30), EPOCH - timedelta(days=10)
    found = past(world, since, until, {"demo-taobao"})
    assert found == sorted(found)
    assert {row.shop for each in found if (row := world.orders.get(each.row_id))} == {"demo-taobao"}
    assert all(since <= each.at < until for each in found)
    assert sum(each.what is What.ORDER_CREATED for each in found) == sum(
        since <= order.created_at < until for order in world.orders.having(shop="demo-taobao")
    )


async def replayed(sim: Sim, **wish: Any) -> dict[str, Any]:
    """The progress of a replay once it is over and everything was delivered."""
    await sim.admin("POST", "/replay", json=wish)

    async def over() -> Any:
        progress = await sim.admin("GET", "/replay")
        return progress if progress["state"] == "done" and not progress["waiting"] else None

    answered: dict[str, Any] = await eventually(over, 20)
    return answered


def newest(receiver: Receiver) -> dict[str, tuple[int, str]]:
    """What a reader who keeps the newest version knows in the end, by order or refund."""
    known: dict[str, tuple[int, str]] = {}
    for push in receiver.pushes:
        if "/youzan/" not in push.path:
            continue
        body = json.loads(push.body)
        message = json.loads(unquote_plus(body["msg"]))
        row_id = message.get("refund_id") or body["id"]
        status = body.get("status") or body["type"].removeprefix("trade_refund_")
        known[row_id] = max(known.get(row_id, (0, "")), (message.get("version") or body["version"], status))
    return known


WORDS = {
    "WAIT_BUYER_PAY": "unpaid",
    "WAIT_SELLER_SEND_GOODS": "paid",
    "WAIT_BUYER_CONFIRM_GOODS": "shipped",
    "TRADE_SUCCESS": "completed",
    "TRADE_CLOSED": "closed",
}


@pytest.mark.parametrize("order", ["time", "shuffled"])
async def test_who_keeps_the_newest_version_knows_the_truth(order: str) -> None:
    receiver = Receiver(answer="success")
    async with served(receiver.app()) as address, simulator(push_base=address, customers=25) as sim:
        await sim.admin(
            "PUT",
            "/faults",
            json={
                "rules": [
                    {"match": {"platform": "youzan"}, "fault": "duplicate_push", "probability": 0.3},
                    {"match": {"platform": "youzan"}, "fault": "reorder_push", "probability": 0.3, "seconds": 0.2},
                ]
            },
        )
        progress = await replayed(sim, platforms=["youzan", "wecom"], order=order, concurrency=32)
        assert progress["pushes"]["youzan"] > 50
        world = sim.app.state.world
        kept = sum(row.sent_at > world.clock.now() - timedelta(days=5) for row in world.chats)
        assert progress["pushes"]["wecom"] == len(world.contacts) + kept, "of chats, those that the archive still has"
        duplicates = (await sim.admin("GET", "/faults"))["rules"][0]["hit"]
        assert len(receiver.pushes) == sum(progress["pushes"].values()) + duplicates
        known = newest(receiver)
        orders = await pages(sim, "/truth/orders", platform="youzan")
        assert {row["order_id"]: row["status"] for row in orders} == {
            row["order_id"]: WORDS[known[row["order_id"]][1]] for row in orders
        }
        assert {row["refund_id"] for row in await pages(sim, "/truth/refunds", platform="youzan")} <= known.keys()


async def test_one_replay_at_a_time_at_its_rate_until_it_is_stopped() -> None:
    receiver = Receiver()
    async with served(receiver.app()) as address, simulator(push_base=address) as sim:
        begun = await sim.admin("POST", "/replay", json={"platforms": ["youzan"], "rate": 20})
        assert begun["happenings"] > 100
        await receiver.wait_for(3)
        assert (await sim.http.post("/_sim/replay", json={})).status_code == 409
        await sim.admin("DELETE", "/replay")
        stopped = await sim.admin("GET", "/replay")
        assert stopped["state"] == "stopped"
        assert 3 <= stopped["told"] < begun["happenings"]
        assert (await sim.http.post("/_sim/replay", json={"platforms": ["amazon"]})).status_code == 404
