"""WeChat Pay: a transfer that is looked at and made."""

from datetime import timedelta
from typing import Any

from connectors.connection_report import ConnectionFault
from connectors.webhooks import WebhookRequest
from simulator.platforms.wechat_pay import keys
from tests.connectors.case import Case, Effect, Pushes
from tests.connectors.harness import Outside, perform

MERCHANT = "demo-wechat-pay"
PAYEE: dict[str, Any] = {"openid": "oEXAMPLE-openid", "amount_minor": 12000, "remark": "11月推广佣金"}


async def _subject(world: Outside) -> dict[str, Any]:
    """The number of a transfer that is still to be made."""
    number = f"T{world.sim.app.state.world.next('test_transfer'):08d}"
    return {"out_bill_no": number}


async def _made(world: Outside) -> dict[str, Any]:
    subject = await _subject(world)
    await perform(await world.open("wechat_pay"), "wechat_pay.transfer", **PAYEE, **subject)
    return subject


async def _push(world: Outside) -> WebhookRequest:
    body = {"platform": "wechat_pay", "account": MERCHANT, "event": "SUCCESS", "subjects": await _made(world)}
    await world.sim.admin("POST", "/push", json=body)
    return (await world.pushes("wechat_pay", 1))[0]


CASE = Case(
    platform="wechat_pay",
    secrets=(),
    keys={
        "serial_no": "0" * 40,
        "private_key": keys.private_pem(keys.rsa_key("somebody else")),
        "public_key": keys.public_pem(keys.rsa_key("somebody else")),
        "public_key_id": "PUB_KEY_ID_OTHER",
    },
    first_setting="mch_id",
    read="wechat_pay.get_transfer",
    subject=_subject,
    effect=Effect(
        call="wechat_pay.transfer",
        api="transfer-bills",
        ledger_kind="transfer",
        query_api="transfer-bills/out-bill-no",
        more=PAYEE,
    ),
    pushes=Pushes(
        send=_push,
        event="MCHTRANSFER.*",
        stranger={"mch_id": "1"},
        window=timedelta(minutes=5),
        answer=b"SUCCESS",
    ),
    tokens=False,
    faults={"forbidden": ConnectionFault.PERMISSION, "untrusted_ip": ConnectionFault.PERMISSION},
    readable=_made,
    lists={"transfer-bills/out-bill-no": "转账单"},
)
