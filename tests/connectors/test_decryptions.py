"""A Pinduoduo shop's decryptions: within the platform's quota, and everybody's turn comes."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from connectors.pinduoduo.decryption import DecryptionQuota
from connectors.tokens import MemoryTokenStore
from domain.catalog.shop_calls import OrderArguments
from domain.problems import NotFoundProblem, RateLimitProblem
from simulator import trade
from simulator.platforms.pinduoduo import render
from tests.connectors.harness import Outside, connector

SHOP = "demo-pinduoduo"


def _order(order_id: str) -> OrderArguments:
    return OrderArguments(order_id=order_id)


async def test_decryptions_keep_to_the_quota_before_anything_is_sent(world: Outside) -> None:
    state, clock = world.sim.app.state.world, [datetime.now(UTC)]
    link = replace(world.link, now=lambda: clock[0])
    orders = [trade.pay(state, trade.place_order(state, SHOP)) for _ in range(2)]
    client = connector("pinduoduo").open(await world.account("pinduoduo"), link)
    plain = await client.decrypt_receiver(_order(orders[0].id))
    assert plain.phone == orders[0].phone
    # Another process, and another order: the permits are the shop's.
    other = connector("pinduoduo").open(await world.account("pinduoduo"), link)
    with pytest.raises(RateLimitProblem) as error:
        await other.decrypt_receiver(_order(orders[1].id))
    problem = error.value.problem.as_dict()
    assert (problem["retryable"], problem["outcome"]) == (True, "not_done")
    assert 0 < problem["retry_after_s"] <= 10
    assert await world.effects(kind="decrypted") == 1
    clock[0] += timedelta(seconds=11)
    await world.sim.admin("POST", "/advance", json={"seconds": 11})
    assert (await other.decrypt_receiver(_order(orders[1].id))).phone == orders[1].phone
    assert (await world.sim.ledger(kind="decrypted", effect="false"))["attempts"] == 0


async def test_a_receiver_is_read_whatever_state_the_order_is_in(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, client = world.sim.app.state.world, await world.open("pinduoduo")
    # The platform counts across tests.
    await world.sim.admin("POST", "/advance", json={"seconds": 60})
    order, whole = trade.pay(state, trade.place_order(state, SHOP)), render.order
    monkeypatch.setattr(render, "order", lambda *asked: {**whole(*asked), "order_status": 9})
    assert (await client.decrypt_receiver(_order(order.id))).phone == order.phone


async def test_a_hundred_decryptions_a_day_and_no_more(world: Outside) -> None:
    state, clock = world.sim.app.state.world, [datetime(2026, 11, 23, 15, 0, tzinfo=UTC)]
    link = replace(world.link, now=lambda: clock[0], tokens=MemoryTokenStore())
    client = connector("pinduoduo").open(await world.account("pinduoduo"), link)
    for number in range(100):
        await client._decryptions.wait_for(f"order-{number}")
        await client._decryptions.take(f"order-{number}")
        clock[0] += timedelta(seconds=10)
    with pytest.raises(RateLimitProblem, match="Today") as error:
        await client._decryptions.wait_for("one-more")
    # It is 23:16:40 in China.
    assert error.value.problem.as_dict()["retry_after_s"] == 2600
    clock[0] += timedelta(seconds=2600)
    await client._decryptions.wait_for("one-more")
    await client._decryptions.take("one-more")
    assert len(state.ledger.totals()) == 0


async def test_a_hundred_who_come_at_once_are_all_served_and_wait_once(world: Outside) -> None:
    clock = [datetime(2026, 11, 23, 6, 0, tzinfo=UTC)]
    quota = DecryptionQuota("shop", replace(world.link, now=lambda: clock[0], tokens=MemoryTokenStore()))
    begin, late = clock[0], Random(7)
    coming = [(begin, f"order-{number:03d}") for number in range(110)]
    asked, taken = Counter[str](), dict[str, datetime]()
    while coming:
        coming.sort()
        clock[0], order = coming.pop(0)
        asked[order] += 1
        try:
            await quota.wait_for(order)
            await quota.take(order)
            taken[order] = clock[0]
        except RateLimitProblem as problem:
            wait_s = problem.problem.as_dict()["retry_after_s"] + late.random() * 0.5
            coming.append((clock[0] + timedelta(seconds=wait_s), order))
    times = sorted(taken.values())
    assert min(later - earlier for earlier, later in pairwise(times)) >= timedelta(seconds=10)
    assert sum(each < begin + timedelta(minutes=20) for each in times) == 100
    assert times[100] >= datetime(2026, 11, 23, 16, 0, tzinfo=UTC), "the next day in China"
    assert max(asked.values()) == 2


async def test_a_slot_that_nobody_came_for_is_lost_to_nobody(world: Outside) -> None:
    clock = [datetime(2026, 11, 23, 6, 0, tzinfo=UTC)]
    quota = DecryptionQuota("shop", replace(world.link, now=lambda: clock[0], tokens=MemoryTokenStore()))
    for order in ("first", *(f"cancelled-{number}" for number in range(99))):
        with suppress(RateLimitProblem):
            await quota.wait_for(order)
            await quota.take(order)
    clock[0] += timedelta(hours=1)
    await quota.wait_for("new")
    await quota.take("new")


async def test_a_blanked_receiver_costs_no_permit(world: Outside) -> None:
    state = world.sim.app.state.world
    order = trade.ship(state, trade.pay(state, trade.place_order(state, SHOP)), "SF1")
    client = await world.open("pinduoduo")
    with pytest.raises(NotFoundProblem, match="blanked"):
        await client.decrypt_receiver(_order(order.id))
    assert await world.effects(kind="decrypted") == 0
