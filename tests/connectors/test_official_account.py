"""An Official Account: callbacks in plain and in safe mode, who follows by which code, all followers page by page."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechatpy import WeChatClient
from wechatpy.crypto import WeChatCrypto

from connectors.accounts import Account
from connectors.callback_crypto import CallbackCipher, callback_signature
from connectors.errors import raise_for_code
from connectors.official_account import followers
from connectors.pulling import PulledPage
from connectors.webhooks import Verified, WebhookRequest
from connectors.wechat.codes import TOKEN_CODES
from connectors.wechat.settings import WechatSettings
from domain.catalog import CATALOG
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.catalog.official_account import OFFICIAL_ACCOUNT_SEND_TEMPLATE
from domain.events import Event
from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    CommunicationProblem,
    NotFoundProblem,
    ProblemError,
    ValidationProblem,
)
from simulator import interactions
from simulator.platforms import official_account as simulated_account
from simulator.platforms.official_account import OfficialAccount
from tests.connectors.harness import Attempts, Outside, connector, perform
from tests.connectors.pulls import pull_all

SLUG = "demo-official-account"
RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
SECONDS = int(RECEIVED.timestamp())
SAMPLE = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))["oa_encrypt"]
PLAIN = Account("official_account", "main", {"app_id": "wx1", "app_secret": "s", "token": "t"})
SAFE = Account("official_account", "main", {**PLAIN.settings, "encoding_aes_key": SAMPLE["aes_key"]})


def xml(**fields: Any) -> bytes:
    fields = {"ToUserName": "gh_1", "FromUserName": "oOne", "CreateTime": SECONDS, "MsgType": "event", **fields}
    inner = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())
    return f"<xml>{inner}</xml>".encode()


def events(kind: str, **fields: Any) -> list[Event]:
    record = Verified(kind, xml(Event=kind, **fields), "key", RECEIVED)
    return connector("official_account").to_events(record, PLAIN)


def plain(body: bytes = b"", *, method: str = "POST", at: int = SECONDS, **query: str) -> WebhookRequest:
    signed = {"timestamp": str(at), "nonce": "7", "signature": callback_signature("t", str(at), "7")}
    return WebhookRequest(method, {**signed, **query}, {}, body, RECEIVED)


def sealed(message: bytes, *, form: str = "xml", app_id: str = "wx1") -> WebhookRequest:
    encrypted = CallbackCipher(SAMPLE["aes_key"], app_id).seal(message, b"0123456789abcdef")
    body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>" if form == "xml" else json.dumps({"Encrypt": encrypted})
    query = {"timestamp": str(SECONDS), "nonce": "7", "encrypt_type": "aes"}
    query["msg_signature"] = callback_signature("t", str(SECONDS), "7", encrypted)
    return WebhookRequest("POST", query, {}, body.encode(), RECEIVED)


# --- is it from them, for us?


def test_the_published_sample_opens_and_seals() -> None:
    cipher = CallbackCipher(SAMPLE["aes_key"], SAMPLE["appid"])
    assert cipher.open(SAMPLE["encrypt"]).decode() == SAMPLE["msg"]
    assert cipher.seal(SAMPLE["msg"].encode(), SAMPLE["random16"].encode()) == SAMPLE["encrypt"]


@given(message=st.text(min_size=1, max_size=200).filter(lambda text: "]]>" not in text and text.isprintable()))
def test_another_implementation_opens_what_ours_seals_and_ours_what_it_seals(message: str) -> None:
    theirs = WeChatCrypto("t", SAMPLE["aes_key"], "wx1")
    ours = CallbackCipher(SAMPLE["aes_key"], "wx1")
    encrypted = ours.seal(message.encode(), b"0123456789abcdef")
    wrapped = f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    signature = callback_signature("t", "1", "2", encrypted)
    opened = theirs.decrypt_message(wrapped, signature, "1", "2")
    assert (opened if isinstance(opened, str) else opened.decode()) == message
    answer = theirs.encrypt_message(message, "2", "1")
    inner = answer.partition("<Encrypt><![CDATA[")[2].partition("]]>")[0]
    assert ours.open(inner).decode() == message


def test_the_address_check_is_answered_with_its_echo() -> None:
    account = connector("official_account")
    for settings in (PLAIN, SAFE):
        verified = account.verify(plain(method="GET", echostr="5927782489442352469"), settings)
        assert account.acknowledge(verified, settings).body == b"5927782489442352469"
    with pytest.raises(AuthenticationProblem):
        account.verify(plain(method="GET", echostr="1", signature="0" * 40), PLAIN)


@pytest.mark.parametrize("form", ["xml", "json"])
def test_a_sealed_callback_is_opened(form: str) -> None:
    verified = connector("official_account").verify(sealed(xml(Event="SCAN", EventKey="c1"), form=form), SAFE)
    assert verified.kind == "SCAN"
    assert connector("official_account").to_events(verified, SAFE)[0].type == "tandem.scan.made"


def test_a_sealed_callback_for_another_application_is_refused() -> None:
    with pytest.raises(AuthenticationProblem):
        connector("official_account").verify(sealed(xml(Event="SCAN"), app_id="wx2"), SAFE)


def test_a_plain_callback_is_believed_only_where_no_key_is_set() -> None:
    body = xml(Event="subscribe", EventKey="")
    assert connector("official_account").verify(plain(body), PLAIN).kind == "subscribe"
    with pytest.raises(AuthenticationProblem, match="safe mode"):
        connector("official_account").verify(plain(body), SAFE)
    with pytest.raises(ProblemError, match="encoding_aes_key"):
        connector("official_account").verify(replace(sealed(body), query=plain().query), PLAIN)


@pytest.mark.parametrize("at", [SECONDS - 660, SECONDS + 660])
def test_a_replayed_plain_callback_is_refused(at: int) -> None:
    with pytest.raises(AuthenticationProblem, match="10 minutes"):
        connector("official_account").verify(plain(xml(Event="SCAN"), at=at), PLAIN)


def test_a_repeated_delivery_has_the_same_key() -> None:
    account = connector("official_account")
    body = xml(Event="SCAN", EventKey="c1")
    again = account.verify(plain(body, at=SECONDS + 5), PLAIN)
    assert account.verify(plain(body), PLAIN).dedupe_key == again.dedupe_key
    assert account.verify(plain(xml(Event="SCAN", EventKey="c2")), PLAIN).dedupe_key != again.dedupe_key


@given(st.binary(max_size=300))
def test_no_body_crashes_the_verification(body: bytes) -> None:
    with pytest.raises(ProblemError):
        connector("official_account").verify(plain(b"<" + body), PLAIN)


def test_a_dtd_is_refused() -> None:
    body = b'<!DOCTYPE xml [<!ENTITY a "b">]><xml><Event>&a;</Event></xml>'
    with pytest.raises(ValidationProblem):
        connector("official_account").verify(plain(body), PLAIN)


# --- what it says


def test_one_who_follows_by_a_code_brings_the_code() -> None:
    follower, scan = events("subscribe", EventKey="qrscene_counter-3", Ticket="T")
    assert (follower.type, follower.data["scene"]) == ("tandem.follower.subscribed", "counter-3")
    assert (scan.type, scan.data["code"]) == ("tandem.scan.made", "counter-3")
    assert scan.data["buyer"]["openid"] == "oOne"


def test_one_who_follows_without_a_code_scanned_nothing() -> None:
    (follower,) = events("subscribe", EventKey="")
    assert (follower.data["following"], follower.data["scene"]) == (True, None)


def test_leaving_is_newer_than_following() -> None:
    (joined,), (left,) = events("subscribe", EventKey=""), events("unsubscribe", CreateTime=SECONDS + 1)
    assert (left.type, left.data["following"]) == ("tandem.follower.unsubscribed", False)
    assert left.data["version"] > joined.data["version"]


@pytest.mark.parametrize(("kind", "name"), [("CLICK", "menu_click"), ("VIEW", "menu_view")])
def test_a_menu_entry_is_a_visit(kind: str, name: str) -> None:
    (visit,) = events(kind, EventKey="V1001_COUPONS")
    assert (visit.type, visit.data["name"]) == ("tandem.visit.made", name)
    assert visit.data["attributes"] == {"entry": "V1001_COUPONS"}


def test_a_message_is_a_chat_and_a_picture_has_no_text() -> None:
    def told(kind: str, **fields: Any) -> Event:
        record = Verified(kind, xml(MsgType=kind, MsgId="1234567890123456", **fields), "key", RECEIVED)
        (event,) = connector("official_account").to_events(record, PLAIN)
        return event

    text, image = told("text", Content="有优惠吗"), told("image", MediaId="m")
    assert (text.type, text.data["text"], text.data["direction"]) == ("tandem.chat.message", "有优惠吗", "in")
    assert (image.data["form"], image.data["text"]) == ("image", None)
    assert {text.type, image.type} <= KNOWN_EVENT_TYPES.keys()


def test_kinds_nobody_needs_are_no_error() -> None:
    assert events("TEMPLATESENDJOBFINISH", Status="success") == []


@pytest.mark.parametrize("created", ["", "soon", "-1", "99999999999", str(SECONDS + 7200)])
def test_a_callback_from_nowhere_in_time_is_an_anomaly(created: str) -> None:
    with pytest.raises(ValidationProblem):
        events("SCAN", EventKey="c1", CreateTime=created)


async def test_the_pushed_and_the_listed_follower_are_one_event_and_the_list_knows_the_unionid(world: Outside) -> None:
    follower = next(iter(world.sim.app.state.world.followers.having(account=SLUG)))
    body = {"platform": "official_account", "account": SLUG, "event": "subscribe"}
    await world.sim.admin("POST", "/push", json={**body, "subjects": {"openid": follower.id, "key": "counter-1"}})
    account, oa = await world.account("official_account"), connector("official_account")
    pushed = oa.to_events(oa.verify((await world.pushes("official_account", 1))[0], account), account)[0]
    records, _ = await pull_all(await world.open("official_account"), "followers", cursor={}, until=datetime.now(UTC))
    listed = next(
        event for record in records for event in oa.to_events(record, account) if event.data["openid"] == follower.id
    )
    assert (pushed.source, pushed.id) == (listed.source, listed.id)
    assert listed.data["version"] > pushed.data["version"]
    assert listed.data["unionid"] is not None


# --- the account itself


async def test_all_followers_are_read_page_by_page_also_when_one_leaves(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "_PAGE", 4)
    monkeypatch.setattr(simulated_account, "LIST_PAGE", 10)
    rows = world.sim.app.state.world.followers
    following = {row.id for row in rows.having(account=SLUG) if row.following}
    assert len(following) > 10
    client = await world.open("official_account")
    records, cursor = await pull_all(client, "followers", cursor={}, until=datetime.now(UTC))
    assert {json.loads(record.payload)["openid"] for record in records} == following
    assert cursor.keys() == {"passed_at"}
    first = await client.pull("followers", {}, datetime.now(UTC))
    # The last one who was read leaves, then the one whom the platform's next page begins behind.
    rows.change(rows.get(first.cursor["after"]), following=False)
    again, _ = await pull_all(await world.open("official_account"), "followers", cursor=first.cursor)
    seen = {json.loads(record.payload)["openid"] for record in (*first.records, *again)}
    assert seen >= following - {first.cursor["after"]}
    place = (await _page_behind(await world.open("official_account"))).cursor
    rows.change(rows.get(place["list"]), following=False)
    again, _ = await pull_all(await world.open("official_account"), "followers", cursor=place)
    seen = {json.loads(record.payload)["openid"] for record in again}
    assert seen >= following - {first.cursor["after"], place["list"]}


async def _page_behind(client: Any) -> PulledPage:
    """The last page of ours that is of the platform's first."""
    page = await client.pull("followers", {}, datetime.now(UTC))
    while not page.cursor.get("list"):
        page = await client.pull("followers", page.cursor, datetime.now(UTC))
    assert isinstance(page, PulledPage)
    return page


async def test_followers_are_read_every_few_hours_and_named_once(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "_PAGE", 4)
    await world.break_things(
        {"match": {"platform": "official_account", "api": "cgi-bin/user/get"}, "fault": "slow", "seconds": 0}
    )
    client, now = await world.open("official_account"), datetime.now(UTC)
    _, cursor = await pull_all(client, "followers", cursor={}, until=now)

    async def named() -> int:
        rules = (await world.sim.admin("GET", "/faults"))["rules"]
        return int(rules[0]["seen"])

    # Once for all of them, once to see that nobody is behind them.
    assert await named() == 2
    page = await client.pull("followers", cursor, now + timedelta(hours=2, minutes=50))
    assert (page.records, page.more, await named()) == ((), False, 2)
    assert page.reached_at is not None
    assert abs(page.reached_at - now) < timedelta(minutes=1)
    page = await client.pull("followers", cursor, now + timedelta(hours=3, minutes=1))
    assert page.records


async def test_one_whom_the_platform_does_not_know_takes_no_batch_along(world: Outside) -> None:
    state = world.sim.app.state.world
    following = {row.id for row in state.followers.having(account=SLUG) if row.following}
    stranger = next(row for row in state.followers.having(account=SLUG) if row.following)
    state.followers.change(stranger, customer_id="nobody")
    client = await world.open("official_account")
    records, cursor = await pull_all(client, "followers", cursor={}, until=datetime.now(UTC))
    assert {json.loads(record.payload)["openid"] for record in records} == following - {stranger.id}
    assert cursor.keys() == {"passed_at"}


async def test_a_stranger_is_not_found_and_a_former_follower_is_told_apart(world: Outside) -> None:
    client, rows = await world.open("official_account"), world.sim.app.state.world.followers
    row = next(iter(rows.having(account=SLUG)))
    rows.change(row, following=False)
    known = await perform(client, "official_account.get_follower", openid=row.id)
    assert (known.following, known.unionid) == (False, None)
    with pytest.raises(NotFoundProblem):
        await perform(client, "official_account.get_follower", openid="oNobody")


async def test_one_who_does_not_follow_is_not_written_to_and_that_is_said(world: Outside) -> None:
    client, rows = await world.open("official_account"), world.sim.app.state.world.followers
    row = next(iter(rows.having(account=SLUG)))
    rows.change(row, following=False)
    message = {"openid": row.id, "template_id": "TM1", "data": {"thing1": "到账"}}
    sent = await perform(client, "official_account.send_template", **message)
    assert (sent.refused, sent.reason) == (True, "43004")
    told = await perform(client, "official_account.send_text", openid=row.id, text="您好")
    assert (told.refused, told.reason) == (True, "45015")


async def test_a_template_is_dropped_by_its_key_and_another_key_is_another_message(world: Outside) -> None:
    client = await world.open("official_account")
    row = next(row for row in world.sim.app.state.world.followers.having(account=SLUG) if row.following)
    message = {"openid": row.id, "template_id": "TM1", "data": {"thing1": "到账"}}
    for key in ("a", "a", "b"):
        await perform(client, "official_account.send_template", key=key, **message)
    assert await world.effects(kind="template_message", openid=row.id) == 2
    # The platform forgets a key after ten minutes: no try may come later than that.
    assert OFFICIAL_ACCOUNT_SEND_TEMPLATE.deadline_s < 600


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after"])
async def test_a_service_message_whose_fate_is_unknown_is_not_sent_again(world: Outside, fault: str) -> None:
    client = await world.open("official_account")
    state = world.sim.app.state.world
    row = next(row for row in state.followers.having(account=SLUG) if row.following)
    interactions.write(state, row.customer_id, SLUG, "在吗")
    api = {"platform": "official_account", "api": "cgi-bin/message/custom/send"}
    await world.break_things({"match": api, "fault": fault, "times": 1, "seconds": 1})
    call = CATALOG["official_account.send_text"]
    attempts = Attempts(client, call, call.parse_arguments({"openid": row.id, "text": "您好"}), "k")
    with pytest.raises(CommunicationProblem, match="by hand"):
        await attempts.until_done()
    assert await world.effects(kind="service_message", openid=row.id) == (1 if fault == "timeout_after" else 0)


async def test_a_token_is_forced_only_when_the_desk_still_gives_out_a_dead_one(world: Outside) -> None:
    client = await world.open("official_account")
    row = next(row for row in world.sim.app.state.world.followers.having(account=SLUG) if row.following)
    asked: list[bool] = []
    ask = client.api._ask_for_token

    async def watched(*, force: bool) -> Any:
        asked.append(force)
        return await ask(force=force)

    client.api._ask_for_token = watched
    await perform(client, "official_account.get_follower", openid=row.id)
    token = await client.api._tokens.current()
    await client.api._tokens.replace(token)
    assert asked == [False, False, True]


async def test_an_address_check_goes_through_the_simulator(world: Outside) -> None:
    query, echo = OfficialAccount(world.sim.app.state.world).verification(SLUG)
    request = WebhookRequest("GET", dict(query), {}, b"", datetime.now(UTC))
    account = await world.account("official_account")
    verified = connector("official_account").verify(request, account)
    assert connector("official_account").acknowledge(verified, account).body.decode() == echo
    late = replace(request, received_at=request.received_at + timedelta(minutes=11))
    with pytest.raises(AuthenticationProblem):
        connector("official_account").verify(late, account)


async def test_another_client_works_with_the_simulator(world: Outside) -> None:
    settings = (await world.account("official_account")).settings
    base = f"{settings['base_url']}/cgi-bin/"

    client = WeChatClient(settings["app_id"], settings["app_secret"], timeout=5)
    client.API_BASE_URL = base
    token = await asyncio.to_thread(
        client._fetch_access_token,
        f"{base}token",
        {"grant_type": "client_credential", "appid": settings["app_id"], "secret": settings["app_secret"]},
    )
    assert token["expires_in"] > 0
    followers = await asyncio.to_thread(client.user.get_followers)
    first = followers["data"]["openid"][0]
    assert (await asyncio.to_thread(client.user.get, first))["unionid"]
    await asyncio.to_thread(client.message.send_template, first, "TM1", {"thing1": {"value": "到账"}})
    assert await world.effects(kind="template_message", openid=first) == 1
    # Its token desk killed ours, which nobody notices.
    assert (
        await perform(await world.open("official_account"), "official_account.get_follower", openid=first)
    ).following


def test_a_key_of_the_wrong_length_is_named_when_the_account_is_set_up() -> None:
    with pytest.raises(ProblemError, match="encoding_aes_key"):
        Account("official_account", "main", {**PLAIN.settings, "encoding_aes_key": "short"}).parse_settings(
            WechatSettings
        )


@pytest.mark.parametrize(
    ("code", "kind", "words"), [(40164, AuthorizationProblem, "IP"), (40125, AuthenticationProblem, "secret")]
)
def test_what_keeps_an_application_out_is_said_in_plain_words(code: int, kind: type[ProblemError], words: str) -> None:
    with pytest.raises(kind, match=words):
        raise_for_code("official_account", code, "", TOKEN_CODES, effect=False)
