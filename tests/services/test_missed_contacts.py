"""Who became a contact while the callback got lost begins what a callback begins, once, and a corp's past does not."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.canonical import ContactData
from domain.canonical.announcing import announce_scan
from domain.events import Event
from services.identities import IdentityService
from services.intake import Arrival, Intake
from storage.accounts import AccountRow
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.services.enrolling import a_flow, runs
from tests.services.house import House

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


async def connect(database: Database, *, days_ago: float = 30) -> None:
    async with UnitOfWork(database) as work:
        row = AccountRow(
            id="wecom/corp",
            account_id="wecom/corp",
            platform="wecom",
            slug="corp",
            name="corp",
            credentials={},
            credential_names=[],
            settings={},
            created_at=NOW - timedelta(days=days_ago),
            rotated_at=NOW,
        )
        work.session.add(row)


def told(
    kind: str,
    added_at: datetime | None,
    number: int = 1,
    userid: str = "lin",
    contact: str = "wm1",
    code: str | None = None,
) -> Event:
    data = ContactData(
        platform="wecom",
        account="corp",
        version=number,
        occurred_at=added_at,
        external_userid=contact,
        userid=userid,
        unionid=f"U-{contact}",
        tags=None if kind == "added" else (),
        state=code,
    )
    return Event(
        # Runs are named after events, and the server is shared with other tests.
        id=f"{kind}-{contact}-{userid}-{number}-{added_at}",
        source="/wecom/corp",
        type=f"tandem.contact.{kind}",
        subject=f"customer:wecom/{contact}",
        time=added_at or NOW,
        data=data.model_dump(mode="json"),
    )


async def take_in(database: Database, *events: Event) -> None:
    """One drained batch."""
    async with UnitOfWork(database) as work:
        await Intake(IdentityService()).take_in(work, [Arrival.of(event, NOW) for event in events])


async def added(database: Database) -> list[tuple[Any, ...]]:
    """Every `contact.added` with whether it waits to be dispatched."""
    statement = """SELECT starts_with(event_id, 'found-') AS found, event_outbox.seq IS NOT NULL AS queued
        FROM events LEFT JOIN event_outbox USING (seq) WHERE type = 'tandem.contact.added' ORDER BY events.seq"""
    async with UnitOfWork(database) as work:
        return [tuple(row) for row in await work.session.execute(text(statement))]


FOUND, FOUND_BEFORE, PUSHED = (True, True), (False, False), (False, True)


@pytest.mark.parametrize("kind", ["listed", "read"])
async def test_who_is_found_by_reading_is_told_of_once_and_a_late_callback_starts_nothing(
    database: Database, kind: str
) -> None:
    await connect(database)
    await take_in(database, told(kind, NOW - HOUR))
    assert await added(database) == [FOUND]
    await take_in(database, told("listed", NOW - HOUR, 2), told("read", NOW - HOUR, 3))
    assert await added(database) == [FOUND]
    await take_in(database, told("added", NOW - HOUR + timedelta(seconds=20), 4))
    assert await added(database) == [FOUND, FOUND_BEFORE]
    async with UnitOfWork(database) as work:
        subjects = await work.session.scalar(text("SELECT subjects FROM events WHERE starts_with(event_id, 'found-')"))
        customer = await work.session.scalar(text("SELECT id FROM customers"))
    assert subjects == ["customer:wecom/wm1", f"customer:{customer}"]


def called(added_at: datetime, number: int = 1, userid: str = "lin", code: str = "counter-3") -> tuple[Event, ...]:
    """What a callback tells of who came by a channel code."""
    event = told("added", added_at, number, userid, code=code)
    scan = announce_scan(ContactData.model_validate(event.data))
    assert scan is not None
    return event, scan


async def scans(database: Database) -> list[tuple[Any, ...]]:
    """The code of every scan that rules count, and of every event of one, with whether it waits to be dispatched."""
    statement = """SELECT channel, NULL FROM interactions WHERE kind = 'scan' UNION ALL
        SELECT subjects[3], event_outbox.seq IS NOT NULL FROM events LEFT JOIN event_outbox USING (seq)
        WHERE type = 'tandem.scan.made'"""
    async with UnitOfWork(database) as work:
        return [tuple(row) for row in await work.session.execute(text(statement))]


ONE_SCAN = [("counter-3", None), ("code:wecom/counter-3", True)]


@pytest.mark.parametrize("kind", ["listed", "read"])
@pytest.mark.parametrize("late_by_s", [0, 20])
async def test_the_scan_of_a_lost_callback_is_told_once_also_when_it_comes_after_all(
    database: Database, kind: str, late_by_s: int
) -> None:
    await connect(database)
    await take_in(database, told(kind, NOW - HOUR, code="counter-3"))
    assert await scans(database) == ONE_SCAN
    await take_in(database, told("listed", NOW - HOUR, 2, code="counter-3"))
    await take_in(database, *called(NOW - HOUR + timedelta(seconds=late_by_s), 3))
    assert await scans(database) == ONE_SCAN
    await take_in(database, *called(NOW - timedelta(minutes=1), 4))
    assert len(await scans(database)) == 4, "who left and came again scanned again"


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_scan_that_a_callback_told_of_is_not_told_again_by_reading(database: Database, at_once: bool) -> None:
    await connect(database)
    pushed, read = called(NOW - HOUR), told("read", NOW - HOUR, 2, code="counter-3")
    for batch in ([read, *pushed],) if at_once else (list(pushed), [read]):
        await take_in(database, *batch)
    assert await scans(database) == ONE_SCAN


async def test_the_code_that_only_a_late_callback_knows_is_a_scan(database: Database) -> None:
    await connect(database)
    await take_in(database, told("read", NOW - HOUR))
    assert await scans(database) == []
    await take_in(database, *called(NOW - HOUR, 2))
    assert await scans(database) == ONE_SCAN


@pytest.mark.parametrize("at_once", [True, False])
async def test_whom_a_callback_told_of_is_not_told_of_again(database: Database, at_once: bool) -> None:
    await connect(database)
    push, listed = told("added", NOW - HOUR), told("listed", NOW - HOUR, 2)
    for batch in ([listed, push],) if at_once else ([push], [listed]):
        await take_in(database, *batch)
    assert await added(database) == [PUSHED]


async def test_a_callback_and_a_reading_in_two_batches_at_once_tell_once(database: Database) -> None:
    await connect(database)
    for number in range(8):
        contact = f"wm{number}"
        both = told("added", NOW - HOUR, contact=contact), told("listed", NOW - HOUR, 2, contact=contact)
        await asyncio.gather(*(take_in(database, each) for each in both))
    assert [is_queued for _, is_queued in await added(database)].count(True) == 8


async def test_each_member_counts_and_so_does_who_comes_back(database: Database) -> None:
    await connect(database)
    await take_in(database, told("added", NOW - 5 * HOUR), told("listed", NOW - 4 * HOUR, 2, "mei"))
    assert await added(database) == [PUSHED, FOUND]
    await take_in(database, told("listed", NOW - HOUR, 3))
    assert await added(database) == [PUSHED, FOUND, FOUND]
    # Mei's customer left and came again, and this time the callback came.
    await take_in(database, told("added", NOW - HOUR, 4, "mei"))
    assert await added(database) == [PUSHED, FOUND, FOUND, PUSHED]


@pytest.mark.parametrize(
    ("connected_days_ago", "added_at"),
    [(30, NOW - timedelta(hours=49)), (0.5, NOW - timedelta(hours=20)), (30, None)],
    ids=["two days ago", "before the corp was connected", "nobody knows when"],
)
async def test_a_corps_past_sets_nothing_in_motion(
    database: Database, connected_days_ago: float, added_at: datetime | None
) -> None:
    await connect(database, days_ago=connected_days_ago)
    crowd = [told("listed", added_at, number, contact=f"wm{number}") for number in range(50)]
    await take_in(database, *crowd)
    assert await added(database) == []


async def test_a_journey_takes_in_whom_reading_found_and_no_second_time(house: House) -> None:
    await house.publish(a_flow("gift", "{ per: customer }", "tandem.contact.added"))
    await connect(house.database)
    await take_in(house.database, told("listed", NOW - HOUR))
    await take_in(house.database, told("added", NOW - HOUR, 2), told("listed", NOW - 2 * HOUR, 3, "mei"))
    while (await house.dispatcher.drain()).dispatched:
        pass
    assert [run.name for run in await runs(house, "gift")] == ["gift"]
