"""Tags at a contact of several members, one of whom WeCom does not let be touched."""

import asyncio
from dataclasses import replace

import pytest

from tests.services.test_shared_tags import Scene, running, scene

__all__ = ("running", "scene")

MARKING = {"api": "externalcontact/mark_tag"}


@pytest.mark.parametrize("why", ["60011", "40003"])
async def test_a_member_out_of_reach_holds_up_no_other(scene: Scene, why: str) -> None:
    corps = scene.world.sim.app.state.world.corps
    corp = next(iter(corps))
    first = next(member for member in corp.staff if member.userid == scene.first)
    others = tuple(member for member in corp.staff if member is not first)
    # They are outside of the application's scope, or have left and nobody took their contacts over yet.
    corps.change(corp, staff=(*others, replace(first, in_scope=False)) if why == "60011" else others)
    await scene.search()
    await scene.settle()
    assert await scene.shown() == {scene.first: [], scene.second: ["爱搜索"]}
    ((problem, due),) = await scene.rows("SELECT problem, due_at FROM lookups")
    assert scene.first in problem, "whoever looks after it reads whom it is about"
    assert why in problem
    assert scene.second not in problem
    assert due is None, "nothing about it changes by itself"
    # The next time they are asked about, only what is missing is set.
    corps.change(corp, staff=corp.staff)
    await scene.do("note", phone="13912345678")
    await scene.settle()
    assert await scene.shown() == {scene.first: ["爱搜索"], scene.second: ["爱搜索"]}
    assert (await scene.writes(), await scene.carried()) == (2, {"爱搜索": "rule"})
    assert await scene.rows("SELECT problem FROM lookups") == [(None,)]


async def test_a_permission_that_the_application_lacks_is_refused_once_and_no_member_s(scene: Scene) -> None:
    await scene.world.break_things({"match": MARKING, "fault": "forbidden"})
    await scene.search()
    await scene.settle()
    ((problem, due),) = await scene.rows("SELECT problem, due_at FROM lookups")
    assert "48002" in problem
    assert scene.first not in problem, "no member is to blame"
    assert scene.second not in problem
    assert due is None, "nothing about it changes by itself"
    (rule,) = (await scene.world.sim.admin("GET", "/faults"))["rules"]
    assert rule["hit"] == 1, "every other member would be refused as well"


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
