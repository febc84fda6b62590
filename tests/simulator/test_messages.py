"""Platforms whose messages are fetched or listened to: every fault of pushes strikes them too."""

from __future__ import annotations

from typing import Any

import pytest

from simulator import trade
from simulator.platforms.pinduoduo.channel import PddMessage, channel_signature
from simulator.platforms.taobao.messages import TmcMessage
from tests.connectors.sockets import Socket
from tests.simulator.harness import Json, Receiver, Sim, eventually

FETCHED = ("taobao", "pinduoduo")
PAID = {"taobao": "taobao_trade_TradeBuyerPay", "pinduoduo": "pdd_trade_TradeConfirmed"}


def sold(sim: Sim, platform: str) -> None:
    world = sim.app.state.world
    trade.pay(world, trade.place_order(world, f"demo-{platform}"))


def waiting(sim: Sim, platform: str) -> list[str]:
    """The numbers of the messages of paid orders that wait, in the order in which they are told."""
    world = sim.app.state.world
    if platform == "taobao":
        rows: Any = world.shelf("tmc_message", TmcMessage).having(shop="demo-taobao")
        return [str(row.body["id"]) for row in rows if row.body["topic"] == PAID[platform]]
    rows = world.shelf("pdd_message", PddMessage).having(shop="demo-pinduoduo")
    return [str(row.body["id"]) for row in rows if row.body["message"]["type"] == PAID[platform]]


async def put(sim: Sim, platform: str, fault: str, **more: Any) -> None:
    rule = {"match": {"platform": platform, "api": PAID[platform]}, "fault": fault, **more}
    await sim.admin("PUT", "/faults", json={"rules": [rule]})


async def struck(sim: Sim) -> int:
    return sum(rule["hit"] for rule in (await sim.admin("GET", "/faults"))["rules"])


@pytest.mark.parametrize("platform", FETCHED)
async def test_a_message_is_lost(sim: Sim, platform: str) -> None:
    await put(sim, platform, "drop_push")
    sold(sim, platform)
    assert (waiting(sim, platform), await struck(sim)) == ([], 1)


@pytest.mark.parametrize("platform", FETCHED)
async def test_a_message_comes_three_times_under_one_number(sim: Sim, platform: str) -> None:
    await put(sim, platform, "duplicate_push", copies=2)
    sold(sim, platform)
    told = waiting(sim, platform)
    assert (len(told), len(set(told)), await struck(sim)) == (3, 1, 1)


@pytest.mark.parametrize("platform", FETCHED)
async def test_a_later_message_overtakes_one_that_is_held_back(sim: Sim, platform: str) -> None:
    await put(sim, platform, "reorder_push", seconds=0.3, times=1)
    for _ in range(2):
        sold(sim, platform)
    (early,) = waiting(sim, platform)

    async def both() -> list[str]:
        told = waiting(sim, platform)
        return told if len(told) == 2 else []

    first, second = await eventually(both)
    assert first == early
    assert int(second) < int(first)
    assert await struck(sim) == 1


@pytest.mark.parametrize("platform", FETCHED)
async def test_what_is_forged_is_posted_where_pushes_would_go_and_told_to_nobody(
    pushed: tuple[Sim, Receiver], platform: str
) -> None:
    sim, receiver = pushed
    await put(sim, platform, "forge_push")
    sold(sim, platform)
    (forged,) = await receiver.wait_for(1)
    assert forged.path == f"/hooks/{platform}/demo-{platform}"
    assert (len(waiting(sim, platform)), await struck(sim)) == (1, 1)


def channel(sim: Sim, account: Json) -> Socket:
    at = str(int(sim.app.state.world.clock.wall().timestamp() * 1000))
    sign = channel_signature(account["client_id"], at, account["client_secret"])
    return Socket(sim.app, f"/pinduoduo/message/{account['client_id']}/{at}/{sign}")


async def test_a_channel_is_cut_and_refused_while_its_platform_is_away(sim: Sim) -> None:
    account = await sim.account("demo-pinduoduo")
    open_before = channel(sim, account)
    assert await open_before.open()
    await sim.admin("PUT", "/faults", json={"rules": [{"match": {"platform": "jd"}, "fault": "down"}]})
    sold(sim, "pinduoduo")
    assert await open_before.receive() is not None, "another platform's outage is not its own"
    rule = {"match": {"platform": "pinduoduo"}, "fault": "down", "for_s": 3600}
    await sim.admin("PUT", "/faults", json={"rules": [rule]})
    assert await open_before.receive() is None
    assert not await channel(sim, account).open()
    sold(sim, "pinduoduo")
    assert await struck(sim) == 2, "cut once, refused once"
    await sim.admin("POST", "/advance", json={"seconds": 3600})
    again = channel(sim, account)
    assert await again.open()
    assert {await again.receive() is not None for _ in range(2)} == {True}, "what waited and what was not acknowledged"
    await again.close()
