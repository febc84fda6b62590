"""WeCom's contacts in one place with everything else: read, recognised as people known elsewhere, kept true."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from connectors.accounts import secret_fields
from connectors.loading import load_connectors
from connectors.lookups import looked_up
from connectors.webhooks import Verified
from domain.accounts import NewAccount
from domain.calls import Catalog
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Intake
from services.lookups import LookupDesk, LookupService
from services.pulls import PullService
from storage.encryption import Keyring
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import Outside, outside

ADMIN = an_actor("root")
CONNECTORS = load_connectors(Catalog())
CORP, ACCOUNT = "wecom/demo-corp", "official_account/demo-official-account"


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Outside]:
    async with outside() as world:
        world.link = replace(world.link, answer_timeout_s=10)
        yield world


@pytest.fixture
async def world(running: Outside) -> Outside:
    await running.be_new()
    return running


@pytest.fixture
async def live(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    yield database
    await database.close()


async def connected(live: Database, world: Outside, platform: str) -> str:
    """The demo account of a platform, connected; its id."""
    account = await world.account(platform)
    secrets = secret_fields(CONNECTORS[platform].settings)
    shown = {name: value for name, value in account.settings.items() if name not in secrets}
    hidden = {name: str(account.settings[name]) for name in secrets & set(account.settings)}
    new = NewAccount(
        platform=platform, slug=account.slug, name=platform, unit_path="/", settings=shown, credentials=hidden
    )
    return (await PlatformAccounts(live, CONNECTORS).connect(ADMIN, new)).id


async def read_all(live: Database, world: Outside, account: str, stream: str) -> int:
    """Read a stream to its end and take it in; how many records the inbox did not know."""
    pulls = PullService(live, CONNECTORS, Connections(live), world.link)
    missed, more, turns = 0, True, 0
    while more and turns < 20:
        pulled = await pulls.pull(account, stream, pages=50)
        missed, more, turns = missed + pulled.missed, pulled.more, turns + 1
        if stream == "followers" and pulled.records == 0:
            break
    await drained(live)
    return missed


async def drained(live: Database) -> None:
    while (read := await inbox_of(live).drain()).read:
        assert read.quarantined == 0


def inbox_of(live: Database) -> InboxService:
    return InboxService(live, CONNECTORS, Intake(IdentityService(), lookups=LookupDesk(looked_up(CONNECTORS))))


async def asked(live: Database, world: Outside, platform: str) -> int:
    """Ask the platform until nothing is due, and take in what it answers; how often it was asked."""
    lookups, times = LookupService(live, CONNECTORS, Connections(live), world.link), 0
    await hurried(live)
    while (round_of := await lookups.drain(platform)).asked:
        times += round_of.asked
    await drained(live)
    return times


async def hurried(live: Database) -> None:
    """Let the moment pass for which a question waits."""
    await rows(live, "UPDATE lookups SET due_at = now() WHERE due_at IS NOT NULL AND problem IS NULL RETURNING 1")
    await rows(live, "UPDATE lookups SET settles_at = due_at WHERE due_at IS NOT NULL RETURNING 1")


async def pushed(live: Database, world: Outside, platform: str, count: int, *, backwards: bool = False) -> None:
    """Let the newest pushes of a platform come in, as they came or the last first, each of them twice."""
    account, received = await world.account(platform), await world.pushes(platform, count)
    world.receiver.pushes.clear()
    for request in received[::-1] if backwards else received:
        verified = CONNECTORS[platform].verify(request, account)
        for _ in range(2):
            await inbox_of(live).accept(platform, account.slug, verified)
        await inbox_of(live).drain(limit=1)
    await drained(live)


async def rows(live: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with UnitOfWork(live) as work:
        return [tuple(row) for row in await work.session.execute(text(statement), values)]


async def test_a_contact_is_the_follower_of_the_official_account(live: Database, world: Outside) -> None:
    corp, account = await connected(live, world, "wecom"), await connected(live, world, "official_account")
    await read_all(live, world, account, "followers")
    await read_all(live, world, corp, "contacts")
    sim = world.sim.app.state.world
    both = {row.customer_id for row in sim.contacts} & {row.customer_id for row in sim.followers if row.following}
    found = await rows(
        live,
        """SELECT count(DISTINCT one.customer_id) FROM identities one JOIN identities other USING (customer_id)
        WHERE one.kind = 'external_userid' AND other.kind = 'openid'""",
    )
    assert found == [(len(both),)]
    assert len(both) > 5


async def test_what_is_known_is_not_taken_in_again_and_what_a_lost_callback_told_is(
    live: Database, world: Outside
) -> None:
    corp = await connected(live, world, "wecom")
    known = len(list(world.sim.app.state.world.contacts))
    assert await read_all(live, world, corp, "contacts") == known
    later = replace(world.link, now=lambda: datetime.now(UTC) + timedelta(hours=2))
    pulls = PullService(live, CONNECTORS, Connections(live), later)
    again = await pulls.pull(corp, "contacts", pages=50)
    assert (again.records, again.missed, again.more) == (known, 0, False)
    assert (await pulls.pull(corp, "contacts")).records == 0, "it rests"
    friend = await world.sim.friend()
    await world.break_things({"match": {"platform": "wecom"}, "fault": "drop_push"})
    tagged = {"customer_id": friend["id"], "does": "tag", "tag": "孕妈", "group": "人群"}
    await world.sim.admin("POST", "/doings", json=tagged)
    compared = await pulls.compare(corp, "contacts")
    assert (compared.records, compared.missing, compared.differing) == (known, 0, 1)
    await drained(live)
    assert (await pulls.compare(corp, "contacts")).differing == 0
    key = f"{friend['external_userid']}/%"
    assert await rows(live, "SELECT details->'tags' FROM interactions WHERE key LIKE :key", key=key) == [(["孕妈"],)]


async def test_whoever_became_a_contact_while_the_callback_got_lost_is_told_of_once(
    live: Database, world: Outside
) -> None:
    corp = await connected(live, world, "wecom")
    await read_all(live, world, corp, "contacts")
    friend = await world.sim.friend()
    (follow,) = (row for row in world.sim.app.state.world.contacts if row.external_userid == friend["external_userid"])
    other = next(
        each.userid for each in next(iter(world.sim.app.state.world.corps)).staff if each.userid != follow.userid
    )
    await world.break_things({"match": {"platform": "wecom"}, "fault": "drop_push"})
    await doing(world, friend["id"], "befriend", userid=other)
    later = replace(world.link, now=lambda: datetime.now(UTC) + timedelta(hours=2))
    pulls = PullService(live, CONNECTORS, Connections(live), later)
    for _ in range(2):
        await pulls.pull(corp, "contacts", pages=50)
        await pulls.compare(corp, "contacts")
        await drained(live)
    await asked(live, world, "wecom")
    told = "SELECT event_id, seq IN (SELECT seq FROM event_outbox) FROM events WHERE type = 'tandem.contact.added'"
    ((event, is_queued),) = await rows(live, told)
    assert (event.startswith("found-"), is_queued) == (True, True)


async def test_callbacks_in_any_order_and_twice_end_in_the_same_state(live: Database, world: Outside) -> None:
    corp = await connected(live, world, "wecom")
    friend, account = await world.sim.friend(), await world.account("wecom")
    admin = world.sim.admin
    for step in (
        {"does": "unfriend"},
        {"does": "befriend", "code": "counter-9"},
        {"does": "tag", "tag": "孕妈", "group": "人群"},
        {"does": "unfriend", "by": "staff"},
    ):
        await admin("POST", "/doings", json={"customer_id": friend["id"], **step})
        await admin("POST", "/advance", json={"seconds": 60})
    requests = await world.pushes("wecom", 4)
    verified = [CONNECTORS["wecom"].verify(request, account) for request in requests]
    verified.sort(key=lambda push: push.payload)
    seen: set[Any] = set()
    for turn, order in enumerate((verified, verified[::-1], [*verified[2:], *verified[:2]])):
        await rows(live, "WITH a AS (DELETE FROM interactions) DELETE FROM inbox RETURNING 1")
        inbox = inbox_of(live)
        for push in [*order, *order]:
            # Each as a push of its own, so that the row and not the inbox has to cope.
            fresh = Verified(push.kind, push.payload, f"{turn}/{len(seen)}/{push.dedupe_key}", push.received_at)
            await inbox.accept("wecom", corp.partition("/")[2], fresh)
            await inbox.drain(limit=1)
        found = await rows(
            live, "SELECT name, state, channel, occurred_at FROM interactions WHERE kind = 'contact' ORDER BY key"
        )
        seen.add(tuple(found))
        scans = await rows(live, "SELECT channel FROM interactions WHERE kind = 'scan'")
        assert scans == [("counter-9",)]
    assert len(seen) == 1
    ((_, state, channel, _),) = next(iter(seen))
    assert (state, channel) == ("removed", "counter-9")


async def doing(world: Outside, customer: str, does: str, **more: Any) -> None:
    await world.sim.admin("POST", "/doings", json={"customer_id": customer, "does": does, **more})


CUSTOMERS = "SELECT count(DISTINCT customer_id) FROM identities WHERE kind = ANY(:kinds)"
CONTACTS = "SELECT name, state, channel, details->'tags' FROM interactions WHERE kind = 'contact' ORDER BY name"


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
async def test_a_callback_makes_the_platform_be_asked_once_and_the_person_recognised(
    live: Database, world: Outside, backwards: bool
) -> None:
    corp, account = await connected(live, world, "wecom"), await connected(live, world, "official_account")
    await read_all(live, world, account, "followers")
    sim = world.sim.app.state.world
    followed = {row.customer_id for row in sim.followers if row.following}
    friend = next(row for row in sim.contacts if row.customer_id in followed)
    first, second = (
        friend.userid,
        next(each.userid for each in next(iter(sim.corps)).staff if each.userid != friend.userid),
    )
    await doing(world, friend.customer_id, "befriend", userid=second, code="counter-7")
    await doing(world, friend.customer_id, "note", userid=second, phone="13912345678")
    await doing(world, friend.customer_id, "tag", userid=second, tag="孕妈", group="人群")
    await pushed(live, world, "wecom", 3, backwards=backwards)
    assert await asked(live, world, "wecom") == 1, "however many callbacks: one question"
    found = await rows(live, CONTACTS)
    assert sorted(found) == sorted(
        [(first, "contact", friend.state or None, []), (second, "contact", "counter-7", ["孕妈"])]
    )
    kinds = ["external_userid", "phone", "openid", "unionid"]
    (mine,) = await rows(live, "SELECT customer_id FROM identities WHERE kind = 'external_userid'")
    known = await rows(live, "SELECT DISTINCT kind FROM identities WHERE customer_id = :who ORDER BY kind", who=mine[0])
    assert [kind for (kind,) in known] == sorted(kinds)
    told = await rows(
        live, "SELECT type, count(*) FROM events WHERE type LIKE 'tandem.contact.%' GROUP BY 1 ORDER BY 1"
    )
    assert {**dict(told), "tandem.contact.updated": 1} == {
        "tandem.contact.added": 1,
        "tandem.contact.read": 2,
        "tandem.contact.updated": 1,
    }
    assert corp == CORP


async def listed_again(live: Database, world: Outside, hours: int) -> None:
    """All contacts are read again some hours later; what that brings is taken in."""
    later = replace(world.link, now=lambda: datetime.now(UTC) + timedelta(hours=hours))
    pulls, more = PullService(live, CONNECTORS, Connections(live), later), True
    while more:
        more = (await pulls.pull(CORP, "contacts", pages=50)).more
    await drained(live)


STATES = "SELECT state, count(*) FROM interactions WHERE kind = 'contact' GROUP BY 1 ORDER BY 1"


async def test_a_buyer_of_the_shop_is_the_contact(live: Database, world: Outside) -> None:
    corp, _ = await connected(live, world, "wecom"), await connected(live, world, "youzan")
    sim = world.sim.app.state.world
    contacts = {row.customer_id for row in sim.contacts}
    buyer = next(row for row in sim.buyers if row.platform == "youzan" and row.customer_id in contacts)
    order = {"shop": "demo-apparel", "customer_id": buyer.customer_id, "status": "paid"}
    await world.sim.admin("POST", "/orders", json=order)
    await pushed(live, world, "youzan", 2)
    assert await asked(live, world, "youzan") == 1
    await world.sim.admin("POST", "/orders", json=order)
    await pushed(live, world, "youzan", 2)
    assert await asked(live, world, "youzan") == 0, "a buyer is asked about once"
    await read_all(live, world, corp, "contacts")
    found = await rows(
        live,
        """SELECT count(*) FROM identities one JOIN identities other USING (customer_id)
        WHERE one.kind = 'external_userid' AND other.kind = 'buyer'""",
    )
    assert found == [(1,)]
