"""`send` at the moment of sending, also when an earlier attempt died on the way."""

from collections.abc import AsyncIterator

import pytest

from activities.messages import send_once
from domain.catalog.messages import SendArguments, SendOutput
from domain.journeys.reach import ReachPolicy
from services.reach import Cause, ReachService
from storage.engine import Database
from tests.connectors.harness import Outside, outside
from tests.services.test_suppressions import CONTACT, ORDER, silence, take_in


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


async def attempt(world: Outside, database: Database, key: str, *, resumed: bool) -> SendOutput:
    reach = ReachService(database, ReachPolicy(quiet_hours=None, caps=()))
    friend = next(each for each in (await world.sim.admin("GET", "/customers"))["customers"] if each["external_userid"])
    request = SendArguments(to=friend["external_userid"], text="新品", purpose="marketing", about={"customer": WHO})

    async def render() -> str:
        return "新品"

    return await send_once(
        await world.open("wecom"), reach, request, render, Cause(key, "r", "/do", "wecom/corp"), resumed=resumed
    )


WHO = "key:unionid//U1"


async def test_who_was_silenced_after_an_attempt_died_is_not_written_to_by_the_next(
    world: Outside, database: Database
) -> None:
    await take_in(database, order__paid=ORDER, contact__added=CONTACT)
    assert (await attempt(world, database, "first", resumed=False)).sent
    await silence(database)
    assert (await attempt(world, database, "second", resumed=True)).skipped_reason == "suppressed"
    assert await world.effects(kind="message") == 1


async def test_what_a_dead_attempt_sent_is_found_and_not_denied(world: Outside, database: Database) -> None:
    await take_in(database, order__paid=ORDER, contact__added=CONTACT)
    sent = await attempt(world, database, "first", resumed=False)
    await silence(database)
    assert await attempt(world, database, "first", resumed=True) == sent
    assert await world.effects(kind="message") == 1
