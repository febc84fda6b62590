"""A Douyin shop's lists: windows, pages that shift, and what a push told before."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.connection_report import ConnectionFault
from connectors.douyin import pages, settlement
from connectors.douyin.records import search_index
from connectors.reading import CHINA
from domain.problems import NotFoundProblem
from simulator import trade
from simulator.entities import OrderStatus
from tests.connectors.harness import Outside, connector, perform
from tests.connectors.pulls import pull_all
from tests.connectors.test_douyin import SHOP, order_of, orders_of_last_week, reachable


async def test_an_order_is_read_with_its_influencer(world: Outside) -> None:
    made = await order_of(world, channel="live", influencer_id="70001")
    read = await perform(await world.open("douyin"), "douyin.get_order", order_id=made.id)
    assert (read.status, read.paid_minor, read.influencer_id, read.channel) == (
        "paid",
        made.paid_minor,
        "70001",
        "live",
    )
    assert search_index(read.delivery.phone_ciphertext)
    with pytest.raises(NotFoundProblem):
        await perform(await world.open("douyin"), "douyin.get_order", order_id="6900")


async def test_a_clock_that_is_wrong_is_said_in_plain_words(world: Outside) -> None:
    link = replace(world.link, now=lambda: datetime.now(UTC) + timedelta(hours=1))
    report = await connector("douyin").test_connection(await world.account("douyin"), link)
    assert report.fault is ConnectionFault.CLOCK
    assert "clock" in report.message.en
    assert "时钟" in report.message.zh


async def test_a_list_that_shifts_while_it_is_read_loses_nothing(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_SIZE", 3)
    monkeypatch.setattr(pages, "LONGEST_WINDOW", timedelta(days=90))
    simulated = world.sim.app.state.world
    await orders_of_last_week(world, 14)
    before = reachable(world)
    await world.break_things(
        {"match": {"platform": "douyin", "api": "order.searchList"}, "fault": "shift_page", "copies": 2}
    )
    account, client = await world.account("douyin"), await world.open("douyin")
    records, cursor = await pull_all(client, "orders", cursor={}, until=datetime.now(UTC))
    await world.break_things()
    later = datetime.now(UTC) + timedelta(minutes=5)
    client = connector("douyin").open(account, replace(world.link, now=lambda: later))
    more, cursor = await pull_all(client, "orders", cursor=cursor, until=later)
    seen: dict[str, dict[str, Any]] = {}
    for record in (*records, *more):
        for event in connector("douyin").to_events(record, account):
            known = seen.get(str(event.subject))
            if known is None or event.data["version"] >= known["version"]:
                seen[str(event.subject)] = event.data
    truth = {number: simulated.orders.get(number) for number in reachable(world)}
    assert before < truth.keys()
    assert {number: seen[f"order:{number}"]["status"] for number in truth} == {
        number: order.status.value for number, order in truth.items()
    }
    assert {number: seen[f"order:{number}"]["paid_minor"] for number in truth} == {
        number: order.paid_minor for number, order in truth.items()
    }
    assert not (await client.pull("orders", cursor, later)).records


async def test_a_window_that_holds_too_much_is_halved(world: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_ROWS", 2)
    monkeypatch.setattr(pages, "PAGE_SIZE", 2)
    monkeypatch.setattr(pages, "LONGEST_WINDOW", timedelta(days=90))
    await orders_of_last_week(world, 9)
    records, _ = await pull_all(await world.open("douyin"), "orders", cursor={}, until=datetime.now(UTC))
    assert {json.loads(record.payload)["order_id"] for record in records} == reachable(world)


async def test_what_a_push_told_and_a_list_repeats_is_one_event(world: Outside) -> None:
    account, simulated = await world.account("douyin"), world.sim.app.state.world
    made = trade.ship(simulated, await order_of(world), "SF9")
    trade.complete(simulated, made)
    pushes = await world.pushes("douyin", 4)
    douyin = connector("douyin")
    told = {
        event.id: event.type
        for request in pushes
        for event in douyin.to_events(douyin.verify(request, account), account)
        if event.subject == f"order:{made.id}"
    }
    later = datetime.now(UTC) + timedelta(minutes=5)
    client = douyin.open(account, replace(world.link, now=lambda: later))
    records, _ = await pull_all(
        client, "orders", cursor={"since": (later - timedelta(minutes=9)).isoformat()}, until=later
    )
    listed = [event for record in records for event in douyin.to_events(record, account)]
    completed = next(event for event in listed if event.subject == f"order:{made.id}")
    assert told[completed.id] == "tandem.order.completed"
    assert simulated.orders.get(made.id).status is OrderStatus.COMPLETED


async def test_refunds_are_read_again_too(world: Outside) -> None:
    made = await world.sim.refund(shop=SHOP, amount_minor=12900)
    later = datetime.now(UTC) + timedelta(minutes=5)
    account = await world.account("douyin")
    client = connector("douyin").open(account, replace(world.link, now=lambda: later))
    since = {"since": (later - timedelta(minutes=9)).isoformat()}
    records, _ = await pull_all(client, "refunds", cursor=since, until=later)
    (event,) = [event for record in records for event in connector("douyin").to_events(record, account)]
    assert (event.type, event.data["amount_minor"]) == ("tandem.refund.returned", 12900)
    assert event.data["order_id"] == made["tid"]
    with pytest.raises(NotFoundProblem):
        await client.pull("stars", {}, later)


async def test_a_days_settlement_is_read_by_both_halves_of_its_cursor(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "PAGE_SIZE", 2)
    simulated = world.sim.app.state.world
    noon = (datetime.now(CHINA) - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    amounts = []
    with simulated.bulletin.quiet():
        for number in range(7):
            done = trade.complete(simulated, trade.ship(simulated, await order_of(world, influencer_id="70001"), "SF"))
            # Three share a second: the index tells them apart.
            simulated.orders.change(done, finished_at=noon + timedelta(seconds=max(number - 3, 0)))
            amounts.append(done.goods_minor)
    told = await perform(await world.open("douyin"), "douyin.read_settlement", day=noon.date().isoformat())
    assert (told.lines, told.orders) == (7, 7)
    assert told.commission_minor == sum(amount // 10 for amount in amounts)
    assert told.settled_minor + told.commission_minor + told.fee_minor == sum(amounts)
    empty = await perform(await world.open("douyin"), "douyin.read_settlement", day="2020-01-01")
    assert (empty.lines, empty.settled_minor) == (0, 0)
