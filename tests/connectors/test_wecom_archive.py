"""WeCom's chat archive: what becomes a chat and what does not, and how it is read on."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault
from connectors.webhooks import Verified
from connectors.wecom.archive import ARCHIVED
from domain.events import Event
from domain.problems import AuthenticationProblem, ProblemError, ValidationProblem
from tests.connectors.harness import Outside, connector
from tests.connectors.pulls import events_of, pull_all

RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
ACCOUNT = Account("wecom", "corp", {})
CUSTOMER, OTHER = "wmErxtDgAA9AW32YyyuYRimKr7D1KWlw", "woErxtDgAA9AW32YyyuYRimKr7D1KWlw"


def told(**changes: Any) -> list[Event]:
    message = {
        "msgid": "CAQQluDa4QUY0On2rYSAgAMgzPrShAE=_external",
        "action": "send",
        "from": CUSTOMER,
        "tolist": ["wmeng"],
        "roomid": "",
        "msgtime": int(RECEIVED.timestamp() * 1000) - 500,
        "msgtype": "text",
        "text": {"content": "有优惠吗"},
        **changes,
    }
    row = {"seq": 1, "msgid": message["msgid"], "msg": message}
    return connector("wecom").to_events(Verified(ARCHIVED, json.dumps(row).encode(), "k", RECEIVED), ACCOUNT)


def test_what_a_customer_writes_and_what_they_are_answered() -> None:
    (asked,) = told()
    (answered,) = told(**{"from": "wmeng", "tolist": [CUSTOMER]})
    assert [event.data["direction"] for event in (asked, answered)] == ["in", "out"]
    assert {event.data["external_userid"] for event in (asked, answered)} == {CUSTOMER}
    assert {event.data["userid"] for event in (asked, answered)} == {"wmeng"}, "a member whose name begins like that"
    assert (asked.type, asked.data["text"]) == ("tandem.chat.message", "有优惠吗")
    assert asked.tandemkeys == (f"customer:wecom/{CUSTOMER}",)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "recall"},
        {"action": "switch"},
        {"from": "LiMei", "tolist": ["ZhaoQiang"]},
        {"from": "LiMei", "tolist": [CUSTOMER, OTHER], "roomid": "wr1"},
    ],
    ids=["withdrawn", "another corp", "internal", "to a group"],
)
def test_what_is_withdrawn_internal_or_said_to_a_group_is_no_ones_chat(change: dict[str, Any]) -> None:
    assert told(**change) == []


@pytest.mark.parametrize(("kind", "form"), [("image", "image"), ("voice", "voice"), ("redpacket", "other")])
def test_what_is_no_text_is_kept_by_its_form(kind: str, form: str) -> None:
    (event,) = told(msgtype=kind, **{kind: {"sdkfileid": "x"}})
    assert (event.data["form"], event.data["text"]) == (form, None)


@pytest.mark.parametrize(
    "change",
    [
        {"msgid": ""},
        {"from": None},
        {"tolist": "everybody"},
        {"msgtime": -1},
        {"msgtime": int((RECEIVED + timedelta(days=1)).timestamp() * 1000)},
    ],
)
def test_an_anomalous_message_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationProblem):
        told(**change)


async def test_it_is_read_on_behind_the_last_message_and_no_further_back_than_five_days(world: Outside) -> None:
    state, account = world.sim.app.state.world, await world.account("wecom")
    friend = await world.sim.friend()
    client = await world.open("wecom")
    _, position = await pull_all(client, "chats")
    chat = {"customer_id": friend["id"], "does": "chat", "text": "在吗"}
    await world.sim.admin("POST", "/doings", json=chat)
    records, position = await pull_all(client, "chats", cursor=position)
    (event,) = events_of(records, account)
    assert (event.data["text"], event.data["external_userid"]) == ("在吗", friend["external_userid"])
    assert (await pull_all(client, "chats", cursor=position))[0] == []
    await world.sim.admin("POST", "/advance", json={"seconds": 6 * 24 * 3600})
    assert (await pull_all(client, "chats"))[0] == []
    assert len(state.chats) > 0


async def test_a_wrong_secret_and_a_busy_port_are_told_apart(world: Outside) -> None:
    wrong = connector("wecom").open(await world.account("wecom", archive_secret="wrong"), world.link)
    with pytest.raises(AuthenticationProblem):
        await wrong.pull("chats", {}, datetime.now(UTC))
    await world.break_things({"match": {"platform": "wecom", "api": "archive/*"}, "fault": "quota", "times": 1})
    client = await world.open("wecom")
    with pytest.raises(ProblemError) as busy:
        await client.pull("chats", {}, datetime.now(UTC))
    assert busy.value.problem.as_dict()["retryable"] is True
    await client.pull("chats", {}, datetime.now(UTC))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"archive_secret": "0" * 32}, ConnectionFault.CREDENTIALS),
        ({"archive_url": "http://127.0.0.1:9"}, ConnectionFault.NETWORK),
    ],
)
async def test_an_archive_that_cannot_be_read_is_named_by_the_connection_test(
    world: Outside, changes: dict[str, str], fault: ConnectionFault
) -> None:
    report = await connector("wecom").test_connection(await world.account("wecom", **changes), world.link)
    assert (report.ok, report.fault) == (False, fault), report.message
    assert report.message.zh.startswith("会话存档无法读取")
    assert report.message.en.startswith("The chat archive cannot be read")
    assert report.hint is not None
    assert all("archive_url" in said for said in report.hint.as_dict().values())


async def test_an_archive_that_is_not_used_is_not_tried(world: Outside) -> None:
    await world.break_things({"match": {"platform": "wecom", "api": "archive/chatdata"}, "fault": "forbidden"})
    account = await world.account("wecom", archive_url=None)
    assert (await connector("wecom").test_connection(account, world.link)).ok


async def test_the_clock_of_the_archives_machine_is_not_taken_for_the_platforms(world: Outside) -> None:
    answered: list[str] = []

    async def note(response: httpx.Response) -> None:
        answered.append(response.request.url.path)

    world.link.http.event_hooks["response"].append(note)
    report = await connector("wecom").test_connection(await world.account("wecom"), world.link)
    world.link.http.event_hooks["response"].remove(note)
    assert report.ok, report.message
    assert answered
    assert [path for path in answered if "chatdata" in path] == []
