"""Youzan's coupons, read again: who took them, what they are worth, until when, and whether they were used."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.youzan import coupon_lists
from domain.problems import ValidationProblem
from simulator.interactions import spend_coupon, take_coupon
from tests.connectors.harness import Outside, connector
from tests.connectors.pulls import events_of, pull_all


async def test_coupons_come_with_their_worth_and_are_the_same_events_as_their_pushes(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coupon_lists, "_LOGS", 2)
    monkeypatch.setattr(coupon_lists, "_GROUPS", 1)
    simulated, account = world.sim.app.state.world, await world.account("youzan")
    people = [row.id for row in simulated.customers][:3]
    taken = [
        take_coupon(simulated, person, account.slug, value_minor=value, days=5)
        for person in people
        for value in (1000, 2000)
    ]
    used = spend_coupon(simulated, taken[0].id, "E1")
    later = datetime.now(UTC) + timedelta(minutes=5)
    records, position = await pull_all(
        await world.open("youzan"), "coupons", later - timedelta(minutes=30), until=later
    )
    found = {event.data["coupon_id"]: event for event in events_of(records, account)}
    assert {row.id for row in taken} <= found.keys()
    told = found[used.id].data
    assert (told["state"], told["order_id"], told["value_minor"], told["threshold_minor"]) == ("used", "E1", 1000, 3000)
    kept = found[taken[1].id].data
    assert (kept["state"], kept["buyer"]["buyer_id"]) == ("taken", simulated.buyers.get(taken[1].buyer).buyer_id)
    assert datetime.fromisoformat(kept["expires_on"]).date() >= (taken[1].expires_at - timedelta(days=1)).date()
    pushes = await world.pushes("youzan", len(taken) + 1)
    youzan = connector("youzan")
    pushed = {
        event.id
        for request in pushes
        for event in youzan.to_events(youzan.verify(request, account), account)
        if event.type.startswith("tandem.coupon.")
    }
    assert {found[row.id].id for row in taken} <= pushed, "the same change is one event"
    assert await pull_all(await world.open("youzan"), "coupons", cursor=position, until=later) == ([], position)


async def test_groups_are_listed_once_for_all_pages_of_one_reading(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coupon_lists, "_GROUPS", 2)
    simulated, account = world.sim.app.state.world, await world.account("youzan")
    person = next(iter(simulated.customers)).id
    taken = [take_coupon(simulated, person, account.slug, value_minor=100 * worth, days=5) for worth in range(1, 7)]
    shop, asked = await world.open("youzan"), Counter[str]()
    call = shop.gateway.call

    async def counted(method: str, *rest: Any, **more: Any) -> Any:
        asked[method] += 1
        return await call(method, *rest, **more)

    monkeypatch.setattr(shop.gateway, "call", counted)
    later = datetime.now(UTC) + timedelta(minutes=5)
    records, _ = await pull_all(shop, "coupons", later - timedelta(minutes=30), until=later)
    assert len(records) >= len(taken)
    groups = len({row.batch for row in simulated.coupons.having(shop=taken[0].shop)})
    assert groups >= 6
    assert asked == {
        "youzan.ump.coupon.search": -(-groups // 2),
        "youzan.ump.coupon.consume.fetchlogs.get": groups,
    }


@pytest.mark.parametrize(
    "log", [{"promocard_id": "1"}, {"taked_at": "2026-11-01 00:00:00"}, {"promocard_id": "1", "taked_at": "soon"}]
)
async def test_a_row_that_cannot_be_understood_says_why(world: Outside, log: dict[str, str]) -> None:
    record = coupon_lists._record({"group": {"id": "7"}, "log": log}, datetime.now(UTC))
    with pytest.raises(ValidationProblem):
        connector("youzan").to_events(record, await world.account("youzan"))
