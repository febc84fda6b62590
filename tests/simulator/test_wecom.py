"""WeCom's HTTP contract: tokens, quotas, customers, messages, tags."""

from __future__ import annotations

import time

from tests.simulator.harness import Json, Sim, simulator


def text(content: str) -> Json:
    return {"text": {"content": content}}


async def test_a_token_is_the_same_until_it_dies(sim: Sim) -> None:
    first = await sim.wecom_token()
    assert await sim.wecom_token() == first
    assert await sim.wecom_token("agent_secret") != first
    assert (await sim.admin("POST", "/tokens/kill", json={"platform": "wecom", "account": "demo-corp"}))["killed"] == 2
    assert (await sim.wecom("externalcontact/get_follow_user_list", {}, first, "GET"))["errcode"] == 40014
    assert await sim.wecom_token() != first


async def test_a_token_expires_after_two_hours(sim: Sim) -> None:
    token = await sim.wecom_token()
    await sim.admin("POST", "/advance", json={"seconds": 7201})
    assert (await sim.wecom("externalcontact/get_follow_user_list", {}, token, "GET"))["errcode"] == 42001


async def test_wrong_credentials_say_which(sim: Sim) -> None:
    account = await sim.account("demo-corp")
    token = "/wecom/cgi-bin/gettoken"
    bad_corp = await sim.http.get(token, params={"corpid": "ww0", "corpsecret": account["contact_secret"]})
    assert bad_corp.json()["errcode"] == 40013
    bad_secret = await sim.http.get(token, params={"corpid": account["corp_id"], "corpsecret": "no"})
    assert bad_secret.json()["errcode"] == 40001
    missing = await sim.http.get("/wecom/cgi-bin/externalcontact/list")
    assert missing.json()["errcode"] == 41001


async def test_the_minute_quota_blocks_one_api_for_a_minute() -> None:
    async with simulator(wecom_calls_per_minute=3) as sim:
        token = await sim.wecom_token()
        api = "externalcontact/get_follow_user_list"
        codes = [(await sim.wecom(api, {}, token, "GET"))["errcode"] for _ in range(5)]
        assert codes == [0, 0, 0, 45009, 45009]
        assert (await sim.wecom("externalcontact/get_corp_tag_list", {}, token))["errcode"] == 0


async def test_a_customer_is_found_by_every_way(sim: Sim) -> None:
    person = await sim.friend()
    shown = await sim.wecom("externalcontact/get", {"external_userid": person["external_userid"]}, method="GET")
    assert shown["external_contact"]["unionid"] == person["unionid"]
    staff = shown["follow_user"][0]["userid"]
    listed = await sim.wecom("externalcontact/list", {"userid": staff}, method="GET")
    assert person["external_userid"] in listed["external_userid"]
    identity = {"unionid": person["unionid"], "openid": person["openid"]}
    found = await sim.wecom("externalcontact/unionid_to_external_userid", identity)
    assert found["external_userid"] == person["external_userid"]
    stranger = await sim.wecom("externalcontact/unionid_to_external_userid", {**identity, "unionid": "o0"})
    assert stranger["errcode"] == 84061


async def test_batches_go_through_everyone_once(sim: Sim) -> None:
    userids = (await sim.wecom("externalcontact/get_follow_user_list", {}, method="GET"))["follow_user"]
    seen: list[str] = []
    cursor = ""
    while True:
        page = await sim.wecom(
            "externalcontact/batch/get_by_user", {"userid_list": userids, "limit": 4, "cursor": cursor}
        )
        seen += [row["external_contact"]["external_userid"] for row in page["external_contact_list"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    contacts = (await sim.admin("GET", "/state"))["contacts"]
    assert len(seen) == len(set(seen)) == contacts
    bad = await sim.wecom("externalcontact/batch/get_by_user", {"userid_list": userids, "cursor": "made-up"})
    assert bad["errcode"] == 40058
    many = await sim.wecom("externalcontact/batch/get_by_user", {"userid_list": [str(n) for n in range(101)]})
    assert many["errcode"] == 40058


async def test_a_message_reaches_friends_and_is_found_again(sim: Sim) -> None:
    person = await sim.friend()
    before = int(time.time()) - 1
    wanted = {"external_userid": [person["external_userid"], "wm-nobody"], **text("已退款 600.00 元")}
    sent = await sim.wecom("externalcontact/add_msg_template", wanted)
    assert (sent["errcode"], sent["fail_list"]) == (0, ["wm-nobody"])
    window = {"chat_type": "single", "start_time": before, "end_time": before + 60}
    listed = (await sim.wecom("externalcontact/get_groupmsg_list_v2", window))["group_msg_list"]
    assert [(row["msgid"], row["text"]["content"]) for row in listed] == [(sent["msgid"], "已退款 600.00 元")]
    task = (await sim.wecom("externalcontact/get_groupmsg_task", {"msgid": sent["msgid"]}))["task_list"][0]
    assert task["status"] == 2
    result = await sim.wecom(
        "externalcontact/get_groupmsg_send_result", {"msgid": sent["msgid"], "userid": task["userid"]}
    )
    assert [row["status"] for row in result["send_list"]] == [1]
    ledger = await sim.ledger(kind="message", external_userid=person["external_userid"])
    assert (ledger["effects"], ledger["attempts"]) == (1, 0)


async def test_staff_confirm_a_message_later_when_told_so() -> None:
    async with simulator(staff_confirm_s=600) as sim:
        person = await sim.friend()
        sent = await sim.wecom(
            "externalcontact/add_msg_template", {"external_userid": [person["external_userid"]], **text("hi")}
        )
        asked = {"msgid": sent["msgid"]}
        assert (await sim.wecom("externalcontact/get_groupmsg_task", asked))["task_list"][0]["status"] == 0
        await sim.admin("POST", "/advance", json={"seconds": 601})
        assert (await sim.wecom("externalcontact/get_groupmsg_task", asked))["task_list"][0]["status"] == 2


async def test_a_message_to_nobody_is_refused(sim: Sim) -> None:
    answer = await sim.wecom("externalcontact/add_msg_template", {"external_userid": ["wm-nobody"], **text("hi")})
    assert answer["errcode"] == 41048
    person = await sim.friend()
    empty = await sim.wecom("externalcontact/add_msg_template", {"external_userid": [person["external_userid"]]})
    assert empty["errcode"] == 40058
    long = {"external_userid": [person["external_userid"]], **text("长" * 1334)}
    assert (await sim.wecom("externalcontact/add_msg_template", long))["errcode"] == 40058


async def test_an_equal_staff_message_is_sent_once(sim: Sim) -> None:
    token = await sim.wecom_token("agent_secret")
    agent = (await sim.account("demo-corp"))["agent_id"]
    body = {"agentid": agent, "touser": "LiMei|Nobody", "msgtype": "text", "enable_duplicate_check": 1, **text("审批")}
    answers = [await sim.wecom("message/send", body, token) for _ in range(2)]
    assert [answer["errcode"] for answer in answers] == [0, 0]
    assert answers[0]["invaliduser"] == "Nobody"
    ledger = await sim.ledger(kind="staff_message")
    assert (ledger["effects"], ledger["attempts"]) == (1, 1)
    assert (await sim.wecom("message/send", {**body, "agentid": 1}, token))["errcode"] == 40056


async def test_tags_are_made_and_marked_once(sim: Sim) -> None:
    person = await sim.friend()
    made = await sim.wecom("externalcontact/add_corp_tag", {"group_name": "售后", "tag": [{"name": "极速退款"}]})
    tag_id = made["tag_group"]["tag"][0]["id"]
    again = await sim.wecom("externalcontact/add_corp_tag", {"group_name": "售后", "tag": [{"name": "极速退款"}]})
    assert again["errcode"] == 40071
    listed = (await sim.wecom("externalcontact/get_corp_tag_list", {"tag_id": [tag_id]}))["tag_group"]
    assert [tag["name"] for group in listed for tag in group["tag"]] == ["极速退款"]
    where = {"external_userid": person["external_userid"]}
    staff = (await sim.wecom("externalcontact/get", where, method="GET"))["follow_user"][0]["userid"]
    mark = {"userid": staff, **where, "add_tag": [tag_id]}
    assert [(await sim.wecom("externalcontact/mark_tag", mark))["errcode"] for _ in range(2)] == [0, 0]
    shown = await sim.wecom("externalcontact/get", where, method="GET")
    assert [tag["tag_name"] for tag in shown["follow_user"][0]["tags"]] == ["极速退款"]
    ledger = await sim.ledger(kind="tag_marked", tag_id=tag_id)
    assert (ledger["effects"], ledger["attempts"]) == (1, 1)
    wrong_staff = await sim.wecom("externalcontact/mark_tag", {**mark, "userid": "Nobody"})
    assert wrong_staff["errcode"] == 84061
    assert (await sim.wecom("externalcontact/mark_tag", {**mark, "add_tag": ["et0"]}))["errcode"] == 40068


async def test_methods_and_bodies_are_checked(sim: Sim) -> None:
    token = await sim.wecom_token()
    assert (await sim.wecom("externalcontact/get", {}, token))["errcode"] == 43001
    assert (await sim.wecom("externalcontact/mark_tag", {}, token, "GET"))["errcode"] == 43002
    broken = await sim.http.post(
        "/wecom/cgi-bin/externalcontact/mark_tag", params={"access_token": token}, content="[1"
    )
    assert broken.json()["errcode"] == 47001
    assert (await sim.wecom("externalcontact/get", {"external_userid": "wm0"}, token, "GET"))["errcode"] == 40096
