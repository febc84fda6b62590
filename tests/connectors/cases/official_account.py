"""An Official Account: a follower who is read and written to."""

from datetime import timedelta
from typing import Any

from connectors.webhooks import WebhookRequest
from tests.connectors.case import Case, Effect, Pushes
from tests.connectors.harness import Outside

ACCOUNT = "demo-official-account"


async def _subject(world: Outside) -> dict[str, Any]:
    followers = world.sim.app.state.world.followers.having(account=ACCOUNT)
    return {"openid": next(row.id for row in followers if row.following)}


async def _push(world: Outside) -> WebhookRequest:
    body = {"platform": "official_account", "account": ACCOUNT, "event": "SCAN"}
    await world.sim.admin("POST", "/push", json={**body, "subjects": {**await _subject(world), "key": "counter-3"}})
    return (await world.pushes("official_account", 1))[0]


CASE = Case(
    platform="official_account",
    secrets=("app_secret",),
    first_setting="app_id",
    read="official_account.get_follower",
    tested_api="cgi-bin/user/*",
    subject=_subject,
    effect=Effect(
        call="official_account.send_template",
        api="cgi-bin/message/template/send",
        ledger_kind="template_message",
        query_api="cgi-bin/user/info",
        more={"template_id": "TM00001", "data": {"thing1": "退款已到账"}},
        spends=False,
    ),
    pushes=Pushes(send=_push, event="SCAN", stranger={"app_id": "wx0000000000000000"}, window=timedelta(minutes=10)),
)
