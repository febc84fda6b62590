"""What the platforms refuse, the simulator refuses: a lenient one would hide what a connector does wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator import interactions, trade
from simulator.entities import Order
from simulator.platforms.official_account import OfficialAccount
from simulator.platforms.wechat_pay import WechatPay
from simulator.platforms.wechat_pay.refusals import Refused
from simulator.platforms.wechat_pay.transfers import Transfer
from simulator.settings import Settings
from simulator.tokens import TokenDesk
from simulator.world import World
from tests.simulator.harness import Json, Sim
from tests.simulator.test_signed_gateways import Caller, china, jd, pinduoduo, taobao

__all__ = ["jd", "pinduoduo", "taobao"]


def sold(sim: Sim, shop: str) -> Order:
    world = sim.app.state.world
    return trade.pay(world, trade.place_order(world, shop))


async def test_taobao_tells_the_fields_that_were_asked_for_and_no_others(taobao: Caller) -> None:
    tid = sold(taobao.sim, "demo-taobao").id
    told = await taobao.taobao("taobao.trade.fullinfo.get", tid=tid, fields="tid,payment")
    assert set(told["trade_fullinfo_get_response"]["trade"]) == {"tid", "payment"}
    assert (await taobao.taobao("taobao.trade.fullinfo.get", tid=tid))["error_response"]["code"] == 40
    now = datetime.now(UTC)
    window: dict[str, Any] = {"start_modified": china(now - timedelta(hours=1)), "end_modified": china(now)}
    assert (await taobao.taobao("taobao.trades.sold.increment.get", **window))["error_response"]["code"] == 40


async def test_jd_tells_the_fields_that_were_asked_for_and_no_others(jd: Caller) -> None:
    number = sold(jd.sim, "demo-jd").id
    result = "jingdong_pop_order_get_responce"
    told = await jd.jd("jingdong.pop.order.get", {"order_id": number, "optional_fields": "orderId,orderState"})
    assert set(told[result]["orderDetailInfo"]["orderInfo"]) == {"orderId", "orderState"}
    refused = await jd.jd("jingdong.pop.order.get", {"order_id": number})
    assert refused[result]["orderDetailInfo"]["apiResult"]["success"] is False


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("pdd.order.number.list.increment.get", {"order_status": "5", "refund_status": "5"}),
        ("pdd.refund.list.increment.get", {"after_sales_status": "1"}),
    ],
)
async def test_pinduoduo_wants_to_hear_which_states(pinduoduo: Caller, kind: str, given: dict[str, Any]) -> None:
    now = int(datetime.now(UTC).timestamp())
    window: dict[str, Any] = {"start_updated_at": str(now - 60), "end_updated_at": str(now)}
    answer = await pinduoduo.pinduoduo(kind, **window, **given)
    assert answer["error_response"]["error_code"] == 10001


@pytest.mark.parametrize("platform", ["taobao", "pinduoduo"])
async def test_a_token_is_of_no_use_with_another_applications_key(
    sim: Sim, taobao: Caller, pinduoduo: Caller, platform: str
) -> None:
    world, caller = sim.app.state.world, taobao if platform == "taobao" else pinduoduo
    mine = world.shops.get(f"demo-{platform}")
    other = world.shops.put(mine.replaced(id="other", client_id="9" * 8, number=1))
    token = TokenDesk(world, platform, 3600).issue("other", "app")
    caller.token = token.id
    method = "taobao.user.seller.get" if platform == "taobao" else "pdd.mall.info.get"
    answer: Json = await getattr(caller, platform)(method)
    assert "error_response" in answer, other.id


async def test_a_refresh_token_ends_too(taobao: Caller) -> None:
    world = taobao.sim.app.state.world
    (token,) = [row for row in world.tokens.having(platform="taobao") if row.id == taobao.token]
    world.advance(59 * 24 * 3600)
    desk = TokenDesk(world, "taobao", 30 * 24 * 3600)
    assert desk.by_refresh_token(token.refresh_token) is not None
    world.advance(2 * 24 * 3600)
    assert desk.by_refresh_token(token.refresh_token) is None


async def test_an_account_writes_to_who_was_heard_of_within_two_days(sim: Sim) -> None:
    world, account = sim.app.state.world, await sim.account("demo-official-account")
    credentials = {"grant_type": "client_credential", "appid": account["app_id"], "secret": account["app_secret"]}
    token = (await sim.http.post("/official_account/cgi-bin/stable_token", json=credentials)).json()["access_token"]
    follower = next(
        row
        for row in world.followers.having(account="demo-official-account")
        if row.following and row.followed_at < world.clock.now() - timedelta(days=30)
    )

    async def sent() -> int:
        message = {"touser": follower.id, "msgtype": "text", "text": {"content": "您好"}}
        path = "/official_account/cgi-bin/message/custom/send"
        return int((await sim.http.post(path, params={"access_token": token}, json=message)).json()["errcode"])

    for scan in world.scans.having(account="demo-official-account"):
        world.scans.remove(scan.id)
    assert await sent() == 45015
    interactions.write(world, follower.customer_id, "demo-official-account", "在吗")
    assert await sent() == 0


def test_the_desk_is_asked_ten_thousand_times_a_minute_at_most() -> None:
    world = World(Settings(push_base=None, customers=3))
    account = OfficialAccount(world)
    shop = world.shops.having(platform="official_account")[0]
    asked = {"grant_type": "client_credential", "appid": shop.client_id, "secret": shop.client_secret}
    assert all(b"access_token" in account._granted(asked, force=False).body for _ in range(10_000))
    assert b"45011" in account._granted(asked, force=False).body


def test_a_transfer_is_forgotten_after_thirty_days() -> None:
    world = World(Settings(push_base=None, customers=3))
    pay, shop, now = WechatPay(world), world.shops.having(platform="wechat_pay")[0], world.clock.now()
    transfer = Transfer(
        id=f"{shop.id}/T1",
        account=shop.id,
        out_bill_no="T1",
        transfer_bill_no="131",
        openid="o1",
        amount_minor=100,
        remark="r",
        payee_name="",
        state="SUCCESS",
        created_at=now,
        updated_at=now,
    )
    pay.transfers.put(transfer)
    assert pay._query(shop, "T1")["out_bill_no"] == "T1"
    world.advance(31 * 24 * 3600)
    with pytest.raises(Refused, match="记录不存在"):
        pay._query(shop, "T1")
