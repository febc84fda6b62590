"""Pushes as the platforms send them, signed by the simulator: stored once, acknowledged in their own format."""

import json
import secrets
import time
from typing import Any

import pytest
from sqlalchemy import text

from domain.accounts import NewAccount
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


@pytest.mark.parametrize(
    ("sign", "account", "status"), [("0" * 32, "demo", 401), (None, "no-such-shop", 404), ("", "demo", 401)]
)
async def test_a_push_that_is_not_theirs_is_refused_and_tells_nothing(
    shops: House, sign: str | None, account: str, status: int
) -> None:
    before = await _inbox(shops)
    answer = await _push(shops, _trade("9"), sign, account)
    assert answer.status_code == status
    assert not {"client_secret", "youzan-secret", "account", "platform"} & set(problem(answer))
    assert "secret" not in answer.text
    assert await _inbox(shops) == before


async def test_an_unknown_platform_looks_like_an_unknown_account(shops: House) -> None:
    body = _trade("10")
    unknown = await shops.say(None, "POST", "/hooks/nobody/demo", content=body)
    no_account = await shops.say(None, "POST", "/hooks/youzan/nobody", content=body)
    assert unknown.json() == no_account.json()
    assert unknown.status_code == 404


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


async def test_a_disconnected_account_is_as_if_it_were_not_there(shops: House) -> None:
    await _connect(shops, "youzan", "gone", {"client_secret": SECRET}, client_id=CLIENT, kdt_id=SHOP)
    await shops.deps.accounts.set_active(SYSTEM, "youzan/gone", False)
    assert (await _push(shops, _trade("12"), account="gone")).status_code == 404


async def test_settings_that_are_incomplete_are_not_told_to_strangers(shops: House) -> None:
    await _connect(shops, "youzan", "half", {"client_secret": SECRET})
    answer = await _push(shops, _trade("13"), account="half")
    assert answer.status_code == 404
    assert "client_id" not in answer.text


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
        kinds = {stored.push.kind for stored in await Inbox(work).take_waiting(100)}
    assert "change_external_contact.add_external_contact" in kinds


@pytest.mark.parametrize("fault", ["replayed", "forged", "bomb"])
async def test_wecom_pushes_that_are_stale_forged_or_hostile_are_refused(shops: House, fault: str) -> None:
    query, encrypted = _wecom(_contact(), at=int(time.time()) - 3_600 if fault == "replayed" else None)
    if fault == "forged":
        query["msg_signature"] = "0" * 40
    body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>"
    if fault == "bomb":
        body = f'<!DOCTYPE x [<!ENTITY a "{encrypted}">]><xml><Encrypt>&a;</Encrypt></xml>'
    answer = await shops.say(None, "POST", "/hooks/wecom/demo", params=query, content=body.encode())
    assert answer.status_code == (400 if fault == "bomb" else 401)


async def test_nobody_stores_anything_while_the_database_is_away(shops: House) -> None:
    class Away:
        async def accept(self, *_: Any) -> bool:
            from domain.problems import Text, UnavailableProblem

            raise UnavailableProblem(Text("数据库暂时无法响应", "The database is away"))

    app, _ = shops.with_other(inbox=Away())
    body = _trade("14")
    sign = event_sign(CLIENT, body, SECRET)
    async with shops.client_of(app) as client:
        answer = await client.post("/hooks/youzan/demo", content=body, headers={"Event-Sign": sign})
    assert answer.status_code == 503, "the platform sends it again"


async def test_pushes_are_counted_by_platform_and_outcome(shops: House) -> None:
    body = _trade(secrets.token_hex(4))
    await _push(shops, body)
    await _push(shops, body)
    await _push(shops, body, "0" * 32)
    metrics = (await shops.get(None, "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})).text
    for outcome in ("accepted", "duplicate", "refused"):
        assert f'tandem_webhooks_total{{outcome="{outcome}",platform="youzan"}}' in metrics
    assert "nobody" not in metrics, "strangers make no series"
