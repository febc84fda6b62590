"""Who is erased has no tag and no grade, and is told of by nobody, whatever rules say of somebody without records."""

from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client

from domain.tags import EVERY_KIND
from services.definition_sources import SourceText
from services.erasure import ErasureService, ErasureWorker
from services.tag_book import StoredTags
from services.tagging import Tagging
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.services.house import House
from tests.services.test_profiles import a_person
from tests.services.test_tagging import publish, rule

ADMIN = an_actor("root")
NOTHING_BOUGHT = "all: [ { orders: { count: { at-most: 0 } } } ]"
TABLES = ("customer_tags", "customer_grades", "tag_checks")


def graded(version: str) -> SourceText:
    stages = f"stages: [ {{ name: 潜客{version}, when: {{ {NOTHING_BOUGHT} }} }}, {{ name: 老客 }} ]"
    return SourceText("g.yaml", f"grading: {{ name: g, version: {version}, title: t, {stages} }}")


@pytest.fixture
async def house(database: Database, temporal: Client) -> Any:
    built = House(database, temporal)
    yield built
    await built.close()


async def left(database: Database) -> dict[str, int]:
    """Rows of tags, grades and checks, and events about customers."""
    async with UnitOfWork(database) as work:
        found = {each: await work.session.scalar(text(f"SELECT count(*) FROM {each}")) for each in TABLES}
        events = await work.session.scalar(text("SELECT count(*) FROM events WHERE type LIKE 'tandem.customer.%'"))
    return {name: int(count or 0) for name, count in {**found, "events": events}.items()}


async def test_new_versions_and_time_bring_back_nobody_who_was_erased(
    house: House, database: Database, clock: SteppedClock
) -> None:
    person, tagging = await a_person(database), Tagging(database)
    await publish(database, graded("1.0.0"), rule("all: [ { orders: { latest: { older-than: P400D } } } ]", tag="沉睡"))
    while not (await tagging.backfill()).complete:
        pass
    assert (await left(database))["tag_checks"] == 1, "time alone will give them a tag"
    worker = ErasureWorker(database, house.orchestrator, [StoredTags()])
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    for _ in range(20):
        await worker.work()
    clock.advance(days=500)
    # Between the second reading and the end there is nothing that could start a journey about them.
    before = await left(database)
    assert (await tagging.check_due()).customers == 0
    async with UnitOfWork(database) as work:
        assert await tagging.evaluate(work, frozenset({person.customer}), EVERY_KIND) == []
    assert await left(database) == before
    for _ in range(60):
        if not await worker.work():
            clock.advance(seconds=30)
    assert (await ErasureService(database).show(ADMIN, person.customer)).state == "done"
    await publish(database, graded("1.0.1"), rule(NOTHING_BOUGHT, version="1.0.1", tag="从未下单"))
    while not (await tagging.backfill()).complete:
        pass
    assert await left(database) == dict.fromkeys((*TABLES, "events"), 0)


async def test_what_was_written_of_a_person_while_they_were_erased_goes_with_their_keys(
    house: House, database: Database, clock: SteppedClock
) -> None:
    person = await a_person(database)
    worker = ErasureWorker(database, house.orchestrator, [StoredTags()])
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    for _ in range(200):
        if not await worker.work():
            clock.advance(seconds=30)
        async with UnitOfWork(database) as work:
            if await work.session.scalar(text("SELECT step FROM erasures")) == "keys":
                break
    async with UnitOfWork(database) as work:
        # A round that looked at them before it began, and was slow to write.
        written = "INSERT INTO customer_tags (customer_id, rule, tag, version, held, turn, since, why) "
        values = "VALUES (:who, 'r', '标签', '1', true, 1, :now, '[]')"
        await work.session.execute(text(written + values), {"who": person.customer, "now": clock.now})
    await worker.work()
    assert (await ErasureService(database).show(ADMIN, person.customer)).state == "done"
    assert (await left(database))["customer_tags"] == 0
