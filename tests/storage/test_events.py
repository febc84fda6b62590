"""How far an event reaches: the condition in SQL and the pure rule must agree on every place."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from domain.access import Scope
from domain.events import Event
from domain.organisation import Placement
from storage.encryption import Keyring
from storage.engine import Database
from storage.events import Events
from storage.unit_of_work import UnitOfWork
from tests.storage.test_scoping import PLACEMENTS, SCOPES


def an_event(identity: str) -> Event:
    return Event(id=identity, source="/youzan/a", type="shop.bell", subject="order:1")


@pytest.fixture(scope="module")
async def filled(module_database_url: str) -> AsyncIterator[Database]:
    database = Database(module_database_url, Keyring({"k1": b"1" * 32}))
    async with UnitOfWork(database) as work:
        for scope in SCOPES:
            assert await Events(work).add([an_event(scope.key)], scope) == 1
    yield database
    await database.close()


async def _since(database: Database, place: Placement, limit: int = 100) -> list[str]:
    async with UnitOfWork(database) as work:
        found = await Events(work).since(work.now - timedelta(hours=1), ["order:1"], ["shop.bell"], place, limit)
    return [event.id for event in found]


async def test_sql_and_rule_agree_on_every_place(filled: Database) -> None:
    for place in PLACEMENTS:
        assert await _since(filled, place) == [scope.key for scope in SCOPES if scope.allows(place)], place


async def test_events_out_of_reach_take_the_place_of_none_within(filled: Database) -> None:
    async with UnitOfWork(filled) as work:
        flood = [an_event(f"flood-{number}") for number in range(20)]
        await Events(work).add(flood, Scope.of_branch("/north/flood/"))
    assert len(await _since(filled, Placement("/east/"), limit=5)) == 3


async def test_the_same_event_with_another_reach_is_another_event(filled: Database) -> None:
    async with UnitOfWork(filled) as work:
        events = Events(work)
        scopes = [Scope.of_accounts("youzan/a", "youzan/b"), Scope.of_accounts("youzan/b", "youzan/a")]
        assert await events.add([an_event("once")]) == 1
        assert [await events.add([an_event("once")], scope) for scope in scopes] == [1, 0]
        assert await events.add([an_event("once")]) == 0
        pending = [each for each in await events.claim(100, timedelta()) if each.event.id == "once"]
    assert [each.reach for each in pending] == [Scope.everything(), scopes[0]]
    assert [each.event_id == "once" for each in pending] == [True, False]
