"""A WeChat Store says at once when a variant runs low."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.accounts import Account
from connectors.webhooks import Verified
from domain.problems import ValidationProblem
from simulator import trade
from tests.connectors.harness import Outside, connector

KIND = "channels_ec_stock_no_enough"


async def test_a_variant_that_runs_low_is_told_of_with_what_is_left(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.receiver, "answer", "success")
    account, simulated = await world.account("wechat_store"), world.sim.app.state.world
    trade.set_stock(simulated, simulated.goods.having(shop=account.slug)[0], 5_000)
    await world.be_new()
    goods = simulated.goods.having(shop=account.slug)[0]
    for left in (100, 21, 20, 11, 9, 8, 200, 0):
        trade.set_stock(simulated, goods, left)
    store, told = connector("wechat_store"), []
    for push in await world.pushes("wechat_store", 3):
        record = store.verify(push, account)
        assert store.uses(record.kind)
        told += store.to_events(record, account)
    assert sorted(event.data["available"] for event in told) == [0, 9, 20]
    assert {event.type for event in told} == {"tandem.stock.changed"}
    assert {event.subjects for event in told} == {
        (f"goods:wechat_store/{goods.item_id}", f"sku:wechat_store/{goods.sku_id}")
    }


@pytest.mark.parametrize("field", ["product_id", "sku_id", "remaining_stock_amount"])
def test_an_anomalous_callback_names_the_field(field: str) -> None:
    left: dict[str, Any] = {"product_id": "1", "sku_id": "2", "remaining_stock_amount": "3"}
    body = {"CreateTime": 1795399200, "Event": KIND, KIND: {**left, field: ""}}
    received = datetime(2026, 11, 24, tzinfo=UTC)
    with pytest.raises(ValidationProblem) as error:
        connector("wechat_store").to_events(
            Verified(KIND, json.dumps(body).encode(), "k", received), Account("wechat_store", "store", {})
        )
    assert error.value.problem.as_dict()["field"].endswith(field)
