"""How well platforms are read, over HTTP and for Prometheus: within one's data scope, page after page."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.access import Role, Scope
from domain.accounts import NewAccount
from services.accounts import PlatformAccounts
from storage.comparisons import ComparisonRow
from storage.pulls import Streams
from storage.unit_of_work import UnitOfWork
from tests.api.house import METRICS_TOKEN, SYSTEM, House

EAST, WEST = "youzan/east-shop", "taobao/west-shop"
PATHS = {EAST: "/east/", WEST: "/west/"}


def _compared(account_id: str, stream: str, at: datetime, records: int, missing: int, differing: int) -> ComparisonRow:
    return ComparisonRow(
        account_id=account_id,
        unit_path=PATHS[account_id],
        stream=stream,
        since=at - timedelta(days=2),
        until=at,
        records=records,
        missing=missing,
        differing=differing,
        begun_at=at,
        compared_at=at,
    )


def _failed(account_id: str, stream: str, at: datetime) -> ComparisonRow:
    row = _compared(account_id, stream, at, 50, 25, 0)
    row.problem = "no permission"
    return row


@pytest.fixture(scope="module")
async def shops(house: House) -> House:
    """Two shops whose streams were read, one of which stopped, with comparisons of some nights."""
    accounts = PlatformAccounts(house.database)
    for account_id, path in PATHS.items():
        platform, _, slug = account_id.partition("/")
        new = NewAccount(platform=platform, slug=slug, name=slug, unit_path=path, credentials={"client_secret": "s"})
        await accounts.connect(SYSTEM, new)
    async with UnitOfWork(house.database) as work:
        streams, now = Streams(work), work.now
        await streams.note(EAST, "orders", "/east/", {}, reached_at=now - timedelta(minutes=3), records=7, missed=2)
        await streams.note(EAST, "refunds", "/east/", {}, reached_at=now - timedelta(minutes=9))
        await streams.note(WEST, "orders", "/west/", {}, reached_at=None, problem="quota is used up")
        for row in (
            _compared(EAST, "orders", now - timedelta(days=5), 100, 50, 0),
            _compared(EAST, "orders", now - timedelta(hours=26), 100, 10, 10),
            _compared(EAST, "orders", now - timedelta(hours=2), 300, 1, 2),
            _compared(EAST, "refunds", now - timedelta(hours=1), 100, 0, 1),
            _compared(WEST, "orders", now - timedelta(minutes=30), 0, 0, 0),
            _failed(EAST, "orders", now - timedelta(minutes=90)),
        ):
            await streams.insert(row)
    await house.add_user("east-reader", Role.AUDITOR, scope=Scope.of_branch("/east/"))
    await house.add_user("west-reader", Role.AUDITOR, scope=Scope.of_accounts(WEST))
    return house


async def _items(house: House, who: str, path: str) -> list[dict[str, Any]]:
    answer = await house.get(who, path)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_where_each_stream_stands(shops: House) -> None:
    stopped, orders, refunds = await _items(shops, "auditor", "/api/v1/streams")
    assert (orders["account_id"], orders["stream"], orders["records"], orders["missed"]) == (EAST, "orders", 7, 2)
    assert (refunds["stream"], refunds["problem"], refunds["problem_since"]) == ("refunds", None, None)
    assert (stopped["problem"], stopped["reached_at"]) == ("quota is used up", None)
    assert stopped["problem_since"] == stopped["pulled_at"]
    assert [each["stream"] for each in await _items(shops, "auditor", f"/api/v1/streams?account={EAST}")] == [
        "orders",
        "refunds",
    ]


async def test_comparisons_come_the_newest_first_with_their_accuracy(shops: House) -> None:
    found = await _items(shops, "auditor", f"/api/v1/comparisons?account={EAST}&stream=orders")
    assert [each["accuracy"] for each in found] == pytest.approx([0.5, 0.99, 0.8, 0.5])
    assert [each["state"] for each in found] == ["failed", "done", "done", "done"]
    assert found[0]["problem"] == "no permission"
    nothing, refunds = (await _items(shops, "auditor", "/api/v1/comparisons"))[:2]
    assert (nothing["account_id"], nothing["accuracy"]) == (WEST, None)
    assert (refunds["stream"], refunds["records"], refunds["missing"], refunds["differing"]) == ("refunds", 100, 0, 1)
    seen, cursor = 0, ""
    while True:
        page = (await shops.get("auditor", f"/api/v1/comparisons?size=2{cursor}")).json()
        seen += len(page["items"])
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == 6


@pytest.mark.parametrize("path", ["/api/v1/streams", "/api/v1/comparisons"])
async def test_nobody_sees_what_other_shops_lack(shops: House, path: str) -> None:
    assert {each["account_id"] for each in await _items(shops, "east-reader", path)} == {EAST}
    assert {each["account_id"] for each in await _items(shops, "west-reader", path)} == {WEST}
    assert await _items(shops, "east-reader", f"{path}?account={WEST}") == []


async def test_prometheus_is_told_who_is_behind_and_how_right_it_was(
    shops: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.metrics.FIGURES_KEPT_S", -1.0)

    async def told() -> dict[str, float]:
        answer = await shops.get(None, "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        pairs = (line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    found = await told()
    assert found['tandem_stream_read_lag_seconds{platform="youzan"}'] == pytest.approx(540, abs=60)
    assert found['tandem_stream_read_lag_seconds{platform="taobao"}'] == pytest.approx(0, abs=60)
    assert found['tandem_comparison_accuracy{platform="youzan"}'] == pytest.approx(0.99), "of those that were finished"
    assert found['tandem_comparisons_unfinished{platform="youzan"}'] == 1
    assert 'tandem_comparison_accuracy{platform="taobao"}' not in found, "nothing was compared"
    await PlatformAccounts(shops.database).set_active(SYSTEM, EAST, False)
    assert not [name for name in await told() if 'platform="youzan"' in name and "webhook" not in name]
    await PlatformAccounts(shops.database).set_active(SYSTEM, EAST, True)
