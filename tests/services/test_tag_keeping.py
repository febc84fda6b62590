"""Keeping tags goes on when the database does not finish, or refuses, what is asked of one customer or one measure."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from services.category_filling import CategoryFilling
from services.definition_sources import SourceText
from services.tag_keeping import TagKeeping
from services.tagging import Tagging
from storage.customer_tags import CustomerTags
from storage.encryption import Keyring
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.people import add_customers, add_records, order
from tests.services.test_tagging import publish, rule

ASLEEP = rule("all: [ { orders: { latest: { older-than: P30D } } } ]", tag="沉睡")
TAKES_LONG = "PERFORM pg_sleep(5)"
IS_REFUSED = "RAISE EXCEPTION USING ERRCODE = 'numeric_value_out_of_range', MESSAGE = 'too large'"

People = list[tuple[UUID, int]]


@pytest.fixture
async def hurried(database_url: str, clock: SteppedClock) -> AsyncIterator[Database]:
    """A database that gives every statement a second."""
    database = Database(database_url, Keyring({"k1": b"1" * 32}), clock=clock, statement_timeout_s=1)
    yield database
    await database.close()


async def trip(database_url: str, table: str, what: str, when: str) -> None:
    """Let writing certain rows of a table do this."""
    function = f"CREATE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; RETURN NEW; END $$"
    on_writing = f"CREATE TRIGGER trip BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW WHEN ({when})"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(function.encode())
        await connection.execute(f"{on_writing} EXECUTE FUNCTION trip()".encode())


async def buyers(database: Database, clock: SteppedClock, count: int) -> People:
    async with UnitOfWork(database) as work:
        people = await add_customers(work, count)
        await add_records(work, [(identity, *order(f"E{identity}", clock.now)) for _, identity in people])
    return people


def keeping(database: Database) -> TagKeeping:
    tagging = Tagging(database)
    return TagKeeping(tagging, CategoryFilling(database, tagging))


async def go_on(kept: TagKeeping) -> None:
    for _ in range(60):
        if not await kept.round():
            return
    raise AssertionError("there is more to do for ever")


async def asleep(database: Database) -> set[UUID]:
    async with UnitOfWork(database) as work:
        return set(await CustomerTags(work).holders("沉睡", None, 100))


@pytest.mark.parametrize("what", [TAKES_LONG, IS_REFUSED])
async def test_one_customer_whom_the_database_does_not_finish_is_left_for_tomorrow(
    hurried: Database, database_url: str, clock: SteppedClock, what: str
) -> None:
    await publish(hurried, ASLEEP)
    people = await buyers(hurried, clock, 30)
    kept = keeping(hurried)
    await go_on(kept)
    everybody, bad = {each for each, _ in people}, people[7][0]
    await trip(database_url, "customer_tags", what, f"NEW.customer_id = '{bad}'")
    clock.advance(days=30)
    await go_on(kept)
    assert await asleep(hurried) == everybody - {bad}
    async with UnitOfWork(hurried) as work:
        due = (
            await work.session.execute(text("SELECT customer_id, due_at - :now FROM tag_checks"), {"now": clock.now})
        ).all()
    assert [(who, round(wait.total_seconds() / 3600)) for who, wait in due] == [(bad, 24)]


async def test_a_backfill_goes_on_behind_whom_the_database_refuses(
    hurried: Database, database_url: str, clock: SteppedClock
) -> None:
    people = await buyers(hurried, clock, 30)
    everybody, bad = {each for each, _ in people}, people[3][0]
    await trip(database_url, "customer_tags", IS_REFUSED, f"NEW.customer_id = '{bad}'")
    clock.advance(days=40)
    await publish(hurried, ASLEEP)
    await go_on(keeping(hurried))
    assert await asleep(hurried) == everybody - {bad}


async def test_a_measure_that_takes_too_long_holds_up_no_tag(
    database: Database, database_url: str, clock: SteppedClock
) -> None:
    """What is ranked waits for its measure, everything else goes on, and the measure is tried again another time."""
    ranks = Path("definitions/grades/rfm.yaml").read_text("utf-8")
    await publish(database, ASLEEP, SourceText("rfm.yaml", ranks))
    people = await buyers(database, clock, 3)
    await trip(database_url, "grading_breaks", IS_REFUSED, "true")
    clock.advance(days=30)
    kept = keeping(database)
    await go_on(kept)
    assert await asleep(database) == {each for each, _ in people}
    async with UnitOfWork(database) as work:
        assert await work.session.scalar(text("SELECT count(*) FROM grading_breaks")) == 0


async def test_a_part_that_fails_for_another_reason_is_told_after_the_others_had_their_turn(
    database: Database, database_url: str, clock: SteppedClock
) -> None:
    people = await buyers(database, clock, 3)
    await publish(database, ASLEEP)
    await go_on(keeping(database))
    clock.advance(days=30)

    class Broken(CategoryFilling):
        async def fill(self, limit: int = 1) -> bool:
            raise ZeroDivisionError

    tagging = Tagging(database)
    await publish(database, rule("all: [ { orders: {} } ]", name="bought", tag="买过"))
    with pytest.raises(ZeroDivisionError):
        await TagKeeping(tagging, Broken(database, tagging)).round()
    assert await asleep(database) == {each for each, _ in people}
    async with UnitOfWork(database) as work:
        assert len(await CustomerTags(work).holders("买过", None, 100)) == 3
