"""Tags at a contact of several members, one of whom WeCom does not let be touched."""

import asyncio

from tests.services.test_shared_tags import Scene, running, scene

__all__ = ("running", "scene")

MARKING = {"api": "externalcontact/mark_tag"}


async def test_a_member_out_of_reach_holds_up_no_other(scene: Scene) -> None:
    await scene.world.break_things({"match": MARKING, "fault": "forbidden", "times": 1})
    await scene.search()
    await scene.settle()
    assert await scene.shown() == {scene.first: [], scene.second: ["爱搜索"]}
    ((problem, due),) = await scene.rows("SELECT problem, due_at FROM lookups")
    assert scene.first in problem, "whoever looks after it reads whom it is about"
    assert scene.second not in problem
    assert due is None, "nothing about it changes by itself"
    # The next time they are asked about, only what is missing is set.
    await scene.do("note", phone="13912345678")
    await scene.settle()
    assert await scene.shown() == {scene.first: ["爱搜索"], scene.second: ["爱搜索"]}
    assert (await scene.writes(), await scene.carried()) == (2, {"爱搜索": "rule"})
    assert await scene.rows("SELECT problem FROM lookups") == [(None,)]


async def test_a_contact_that_ends_in_between_does_not_pause_the_corp(scene: Scene) -> None:
    await scene.world.break_things({"match": {"api": "externalcontact/add_corp_tag"}, "fault": "slow", "seconds": 1.5})
    await scene.search()
    await scene.hurry()
    lookups = scene.lookups()
    drained = asyncio.create_task(lookups.drain("wecom"))
    await asyncio.sleep(0.7)
    await scene.do("unfriend", scene.first)
    assert (await drained).failed == 0
    assert await scene.shown() == {scene.second: ["爱搜索"]}
    await scene.hurry()
    assert (await lookups.drain("wecom")).asked == 1, "the account is asked on"
    assert await scene.rows("SELECT problem FROM lookups") == [(None,)]
