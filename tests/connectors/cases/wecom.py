"""WeCom: a contact who is read and written to."""

from datetime import timedelta
from typing import Any

from connectors.webhooks import WebhookRequest
from tests.connectors.case import Case, Effect, Pushes
from tests.connectors.harness import Outside


async def _subject(world: Outside) -> dict[str, Any]:
    return {"external_userid": (await world.sim.friend())["external_userid"]}


async def _push(world: Outside) -> WebhookRequest:
    friend = await world.sim.friend()
    await world.sim.admin(
        "POST",
        "/push",
        json={
            "platform": "wecom",
            "account": "demo-corp",
            "event": "add_external_contact",
            "subjects": {"external_userid": friend["external_userid"], "state": "counter-3"},
        },
    )
    return (await world.pushes("wecom", 1))[0]


CASE = Case(
    platform="wecom",
    secrets=("contact_secret", "agent_secret"),
    first_setting="corp_id",
    read="wecom.get_customer",
    tested_api="externalcontact/*",
    subject=_subject,
    effect=Effect(
        call="wecom.send_message",
        api="externalcontact/add_msg_template",
        ledger_kind="message",
        query_api="externalcontact/get_groupmsg_list_v2",
        more={"text": "退款已到账"},
        spends=False,
    ),
    pushes=Pushes(
        send=_push,
        event="add_external_contact",
        stranger={"corp_id": "ww0000000000000000"},
        window=timedelta(minutes=10),
        useless=("change_external_contact", "change_external_contact.other", "text"),
    ),
    lists={
        "externalcontact/get_follow_user_list": "客户",
        "externalcontact/get_corp_tag_list": "企业标签",
        "archive/chatdata": "会话存档",
    },
)
