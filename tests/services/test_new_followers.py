"""Who begins to follow an Official Account is known by their unionid within seconds, though no callback tells it."""

from storage.engine import Database
from tests.connectors.harness import Outside
from tests.services.test_contacts import asked, connected, doing, live, pushed, read_all, rows, running, world

__all__ = ["live", "running", "world"]

WHO = "SELECT count(DISTINCT customer_id) FROM identities WHERE kind = ANY(ARRAY['external_userid', 'openid'])"


async def test_a_new_follower_is_the_contact_at_once(live: Database, world: Outside) -> None:
    corp = await connected(live, world, "wecom")
    await connected(live, world, "official_account")
    await read_all(live, world, corp, "contacts")
    before = await rows(live, WHO)
    sim = world.sim.app.state.world
    contacts = {row.customer_id for row in sim.contacts}
    follower = next(row for row in sim.followers if row.following and row.customer_id in contacts)
    await doing(world, follower.customer_id, "unfollow")
    await doing(world, follower.customer_id, "follow", code="gate-3")
    await pushed(live, world, "official_account", 2)
    assert await asked(live, world, "official_account") == 1
    assert await rows(live, WHO) == before, "nobody new"
    told = "SELECT key, state, channel FROM interactions WHERE kind = 'follow'"
    assert await rows(live, told) == [(follower.id, "following", "gate-3")]
    assert await rows(live, "SELECT channel FROM interactions WHERE kind = 'scan'") == [("gate-3",)]
    assert await asked(live, world, "official_account") == 0, "once"


async def test_nobody_is_asked_about_whom_the_list_names(live: Database, world: Outside) -> None:
    account = await connected(live, world, "official_account")
    assert await read_all(live, world, account, "followers") > 5
    assert await asked(live, world, "official_account") == 0


async def test_who_writes_without_following_is_asked_about_once(live: Database, world: Outside) -> None:
    await connected(live, world, "official_account")
    follower = next(row for row in world.sim.app.state.world.followers if row.following)
    await doing(world, follower.customer_id, "unfollow")
    await pushed(live, world, "official_account", 1)
    assert await asked(live, world, "official_account") == 1
    assert await rows(live, "SELECT kind FROM identities") == [("openid",)], "the platform tells nothing of them"
    assert await rows(live, "SELECT 1 FROM lookups WHERE due_at IS NOT NULL OR problem IS NOT NULL") == []
