"""How far an event reaches: the condition in SQL and the pure rule must agree on every place."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from domain.access import Scope
from domain.events import Event
from domain.organisation import Placement
from storage.encryption import Keyring
from storage.engine import Database
from storage.events import Events
from storage.paging import PageRequest
from storage.runs import RunRow, Runs
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.storage.test_scoping import PLACEMENTS, SCOPES


def an_event(identity: str) -> Event:
    return Event(id=identity, source="/youzan/a", type="shop.bell", subject="order:1")


def a_run(number: int, place: Placement, hears_from: datetime) -> RunRow:
    return RunRow(
        id=f"run-{number:03}",
        namespace="shop",
        name="listening",
        version="1.0.0",
        digest="sha256:0",
        subject="order:1",
        subjects=["order:1"],
        listens=["shop.bell"],
        phase="running",
        started_by="ops",
        input_digest="sha256:0",
        created_at=hears_from,
        hears_from=hears_from,
        unit_path=place.unit_path,
        account_id=place.account_id,
        customer_owner=place.customer_owner,
    )


@pytest.fixture(scope="module")
async def filled(module_database_url: str) -> AsyncIterator[Database]:
    """An event of every scope, and a run in every place."""
    database = Database(module_database_url, Keyring({"k1": b"1" * 32}))
    async with UnitOfWork(database) as work:
        for scope in SCOPES:
            assert await Events(work).add([an_event(scope.key)], scope) == 1
        await Runs(work).add([a_run(number, place, work.now) for number, place in enumerate(PLACEMENTS)])
    yield database
    await database.close()


async def _missed(database: Database, *numbers: int, limit: int = 100) -> dict[str, list[str]]:
    async with UnitOfWork(database) as work:
        found = await Events(work).missed_by([f"run-{number:03}" for number in numbers], limit)
    return {run_id: [event.id for event in events] for run_id, events in found.items()}


async def test_sql_and_rule_agree_on_every_place(filled: Database) -> None:
    found = await _missed(filled, *range(len(PLACEMENTS)))
    for number, place in enumerate(PLACEMENTS):
        expected = [scope.key for scope in SCOPES if scope.allows(place)]
        assert found[f"run-{number:03}"] == expected, place


async def test_events_out_of_reach_take_the_place_of_none_within(filled: Database) -> None:
    async with UnitOfWork(filled) as work:
        flood = [an_event(f"flood-{number}") for number in range(20)]
        await Events(work).add(flood, Scope.of_branch("/north/flood/"))
    headquarters = PLACEMENTS.index(Placement("/"))
    assert len((await _missed(filled, headquarters, limit=2))[f"run-{headquarters:03}"]) == 2


async def test_a_run_is_told_of_its_subjects_and_types_from_its_instant_on(filled: Database) -> None:
    async with UnitOfWork(filled) as work:
        later = work.now + timedelta(hours=1)
        others = [a_run(900, Placement(), later), a_run(901, Placement(), work.now), a_run(902, Placement(), work.now)]
        others[1].subjects, others[2].listens = ["order:2"], ["shop.whistle"]
        everything = a_run(903, Placement(), work.now - timedelta(hours=1))
        everything.listens = ["*"]
        await Runs(work).add([*others, everything])
    assert set(await _missed(filled, 900, 901, 902, 903)) == {"run-903"}


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


ALTER = "UPDATE {table} SET {column} = set_byte({column}, 40, 255 - get_byte({column}, 40)) WHERE {which}"


async def test_an_event_that_nobody_can_decrypt_is_parked_and_holds_up_no_other(
    database: Database, clock: SteppedClock
) -> None:
    async with UnitOfWork(database) as work:
        await Events(work).add([an_event("1"), an_event("2"), an_event("3")])
        await work.session.execute(text(ALTER.format(table="events", column="envelope", which="event_id = '2'")))
    async with UnitOfWork(database) as work:
        assert [each.event.id for each in await Events(work).claim(10, timedelta(minutes=1))] == ["1", "3"]
    async with UnitOfWork(database) as work:
        (parked,) = (await Events(work).parked(PageRequest())).items
        assert (parked.event.id, parked.event.type, "was altered" in parked.reason) == ("2", "shop.bell", True)
    clock.advance(minutes=5)
    async with UnitOfWork(database) as work:
        assert [each.event.id for each in await Events(work).claim(10, timedelta(minutes=1))] == ["1", "3"]


async def test_a_clock_that_was_set_back_keeps_no_event_waiting(database: Database, clock: SteppedClock) -> None:
    async with UnitOfWork(database) as work:
        await Events(work).add([an_event("1")])
        await Events(work).retry((await Events(work).claim(1, timedelta(0)))[0].seq, work.now, "busy", count=True)
    clock.advance(hours=-5)
    async with UnitOfWork(database) as work:
        assert await Events(work).has_due()
        assert [each.event.id for each in await Events(work).claim(10, timedelta(minutes=1))] == ["1"]
    async with UnitOfWork(database) as work:
        assert not await Events(work).has_due()


async def test_an_event_under_a_key_that_is_missing_here_is_left_to_another_process(
    database: Database, database_url: str, clock: SteppedClock
) -> None:
    newer = Database(database_url, Keyring({"k2": b"2" * 32, "k1": b"1" * 32}), pool_size=2, clock=clock)
    async with UnitOfWork(newer) as work:
        await Events(work).add([an_event("1")])
    async with UnitOfWork(database) as work:
        assert await Events(work).claim(10, timedelta(minutes=1)) == []
    clock.advance(minutes=2)
    async with UnitOfWork(newer) as work:
        assert [each.event.id for each in await Events(work).claim(10, timedelta(minutes=1))] == ["1"]
        await Events(work).retry(1, work.now, "again", count=False)
    # Nobody has the key any more: after an hour a person should know.
    for _ in range(62):
        clock.advance(minutes=2)
        async with UnitOfWork(database) as work:
            await Events(work).claim(10, timedelta(minutes=1))
    async with UnitOfWork(database) as work:
        (parked,) = (await Events(work).parked(PageRequest())).items
    assert "“k2”" in parked.reason
    await newer.close()
