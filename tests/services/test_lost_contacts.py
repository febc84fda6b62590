"""Contacts that went away unseen, lists that break off, and questions that cannot be asked."""

import pytest
from sqlalchemy import text

from connectors.lookups import KnownContact, LookedUp
from connectors.wecom.client import WecomCorp
from connectors.wecom.contacts import ContactBook
from domain.problems import ProblemError
from services.connections import Connections
from services.lookups import LookupService
from storage.customer_facts import CustomerFacts
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.connectors.harness import Outside
from tests.services.test_contacts import (
    CONNECTORS,
    CONTACTS,
    CORP,
    CUSTOMERS,
    STATES,
    asked,
    connected,
    doing,
    hurried,
    listed_again,
    live,
    pushed,
    read_all,
    rows,
    running,
    world,
)

__all__ = ["live", "running", "world"]


async def test_who_was_lost_unseen_stays_and_is_not_reachable(live: Database, world: Outside) -> None:
    await connected(live, world, "wecom")
    sim = world.sim.app.state.world
    friend = next(iter(sim.contacts))
    second = next(each.userid for each in next(iter(sim.corps)).staff if each.userid != friend.userid)
    await doing(world, friend.customer_id, "befriend", code="counter-1")
    await doing(world, friend.customer_id, "befriend", userid=second)
    await pushed(live, world, "wecom", 2)
    await asked(live, world, "wecom")
    # The callback of the one is lost; that of the other says that there is something to ask about.
    await world.break_things({"match": {"platform": "wecom"}, "fault": "drop_push"})
    await doing(world, friend.customer_id, "unfriend", userid=friend.userid)
    await world.break_things()
    await world.sim.admin("POST", "/advance", json={"seconds": 5})
    await doing(world, friend.customer_id, "unfriend", userid=second)
    await pushed(live, world, "wecom", 1)
    async with UnitOfWork(live) as work:
        (customer,) = (await work.session.execute(text("SELECT DISTINCT customer_id FROM identities"))).one()
        assert await CustomerFacts(work).contact(customer) is not None, "nobody has told of the other one yet"
    await asked(live, world, "wecom")
    assert {name: state for name, state, *_ in await rows(live, CONTACTS)} == {friend.userid: "gone", second: "lost"}
    async with UnitOfWork(live) as work:
        assert await CustomerFacts(work).contact(customer) is None
    # Coming back makes them reachable again.
    await world.sim.admin("POST", "/advance", json={"seconds": 5})
    await doing(world, friend.customer_id, "befriend", userid=second)
    await pushed(live, world, "wecom", 1)
    await asked(live, world, "wecom")
    async with UnitOfWork(live) as work:
        assert await CustomerFacts(work).contact(customer) == (CORP, f"{friend.external_userid}/{second}")


async def test_who_left_every_member_unseen_is_noticed_by_the_list_and_nobody_else_is(
    live: Database, world: Outside
) -> None:
    corp = await connected(live, world, "wecom")
    await read_all(live, world, corp, "contacts")
    known = len(list(world.sim.app.state.world.contacts))
    friend = next(iter(world.sim.app.state.world.contacts))
    await world.break_things({"match": {"platform": "wecom"}, "fault": "drop_push"})
    await doing(world, friend.customer_id, "unfriend", userid=friend.userid)
    await world.break_things()
    await rows(live, "UPDATE interactions SET recorded_at = now() - interval '1 hour' RETURNING 1")
    assert await asked(live, world, "wecom") == 0, "nobody told of it"
    await listed_again(live, world, 2)
    assert await asked(live, world, "wecom") == 1, "only the one who was in no list"
    assert await rows(live, STATES) == [("contact", known - 1), ("gone", 1)]
    async with UnitOfWork(live) as work:
        customer = await work.session.scalar(
            text("SELECT customer_id FROM interactions JOIN identities i ON i.id = identity_id WHERE state = 'gone'")
        )
        assert await CustomerFacts(work).contact(customer) is None
    assert await rows(live, "SELECT count(*) FROM listed") == [(0,)]
    await listed_again(live, world, 4)
    assert await asked(live, world, "wecom") == 0, "it is known now"


async def test_a_list_that_breaks_off_or_comes_back_empty_takes_nobody_away(
    live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    corp = await connected(live, world, "wecom")
    await read_all(live, world, corp, "contacts")
    await rows(live, "UPDATE interactions SET recorded_at = now() - interval '1 hour' RETURNING 1")
    known = await rows(live, STATES)
    await world.break_things({"match": {"api": "externalcontact/batch/get_by_user"}, "fault": "forbidden"})
    with pytest.raises(ProblemError):
        await listed_again(live, world, 2)
    await world.break_things()
    assert await asked(live, world, "wecom") == 0, "a list without an end says nothing"

    async def nobody(_: ContactBook) -> list[str]:
        return []

    with monkeypatch.context() as patch:
        patch.setattr(ContactBook, "_followers", nobody)
        await listed_again(live, world, 4)
    assert await asked(live, world, "wecom") > 0, "each is asked about"
    assert await rows(live, STATES) == known


async def test_a_platform_out_of_quota_pauses_its_account_and_loses_no_question(live: Database, world: Outside) -> None:
    await connected(live, world, "wecom")
    sim = world.sim.app.state.world
    for friend in list(sim.contacts)[:3]:
        await doing(world, friend.customer_id, "befriend")
    await pushed(live, world, "wecom", 3)
    await world.break_things({"match": {"api": "externalcontact/get"}, "fault": "quota", "times": 3})
    lookups = LookupService(live, CONNECTORS, Connections(live), world.link)
    await hurried(live)
    refused = await lookups.drain("wecom")
    assert (refused.asked, refused.failed) == (3, 3)
    assert (await lookups.drain("wecom")).asked == 0
    (waiting,) = await rows(
        live, "SELECT count(*) FROM lookups WHERE due_at > now() + '50 s' AND problem LIKE '%45009%'"
    )
    assert waiting == (3,)
    await rows(live, "UPDATE lookups SET due_at = now() RETURNING 1")
    assert await asked(live, world, "wecom") == 3, "another process, or this one a minute later"
    assert await rows(live, "SELECT count(*) FROM lookups WHERE due_at IS NOT NULL OR problem IS NOT NULL") == [(0,)]
    assert await rows(live, CUSTOMERS, kinds=["unionid"]) == [(3,)]


async def test_what_cannot_be_asked_is_given_up_with_its_reason(live: Database, world: Outside) -> None:
    await connected(live, world, "wecom")
    await doing(world, next(iter(world.sim.app.state.world.contacts)).customer_id, "befriend")
    await pushed(live, world, "wecom", 1)
    await world.break_things({"match": {"api": "externalcontact/get"}, "fault": "forbidden"})
    assert await asked(live, world, "wecom") == 1
    ((due, problem),) = await rows(live, "SELECT due_at, problem FROM lookups")
    assert due is None
    assert "48002" in problem


async def test_a_bug_met_by_one_question_stops_no_other_and_ends(
    live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connected(live, world, "wecom")
    first, *others = list(world.sim.app.state.world.contacts)[:3]
    for friend in (first, *others):
        await doing(world, friend.customer_id, "befriend")
    await pushed(live, world, "wecom", 3)
    real = WecomCorp.look_up

    async def broken(corp: WecomCorp, value: str, known: KnownContact) -> LookedUp:
        if value == first.external_userid:
            raise KeyError(value)
        return await real(corp, value, known)

    monkeypatch.setattr(WecomCorp, "look_up", broken)
    lookups = LookupService(live, CONNECTORS, Connections(live), world.link)
    await hurried(live)
    assert (await lookups.drain("wecom")).failed == 1
    ((problem, attempts),) = await rows(live, "SELECT problem, attempts FROM lookups WHERE problem IS NOT NULL")
    assert ("KeyError" in problem, attempts) == (True, 1)
    assert first.external_userid not in problem
    await rows(live, "UPDATE lookups SET due_at = now(), attempts = 11 WHERE problem IS NOT NULL RETURNING 1")
    assert (await lookups.drain("wecom")).failed == 1
    assert await rows(live, "SELECT count(*) FROM lookups WHERE due_at IS NOT NULL") == [(0,)], "given up"
