"""Pushes as a receiver sees them: signed, repeated, late, forged, never lost by a refusal."""

from __future__ import annotations

import json
from hashlib import md5
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from simulator import trade
from simulator.platforms.wecom import crypto
from tests.simulator.harness import Json, Received, Receiver, Sim, eventually, served, simulator

Pushed = tuple[Sim, Receiver]


def genuine(push: Received, account: Json) -> bool:
    """Whether Event-Sign is right."""
    signed = account["client_id"].encode() + push.body + account["client_secret"].encode()
    return bool(push.headers["event-sign"] == md5(signed).hexdigest())


def opened(push: Received, account: Json) -> dict[str, str]:
    """The fields inside a callback whose signature is right."""
    encrypted = ET.fromstring(push.body).findtext("Encrypt") or ""
    query = push.query
    signed = crypto.signature(account["token"], query["timestamp"], query["nonce"], encrypted)
    assert signed == query["msg_signature"]
    message, receive_id = crypto.decrypt(account["encoding_aes_key"], encrypted)
    assert receive_id == account["corp_id"]
    return {child.tag: child.text or "" for child in ET.fromstring(message)}


async def test_a_refund_is_pushed_signed(pushed: Pushed) -> None:
    sim, receiver = pushed
    made = await sim.refund(push=True, amount_minor=60_000)
    (push,) = await receiver.wait_for(1)
    account = await sim.account("demo-apparel")
    assert push.path == "/hooks/youzan/demo-apparel"
    assert push.headers["event-type"] == "trade_refund_BuyerCreated"
    assert push.headers["client-id"] == account["client_id"]
    assert genuine(push, account)
    body = json.loads(push.body)
    assert (body["kdt_id"], body["id"]) == (account["kdt_id"], made["tid"])
    message = json.loads(unquote_plus(body["msg"]))
    assert (message["refund_id"], message["refunded_fee"]) == (made["id"], "600.00")
    assert message["version"] == made["version"]


async def test_paying_back_is_pushed_too(pushed: Pushed) -> None:
    sim, receiver = pushed
    made = await sim.refund()
    await sim.youzan("youzan.trade.refund.agree", "3.0.1", {"refund_id": made["id"], "version": made["version"]})
    await receiver.wait_for(2)
    assert {push.headers["event-type"] for push in receiver.pushes} == {
        "trade_refund_RefundSuccess",
        "trade_TradeClose",
    }


async def test_a_push_is_repeated_until_it_is_taken(pushed: Pushed) -> None:
    sim, receiver = pushed
    receiver.status = 503
    await sim.refund(push=True)
    await receiver.wait_for(3)
    receiver.status = 200
    await receiver.wait_for(4)
    bodies = [json.loads(push.body) for push in receiver.pushes]
    assert len({body["msg_id"] for body in bodies}) == 1
    assert [body.get("sendCount") for body in bodies[:3]] == [None, 1, 2]


async def test_repeats_end(pushed: Pushed) -> None:
    sim, receiver = pushed
    receiver.answer = '{"code":0,"msg":"failed"}'
    await sim.refund(push=True)
    await receiver.wait_for(17)
    failed = await eventually(lambda: sim.pushes("failed"))
    assert (failed[0]["attempts"], len(receiver.pushes)) == (17, 17)


async def test_faults_repeat_drop_and_forge(pushed: Pushed) -> None:
    sim, receiver = pushed
    account = await sim.account("demo-apparel")
    rules = [{"fault": "duplicate_push", "copies": 2}, {"fault": "forge_push"}]
    await sim.admin("PUT", "/faults", json={"rules": rules})
    await sim.refund(push=True)
    await receiver.wait_for(4)
    assert sorted(genuine(push, account) for push in receiver.pushes) == [False, True, True, True]
    assert len({json.loads(push.body)["msg_id"] for push in receiver.pushes}) == 1
    await sim.admin("PUT", "/faults", json={"rules": [{"fault": "drop_push"}]})
    made = await sim.refund(push=True)
    dropped = await sim.pushes("dropped")
    assert len(dropped) == 1
    await sim.admin("DELETE", "/faults")
    await sim.admin("POST", "/push", json={"push_id": dropped[0]["id"]})
    await receiver.wait_for(5)
    assert json.loads(receiver.pushes[-1].body)["id"] == made["tid"]


async def test_a_late_push_is_overtaken(pushed: Pushed) -> None:
    sim, receiver = pushed
    rule = {"fault": "reorder_push", "times": 1, "seconds": 0.3}
    await sim.admin("PUT", "/faults", json={"rules": [rule]})
    first, second = await sim.refund(push=True), await sim.refund(push=True)
    await receiver.wait_for(2)
    assert [json.loads(push.body)["id"] for push in receiver.pushes] == [second["tid"], first["tid"]]


async def test_no_platform_waits_behind_what_another_has_to_tell(pushed: Pushed) -> None:
    sim, receiver = pushed
    world, sim.app.state.pusher.concurrency = sim.app.state.world, 1
    for shop in (*["demo-apparel"] * 30, "demo-meituan"):
        trade.pay(world, trade.place_order(world, shop))
    await receiver.wait_for(10)
    assert "/hooks/meituan/demo-meituan" in [push.path for push in receiver.pushes][:4]


async def test_a_customer_event_is_encrypted_and_signed(pushed: Pushed) -> None:
    sim, receiver = pushed
    receiver.answer = "success"
    person = await sim.friend()
    event = {
        "platform": "wecom",
        "account": "demo-corp",
        "event": "add_external_contact",
        "subjects": {"external_userid": person["external_userid"], "state": "counter-3"},
    }
    await sim.admin("POST", "/push", json=event)
    (push,) = await receiver.wait_for(1)
    fields = opened(push, await sim.account("demo-corp"))
    assert fields["ChangeType"] == "add_external_contact"
    assert fields["ExternalUserID"] == person["external_userid"]
    assert fields["State"] == "counter-3"
    greeting = {"welcome_code": fields["WelcomeCode"], "text": {"content": "您好"}}
    assert (await sim.wecom("externalcontact/send_welcome_msg", greeting))["errcode"] == 0
    assert (await sim.wecom("externalcontact/send_welcome_msg", greeting))["errcode"] == 41051


async def test_a_removed_friend_cannot_be_reached(pushed: Pushed) -> None:
    sim, receiver = pushed
    receiver.answer = ""
    person = await sim.friend()
    event = {
        "platform": "wecom",
        "account": "demo-corp",
        "event": "del_follow_user",
        "subjects": {"external_userid": person["external_userid"]},
    }
    await sim.admin("POST", "/push", json=event)
    await receiver.wait_for(1)
    message = {"external_userid": [person["external_userid"]], "text": {"content": "hi"}}
    assert (await sim.wecom("externalcontact/add_msg_template", message))["errcode"] == 41048


async def test_tags_set_by_api_give_no_callback(pushed: Pushed) -> None:
    sim, receiver = pushed
    await sim.wecom("externalcontact/add_corp_tag", {"group_name": "新组", "tag": [{"name": "a"}]})
    await sim.refund(push=True)
    await receiver.wait_for(1)
    assert [push.path for push in receiver.pushes] == ["/hooks/youzan/demo-apparel"]


async def test_a_callback_url_is_proved_by_its_echo(sim: Sim) -> None:
    account = await sim.account("demo-corp")
    app = FastAPI()

    @app.get("/honest", response_class=PlainTextResponse)
    def echo(msg_signature: str, timestamp: str, nonce: str, echostr: str) -> str:
        assert crypto.signature(account["token"], timestamp, nonce, echostr) == msg_signature
        return crypto.decrypt(account["encoding_aes_key"], echostr)[0].decode()

    @app.get("/parrot", response_class=PlainTextResponse)
    def parrot(echostr: str) -> str:
        return echostr

    which = {"platform": "wecom", "account": "demo-corp"}
    async with served(app) as address:
        for path, verified in (("honest", True), ("parrot", False), ("nowhere", False)):
            await sim.admin("PUT", "/push-targets", json={"wecom/demo-corp": f"{address}/{path}"})
            assert (await sim.admin("POST", "/verify-url", json=which))["verified"] is verified


async def test_unknown_things_are_refused_in_words(sim: Sim) -> None:
    for path, body, status in (
        ("/push", {"event": "trade_refund_RefundSuccess"}, 404),
        ("/push", {"event": "made_up"}, 422),
        ("/push", {"push_id": "push-0"}, 404),
        ("/push", {}, 422),
        ("/push", {"platform": "ebay", "event": "x"}, 404),
        ("/refunds", {"shop": "no-such-shop"}, 404),
        ("/refunds", {"amount_minor": 0}, 422),
        ("/verify-url", {"platform": "youzan", "account": "demo-apparel"}, 404),
    ):
        answer = await sim.http.post(f"/_sim{path}", json=body)
        assert (path, answer.status_code) == (path, status), answer.text


async def test_a_trickle_brings_a_refund_now_and_then() -> None:
    receiver = Receiver()
    async with served(receiver.app()) as address, simulator(push_base=address, trickle_s=0.05):
        await receiver.wait_for(3)
    assert len({json.loads(push.body)["id"] for push in receiver.pushes}) >= 3
    assert {push.headers["event-type"] for push in receiver.pushes} == {"trade_refund_BuyerCreated"}


async def test_a_welcome_code_is_good_only_if_it_was_given_out(sim: Sim) -> None:
    for code in ("made-up", "CALLBACK.1.1.0", "CALLBACK..", "CALLBACK.zz.1.0123456789abcdef"):
        answer = await sim.wecom("externalcontact/send_welcome_msg", {"welcome_code": code, "text": {"content": "hi"}})
        assert answer["errcode"] == 41050


async def test_a_goods_refusal_has_a_push_of_its_own(pushed: Pushed) -> None:
    sim, receiver = pushed
    made = await sim.refund()
    step = {"refund_id": made["id"], "version": made["version"], "remark": "空包裹"}
    await sim.youzan("youzan.trade.refund.refuse", "3.0.1", step)
    (push,) = await receiver.wait_for(1)
    assert push.headers["event-type"] == "trade_refund_RefundSellerRefuseBuyerReturnGoods"


async def test_the_queue_is_bounded() -> None:
    async with simulator(push_base="http://127.0.0.1:9", push_queue_limit=2, push_retry_scale=1) as sim:
        answer = await sim.http.post("/_sim/refunds", json={"count": 3})
        assert answer.status_code == 503
