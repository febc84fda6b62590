"""A shop's whole history pushed again, out of order and twice: who keeps the newest version knows the truth."""

from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.accounts import Account
from connectors.webhooks import WebhookRequest
from domain.problems import AuthenticationProblem
from tests.connectors.harness import NOT_SETTINGS, connector
from tests.simulator.harness import Receiver, Sim, eventually, served, simulator

ACCEPTED = {"douyin": '{"code":0}', "wechat_store": "success"}


async def everything_pushed(sim: Sim, platform: str) -> None:
    rules = [
        {"match": {"platform": platform}, "fault": "duplicate_push", "probability": 0.2},
        {"match": {"platform": platform}, "fault": "forge_push", "probability": 0.1},
    ]
    await sim.admin("PUT", "/faults", json={"rules": rules})
    await sim.admin("POST", "/replay", json={"platforms": [platform], "order": "shuffled"})

    async def over() -> bool:
        progress = await sim.admin("GET", "/replay")
        return progress["state"] == "done" and not progress["waiting"]

    await eventually(over, 30)


def read(receiver: Receiver, platform: str, account: Account) -> tuple[dict[str, dict[str, Any]], int]:
    """The newest record of each thing by its subject, and how many pushes were not the platform's."""
    newest: dict[str, dict[str, Any]] = {}
    refused = 0
    for push in receiver.pushes:
        request = WebhookRequest("POST", push.query, push.headers, push.body, datetime.now(UTC))
        try:
            verified = connector(platform).verify(request, account)
        except AuthenticationProblem:
            refused += 1
            continue
        for event in connector(platform).to_events(verified, account):
            known = newest.get(str(event.subject))
            if known is None or event.data["version"] > known["version"]:
                newest[str(event.subject)] = event.data
    return newest, refused


@pytest.mark.parametrize("platform", ACCEPTED)
async def test_who_keeps_the_newest_version_knows_every_order_and_refund(platform: str) -> None:
    receiver = Receiver(answer=ACCEPTED[platform])
    async with served(receiver.app()) as address, simulator(push_base=address, customers=250) as sim:
        await everything_pushed(sim, platform)
        shown = next(row for row in (await sim.admin("GET", "/accounts"))["accounts"] if row["platform"] == platform)
        settings = {name: value for name, value in shown.items() if name not in NOT_SETTINGS}
        newest, refused = read(receiver, platform, Account(platform, shown["account"], settings))
        world = sim.app.state.world
        orders = {f"order:{row.id}": row.status.value for row in world.orders.having(shop=shown["account"])}
        refunds = {f"refund:{row.id}": row for row in world.refunds.having(shop=shown["account"])}
    assert refused > 0
    assert len(orders) > 20
    assert {subject: newest[subject]["status"] for subject in orders} == orders
    told = {subject: newest[subject]["status"] for subject in refunds}
    assert {subject: status.removeprefix("return_") for subject, status in told.items()} == {
        subject: row.status.value.removeprefix("return_") for subject, row in refunds.items()
    }
