"""`send` at the moment of sending, also when an earlier attempt died on the way, or others send at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.binding import CallBinder
from activities.messages import message_activities, send_once
from connectors.templates import TemplateRenderer
from domain.catalog.messages import SendArguments, SendOutput
from domain.journeys.reach import Cap, ReachPolicy
from domain.problems import ProblemError
from services.connections import Connections
from services.reach import Cause, ReachService
from services.secrets import SecretReader
from storage.effects import EffectRow
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.connectors.harness import Outside, just_now, outside
from tests.services.test_contacts import connected
from tests.services.test_suppressions import CONTACT, ORDER, silence, take_in
from workflows.messages import CallEnvelope


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


async def attempt(
    world: Outside, database: Database, key: str, *, resumed: bool = False, caps: tuple[Cap, ...] = ()
) -> SendOutput:
    reach = ReachService(database, ReachPolicy(quiet_hours=None, caps=caps))
    friend = next(each for each in (await world.sim.admin("GET", "/customers"))["customers"] if each["external_userid"])
    request = SendArguments(to=friend["external_userid"], text="新品", purpose="marketing", about={"customer": WHO})

    async def render() -> str:
        return "新品"

    cause = Cause(key, "r", "/do", "wecom/corp")
    earlier = just_now() if resumed else None
    return await send_once(await world.open("wecom"), reach, request, render, cause, attempted=earlier)


WHO = "key:unionid//U1"
ONE_A_DAY = (Cap(messages=1, days=1),)


def fault(name: str, **more: Any) -> dict[str, Any]:
    api = {"platform": "wecom", "api": "externalcontact/add_msg_template"}
    return {"match": api, "fault": name, "times": 1, **more}


async def test_who_was_silenced_after_an_attempt_died_is_not_written_to_by_the_next(
    world: Outside, database: Database
) -> None:
    await take_in(database, order__paid=ORDER, contact__added=CONTACT)
    assert (await attempt(world, database, "first")).sent
    await silence(database)
    assert (await attempt(world, database, "second", resumed=True)).skipped_reason == "suppressed"
    assert await world.effects(kind="message") == 1


async def test_what_a_dead_attempt_sent_is_found_and_not_denied(world: Outside, database: Database) -> None:
    await take_in(database, order__paid=ORDER, contact__added=CONTACT)
    sent = await attempt(world, database, "first")
    await silence(database)
    assert await attempt(world, database, "first", resumed=True) == sent
    assert await world.effects(kind="message") == 1


async def test_of_three_at_the_same_moment_only_as_many_go_out_as_the_cap_lets(
    world: Outside, database: Database
) -> None:
    await take_in(database, order__paid=ORDER, contact__added=CONTACT)
    outputs = await asyncio.gather(
        *(attempt(world, database, key, caps=ONE_A_DAY) for key in ("first", "second", "third"))
    )
    assert sorted(str(output.skipped_reason) for output in outputs) == ["None", "cap", "cap"]
    assert await world.effects(kind="message") == 1


@pytest.mark.parametrize("silence", ["timeout_before", "timeout_after"])
async def test_what_may_have_gone_out_counts_for_others_and_not_for_its_own_next_attempt(
    world: Outside, database: Database, silence: str
) -> None:
    await take_in(database, order__paid=ORDER, contact__added=CONTACT)
    await world.break_things(fault(silence, seconds=3))
    with pytest.raises(ProblemError):
        await attempt(world, database, "first", caps=ONE_A_DAY)
    assert (await attempt(world, database, "second", caps=ONE_A_DAY)).skipped_reason == "cap"
    assert (await attempt(world, database, "first", resumed=True, caps=ONE_A_DAY)).sent
    assert await world.effects(kind="message") == 1


async def test_what_certainly_did_not_go_out_counts_for_nobody(world: Outside, database: Database) -> None:
    await take_in(database, order__paid=ORDER, contact__added=CONTACT)
    await world.break_things(fault("429", seconds=1))
    with pytest.raises(ProblemError):
        await attempt(world, database, "first", caps=ONE_A_DAY)
    assert (await attempt(world, database, "second", caps=ONE_A_DAY)).sent
    assert (await attempt(world, database, "first", caps=ONE_A_DAY)).skipped_reason == "cap"


async def test_the_next_attempt_of_the_same_step_looks_where_the_one_before_was_at_work(
    world: Outside, database: Database
) -> None:
    await connected(database, world, "wecom")
    link = replace(world.link, answer_timeout_s=world.impatient_s)
    async with TemplateRenderer() as renderer:
        binder = CallBinder(database, SecretReader(database))
        (send,) = message_activities(binder, Connections(database), ReachService(database), renderer, link)
        friend = await world.sim.friend()
        arguments = {"to": friend["external_userid"], "text": "您好 {{ name }}", "data": {"name": "小张"}}
        envelope = CallEnvelope("send", arguments, "key-1", "flow/test/greet/1", "/do/0/greet")
        await world.break_things(fault("timeout_after", seconds=3))
        with pytest.raises(ApplicationError):
            await ActivityEnvironment().run(send, envelope)
        assert (await ActivityEnvironment().run(send, envelope))["sent"] is True
    assert await world.effects(kind="message") == 1


async def test_attempts_that_got_no_further_than_looking_are_not_looked_for(
    world: Outside, database: Database, clock: SteppedClock
) -> None:
    async def seen() -> tuple[str, datetime, datetime]:
        async with UnitOfWork(database) as work:
            row = (await work.session.scalars(select(EffectRow))).one()
            return row.state, row.started_at, row.changed_at

    await connected(database, world, "wecom")
    looks = {"platform": "wecom", "api": "externalcontact/get_groupmsg_list_v2"}
    link = replace(world.link, now=clock)
    async with TemplateRenderer() as renderer:
        binder = CallBinder(database, SecretReader(database))
        (send,) = message_activities(binder, Connections(database), ReachService(database), renderer, link)
        friend = await world.sim.friend()
        envelope = CallEnvelope(
            "send", {"to": friend["external_userid"], "text": "您好"}, "key-1", "flow/t/g/1", "/do/0"
        )
        await world.break_things(fault("5xx"))
        with pytest.raises(ApplicationError):
            await ActivityEnvironment().run(send, envelope)
        died = await seen()
        for _ in range(2):
            clock.advance(minutes=10)
            await world.break_things({"match": looks, "fault": "429", "times": 1, "seconds": 1})
            with pytest.raises(ApplicationError):
                await ActivityEnvironment().run(send, envelope)
            assert await seen() == died
        clock.advance(minutes=10)
        await world.break_things(fault("5xx"))
        with pytest.raises(ApplicationError):
            await ActivityEnvironment().run(send, envelope)
        assert await seen() == ("unknown", clock.now, clock.now), "it found nothing, and only then began to act"
        assert (await ActivityEnvironment().run(send, envelope))["sent"] is True
    assert await world.effects(kind="message") == 1
