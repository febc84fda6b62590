"""Pushes as the platforms send them, signed by the simulator: stored once, acknowledged in their own format."""

import asyncio
import json
import secrets
import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from api.deps import ApiSettings
from api.limits import Rates, bounds_of
from domain.accounts import NewAccount
from domain.problems import Text, UnavailableProblem
from services.accounts import PlatformAccounts
from simulator.platforms.wecom.crypto import encrypt, signature
from simulator.platforms.youzan.wire import event_sign
from storage.inbox import Inbox
from storage.unit_of_work import UnitOfWork
from tests.api.house import METRICS_TOKEN, SYSTEM, Answer, House, problem

CLIENT, SECRET, SHOP = "app-1", "youzan-secret", 4242
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
CORP = "wx5823bf96d3bd56c7"
TOKEN = "QDG6eK"
WECOM = {"contact_secret": "s", "token": TOKEN, "encoding_aes_key": AES_KEY}


@pytest.fixture(scope="module")
async def shops(house: House) -> House:
    """A Youzan shop and a WeCom corp, connected."""
    await _connect(house, "youzan", "demo", {"client_secret": SECRET}, client_id=CLIENT, kdt_id=SHOP)
    await _connect(house, "wecom", "demo", WECOM, corp_id=CORP)
    return house


async def _connect(house: House, platform: str, slug: str, credentials: dict[str, str], **settings: Any) -> None:
    new = NewAccount(platform=platform, slug=slug, name=slug, credentials=credentials, settings=settings)
    await PlatformAccounts(house.database).connect(SYSTEM, new)


def _trade(number: str) -> bytes:
    message = {"tid": f"E{number}", "update_time": "2026-11-11 00:00:00", "status": "WAIT_SELLER_SEND_GOODS"}
    return json.dumps(
        {
            "client_id": CLIENT,
            "id": f"E{number}",
            "kdt_id": SHOP,
            "msg_id": number,
            "msg": json.dumps(message),
            "type": "trade_TradePaid",
            "version": 1,
        }
    ).encode()


async def _push(
    house: House, body: bytes, sign: str | None = None, account: str = "demo", who: str | None = None
) -> Answer:
    right = event_sign(CLIENT, body, SECRET)
    headers = {"Event-Sign": right if sign is None else sign, "Event-Type": "trade_TradePaid"}
    return await house.say(who, "POST", f"/hooks/youzan/{account}", content=body, headers=headers)


async def _inbox(house: House) -> int:
    async with UnitOfWork(house.database) as work:
        return int(await work.session.scalar(text("SELECT count(*) FROM inbox")) or 0)


async def test_a_signed_push_is_stored_once_and_acknowledged(shops: House) -> None:
    before = await _inbox(shops)
    body = _trade(secrets.token_hex(4))
    for _ in range(2):
        answer = await _push(shops, body)
        assert (answer.status_code, answer.json()) == (200, {"code": 0, "msg": "success"})
    assert await _inbox(shops) == before + 1


STRANGER = {
    "code": 403,
    "msg": "没有这个接收地址，或签名、时间、接收方不正确 · No such address, or wrong signature, time or receiver",
}


async def test_whoever_is_not_the_platform_hears_the_same_whatever_there_is(shops: House) -> None:
    before = await _inbox(shops)
    await _connect(shops, "youzan", "half", {"client_secret": SECRET})
    await _connect(shops, "youzan", "gone", {"client_secret": SECRET}, client_id=CLIENT, kdt_id=SHOP)
    await shops.deps.accounts.set_active(SYSTEM, "youzan/gone", False)
    body, other_shop = _trade("9"), _trade("9").replace(str(SHOP).encode(), b"1")
    answers = [
        await _push(shops, body, "0" * 32),
        await _push(shops, body, ""),
        await _push(shops, other_shop),
        await _push(shops, body, account="no-such-shop"),
        await _push(shops, body, account="half"),
        await _push(shops, body, account="gone"),
    ]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(403, STRANGER)] * 6
    assert len({tuple(sorted(_comparable(answer).items())) for answer in answers}) == 1
    assert await _inbox(shops) == before


def _comparable(answer: Answer) -> dict[str, str]:
    """The headers of an answer without those that are of one request."""
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


async def test_a_platform_without_a_connector_has_no_format_of_its_own(shops: House) -> None:
    answer = await shops.say(None, "POST", "/hooks/nobody/demo", content=_trade("10"))
    assert (answer.status_code, problem(answer)["detail"]) == (404, "没有这个接收地址")


async def test_refusals_take_as_long_whatever_their_reason(shops: House) -> None:
    await _push(shops, _trade("warm"))
    times: dict[str, list[float]] = {"unknown": [], "forged": []}
    for _ in range(3):
        for name, sign, account in (("unknown", None, "no-such-shop"), ("forged", "0" * 32, "demo")):
            began = time.monotonic()
            await _push(shops, _trade("11"), sign, account)
            times[name].append(time.monotonic() - began)
    assert min(times["unknown"]) >= 0.15
    assert min(times["forged"]) >= 0.15
    assert abs(min(times["unknown"]) - min(times["forged"])) < 0.05


def _wecom(message: bytes, *, at: int | None = None) -> tuple[dict[str, str], str]:
    encrypted = encrypt(AES_KEY, message, CORP, secrets.token_bytes(16))
    timestamp, nonce = str(at or int(time.time())), "263014780"
    sign = signature(TOKEN, timestamp, nonce, encrypted)
    return {"msg_signature": sign, "timestamp": timestamp, "nonce": nonce}, encrypted


async def test_wecom_proves_the_address_and_nothing_is_stored(shops: House) -> None:
    before = await _inbox(shops)
    query, encrypted = _wecom(b"1616140317555161061")
    answer = await shops.get(None, "/hooks/wecom/demo", params={**query, "echostr": encrypted})
    assert (answer.status_code, answer.content) == (200, b"1616140317555161061")
    assert answer.headers["content-type"].startswith("text/plain")
    assert await _inbox(shops) == before


def _contact() -> bytes:
    return (
        f"<xml><ToUserName>{CORP}</ToUserName><FromUserName>sys</FromUserName><CreateTime>{int(time.time())}</CreateTime>"
        "<MsgType>event</MsgType><Event>change_external_contact</Event><ChangeType>add_external_contact</ChangeType>"
        "<UserID>li.lei</UserID><ExternalUserID>wm1</ExternalUserID></xml>"
    ).encode()


async def test_wecom_pushes_are_deciphered_stored_and_answered_with_success(shops: House) -> None:
    query, encrypted = _wecom(_contact())
    body = f"<xml><ToUserName>{CORP}</ToUserName><Encrypt>{encrypted}</Encrypt></xml>"
    answer = await shops.say(None, "POST", "/hooks/wecom/demo", params=query, content=body.encode())
    assert (answer.status_code, answer.content) == (200, b"success"), answer.text
    async with UnitOfWork(shops.database) as work:
        kinds = {stored.push.kind for stored in await Inbox(work).take_waiting(100, ["youzan", "wecom"])}
    assert "change_external_contact.add_external_contact" in kinds


@pytest.mark.parametrize("fault", ["replayed", "forged", "unknown"])
async def test_wecom_pushes_that_are_stale_or_forged_are_refused_in_plain_text(shops: House, fault: str) -> None:
    query, encrypted = _wecom(_contact(), at=int(time.time()) - 3_600 if fault == "replayed" else None)
    if fault == "forged":
        query["msg_signature"] = "0" * 40
    account = "no-such-corp" if fault == "unknown" else "demo"
    body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>"
    answer = await shops.say(None, "POST", f"/hooks/wecom/{account}", params=query, content=body.encode())
    assert (answer.status_code, answer.text) == (403, STRANGER["msg"])
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


DEEP_JSON = b'{"msg":' + b"[" * 60 + b"]" * 60 + b"}"
HOSTILE = {
    "empty": (b"", b""),
    "garbage": (b"{not json", b"<xml><Encrypt>"),
    "the other format": (b"<xml><Encrypt>x</Encrypt></xml>", b'{"Encrypt": "x"}'),
    "no object": (b"[1]", b"<xml>text</xml>"),
    "not UTF-8": (
        b'{"msg":"\xd6\xd0"}',
        b'<?xml version="1.0" encoding="utf-8"?><xml><Encrypt>\xd6\xd0</Encrypt></xml>',
    ),
    "another encoding": ('{"msg":"中"}'.encode("utf-16"), b'<?xml version="1.0" encoding="gbk"?><xml>\xd6\xd0</xml>'),
    "unknown encoding": (b"\xff\xfe\x00", b'<?xml version="1.0" encoding="utf-7"?><xml/>'),
    "deep": (DEEP_JSON, b"<xml>" + b"<a>" * 40 + b"</a>" * 40 + b"</xml>"),
    "deeper": (b"[" * 100_000, b"<a>" * 100_000),
    "huge number": (b'{"version": 1e99999999999999999999}', b"<xml><Encrypt/></xml>"),
    "unstorable": (b'{"msg_id": "\\ud800"}', b"<xml>&#0;</xml>"),
    "document type": (b'{"msg": "\\u0000"}', b'<!DOCTYPE x [<!ENTITY a "b">]><xml><Encrypt>&a;</Encrypt></xml>'),
    "outside entity": (b"null", b'<!DOCTYPE x SYSTEM "http://203.0.113.1/x"><xml><Encrypt>a</Encrypt></xml>'),
}


@pytest.mark.parametrize("hostile", list(HOSTILE))
async def test_what_cannot_be_read_is_refused_with_the_reason_whoever_it_is_for(shops: House, hostile: str) -> None:
    before = await _inbox(shops)
    for platform, body in zip(("youzan", "wecom"), HOSTILE[hostile], strict=True):
        known, unknown = [
            await shops.say(None, "POST", f"/hooks/{platform}/{account}", content=body)
            for account in ("demo", "no-such-account")
        ]
        assert known.status_code == 400, f"{platform}: {known.text}"
        assert "·" in (known.json()["msg"] if platform == "youzan" else known.text)
        assert "请求体" in known.text or "回调" in known.text
        assert (unknown.status_code, unknown.content, _comparable(unknown)) == (400, known.content, _comparable(known))
    assert await _inbox(shops) == before


async def test_what_a_platform_signed_is_kept_with_the_reason_when_it_cannot_be_read(shops: House) -> None:
    stored = await _inbox(shops)
    unread = [DEEP_JSON, b'{"msg": "\\ud800"}', b"{not json", _trade("1").replace(b'"kdt_id": 4242', b'"kdt_id": "x"')]
    for body in (*unread, *unread):
        answer = await _push(shops, body)
        assert (answer.status_code, answer.json()["code"]) == (200, 0)
    messages = (b"<!DOCTYPE x><xml><MsgType>event</MsgType></xml>", b"\xff", b"<xml/>")
    for message in messages:
        query, encrypted = _wecom(message)
        body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode()
        answer = await shops.say(None, "POST", "/hooks/wecom/demo", params=query, content=body)
        assert (answer.status_code, answer.content) == (200, b"success"), answer.text
    assert await _inbox(shops) == stored + len(unread) + len(messages), "each once, however often it came"
    await shops.deps.inbox.drain()
    async with UnitOfWork(shops.database) as work:
        rows = await work.session.execute(
            text("SELECT id, state, reason FROM inbox WHERE kind = 'tandem.unparsed' ORDER BY id")
        )
        aside = [(row.id, row.state, row.reason) for row in rows]
    assert {state for _, state, _ in aside} == {"quarantined"}
    assert any("kdt_id" in reason for _, _, reason in aside), "the reason names what is wrong"
    shown = await shops.get("admin", f"/api/v1/events/quarantine/{aside[0][0]}")
    assert shown.status_code == 200, shown.text
    raw = await shops.get("admin", f"/api/v1/events/quarantine/{aside[0][0]}?raw=true")
    assert (raw.status_code, "unmask=true" in raw.text) == (400, True), raw.text
    # Others look at an empty quarantine.
    put_away = {"pushes": {"ids": [number for number, _, _ in aside]}, "reason": "测试"}
    answer = await shops.say("admin", "POST", "/api/v1/events/quarantine/put-away", json=put_away)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("platform", ["youzan", "wecom"])
async def test_a_push_out_of_bounds_is_refused_in_the_platforms_own_format(shops: House, platform: str) -> None:
    answer = await shops.say(None, "POST", f"/hooks/{platform}/demo", content=b"x" * 1_048_577)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    text = answer.json()["msg"] if platform == "youzan" else answer.text
    assert text == "请求体超过上限 1 MB，请拆分后再发 · The body is larger than 1 MB: split it"
    app, _ = shops.with_other(settings=ApiSettings(rates=Rates(webhooks="1/minute")))
    async with shops.client_of(app) as client:
        await client.post(f"/hooks/{platform}/demo", content=b"")
        busy = await client.post(f"/hooks/{platform}/demo", content=b"")
    assert (busy.status_code, int(busy.headers["retry-after"]) > 0) == (429, True)


class Away:
    async def accept(self, *_: Any) -> bool:
        raise UnavailableProblem(Text("数据库暂时无法响应", "The database is away"))


class Broken:
    async def accept(self, *_: Any) -> bool:
        raise RuntimeError("a bug")


class Stuck:
    async def accept(self, *_: Any) -> bool:
        await asyncio.sleep(30)
        return True


@pytest.mark.parametrize(
    ("inbox", "status", "says"), [(Away(), 503, "database is away"), (Broken(), 500, "incident"), (Stuck(), 503, "0.2")]
)
async def test_what_could_not_be_stored_is_to_be_sent_again(
    shops: House, monkeypatch: pytest.MonkeyPatch, inbox: Any, status: int, says: str
) -> None:
    monkeypatch.setattr("api.limits._BOUNDS", (("/hooks/", replace(bounds_of("/hooks/"), answer_s=0.2)),))
    app, _ = shops.with_other(inbox=inbox)
    body = _trade("14")
    query, encrypted = _wecom(_contact())
    xml = f"<xml><Encrypt>{encrypted}</Encrypt></xml>"
    async with shops.client_of(app) as client:
        await client.post("/hooks/youzan/demo", content=b"")
        youzan = await client.post(
            "/hooks/youzan/demo", content=body, headers={"Event-Sign": event_sign(CLIENT, body, SECRET)}
        )
        wecom = await client.post("/hooks/wecom/demo", params=query, content=xml.encode())
    assert (youzan.status_code, youzan.json()["code"], wecom.status_code) == (status, status, status)
    assert says in youzan.json()["msg"]
    assert says in wecom.text
    assert "a bug" not in youzan.text


@pytest.mark.parametrize("platform", ["taobao", "pinduoduo"])
async def test_what_is_posted_for_a_platform_that_posts_nothing_is_refused_and_counted(
    shops: House, platform: str
) -> None:
    secrets = (
        {"app_secret": "s", "session": "t"} if platform == "taobao" else {"client_secret": "s", "refresh_token": "t"}
    )
    named = {"app_key": "1"} if platform == "taobao" else {"client_id": "1"}
    await _connect(shops, platform, "demo", secrets, **named)
    stored, before = await _inbox(shops), await _counted(shops)
    message = {"topic": "taobao_trade_TradeSuccess", "content": '{"tid":1}', "type": "pdd_trade_TradeSuccess"}
    answer = await shops.say(None, "POST", f"/hooks/{platform}/demo", json=message)
    assert answer.status_code == 403
    after = await _counted(shops)
    more = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    assert more == {
        f'webhooks_total{{outcome="refused",platform="{platform}"}}': 1,
        f'webhook_refusals_total{{platform="{platform}",reason="wrong-signature"}}': 1,
    }
    assert await _inbox(shops) == stored


async def test_a_kind_without_use_is_taken_and_counted_apart_from_what_cannot_be_read(shops: House) -> None:
    before = await _counted(shops)
    number = secrets.token_hex(4)
    answer = await _push(shops, _trade(number).replace(b"trade_TradePaid", b"trade_TradeMemoModified"))
    assert (answer.status_code, answer.json()) == (200, {"code": 0, "msg": "success"})
    await shops.deps.inbox.drain()
    assert (await shops.get("admin", "/api/v1/events/quarantine")).json()["items"] == []
    assert (await _push(shops, DEEP_JSON.replace(b"msg", b"message"))).status_code == 200
    unsigned = await shops.say(None, "POST", "/hooks/youzan/demo", content=DEEP_JSON)
    assert unsigned.status_code == 400
    counted = await _counted(shops)
    assert counted['webhooks_total{outcome="unsupported",platform="youzan"}'] == 1
    assert counted['webhooks_total{outcome="unparsed",platform="youzan"}'] == (
        before.get('webhooks_total{outcome="unparsed",platform="youzan"}', 0) + 1
    )
    unreadable = 'webhook_refusals_total{platform="youzan",reason="unreadable"}'
    assert counted[unreadable] == before.get(unreadable, 0) + 1


async def test_a_push_that_only_announces_is_of_use_and_stored_once(shops: House) -> None:
    stored, before = await _inbox(shops), await _counted(shops)
    told = _contact().replace(b"change_external_contact", b"msgaudit_notify")
    told = told.replace(b"<ChangeType>add_external_contact</ChangeType>", b"")
    for _ in range(2):
        query, encrypted = _wecom(told)
        xml = f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode()
        assert (await shops.say(None, "POST", "/hooks/wecom/demo", params=query, content=xml)).content == b"success"
    counted = await _counted(shops)
    for outcome in ("accepted", "duplicate"):
        name = f'webhooks_total{{outcome="{outcome}",platform="wecom"}}'
        assert counted[name] == before.get(name, 0) + 1
    assert await _inbox(shops) == stored + 1
    drained = await shops.deps.inbox.drain()
    assert ("wecom/demo", "chats") in drained.announced


async def _counted(house: House) -> dict[str, float]:
    """The counters of pushes, by name and labels."""
    text = (await house.get(None, "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})).text
    pairs = (line.removeprefix("tandem_").rsplit(" ", 1) for line in text.splitlines())
    return {
        name: float(value) for name, value in pairs if name.startswith(("webhooks_total", "webhook_refusals_total"))
    }


async def test_pushes_are_counted_by_platform_outcome_and_reason(shops: House) -> None:
    body = _trade(secrets.token_hex(4))
    query, encrypted = _wecom(_contact(), at=int(time.time()) - 3_600)
    stale = f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode()
    before = await _counted(shops)
    await _push(shops, body)
    await _push(shops, body)
    await _push(shops, body, "0" * 32)
    await _push(shops, _trade("9").replace(str(SHOP).encode(), b"1"))
    await _push(shops, body, account="no-such-shop")
    await shops.say(None, "POST", "/hooks/wecom/demo", params=query, content=stale)
    await shops.say(None, "POST", "/hooks/nobody/demo", content=body)
    after = await _counted(shops)
    more = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    assert more == {
        'webhooks_total{outcome="accepted",platform="youzan"}': 1,
        'webhooks_total{outcome="duplicate",platform="youzan"}': 1,
        'webhooks_total{outcome="refused",platform="youzan"}': 3,
        'webhooks_total{outcome="refused",platform="wecom"}': 1,
        'webhooks_total{outcome="refused",platform="unknown"}': 1,
        'webhook_refusals_total{platform="youzan",reason="wrong-signature"}': 1,
        'webhook_refusals_total{platform="youzan",reason="wrong-receiver"}': 1,
        'webhook_refusals_total{platform="youzan",reason="unknown-account"}': 1,
        'webhook_refusals_total{platform="wecom",reason="stale"}': 1,
        'webhook_refusals_total{platform="unknown",reason="unknown-account"}': 1,
    }
