"""One key that many people share: its tags stand still, and nobody else waits for it."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from domain.tags import EVERY_KIND
from services.customer_tags import CustomerTagService
from services.tagging import Tagging
from storage.crowds import MOST_RECORDS, Crowds
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.people import add_customers, add_identity, add_records, order
from tests.services.test_tagging import happens, publish, rule, somebody

BOUGHT = rule("all: [ { orders: { count: { at-least: 1 } } } ]", name="bought", tag="买过")
VISITS = rule("all: [ { visits: { within: P1D, count: { at-least: 1 } } } ]", name="visits", tag="在逛")
ROOT = an_actor("root")


async def fill(database: Database, customer: UUID, identity: int, visits: int = MOST_RECORDS) -> None:
    """So many visits under one key."""
    statement = """
        INSERT INTO interactions (kind, key, identity_id, version, occurred_at, recorded_at, account_id, details)
        SELECT 'visit', 'crowd-' || :identity || '-' || number, :identity, 1, :at, :at, 'web/main', '{}'
        FROM generate_series(1, :visits) AS number
    """
    given = {"identity": identity, "visits": visits, "at": database.clock() - timedelta(hours=1)}
    async with UnitOfWork(database) as work:
        await work.session.execute(text(statement), given)


async def test_a_crowd_is_passed_over_and_the_others_in_its_batch_are_not(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, BOUGHT, VISITS)
    crowd, shared = await somebody(database)
    person, key = await somebody(database)
    await fill(database, crowd, shared)
    assert await happens(database, crowd, shared) == ["+在逛"], "so many are still looked at"
    assert await happens(database, crowd, shared, order("E1", clock.now)) == ["+买过"]
    visit = ("visit.made", clock.now, {"visit_id": "one more", "name": "page_view"})
    async with UnitOfWork(database) as work:
        await add_records(work, [(shared, *visit)])
        await add_records(work, [(key, *order("E2", clock.now))])
        told = await Tagging(database).evaluate(work, frozenset({crowd, person}), EVERY_KIND)
    assert [(each.subject, each.data["tag"]) for each in told] == [(f"customer:{person}", "买过")]
    found = await CustomerTagService(database).of_customer(ROOT, crowd)
    assert found.too_many_records
    assert sorted(each.tag for each in found.carried) == ["买过", "在逛"], "what rules said last stays"
    assert not (await CustomerTagService(database).of_customer(ROOT, person)).too_many_records


async def test_time_and_new_versions_pass_a_crowd_over_once(database: Database, clock: SteppedClock) -> None:
    await publish(database, VISITS)
    crowd, shared = await somebody(database)
    await fill(database, crowd, shared)
    await happens(database, crowd, shared)
    await fill(database, crowd, (await _second_key(database, crowd)))
    clock.advance(days=2)
    tagging = Tagging(database)
    assert (await tagging.check_due()).lost == 0
    assert (await tagging.check_due()).customers == 0, "it is not looked at again and again"
    while not (await tagging.backfill()).complete:
        pass
    preview = await CustomerTagService(database).preview(ROOT, VISITS.text)
    assert (preview.examined, preview.complete, preview.holds) == (1, True, 0)


async def test_a_crowd_is_found_by_its_first_records(database: Database) -> None:
    async with UnitOfWork(database) as work:
        people = await add_customers(work, 3)
    for customer, identity in people[:2]:
        await fill(database, customer, identity, MOST_RECORDS + 1)
    async with UnitOfWork(database) as work:
        before = await _read(work)
        assert await Crowds(work).among([customer for customer, _ in people]) == {each for each, _ in people[:2]}
        after = await _read(work)
    assert after["seq_tup_read"] == before["seq_tup_read"], "no table is read through"
    assert after["idx_scan"] > before["idx_scan"]


async def _second_key(database: Database, customer: UUID) -> int:
    async with UnitOfWork(database) as work:
        return await add_identity(work, customer)


async def _read(work: UnitOfWork) -> dict[str, int]:
    await work.session.execute(text("SELECT pg_stat_clear_snapshot()"))
    row = (
        await work.session.execute(
            text("SELECT seq_tup_read, idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'interactions'")
        )
    ).one()
    return dict(row._mapping)
