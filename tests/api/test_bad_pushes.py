"""Bad input at every address that platforms push to: refused or set aside with its reason, counted, never a lost
neighbour, and never our fault."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from connectors.accounts import secret_fields
from connectors.channels import Listens
from connectors.taobao.messages import as_payload
from connectors.webhooks import Verified
from domain.accounts import NewAccount
from services.accounts import PlatformAccounts
from simulator.entities import Push
from simulator.platforms.base import PushRequest
from storage.unit_of_work import UnitOfWork
from tests.api.bad_pushes import ISO, NEW, PARCELS, STATES, WIRES, Json, Teller
from tests.api.hostile_pushes import HOSTILE, MAY_REFUSE, NO_TEXT, SIGNED, TOO_LARGE, signed_body
from tests.api.house import METRICS_TOKEN, SYSTEM, House
from tests.connectors.cases import PUSHING
from tests.connectors.harness import NOT_SETTINGS

GENERIC_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BAD = [(platform, what) for platform, each in WIRES.items() for what in each.spoiled]


@pytest.fixture(scope="module")
async def teller(house: House) -> Teller:
    """All accounts are connected, and those that pushes are not for."""
    teller, strangers = Teller(), {case.platform: pushes.stranger for case, pushes in PUSHING}
    for platform in teller.platforms.values():
        for shown in platform.accounts("http://127.0.0.1:9"):
            settings = {name: value for name, value in shown.items() if name not in NOT_SETTINGS}
            await _connect(house, shown["platform"], shown["account"], settings)
            if stranger := strangers.get(shown["platform"]):
                await _connect(house, shown["platform"], f"other-{shown['account']}", {**settings, **stranger})
    await _connect(house, "generic", "demo-generic", {"secret": GENERIC_SECRET})
    return teller


async def _connect(house: House, platform: str, slug: str, settings: Json) -> None:
    secrets = secret_fields(house.deps.connectors[platform].settings)
    shown = {name: value for name, value in settings.items() if name not in secrets}
    hidden = {name: str(value) for name, value in settings.items() if name in secrets}
    new = NewAccount(platform=platform, slug=slug, name=slug, settings=shown, credentials=hidden)
    await PlatformAccounts(house.database).connect(SYSTEM, new)


async def _arrives(house: House, teller: Teller, push: Push) -> int:
    """The push comes in, whichever way the platform's come; the status of the answer."""
    now = datetime.now(UTC)
    if push.platform == "taobao":
        parts = {**push.payload, "content": json.loads(push.payload["content"])}
        payload = as_payload(**{name: parts[name] for name in ("id", "topic", "pub_time", "content")})
        verified = Verified(push.event, payload, f"message:{push.message_id}", now)
        await house.deps.inbox.accept("taobao", push.account, verified)
        return 200
    if push.platform == "pinduoduo":
        connector = house.deps.connectors["pinduoduo"]
        assert isinstance(connector, Listens)
        channel = connector.channel(await house.deps.connections.account("pinduoduo", push.account))
        frame = channel.read(json.dumps(push.payload), now)
        assert frame.record is not None
        await house.deps.inbox.accept("pinduoduo", push.account, frame.record)
        return 200
    return await _post(house, push.platform, push.account, teller.signed(push))


async def _post(house: House, platform: str, account: str, request: PushRequest) -> int:
    path = f"/hooks/{platform}/{account}"
    answer = await house.say(
        None, "POST", path, params=dict(request.query), headers=dict(request.headers), content=request.body
    )
    return answer.status_code


async def _since(house: House, last: int) -> list[tuple[str, str | None]]:
    """State and reason of every push that came after one."""
    async with UnitOfWork(house.database) as work:
        found = await work.session.execute(
            text("SELECT state, reason FROM inbox WHERE id > :last ORDER BY id"), {"last": last}
        )
        return [(row.state, row.reason) for row in found]


async def _last(house: House) -> int:
    async with UnitOfWork(house.database) as work:
        return int(await work.session.scalar(text("SELECT coalesce(max(id), 0) FROM inbox")) or 0)


async def _refused(house: House, platform: str) -> float:
    """How many pushes of the platform were refused so far, by its counters."""
    said = (await house.get(None, "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})).text
    label = f'tandem_webhooks_total{{outcome="refused",platform="{platform}"}} '
    return sum(float(line.removeprefix(label)) for line in said.splitlines() if line.startswith(label))


def test_every_platform_that_pushes_is_in_the_table() -> None:
    assert {case.platform for case, _ in PUSHING} <= WIRES.keys()


@pytest.mark.parametrize(("platform", "what"), BAD, ids=[f"{platform}-{what}" for platform, what in BAD])
async def test_what_is_wrong_is_refused_or_set_aside_with_its_reason_and_its_neighbour_lands(
    house: House, teller: Teller, platform: str, what: str
) -> None:
    last, before = await _last(house), await _refused(house, platform)
    status = await _arrives(house, teller, teller.spoil(platform, WIRES[platform].spoiled[what]))
    assert await _arrives(house, teller, teller.genuine(platform)) == 200
    await house.deps.inbox.drain()
    stored = await _since(house, last)
    if status != 200:
        assert 400 <= status < 500, status
        assert [state for state, _ in stored] == ["done"]
        assert await _refused(house, platform) == before + 1
        return
    aside = [reason for state, reason in stored if state == "quarantined"]
    if what == "new kind":
        assert [state for state, _ in stored] == ["done", "done"], "what nobody has a use for is no error"
        return
    assert sorted(state for state, _ in stored) == ["done", "quarantined"]
    assert aside[0]
    listed = (await house.get("admin", "/api/v1/events/quarantine")).json()["items"]
    assert aside[0] in [each["reason"] for each in listed]


@pytest.mark.parametrize("platform", STATES)
async def test_a_state_that_is_new_is_set_aside_by_its_word_and_its_neighbour_lands(
    house: House, teller: Teller, platform: str
) -> None:
    does, values = STATES[platform]
    last = await _last(house)
    assert await _arrives(house, teller, teller.spoil(platform, values, does)) == 200
    assert await _arrives(house, teller, teller.genuine(platform, does)) == 200
    drained = await house.deps.inbox.drain()
    assert (drained.read, drained.quarantined) == (2, 1)
    spoiled, genuine = await _since(house, last)
    assert genuine == ("done", None)
    assert spoiled[0] == "quarantined"
    assert NEW in str(spoiled[1])


@pytest.mark.parametrize("platform", PARCELS)
async def test_a_parcel_lands_by_its_number_wherever_it_is(house: House, teller: Teller, platform: str) -> None:
    does, values = PARCELS[platform]
    assert await _arrives(house, teller, teller.spoil(platform, values, does)) == 200
    assert await _arrives(house, teller, teller.genuine(platform, does)) == 200
    drained = await house.deps.inbox.drain()
    assert (drained.read, drained.quarantined) == (2, 0)
    async with UnitOfWork(house.database) as work:
        found = await work.session.execute(
            text("SELECT state FROM shipments WHERE account_id LIKE :account"), {"account": f"{platform}/%"}
        )
        states = [row.state for row in found]
    assert (len(states), states.count("unknown")) == (2, 1)


ADDRESSES = [
    *(
        f"/hooks/{platform}/demo-{platform.replace('_', '-')}"
        for platform in WIRES
        if platform not in ("youzan", "wecom")
    ),
    "/hooks/youzan/demo-apparel",
    "/hooks/wecom/demo-corp",
    "/hooks/generic/demo-generic",
    "/collect/demo-site",
]


@pytest.mark.parametrize("address", ADDRESSES)
async def test_what_cannot_be_read_is_refused_at_every_address(house: House, teller: Teller, address: str) -> None:
    platform = "site" if address.startswith("/collect/") else address.split("/")[2]
    last, before = await _last(house), await _refused(house, platform)
    for name, body in HOSTILE.items():
        answer = await house.say(None, "POST", address, content=body)
        assert 400 <= answer.status_code < 500, f"{name}: {answer.status_code} {answer.text[:200]}"
        assert answer.content, name
    assert await _since(house, last) == []
    assert await _refused(house, platform) == before + len(HOSTILE)


@pytest.mark.parametrize("platform", SIGNED)
async def test_what_cannot_be_read_is_set_aside_once_it_is_signed(house: House, teller: Teller, platform: str) -> None:
    account = teller.genuine(platform).account
    kept: list[str] = []
    last, before = await _last(house), await _refused(house, platform)
    for name, body in HOSTILE.items():
        status = await _post(house, platform, account, signed_body(teller, platform, body))
        may_be_refused = platform in MAY_REFUSE or name in (TOO_LARGE, *(NO_TEXT if platform == "erp" else ()))
        assert status == 200 or (may_be_refused and 400 <= status < 500), f"{name}: {status}"
        kept += (name,) if status == 200 else ()
    assert await _arrives(house, teller, teller.genuine(platform)) == 200
    await house.deps.inbox.drain()
    *aside, neighbour = await _since(house, last)
    assert neighbour[0] == "done"
    assert [state for state, _ in aside] == ["quarantined"] * len(kept), dict(zip(kept, aside, strict=False))
    assert all(reason for _, reason in aside)
    assert await _refused(house, platform) == before + len(HOSTILE) - len(kept)


STRANGERS = sorted(case.platform for case, pushes in PUSHING if pushes.stranger)


@pytest.mark.parametrize("platform", STRANGERS)
async def test_what_is_for_another_account_is_refused_there_and_counted(
    house: House, teller: Teller, platform: str
) -> None:
    push = teller.genuine(platform)
    last, before = await _last(house), await _refused(house, platform)
    assert await _post(house, platform, f"other-{push.account}", teller.signed(push)) in (401, 403)
    assert await _since(house, last) == []
    assert await _refused(house, platform) == before + 1


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("future", {"occurred_at": ISO}),
        ("negative", {"paid_minor": -1}),
        ("unknown", {"status": "abducted"}),
        ("nobody's", {"order_id": ""}),
    ],
)
async def test_a_signed_record_with_a_wrong_field_is_refused_by_its_name(
    house: House, teller: Teller, what: str, change: Json
) -> None:
    good = {"order_id": f"S-{what}", "status": "paid", "paid_minor": 9900, "version": 1}
    last = await _last(house)
    answers = []
    for number, data in enumerate(({**good, **change}, good)):
        body, name, now = json.dumps({"type": "order", "data": data}), f"{what}-{number}", datetime.now(UTC)
        headers = {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(GENERIC_SECRET).sign(name, now, body),
        }
        answers.append(await house.say(None, "POST", "/hooks/generic/demo-generic", content=body, headers=headers))
    assert answers[0].status_code == 400, answers[0].text
    assert next(iter(change)) in answers[0].text
    assert answers[1].status_code == 200, answers[1].text
    await house.deps.inbox.drain()
    assert [state for state, _ in await _since(house, last)] == ["done"]
