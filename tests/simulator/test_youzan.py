"""Youzan's HTTP contract: tokens, gateway errors, trades, refunds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from simulator.platforms.youzan import wire
from tests.simulator.harness import Json, Sim, simulator

AGREE = ("youzan.trade.refund.agree", "3.0.1")
GET = ("youzan.trade.refund.get", "3.0.1")


def gateway_code(answer: Json) -> int:
    return int(answer["gw_err_resp"]["err_code"])


async def test_a_living_token_is_given_again_and_refresh_kills_it(sim: Sim) -> None:
    first = (await sim.youzan_token())["data"]
    assert (await sim.youzan_token())["data"]["access_token"] == first["access_token"]
    left = datetime.fromtimestamp(first["expires"] / 1000, UTC) - datetime.now(UTC)
    assert timedelta(days=6) < left <= timedelta(days=7)
    second = (await sim.youzan_token(refresh=True))["data"]
    assert second["access_token"] != first["access_token"]
    refused = await sim.youzan(*GET, {"refund_id": "1"}, token=first["access_token"])
    assert gateway_code(refused) == 4203


async def test_a_refresh_token_works_once(sim: Sim) -> None:
    first = (await sim.youzan_token())["data"]
    again = {"authorize_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert (await sim.youzan_token(**again))["success"] is True
    assert (await sim.youzan_token(**again))["code"] == 1004


async def test_wrong_credentials_say_what_is_wrong(sim: Sim) -> None:
    assert (await sim.youzan_token(client_id="nobody"))["code"] == 1103
    assert (await sim.youzan_token(client_secret="wrong"))["code"] == 1000
    assert (await sim.youzan_token(grant_id="1"))["code"] == 1103
    form = await sim.http.post("/youzan/auth/token", data={"client_id": "x"})
    assert form.json()["code"] == 1000


async def test_a_token_expires_on_time(sim: Sim) -> None:
    token = (await sim.youzan_token())["data"]["access_token"]
    await sim.admin("POST", "/advance", json={"seconds": 7 * 24 * 3600 + 1})
    assert gateway_code(await sim.youzan(*GET, {"refund_id": "1"}, token=token)) == 4202
    assert (await sim.youzan_token())["data"]["access_token"] != token


async def test_the_gateway_refuses_before_the_business_does(sim: Sim) -> None:
    token = (await sim.youzan_token())["data"]["access_token"]
    assert gateway_code((await sim.http.post("/youzan/api/youzan.trade.get")).json()) == 4001
    assert gateway_code(await sim.youzan("youzan.trade.get", "9.9.9", {}, token="")) == 4005
    assert gateway_code(await sim.youzan(*GET, {}, token="")) == 4201
    assert gateway_code(await sim.youzan(*GET, {}, token="made-up")) == 4203
    path = "/youzan/api/youzan.trade.refund.get/3.0.1"
    text = await sim.http.post(
        path, params={"access_token": token}, content="x", headers={"content-type": "text/plain"}
    )
    assert gateway_code(text.json()) == 4007
    broken = await sim.http.post(
        path, params={"access_token": token}, content="{", headers={"content-type": "application/json"}
    )
    assert gateway_code(broken.json()) == 4004


async def test_too_many_calls_a_second_are_refused() -> None:
    async with simulator(youzan_calls_per_second=2) as sim:
        token = (await sim.youzan_token())["data"]["access_token"]
        answers = [await sim.youzan(*GET, {"refund_id": "1"}, token=token) for _ in range(3)]
        assert gateway_code(answers[2]) == 4101
        assert "gw_err_resp" not in answers[1]


async def test_a_refund_is_paid_back_once(sim: Sim) -> None:
    made = await sim.refund(amount_minor=60_000)
    shown = (await sim.youzan(*GET, {"refund_id": made["id"]}))["data"]
    assert shown["refund_fee"] == "600.00"
    assert shown["status"] == "WAIT_SELLER_CONFIRM_GOODS"
    step = {"refund_id": made["id"], "version": shown["version"]}
    assert (await sim.youzan(*AGREE, step))["data"] == {"is_success": True}
    repeat = await sim.youzan(*AGREE, step)
    assert (repeat["success"], repeat["code"]) == (False, 102010002)
    assert (await sim.youzan(*GET, {"refund_id": made["id"]}))["data"]["status"] == "SUCCESS"
    ledger = await sim.ledger(kind="refund_agreed", refund_id=made["id"])
    assert (ledger["effects"], ledger["attempts"]) == (1, 1)
    assert ledger["entries"][0]["amount_minor"] == 60_000
    order = (await sim.youzan("youzan.trade.get", "4.0.2", {"tid": made["tid"]}))["data"]
    assert order["full_order_info"]["order_info"]["status"] == "TRADE_CLOSED"
    assert order["refund_order"][0]["refund_fee"] == "600.00"


async def test_an_old_version_changes_nothing(sim: Sim) -> None:
    made = await sim.refund()
    answer = await sim.youzan(*AGREE, {"refund_id": made["id"], "version": made["version"] - 1})
    assert answer["code"] == 103010039
    assert (await sim.ledger(refund_id=made["id"]))["effects"] == 0
    assert (await sim.admin("GET", f"/refunds/{made['id']}"))["status"] == "returned"


async def test_a_refund_belongs_to_its_shop(sim: Sim) -> None:
    made = await sim.refund(shop="demo-beauty")
    assert (await sim.youzan(*GET, {"refund_id": made["id"]}))["code"] == 103010054
    assert (await sim.youzan(*GET, {"refund_id": "202601010000000000000099"}))["code"] == 103011024
    assert (await sim.youzan(*GET, {"refund_id": "x"}))["code"] == 103010052
    assert (await sim.youzan("youzan.trade.get", "4.0.2", {"tid": made["tid"]}))["code"] == 5000


async def test_goods_are_sent_back_after_the_shop_agrees(sim: Sim) -> None:
    made = await sim.refund(stage="asked")
    assert made["status"] == "requested"
    where = {"name": "退货仓", "mobile": "13800000000", "address": "杭州"}
    step = {"refund_id": made["id"], "version": made["version"], **where}
    assert (await sim.youzan("youzan.trade.returngoods.agree", "3.0.1", step))["success"] is True
    after = (await sim.youzan(*GET, {"refund_id": made["id"]}))["data"]
    assert after["status"] == "WAIT_SELLER_CONFIRM_GOODS"
    assert after["logistics"]["logistics_no"]
    assert after["version"] > made["version"]


async def test_a_refusal_keeps_its_remark(sim: Sim) -> None:
    made = await sim.refund(returns_goods=False)
    step = {"refund_id": made["id"], "version": made["version"]}
    refuse = ("youzan.trade.refund.refuse", "3.0.1")
    assert (await sim.youzan(*refuse, step))["code"] == 5001
    assert (await sim.youzan(*refuse, {**step, "remark": "已使用"}))["success"] is True
    assert (await sim.admin("GET", f"/refunds/{made['id']}"))["remark"] == "已使用"
    assert (await sim.youzan(*AGREE, step))["code"] == 102010002


async def test_a_parcel_travels_and_arrives(sim: Sim) -> None:
    made = await sim.refund(transit_s=1000)
    logistics = (await sim.youzan(*GET, {"refund_id": made["id"]}))["data"]["logistics"]
    asked = {"express_id": int(logistics["company_code"]), "express_no": logistics["logistics_no"]}
    api = ("youzan.logistics.goodsexpress.get", "3.0.0")
    assert (await sim.youzan(*api, asked))["data"]["state"] == 1
    await sim.admin("POST", "/advance", json={"seconds": 700})
    assert (await sim.youzan(*api, asked))["data"]["state"] == 0
    await sim.admin("POST", "/advance", json={"seconds": 400})
    arrived = (await sim.youzan(*api, asked))["data"]
    assert arrived["state"] == 3
    assert "已签收" in json.loads(arrived["data"])[0]["context"]


async def test_lost_parcels_never_arrive_unless_found(sim: Sim) -> None:
    made = await sim.refund(parcel="lost", transit_s=10)
    await sim.admin("POST", "/advance", json={"seconds": 10_000})
    asked = {"express_id": 1, "express_no": made["waybill"]}
    api = ("youzan.logistics.goodsexpress.get", "3.0.0")
    assert (await sim.youzan(*api, asked))["data"]["state"] != 3
    await sim.admin("POST", "/advance", json={"waybill": made["waybill"], "parcel": "signed"})
    assert (await sim.youzan(*api, asked))["data"]["state"] == 3
    unknown = await sim.youzan(*api, {"express_id": 1, "express_no": "nothing"})
    assert unknown["data"]["status"] == "0"


async def test_trades_come_in_pages_that_cover_all_once(sim: Sim) -> None:
    api = ("youzan.trades.sold.get", "4.0.4")
    seen: list[str] = []
    for page in range(1, 100):
        data = (await sim.youzan(*api, {"page_no": page, "page_size": 7}))["data"]
        seen += [row["full_order_info"]["order_info"]["tid"] for row in data["full_order_info_list"]]
        if not data["paginator"]["has_next"]:
            break
    assert len(seen) == len(set(seen)) == data["total_results"]
    assert (await sim.youzan(*api, {"page_size": 101}))["code"] == 5000
    assert (await sim.youzan(*api, {"page_no": 101}))["code"] == 5000


async def test_a_window_of_trades_is_bounded_and_respected(sim: Sim) -> None:
    api = ("youzan.trades.sold.get", "4.0.4")
    now = datetime.now(UTC)
    window = {"start_created": wire.local(now - timedelta(days=30)), "end_created": wire.local(now), "page_size": 100}
    rows = (await sim.youzan(*api, window))["data"]["full_order_info_list"]
    created = [wire.instant(row["full_order_info"]["order_info"]["created"]) for row in rows]
    assert created
    assert min(created) >= now - timedelta(days=30, seconds=1)
    assert created == sorted(created, reverse=True)
    wide = {**window, "start_created": wire.local(now - timedelta(days=200))}
    assert (await sim.youzan(*api, wide))["code"] == 5000
    assert (await sim.youzan(*api, {**window, "start_created": "2026-01-01"}))["code"] == 5001


async def test_refund_search_is_bounded_in_depth(sim: Sim) -> None:
    made = await sim.refund()
    api = ("youzan.trade.refund.search", "3.0.1")
    found = (await sim.youzan(*api, {"tid": made["tid"]}))["data"]
    assert [row["refund_id"] for row in found["refunds"]] == [made["id"]]
    later = int(datetime.now(UTC).timestamp()) + 60
    assert (await sim.youzan(*api, {"create_time_start": later}))["data"]["total"] == 0
    assert (await sim.youzan(*api, {"page_no": 31, "page_size": 100}))["code"] == 5000


async def test_personal_data_is_ciphertext_that_its_shop_can_open(sim: Sim) -> None:
    made = await sim.refund()
    customers = (await sim.admin("GET", "/customers", params={"limit": 1000}))["customers"]
    person = next(row for row in customers if row["id"] == made["customer_id"])
    order = (await sim.youzan("youzan.trade.get", "4.0.2", {"tid": made["tid"]}))["data"]["full_order_info"]
    assert person["phone"] not in json.dumps(order)
    assert person["name"] not in json.dumps(order, ensure_ascii=False)
    hidden = order["buyer_info"]["buyer_phone"]
    opened = await sim.youzan("youzan.cloud.secret.decrypt.single", "1.0.0", {"source": hidden})
    assert opened["data"]["plaintext"] == person["phone"]
    other = (await sim.youzan_token("demo-beauty"))["data"]["access_token"]
    assert (await sim.youzan("youzan.cloud.secret.decrypt.single", "1.0.0", {"source": hidden}, other))["code"] == 5001


async def test_a_buyer_is_known_by_unionid(sim: Sim) -> None:
    person = await sim.friend()
    found = (await sim.youzan("youzan.users.info.query", "1.0.1", {"yz_open_id": person["yz_open_id"]}))["data"]
    assert [row["wechat_info"]["union_id"] for row in found["user_list"]] == [person["unionid"]]


async def test_reads_lag_behind_when_told_so() -> None:
    async with simulator(youzan_read_lag_s=30) as sim:
        made = await sim.refund()
        assert (await sim.youzan(*GET, {"refund_id": made["id"]}))["code"] == 103011024
        await sim.admin("POST", "/advance", json={"seconds": 31})
        assert (await sim.youzan(*GET, {"refund_id": made["id"]}))["success"] is True
