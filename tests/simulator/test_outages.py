"""Bad days of a whole platform: away for an hour, a wrong clock, a quota used up, pages that shift."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.simulator.harness import Json, Receiver, Sim, eventually, simulator

SOLD = ("youzan.trades.sold.get", "4.0.4")


async def put(sim: Sim, *rules: Json) -> None:
    await sim.admin("PUT", "/faults", json={"rules": list(rules)})


async def test_a_platform_that_is_down_answers_nobody_and_pushes_when_it_is_back(pushed: tuple[Sim, Receiver]) -> None:
    sim, receiver = pushed
    receiver.answer = "success"
    token = (await sim.youzan_token())["data"]["access_token"]
    await put(sim, {"match": {"platform": "youzan"}, "fault": "down", "for_s": 3600})
    for path in ("/youzan/api/youzan.trades.sold.get/4.0.4", "/youzan/auth/token"):
        assert (await sim.http.post(path, params={"access_token": token}, json={})).status_code == 503
    assert (await sim.wecom("externalcontact/get_follow_user_list", {}, method="GET"))["errcode"] == 0
    made = await sim.refund(push=True)
    friend = await sim.friend()
    doing = {"customer_id": friend["id"], "does": "befriend", "code": "counter-3"}
    await sim.admin("POST", "/doings", json=doing)
    (other,) = await receiver.wait_for(1)
    assert other.path == "/hooks/wecom/demo-corp"
    (waiting,) = [row for row in await sim.pushes("pending") if row["platform"] == "youzan"]
    assert (waiting["account"], waiting["attempts"]) == ("demo-apparel", 0)
    await sim.admin("POST", "/advance", json={"seconds": 3600})

    async def there() -> bool:
        return any(push.path.startswith("/hooks/youzan/") for push in receiver.pushes)

    await eventually(there)
    assert (await sim.youzan("youzan.trade.refund.get", "3.0.1", {"refund_id": made["id"]}))["code"] == 200


async def test_a_quota_is_used_up_after_so_many_calls_and_for_so_long(sim: Sim) -> None:
    token = (await sim.youzan_token())["data"]["access_token"]
    rule = {"match": {"platform": "youzan", "api": SOLD[0]}, "fault": "quota", "after": 2, "for_s": 60}
    await put(sim, rule)

    async def called() -> Any:
        answer = await sim.youzan(*SOLD, {}, token)
        return answer.get("code") or answer["gw_err_resp"]["err_code"]

    assert [await called() for _ in range(4)] == [200, 200, 4101, 4101]
    await sim.admin("POST", "/advance", json={"seconds": 61})
    assert await called() == 200


async def test_a_page_shifts_while_it_is_read(sim: Sim) -> None:
    token = (await sim.youzan_token())["data"]["access_token"]
    await put(sim, {"match": {"platform": "youzan", "api": SOLD[0]}, "fault": "shift_page", "times": 1})

    async def page(number: int) -> Json:
        asked = {"page_no": number, "page_size": 5}
        answered: Json = (await sim.youzan(*SOLD, asked, token))["data"]
        return answered

    def numbers(read: Json) -> list[str]:
        return [row["full_order_info"]["order_info"]["tid"] for row in read["full_order_info_list"]]

    first, second = await page(1), await page(2)
    assert second["total_results"] == first["total_results"] + 1
    assert numbers(first)[-1] == numbers(second)[0]
    assert numbers(await page(1))[1:] == numbers(first)[:-1]


async def test_a_page_that_cannot_shift_is_not_struck(sim: Sim) -> None:
    corp = (await sim.admin("GET", "/truth/identities", params={"kind": "external_userid", "limit": 1}))["rows"][0]
    await put(sim, {"fault": "shift_page", "times": 1}, {"fault": "busy"})
    asked = {"external_userid": corp["value"], "access_token": "none"}
    answer = (await sim.http.get("/wecom/cgi-bin/externalcontact/get", params=asked)).json()
    assert answer["errcode"] == -1
    shifts, busy = (await sim.admin("GET", "/faults"))["rules"]
    assert (shifts["hit"], busy["hit"]) == (0, 1)


async def test_a_clock_that_is_wrong_stamps_pushes_wrong(pushed: tuple[Sim, Receiver]) -> None:
    sim, receiver = pushed
    await put(sim, {"match": {"platform": "wecom"}, "fault": "clock_skew", "seconds": -900})
    friend = await sim.friend()
    await sim.admin("POST", "/doings", json={"customer_id": friend["id"], "does": "befriend"})
    (push,) = (await receiver.wait_for(1))[:1]
    behind = datetime.now(UTC).timestamp() - int(push.query["timestamp"])
    assert 895 < behind < 960
    (rule,) = (await sim.admin("GET", "/faults"))["rules"]
    assert rule["hit"] > 0
    await put(sim)
    await sim.admin("POST", "/doings", json={"customer_id": friend["id"], "does": "befriend"})

    async def right() -> bool:
        return any(datetime.now(UTC).timestamp() - int(push.query["timestamp"]) < 60 for push in receiver.pushes)

    await eventually(right)


async def test_rules_say_what_they_cannot_mean(sim: Sim) -> None:
    of_one = {"match": {"platform": "youzan", "account": "demo-apparel"}, "fault": "clock_skew", "seconds": 60}
    for rule in ({"fault": "slow", "seconds": -1}, {"fault": "clock_skew"}, {"fault": "down", "for_s": 0}, of_one):
        assert (await sim.http.put("/_sim/faults", json={"rules": [rule]})).status_code == 422


async def test_orders_move_on_every_platform() -> None:
    async with simulator(customers=10) as sim:
        for shop in ("demo-taobao", "demo-jd", "demo-pinduoduo", "demo-douyin", "demo-wechat-store", "demo-meituan"):
            made = await sim.admin("POST", "/orders", json={"shop": shop, "status": "unpaid", "customer_id": "c000001"})
            path = f"/orders/{made['id']}/steps"
            for step, status in (("pay", "paid"), ("ship", "shipped"), ("complete", "completed")):
                assert (await sim.admin("POST", path, json={"step": step}))["status"] == status
            assert (await sim.http.post(f"/_sim{path}", json={"step": "pay"})).status_code == 409
            asked = await sim.admin("POST", f"/orders/{made['id']}/refunds", json={"amount_minor": 100})
            assert (asked["tid"], asked["amount_minor"], asked["status"]) == (made["id"], 100, "requested")


async def test_what_is_sold_leaves_the_stock_and_comes_back_when_nobody_pays(sim: Sim) -> None:
    goods = (await sim.admin("GET", "/goods", params={"shop": "demo-douyin"}))["goods"][0]
    sold = {"shop": "demo-douyin", "sku_id": goods["sku_id"], "count": 3, "status": "unpaid"}
    made = await sim.admin("POST", "/orders", json=sold)

    async def left() -> int:
        shown = (await sim.admin("GET", "/goods", params={"shop": "demo-douyin"}))["goods"]
        return int(next(row["stock"] for row in shown if row["sku_id"] == goods["sku_id"]))

    assert await left() == goods["stock"] - 3
    await sim.admin("POST", f"/orders/{made['id']}/steps", json={"step": "close"})
    assert await left() == goods["stock"]
