"""Goods come with the name of their category, wherever the platform keeps it."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from connectors.category_names import CategoryNames
from connectors.goods_lists import GOODS
from domain.problems import AuthorizationProblem, CommunicationProblem, Text
from tests.connectors.harness import CONNECTORS, Outside, connector
from tests.connectors.names import forget_names
from tests.connectors.pulls import events_of, pull_all

LISTING = sorted(name for name, each in CONNECTORS.items() if GOODS in getattr(each.client, "streams", ()))
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.mark.parametrize("platform", LISTING)
async def test_goods_say_their_category_by_its_name(
    world: Outside, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    forget_names(monkeypatch)
    account = await world.account(platform)
    simulated = world.sim.app.state.world
    goods = simulated.goods.having(shop=account.slug)
    for row in goods:
        if row.item_id == goods[0].item_id:
            simulated.goods.change(row, category="猫粮")
    client = connector(platform).open(account, world.link)
    records, _ = await pull_all(client, "goods", until=datetime.now(UTC))
    events = [event for event in events_of(records, account) if event.type == "tandem.goods.updated"]
    told: dict[str, set[str]] = {}
    for event in events:
        told.setdefault(event.data["item_id"], set()).add(event.data["category"])
    assert told == {row.item_id: {row.category} for row in simulated.goods.having(shop=account.slug)}
    assert told[goods[0].item_id] == {"猫粮"}


class Names:
    """A platform that knows some names; how often it was asked for what."""

    def __init__(self) -> None:
        self.known = {"1": "猫粮", "2": "狗粮"}
        self.asked: list[list[str]] = []
        self.trouble: Exception | None = None

    async def __call__(self, numbers: Collection[str]) -> Mapping[str, str]:
        self.asked.append(list(numbers))
        if self.trouble is not None:
            raise self.trouble
        return self.known


async def test_a_name_is_asked_for_once_a_day_and_a_number_without_one_too() -> None:
    names, platform = CategoryNames(), Names()
    assert await names.of("shop", ["1", "3"], platform, NOW) == {"1": "猫粮"}
    assert await names.of("shop", ["1", "2", "3"], platform, NOW) == {"1": "猫粮", "2": "狗粮"}
    assert platform.asked == [["1", "3"]], "what was told beside is known as well"
    assert await names.of("other", ["1"], platform, NOW) == {"1": "猫粮"}
    platform.known["3"] = "咖啡"
    later = NOW + timedelta(days=1)
    assert await names.of("shop", ["3"], platform, later) == {"3": "咖啡"}


async def test_a_shop_that_may_not_read_names_keeps_numbers_and_silence_takes_no_name_away() -> None:
    names, platform = CategoryNames(), Names()
    platform.trouble = AuthorizationProblem(Text("没有权限", "no permission"))
    assert await names.of("shop", ["1"], platform, NOW) == {}
    platform.trouble = CommunicationProblem(Text("无应答", "no answer"))
    with pytest.raises(CommunicationProblem):
        await names.of("shop", ["2"], platform, NOW)
    platform.trouble = None
    assert await names.of("shop", ["2"], platform, NOW) == {"2": "狗粮"}
