"""Messages of an application's other shops: neither kept nor confirmed, and asked about no more often than need be."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from simulator import trade
from simulator.platforms.taobao import messages as taobao_messages
from simulator.platforms.taobao.messages import TmcMessage
from tests.connectors.harness import Outside
from tests.connectors.pulls import events_of, pull_all, pull_once

SHOP = "demo-taobao"


async def test_messages_of_the_applications_other_shops_are_neither_kept_nor_confirmed(world: Outside) -> None:
    client, account, state = await world.open("taobao"), await world.account("taobao"), world.sim.app.state.world
    mine = trade.pay(state, trade.place_order(state, SHOP))
    theirs = trade.pay(state, trade.place_order(state, "demo-apparel"))
    waiting = state.shelf("tmc_message", TmcMessage)
    for row in list(waiting):
        waiting.remove(row.id)
    nick = state.shops.get(SHOP).name
    for number, (order, named) in enumerate(
        ((theirs, "另一家天猫店"), (theirs, None), (theirs, nick), (mine, None), (mine, nick)), start=1
    ):
        content = json.dumps({"tid": order.id, "payment": "1.00"})
        body = {"id": number, "topic": "taobao_trade_TradeBuyerPay", "user_nick": named, "content": content}
        waiting.put(TmcMessage(id=f"{number}-0", shop=SHOP, number=str(number), body=body))
    records, position = await pull_all(client, "messages")
    assert {event.subject for event in events_of(records, account)} == {f"order:{mine.id}"}
    await client.pull("messages", position, datetime.now(UTC))
    # The first names another shop; of two more the platform says whose they are, whatever they name.
    assert {row.number for row in waiting} == {"1", "2", "3"}


def crowd(state: Any, messages: int, named: str | None = "另一家天猫店") -> None:
    """Messages of another shop that nobody confirms; they name it, or none."""
    waiting = state.shelf("tmc_message", TmcMessage)
    for number in range(1, messages + 1):
        tid = str(number) if named else trade.pay(state, trade.place_order(state, "demo-apparel")).id
        content = json.dumps({"tid": tid})
        body = {"id": number, "topic": "taobao_trade_TradeBuyerPay", "user_nick": named, "content": content}
        waiting.put(TmcMessage(id=f"{number}-0", shop=SHOP, number=str(number), body=body))


async def test_a_shops_own_messages_are_found_behind_those_of_another(world: Outside) -> None:
    client, account, state = await world.open("taobao"), await world.account("taobao"), world.sim.app.state.world
    crowd(state, 250)
    mine = trade.pay(state, trade.place_order(state, SHOP))
    records, _ = await pull_all(client, "messages", most=4)
    assert f"order:{mine.id}" in {event.subject for event in events_of(records, account)}


async def test_messages_that_nobody_confirms_keep_a_shop_busy_for_a_moment_only(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The platform holds nothing back: what is not confirmed stands first each time.
    monkeypatch.setattr(taobao_messages, "COMES_AGAIN", timedelta())
    client, state = await world.open("taobao"), world.sim.app.state.world
    crowd(state, 150)
    with capture_logs() as logged:
        for _ in range(2):
            assert await pull_all(client, "messages", most=6) == ([], {})
    warnings = [each["event"] for each in logged if each["log_level"] == "warning"]
    assert sum("a group of their own" in each for each in warnings) == 2


@pytest.mark.parametrize(
    ("messages", "named", "in_vain"), [(3, "另一家天猫店", False), (150, "另一家天猫店", True), (3, None, True)]
)
async def test_a_reading_that_cost_much_and_found_others_messages_alone_says_so(
    world: Outside, messages: int, named: str | None, in_vain: bool
) -> None:
    client, state = await world.open("taobao"), world.sim.app.state.world
    crowd(state, messages, named)
    page = await pull_once(client, "messages", {}, datetime.now(UTC))
    while page.more:
        page = await pull_once(client, "messages", page.cursor, datetime.now(UTC))
    assert (list(page.records), page.in_vain) == ([], in_vain)


async def test_one_that_found_its_own_among_them_is_asked_on(world: Outside) -> None:
    client, state = await world.open("taobao"), world.sim.app.state.world
    crowd(state, 3, None)
    trade.pay(state, trade.place_order(state, SHOP))
    page = await pull_once(client, "messages", {}, datetime.now(UTC))
    assert page.records
    assert not page.in_vain
