"""A WeCom corp: who is found, what is tagged, what is written, and what is refused."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.messages import deliver
from connectors.pacing import REQUESTS_IN_A_CALL
from connectors.webhooks import WebhookRequest
from connectors.wecom.marks import marked, unmarked
from domain.catalog import CATALOG
from domain.catalog.messages import SendArguments
from domain.problems import (
    AuthenticationProblem,
    ConfigurationProblem,
    NotFoundProblem,
    ProblemError,
    ValidationProblem,
)
from simulator.platforms.wecom import WeCom
from tests.connectors.harness import Outside, connector, perform

SEND = "externalcontact/add_msg_template"


def rule(api: str, fault: str, **more: Any) -> dict[str, Any]:
    return {"match": {"platform": "wecom", "api": api}, "fault": fault, **more}


async def test_a_buyer_is_found_by_their_wechat_identities(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    found = await perform(client, "wecom.find_customer", unionid=friend["unionid"], openid=friend["openid"])
    assert (found.found, found.external_userid) == (True, friend["external_userid"])


@pytest.mark.parametrize("identity", [{"unionid": "o-nobody", "openid": "o-nobody"}, {"unionid": None, "openid": None}])
async def test_a_stranger_is_not_found_and_that_is_no_error(world: Outside, identity: dict[str, Any]) -> None:
    found = await perform(await world.open("wecom"), "wecom.find_customer", **identity)
    assert (found.found, found.external_userid) == (False, None)


async def test_a_customer_is_read_with_followers(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    customer = await perform(client, "wecom.get_customer", external_userid=friend["external_userid"])
    assert (customer.name, customer.unionid, customer.kind) == (friend["name"], friend["unionid"], "wechat")
    assert len(customer.followers) == 1
    with pytest.raises(NotFoundProblem):
        await perform(client, "wecom.get_customer", external_userid="wm-nobody")


async def test_a_tag_is_made_when_missing_set_once_and_taken_away(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    who = {"external_userid": friend["external_userid"]}
    first = await perform(client, "wecom.add_tag", key="a", **who, tag="退款完成", group="售后自动")
    again = await perform(client, "wecom.add_tag", key="b", **who, tag="退款完成", group="售后自动")
    assert (first.created, len(first.userids)) == (True, 1)
    assert (again.created, again.userids, again.tag_id) == (False, (), first.tag_id)
    assert (await perform(client, "wecom.get_customer", **who)).tags == ("退款完成",)
    removed = await perform(client, "wecom.remove_tag", key="c", **who, tag="退款完成", group="售后自动")
    gone = await perform(client, "wecom.remove_tag", key="d", **who, tag="退款完成", group="售后自动")
    assert (removed.removed, gone.removed) == (True, False)
    assert await world.effects(kind="tag_marked", **who) == 1
    assert await world.effects(kind="tag_removed", **who) == 1


async def test_a_tag_of_the_admin_console_is_used_as_it_is(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    who = {"external_userid": friend["external_userid"]}
    tagged = await perform(client, "wecom.add_tag", **who, tag="高价值", group="客户等级")
    assert tagged.created is False
    assert await world.effects(kind="tag_created") == 0


async def test_a_tag_that_was_never_made_is_not_there_to_take(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    gone = await perform(client, "wecom.remove_tag", external_userid=friend["external_userid"], tag="没有")
    assert gone.removed is False


async def test_two_who_make_the_same_tag_at_once_share_it(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    who = {"external_userid": friend["external_userid"]}
    await perform(client, "wecom.add_tag", key="group", **who, tag="先有组", group="并发")
    results = await asyncio.gather(
        *(perform(client, "wecom.add_tag", key=f"k{n}", **who, tag="同名", group="并发") for n in range(8))
    )
    assert len({result.tag_id for result in results}) == 1
    assert await world.effects(kind="tag_created", name="同名") == 1


@pytest.mark.parametrize("api", ["externalcontact/mark_tag", "externalcontact/add_corp_tag"])
async def test_a_tag_whose_setting_went_unanswered_is_set_once(world: Outside, api: str) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    await world.break_things(rule(api, "timeout_after", times=1, seconds=3))
    await perform(client, "wecom.add_tag", external_userid=friend["external_userid"], tag="新", group="无应答")
    assert await world.effects(kind="tag_marked", external_userid=friend["external_userid"]) == 1
    assert await world.effects(kind="tag_created", name="新") == 1


async def test_a_former_contact_cannot_be_written_to_and_that_is_said(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    push = {"platform": "wecom", "account": "demo-corp", "event": "del_follow_user"}
    await world.sim.admin("POST", "/push", json={**push, "subjects": {"external_userid": friend["external_userid"]}})
    sent = await perform(client, "wecom.send_message", external_userid=friend["external_userid"], text="在吗")
    assert (sent.refused, sent.message_id) == (True, None)
    outcome = await deliver(client, SendArguments(to=friend["external_userid"], text="x"), "在吗", key="k")
    assert (outcome.sent, outcome.skipped_reason) == (False, "unreachable")


async def test_the_text_arrives_as_it_was_written_with_its_links(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    text = "退款 ¥299.00 已到账 👩‍👩‍👧"
    await perform(
        client,
        "wecom.send_message",
        external_userid=friend["external_userid"],
        text=text,
        links=[{"title": "查看订单", "url": "https://shop.example/orders/1"}],
    )
    (entry,) = (await world.sim.ledger(kind="message", effect="true"))["entries"]
    assert unmarked(entry["request"]["text"]["content"]) == text
    assert entry["request"]["attachments"] == [
        {"msgtype": "link", "link": {"title": "查看订单", "url": "https://shop.example/orders/1"}}
    ]


async def test_staff_are_told_once_per_key_also_when_nobody_answers(world: Outside) -> None:
    client = await world.open("wecom")
    await world.break_things(rule("message/send", "timeout_after", times=1, seconds=3))
    told = await perform(client, "wecom.notify_staff", key="a", userids=["LiMei", "nobody"], text="有新的退款")
    assert told.unknown_userids == ("nobody",)
    await perform(client, "wecom.notify_staff", key="b", userids=["LiMei"], text="有新的退款")
    assert await world.effects(kind="staff_message", userid="LiMei") == 2


async def test_a_corp_without_an_application_says_what_is_missing(world: Outside) -> None:
    account = await world.account("wecom", agent_id=None, agent_secret=None)
    client = connector("wecom").open(account, world.link)
    with pytest.raises(ConfigurationProblem, match="agent_id"):
        await perform(client, "wecom.notify_staff", userids=["LiMei"], text="x")


async def test_a_busy_platform_is_asked_three_times_for_a_reading(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    await world.break_things(rule("externalcontact/get", "busy", times=2))
    await client.get_customer(
        CATALOG["wecom.get_customer"].parse_arguments({"external_userid": friend["external_userid"]})
    )
    await world.break_things(rule("externalcontact/get", "busy"))
    with pytest.raises(ProblemError):
        await client.get_customer(
            CATALOG["wecom.get_customer"].parse_arguments({"external_userid": friend["external_userid"]})
        )
    (counted,) = (await world.sim.admin("GET", "/faults"))["rules"]
    assert counted["hit"] == 3


async def test_a_quota_breach_says_how_long_the_platform_blocks(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    await world.break_things(rule("externalcontact/get", "quota"))
    request = CATALOG["wecom.get_customer"].parse_arguments({"external_userid": friend["external_userid"]})
    with pytest.raises(ProblemError) as error:
        await client.get_customer(request)
    problem = error.value.problem.as_dict()
    assert (problem["status"], problem["platform_code"], problem["retry_after_s"]) == (429, "45009", 60.0)


@pytest.mark.parametrize(("size", "fits"), [(1300, True), (1301, False)])
def test_a_text_is_measured_in_bytes(size: int, fits: bool) -> None:
    arguments = {"external_userid": "wm1", "text": "好" * size}
    if fits:
        assert CATALOG["wecom.send_message"].parse_arguments(arguments)
    else:
        with pytest.raises(ValidationProblem, match="3900"):
            CATALOG["wecom.send_message"].parse_arguments(arguments)


def test_a_mark_is_the_keys_own_and_comes_off() -> None:
    assert marked("您好", "a") != marked("您好", "b")
    assert marked("您好", "a") == marked("您好", "a")
    assert unmarked(marked("您好", "a")) == unmarked("您好") == "您好"
    assert len(marked("您好", "a").encode()) <= len("您好".encode()) + 100


async def test_the_platforms_own_address_check_is_echoed(world: Outside) -> None:
    account = await world.account("wecom")
    query, echo = _verification(world)
    request = WebhookRequest("GET", query, {}, b"", datetime.now(UTC))
    verified = connector("wecom").verify(request, account)
    assert connector("wecom").acknowledge(verified, account).body.decode() == echo
    forged = WebhookRequest("GET", {**query, "msg_signature": "0" * 40}, {}, b"", datetime.now(UTC))
    with pytest.raises(AuthenticationProblem):
        connector("wecom").verify(forged, account)


def _verification(world: Outside) -> tuple[dict[str, str], str]:
    return WeCom(world.sim.app.state.world).verification("demo-corp")


class Counting:
    """Gives every turn at once, and remembers whose they were."""

    def __init__(self) -> None:
        self.turns: Counter[tuple[str, float]] = Counter()

    async def turn(self, account_id: str, per_second: float, *, bulk: bool) -> None:
        self.turns[account_id, per_second * REQUESTS_IN_A_CALL] += 1

    async def hold(self, account_id: str, seconds: float) -> None:
        raise AssertionError("nothing was too often")


@pytest.mark.parametrize("bulk", [False, True])
async def test_each_interface_is_asked_at_most_150_000_times_an_hour(world: Outside, bulk: bool) -> None:
    account, friend, pacer = await world.account("wecom"), await world.sim.friend(), Counting()
    link = replace(world.link, pacer=pacer).paced("wecom/demo", connector("wecom").requests_per_second, bulk=bulk)
    client = connector("wecom").open(account, link)
    who = {"external_userid": friend["external_userid"]}
    for key in ("a", "b"):
        await perform(client, "wecom.add_tag", key=key, **who, tag=f"标签{key}", group="售后自动")
    for interface in ("externalcontact/mark_tag", "externalcontact/get"):
        (rate,) = {each for name, each in pacer.turns if name == f"wecom/demo/{interface}"}
        assert 30 * 3_600 <= rate * 3_600 < 150_000
    assert pacer.turns["wecom/demo/externalcontact/mark_tag", 40] == 2
    of_account = sum(count for (name, _), count in pacer.turns.items() if name == "wecom/demo")
    of_interfaces = sum(count for (name, _), count in pacer.turns.items() if name.startswith("wecom/demo/"))
    assert of_account == of_interfaces + 1, "and the token"
