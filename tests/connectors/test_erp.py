"""The ERP port: orders go out once, waybills and stock come in twice over and are told once."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.connection_report import ConnectionFault
from connectors.erp.records import read_shipping_order
from connectors.webhooks import Verified
from domain.problems import AuthenticationProblem, ConflictProblem, NotFoundProblem, ValidationProblem
from simulator.trade import set_stock
from tests.connectors.cases.erp import LINES
from tests.connectors.harness import Outside, connector, perform
from tests.connectors.pulls import events_of, pull_all

ORDER: dict[str, Any] = {"order_id": "691", "shop": "douyin/demo-douyin", "lines": LINES}
LATER = timedelta(minutes=1)


async def test_an_order_goes_out_and_its_waybill_comes_back_by_push_and_by_pull(world: Outside) -> None:
    client, account = await world.open("erp"), await world.account("erp")
    made = await perform(client, "erp.create_shipping_order", **ORDER)
    assert (made.state, made.waybill, made.already) == ("accepted", None, False)
    [request] = await world.pushes("erp", 1)
    pushed = connector("erp").to_events(connector("erp").verify(request, account), account)
    pulled = events_of((await pull_all(client, "waybills", until=datetime.now(UTC) + LATER))[0], account)
    assert [event.type for event in pushed] == ["tandem.shipment.updated"]
    assert pushed[0].id == pulled[0].id
    assert (pushed[0].data["order_id"], pushed[0].data["order_account"]) == ("691", "douyin/demo-douyin")
    read = await perform(client, "erp.get_shipping_order", number=made.number)
    assert (read.state, read.waybill) == ("shipped", pushed[0].data["waybill"])


async def test_an_order_that_leaves_in_two_parcels_is_told_and_shown_as_two(world: Outside) -> None:
    client, account = await world.open("erp"), await world.account("erp")
    await world.sim.admin("PUT", "/warehouse", json={"ships": True, "parcels": 2})
    lines = [{**LINES[0], "line_id": each} for each in ("1", "2", "3")]
    made = await perform(client, "erp.create_shipping_order", **{**ORDER, "lines": lines})
    assert made.parcels == ()
    requests = await world.pushes("erp", 2)
    pushed = [connector("erp").to_events(connector("erp").verify(each, account), account)[0] for each in requests]
    pulled = events_of((await pull_all(client, "waybills", until=datetime.now(UTC) + LATER))[0], account)
    assert {each.id for each in pushed} == {each.id for each in pulled}
    told = {each.data["waybill"]: tuple(each.data["line_ids"]) for each in pushed}
    assert sorted(told.values()) == [("1", "3"), ("2",)]
    read = await perform(client, "erp.get_shipping_order", number=made.number)
    assert {each.waybill: each.line_ids for each in read.parcels} == told
    assert (read.waybill, read.company) == (read.parcels[0].waybill, "顺丰速运")


def test_an_erp_that_shows_one_waybill_or_only_parcels_is_understood() -> None:
    order = {"number": "1", "order_id": "691", "shop": "douyin/demo-douyin", "state": "shipped"}
    one = read_shipping_order({**order, "waybill": "SF1", "company": "顺丰速运"})
    assert (one.waybill, one.parcels) == ("SF1", ())
    only = read_shipping_order({**order, "parcels": [{"waybill": "SF1", "company": "顺丰速运"}, {"waybill": "SF2"}]})
    assert (only.waybill, only.company, len(only.parcels)) == ("SF1", "顺丰速运", 2)
    with pytest.raises(ValidationProblem, match="waybill"):
        read_shipping_order({**order, "parcels": [{"line_ids": ["1"]}]})


async def test_the_same_key_is_the_same_order_and_another_key_another(world: Outside) -> None:
    client = await world.open("erp")
    first = await perform(client, "erp.create_shipping_order", key="a", **ORDER)
    again = await perform(client, "erp.create_shipping_order", key="a", **ORDER)
    other = await perform(client, "erp.create_shipping_order", key="b", **ORDER)
    assert (again.number, again.already) == (first.number, True)
    assert other.number != first.number
    with pytest.raises(ConflictProblem):
        await perform(client, "erp.create_shipping_order", key="a", **{**ORDER, "order_id": "692"})


async def test_an_unknown_order_is_not_there(world: Outside) -> None:
    client = await world.open("erp")
    with pytest.raises(NotFoundProblem):
        await perform(client, "erp.get_shipping_order", number="nobody")
    with pytest.raises(ValidationProblem, match="number"):
        await perform(client, "erp.get_shipping_order", number="nobody/../1?x")
    with pytest.raises(ValidationProblem, match="either"):
        await perform(client, "erp.get_shipping_order")


async def test_stock_that_changes_while_it_is_read_is_not_missed(world: Outside) -> None:
    client, account = await world.open("erp"), await world.account("erp")
    simulated = world.sim.app.state.world
    goods = next(iter(simulated.goods))

    async def sell(turn: int) -> None:
        if turn == 0:
            set_stock(simulated, goods, 7)

    since = datetime.now(UTC) - timedelta(days=800)
    records, cursor = await pull_all(client, "stock", since, between=sell, until=datetime.now(UTC) + LATER)
    again, _ = await pull_all(client, "stock", cursor=cursor, until=datetime.now(UTC) + LATER)
    found = [event.data for event in events_of([*records, *again], account)]
    assert len({(data["item_id"], data["sku_id"]) for data in found}) == len(simulated.goods)
    assert [data["available"] for data in found if data["sku_id"] == goods.code][-1] == 7
    assert {record.kind for record in records} == {"stock"}


def wrong(kind: str, **change: Any) -> Verified:
    data = {"order_id": "1", "waybill": "SF1", "item_id": "g", "available": 1, "version": 1, **change}
    return Verified(kind, json.dumps({"type": kind, "data": data}).encode(), "k", datetime.now(UTC))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("waybill", {"waybill": None}),
        ("waybill", {"version": "new"}),
        ("waybill", {"version": -1}),
        ("waybill", {"changed_at": "yesterday"}),
        ("waybill", {"changed_at": "2126-01-01T00:00:00+08:00"}),
        ("waybill", {"line_ids": [1]}),
        ("waybill", {"state": {}}),
        ("waybill", {"shop": "抖音旗舰店"}),
        ("waybill", {"shop": ["douyin/demo-douyin"]}),
        ("stock", {"available": "many"}),
        ("stock", {"item_id": {}}),
    ],
)
async def test_what_is_odd_names_its_field(world: Outside, kind: str, change: dict[str, Any]) -> None:
    account = await world.account("erp")
    with pytest.raises(ValidationProblem, match=next(iter(change))):
        connector("erp").to_events(wrong(kind, **change), account)


async def test_new_kinds_are_no_error_and_a_parcel_may_be_anywhere(world: Outside) -> None:
    account = await world.account("erp")
    assert connector("erp").to_events(wrong("invoice"), account) == []
    for said in ({}, {"state": "teleported"}):
        [event] = connector("erp").to_events(wrong("waybill", **said), account)
        assert event.data["state"] == "unknown"


async def test_an_erp_that_shows_no_shop_is_understood(world: Outside) -> None:
    account = await world.account("erp")
    for said in ({}, {"shop": None}, {"shop": ""}):
        [event] = connector("erp").to_events(wrong("waybill", **said), account)
        assert event.data["order_account"] is None


async def test_a_wrong_clock_is_said_in_plain_words(world: Outside) -> None:
    link = replace(world.link, now=lambda: datetime.now(UTC) - timedelta(minutes=9))
    report = await connector("erp").test_connection(await world.account("erp"), link)
    assert report.fault is ConnectionFault.CLOCK
    assert "时钟" in report.message.zh
    client = connector("erp").open(await world.account("erp"), link)
    with pytest.raises(AuthenticationProblem):
        await perform(client, "erp.get_shipping_order", number="1")


async def test_an_order_is_cancelled_once_and_only_while_it_is_there(world: Outside) -> None:
    client = await world.open("erp")
    await world.sim.admin("PUT", "/warehouse", json={"ships": False})
    waiting = await perform(client, "erp.create_shipping_order", **ORDER)
    match = {"platform": "erp", "api": "shipping-orders"}
    await world.break_things({"match": match, "fault": "timeout_after", "times": 1, "seconds": 1})
    cancelled = await perform(client, "erp.cancel_shipping_order", number=waiting.number)
    assert (cancelled.state, cancelled.already) == ("cancelled", True)
    assert await world.effects(kind="shipping_order_cancelled", number=waiting.number) == 1
    assert (await world.sim.admin("PUT", "/warehouse", json={"ships": True}))["shipped"] == 0
    left = await perform(client, "erp.create_shipping_order", key="left", **ORDER)
    with pytest.raises(ConflictProblem, match="left"):
        await perform(client, "erp.cancel_shipping_order", number=left.number)
    with pytest.raises(NotFoundProblem):
        await perform(client, "erp.cancel_shipping_order", number="nobody")
