"""The true answers can be read from outside, and agree with what the platforms show."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tests.simulator.harness import Sim, simulator


async def pages(sim: Sim, path: str, **wanted: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = await sim.admin("GET", path, params={"after": after, **wanted})
        rows += page["rows"]
        after = page["next_after"]
    return rows


async def test_orders_and_refunds_page_to_the_end_and_add_up(sim: Sim) -> None:
    told = (await sim.admin("GET", "/truth"))["platforms"]
    for platform, sums in told.items():
        orders = await pages(sim, "/truth/orders", platform=platform, limit=7)
        refunds = await pages(sim, "/truth/refunds", platform=platform, limit=2)
        assert len({row["order_id"] for row in orders}) == len(orders) == sums["orders"]
        assert sum(row["paid_minor"] for row in orders if row["was_paid"]) == sums["paid_minor"]
        assert sum(row["amount_minor"] for row in refunds if row["succeeded_at"]) == sums["refunded_minor"]


async def test_what_youzan_shows_is_the_truth(sim: Sim) -> None:
    truth = {row["order_id"]: row for row in await pages(sim, "/truth/orders", account="demo-apparel")}
    words = {"TRADE_SUCCESS": "completed", "TRADE_CLOSED": "closed", "WAIT_BUYER_CONFIRM_GOODS": "shipped"}
    for tid, row in truth.items():
        shown = (await sim.youzan("youzan.trade.get", "4.0.2", {"tid": tid}))["data"]["full_order_info"]
        assert shown["pay_info"]["payment"] == f"{row['paid_minor'] / 100:.2f}"
        assert words.get(shown["order_info"]["status"], row["status"]) == row["status"]
        assert shown["buyer_info"]["yz_open_id"] == row["buyer_id"]


async def test_a_refund_agreed_to_is_in_the_truth_at_once(sim: Sim) -> None:
    made = await sim.refund()
    await sim.youzan("youzan.trade.refund.agree", "3.0.1", {"refund_id": made["id"], "version": made["version"]})
    refunds = {row["refund_id"]: row for row in await pages(sim, "/truth/refunds", account="demo-apparel")}
    orders = {row["order_id"]: row for row in await pages(sim, "/truth/orders", account="demo-apparel")}
    assert (refunds[made["id"]]["status"], orders[made["tid"]]["status"]) == ("refunded", "closed")


async def test_who_is_who() -> None:
    async with simulator(customers=80) as sim:
        rows = await pages(sim, "/truth/identities", limit=9)
        persons = defaultdict(set)
        for row in rows:
            persons[row["kind"], row["scope"], row["value"]].add(row["person"])
        shared = {key for key, found in persons.items() if len(found) > 1}
        assert {kind for kind, _scope, _value in shared} == {"phone", "device"}
        assert {(row["kind"], row["scope"], row["value"]) for row in rows if row["shared"]} == shared
        assert all(row["strong"] == (row["kind"] != "device" and not row["shared"]) for row in rows)
        everyone = {
            row["id"]: row for row in (await sim.admin("GET", "/customers", params={"limit": 100}))["customers"]
        }
        assert {row["value"] for row in rows if row["kind"] == "unionid"} == {
            row["unionid"] for row in everyone.values()
        }
        orders = await pages(sim, "/truth/orders")
        buyers = {(row["platform"], row["value"]): row["person"] for row in rows if row["kind"] == "buyer"}
        assert all(buyers[row["platform"], row["buyer_id"]] == row["person"] for row in orders)


async def test_what_platforms_show_together_is_one_cluster() -> None:
    async with simulator(customers=80) as sim:
        clusters: dict[tuple[str, str], set[str]] = defaultdict(set)
        for row in await pages(sim, "/truth/identities"):
            assert row["cluster"].partition("/")[0] == row["person"]
            clusters[row["person"], row["platform"] or row["kind"]].add(row["cluster"])
        everywhere = "c000000"
        # Youzan and WeCom both show the unionid; Taobao shows nothing but its own buyer.
        assert clusters[everywhere, "youzan"] == clusters[everywhere, "wecom"] == clusters[everywhere, "unionid"]
        assert clusters[everywhere, "taobao"].isdisjoint(clusters[everywhere, "youzan"])
        # A WeChat Store knows no buyer but their openid.
        assert len(clusters[everywhere, "wechat_store"]) == 2
        assert all(len(found) == 1 for (_person, platform), found in clusters.items() if platform == "wecom")
