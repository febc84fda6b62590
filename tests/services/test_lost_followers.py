"""What callbacks of followers did not tell, or could not tell yet, is noticed by the next reading of them all."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from connectors.official_account.followers import FollowerList
from services.connections import Connections
from services.erasure import ErasureService
from services.pulls import PullService
from simulator import interactions
from simulator.platforms import official_account as simulated_account
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import Outside
from tests.services.test_contacts import (
    ACCOUNT,
    CONNECTORS,
    connected,
    drained,
    live,
    read_all,
    rows,
    running,
    world,
)

__all__ = ["live", "running", "world"]
SLUG = ACCOUNT.partition("/")[2]
STATES = "SELECT state, count(*) FROM interactions WHERE kind = 'follow' GROUP BY 1 ORDER BY 1"
LEFT = "SELECT key FROM interactions WHERE kind = 'follow' AND state = 'left'"
TOLD_LEFT = "SELECT count(*) FROM events WHERE type = 'tandem.follower.unsubscribed'"
CUSTOMERS = """
    SELECT count(DISTINCT one.customer_id) FROM identities one JOIN identities other USING (customer_id)
    WHERE one.kind = 'external_userid' AND other.kind = 'openid'
"""


async def listed_again(live: Database, world: Outside, hours: int) -> int:
    """All followers are read again some hours later; how many records the inbox did not know."""
    later = replace(world.link, now=lambda: datetime.now(UTC) + timedelta(hours=hours))
    pulls, missed, more = PullService(live, CONNECTORS, Connections(live), later), 0, True
    while more:
        pulled = await pulls.pull(ACCOUNT, "followers", pages=50)
        missed, more = missed + pulled.missed, pulled.more
    await drained(live)
    return missed


async def all_known(live: Database, world: Outside) -> int:
    """Connect the account and read its followers, an hour ago; how many there are."""
    await connected(live, world, "official_account")
    known = await read_all(live, world, ACCOUNT, "followers")
    await rows(live, "UPDATE interactions SET recorded_at = now() - interval '1 hour' RETURNING 1")
    return known


async def leave_unheard(world: Outside, openid: str) -> None:
    await world.break_things({"match": {"platform": "official_account"}, "fault": "drop_push"})
    sim = world.sim.app.state.world
    interactions.follow(sim, sim.followers.get(openid).customer_id, SLUG, following=False)
    await world.break_things()


def a_follower(world: Outside) -> str:
    return str(next(row.id for row in world.sim.app.state.world.followers.having(account=SLUG) if row.following))


async def test_who_left_unheard_is_noticed_once_and_comes_back(live: Database, world: Outside) -> None:
    known, openid = await all_known(live, world), a_follower(world)
    assert known > 2
    await leave_unheard(world, openid)
    assert await listed_again(live, world, 4) == 1
    assert await rows(live, LEFT) == [(openid,)]
    assert await rows(live, STATES) == [("following", known - 1), ("left", 1)]
    assert await rows(live, TOLD_LEFT) == [(1,)]
    assert await rows(live, "SELECT count(*) FROM listed") == [(0,)]
    assert await listed_again(live, world, 8) == 0, "it is known now"
    await world.sim.admin("POST", "/advance", json={"seconds": 36_000})
    sim = world.sim.app.state.world
    interactions.follow(sim, sim.followers.get(openid).customer_id, SLUG)
    await listed_again(live, world, 12)
    assert await rows(live, STATES) == [("following", known)]


async def test_one_whom_the_platform_does_not_know_any_more_left(live: Database, world: Outside) -> None:
    known, openid = await all_known(live, world), a_follower(world)
    await leave_unheard(world, openid)
    followers = world.sim.app.state.world.followers
    followers.change(followers.get(openid), customer_id="nobody")
    await listed_again(live, world, 4)
    assert await rows(live, STATES) == [("following", known - 1), ("left", 1)]


async def test_a_list_that_comes_back_empty_takes_nobody_away(
    live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, asked = await all_known(live, world), list[str]()
    about = FollowerList.about_unlisted

    async def nobody(_: FollowerList, behind: str) -> tuple[list[str], None]:
        return [], None

    async def noted(reading: FollowerList, doubted: Mapping[str, int]) -> Any:
        asked.extend(doubted)
        return await about(reading, doubted)

    monkeypatch.setattr(FollowerList, "_names", nobody)
    monkeypatch.setattr(FollowerList, "about_unlisted", noted)
    await listed_again(live, world, 4)
    assert len(asked) == known, "each is asked about"
    assert await rows(live, STATES) == [("following", known)]


async def test_a_unionid_that_is_told_later_makes_one_customer_of_two(
    live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    corp = await connected(live, world, "wecom")
    await read_all(live, world, corp, "contacts")
    real = simulated_account._info
    with monkeypatch.context() as unbound:
        unbound.setattr(simulated_account, "_info", lambda *asked: real(*asked) | {"unionid": None})
        known = await all_known(live, world)
    assert await rows(live, CUSTOMERS) == [(0,)]
    assert await listed_again(live, world, 4) == known
    ((both,),) = await rows(live, CUSTOMERS)
    assert both > 5
    assert await listed_again(live, world, 8) == 0


async def test_the_comparison_sees_a_follower_who_is_somebody_else_s(live: Database, world: Outside) -> None:
    await all_known(live, world)
    pulls = PullService(live, CONNECTORS, Connections(live), world.link)
    assert (await pulls.compare(ACCOUNT, "followers")).parts == {}
    async with UnitOfWork(live) as work:
        await work.session.execute(
            text("UPDATE interactions SET identity_id = NULL WHERE key = :openid"), {"openid": a_follower(world)}
        )
    assert (await pulls.compare(ACCOUNT, "followers")).parts == {"buyer": 1}
    await drained(live)
    assert (await pulls.compare(ACCOUNT, "followers")).parts == {}


async def test_who_was_erased_stays_listed_and_is_neither_missed_nor_named(live: Database, world: Outside) -> None:
    await all_known(live, world)
    openid = a_follower(world)
    ((customer,),) = await rows(
        live,
        f"SELECT customer_id FROM identities JOIN interactions ON identity_id = identities.id WHERE key = '{openid}'",
    )
    await ErasureService(live).erase(an_actor("root"), customer, "本人要求")
    await rows(live, f"DELETE FROM interactions WHERE key = '{openid}' RETURNING 1")
    assert await listed_again(live, world, 4) == 0
    assert await rows(live, f"SELECT count(*) FROM inbox WHERE dedupe_key LIKE '%{openid}%'") == [(0,)]
