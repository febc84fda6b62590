"""The states of after-sale applications at Pinduoduo: all of them are read, and no money goes for an exchange."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.accounts import Account
from connectors.pinduoduo.records import read_refund
from connectors.webhooks import Verified
from domain.problems import ConflictProblem, ProblemError
from simulator import trade
from simulator.entities import RefundStatus
from simulator.platforms.pinduoduo import render
from tests.connectors.harness import Outside, connector, perform
from tests.connectors.pulls import events_of, pull_all

SHOP = "demo-pinduoduo"
ACCOUNT = Account("pinduoduo", "shop", {})
DOCUMENTED = (0, *range(2, 19), 21, 22, 24, 25, 27, 31, 32, 33)
ROW: dict[str, Any] = {
    "id": 1,
    "order_sn": "261123-000000000000001",
    "after_sales_type": 3,
    "refund_amount": "79.90",
    "created_time": "2026-11-23 09:30:00",
    "updated_time": "2026-11-23 09:30:00",
}


def listed(state: int, **more: Any) -> str:
    """The status of a row of the increments."""
    payload = json.dumps({**ROW, "after_sales_status": state, **more}).encode()
    record = Verified("refund", payload, "key", datetime(2026, 11, 23, 2, 0, tzinfo=UTC))
    (event,) = connector("pinduoduo").to_events(record, ACCOUNT)
    assert isinstance(event.data, dict)
    return str(event.data["status"])


def alone(state: int, **more: Any) -> str:
    """The status of an application that is read by itself."""
    told = {"id": 1, "order_sn": ROW["order_sn"], "after_sales_type": 2, "refund_amount": 7990}
    return read_refund({**told, "after_sales_status": state, **more}).status


async def applied(world: Outside, **more: Any) -> dict[str, str]:
    return {"refund_id": (await world.sim.refund(shop=SHOP, **more))["id"]}


@pytest.mark.parametrize("state", DOCUMENTED)
def test_every_state_that_the_platform_lists_is_read(state: int) -> None:
    assert listed(state)


@pytest.mark.parametrize("state", [14, 15, 16, 17, 18, 21, 22, 24, 25, 27, 32])
def test_an_exchange_and_a_repair_are_no_refund(state: int) -> None:
    assert listed(state, tracking_number="YT1") == "closed"


@pytest.mark.parametrize("state", DOCUMENTED)
def test_an_exchange_by_its_kind_is_no_refund_in_any_state_but_where_money_went(state: int) -> None:
    status = "refunded" if state in (4, 5, 10) else "closed"
    assert {listed(state, after_sales_type=kind) for kind in (4, 5)} == {status}
    assert {alone(state, after_sales_type=kind, express_no="YT1") for kind in (3, 4, 5)} == {status}


def test_the_parcel_that_an_order_went_out_in_brings_no_goods_back() -> None:
    assert listed(3, tracking_number="YT1") == "requested"
    assert listed(6, tracking_number="YT1") == "refused"


async def test_whether_goods_came_back_is_asked_where_the_list_does_not_tell(world: Outside) -> None:
    back, money = await applied(world, returns_goods=True), await applied(world, returns_goods=False)
    client, account = await world.open("pinduoduo"), await world.account("pinduoduo")

    async def pulled() -> dict[str, str]:
        soon = datetime.now(UTC) + timedelta(minutes=5)
        records, _ = await pull_all(client, "refunds", soon - timedelta(minutes=12), until=soon)
        events = events_of(records, account)
        return {str(event.data["refund_id"]): event.data["status"] for event in events if isinstance(event.data, dict)}

    told = await pulled()
    assert (told[back["refund_id"]], told[money["refund_id"]]) == ("returned", "requested")
    await world.break_things({"match": {"api": "pdd.refund.information.get"}, "fault": "forbidden"})
    assert (await pulled())[back["refund_id"]] == "requested", "as far as the list knows"


def test_an_application_that_waits_is_of_goods_on_their_way_back_once_there_is_a_parcel() -> None:
    assert (alone(3), alone(3, express_no="YT1")) == ("requested", "returned")
    assert (alone(6), alone(6, express_no="YT1")) == ("refused", "return_refused")


@pytest.mark.parametrize(("state", "status"), [(14, "closed"), (31, "awaiting_return"), (33, "awaiting_return")])
async def test_no_money_goes_for_an_exchange_nor_before_a_refused_parcel_is_back(
    world: Outside, monkeypatch: pytest.MonkeyPatch, state: int, status: str
) -> None:
    client, refund = await world.open("pinduoduo"), await applied(world)
    monkeypatch.setitem(render.REFUND_STATUSES, RefundStatus.RETURNED, state)
    assert (await perform(client, "pinduoduo.get_refund", **refund)).status == status
    with pytest.raises(ConflictProblem, match=status):
        await perform(client, "pinduoduo.agree_refund", **refund)
    assert await world.effects(kind="refund_agreed", **refund) == 0


@pytest.mark.parametrize(
    ("call", "more"), [("get_refund", {}), ("agree_refund", {}), ("refuse_refund", {"reason": "已发货"})]
)
async def test_a_refund_is_asked_for_with_its_order_where_that_is_named(
    world: Outside, call: str, more: dict[str, str]
) -> None:
    client, made = await world.open("pinduoduo"), await world.sim.refund(shop=SHOP, returns_goods=False)
    named = {"refund_id": made["id"], **more}
    with pytest.raises(ProblemError, match="refund-not-exist"):
        await perform(client, f"pinduoduo.{call}", **named, order_id="261123-000000000000009")
    found = await perform(client, f"pinduoduo.{call}", **named, order_id=made["tid"], key="key-2")
    assert found.refund_id == made["id"]


@pytest.mark.parametrize("returns_goods", [True, False])
async def test_a_refund_reads_the_same_by_itself_as_in_the_list(world: Outside, returns_goods: bool) -> None:
    refund = await applied(world, amount_minor=29900, returns_goods=returns_goods)
    read = await perform(await world.open("pinduoduo"), "pinduoduo.get_refund", **refund)
    outside = world.sim.app.state.world
    row = outside.refunds.get(refund["refund_id"])
    listing = render.listed_refund(row, outside.orders.get(row.tid))
    assert (read.returns_goods, read.amount_minor) == (returns_goods, 29900)
    assert (read.status, bool(read.return_waybill)) == (("returned", True) if returns_goods else ("requested", False))
    record = Verified("refund", json.dumps(listing).encode(), "key", datetime.now(UTC))
    (event,) = connector("pinduoduo").to_events(record, ACCOUNT)
    assert isinstance(event.data, dict)
    told = [event.data[name] for name in ("amount_minor", "returns_goods", "reason")]
    assert told == [read.amount_minor, read.returns_goods, read.reason]
    # That the goods came back, the list does not tell, though the order's own parcel stands there.
    assert (event.data["status"], bool(listing["tracking_number"])) == ("requested", True)


@pytest.mark.parametrize(("amounts", "status"), [((100,), "shipped"), ((100, 200), "shipped"), ((None,), "closed")])
async def test_an_order_is_over_when_all_of_it_went_back(
    world: Outside, amounts: tuple[int | None, ...], status: str
) -> None:
    """`refund_status` says no more than that something did."""
    client, account = await world.open("pinduoduo"), await world.account("pinduoduo")
    state = world.sim.app.state.world
    order = trade.ship(state, trade.pay(state, trade.place_order(state, SHOP)))
    for amount in amounts:
        refund = trade.request_refund(state, order, amount_minor=amount or order.paid_minor, returns_goods=False)
        trade.pay_back(state, refund, refund.version)
    assert (await perform(client, "pinduoduo.get_order", order_id=order.id)).status == status
    soon = datetime.now(UTC) + timedelta(minutes=5)
    records, _ = await pull_all(client, "orders", soon - timedelta(minutes=12), until=soon)
    (told,) = [each for each in events_of(records, account) if each.subject == f"order:{order.id}"]
    assert isinstance(told.data, dict)
    assert told.data["status"] == status
    await world.break_things({"match": {"api": "pdd.refund.list.increment.get"}, "fault": "forbidden"})
    records, _ = await pull_all(client, "orders", soon - timedelta(minutes=12), until=soon)
    (told,) = [each for each in events_of(records, account) if each.subject == f"order:{order.id}"]
    assert isinstance(told.data, dict)
    assert told.data["status"] == "shipped", "as far as it is known"
