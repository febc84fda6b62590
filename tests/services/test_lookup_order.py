"""Whom a platform is asked about first: who came or changed, before those whose tags are to be shared."""

from datetime import timedelta
from uuid import UUID

from storage.engine import Database
from storage.identities import CustomerRow, IdentityRow
from storage.lookups import Ask, Lookups
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock

CORP = "wecom/main"
LEASE = timedelta(minutes=5)


async def contacts(database: Database, count: int, start: int = 0) -> dict[int, UUID]:
    """New contacts of the corp; by their identity, who they are."""
    async with UnitOfWork(database) as work:
        customers = [CustomerRow(created_at=work.now, changed_at=work.now) for _ in range(count)]
        work.session.add_all(customers)
        await work.session.flush()
        rows = [
            IdentityRow(
                kind="external_userid",
                scope=CORP,
                digest=str(start + place).encode(),
                value=f"w{start + place}",
                customer_id=customer.id,
                home=customer.id,
                first_seen_at=work.now,
            )
            for place, customer in enumerate(customers)
        ]
        work.session.add_all(rows)
        await work.session.flush()
        return {row.id: row.customer_id for row in rows}


async def asked(database: Database, limit: int) -> list[int]:
    """Whom the next round asks about; they are settled at once."""
    async with UnitOfWork(database) as work:
        claimed = await Lookups(work).claim("wecom", limit, LEASE)
        for each in claimed:
            await Lookups(work).answered(each)
        return [each.identity_id for each in claimed]


async def push(database: Database, *identities: int) -> None:
    async with UnitOfWork(database) as work:
        await Lookups(work).ask([Ask(identity, CORP, work.now) for identity in identities])


async def share(database: Database, *customers: UUID) -> None:
    async with UnitOfWork(database) as work:
        await Lookups(work).ask_about_contacts_of(customers)


async def test_who_adds_a_guide_does_not_wait_behind_tags_that_are_shared(
    database: Database, clock: SteppedClock
) -> None:
    many = await contacts(database, 60)
    await share(database, *many.values())
    clock.advance(minutes=1)
    new = list(await contacts(database, 3, start=100))
    await push(database, *new)
    clock.advance(minutes=1)
    first = await asked(database, 20)
    assert set(new) <= set(first)
    assert len(first) == 20, "the places that are left go to the tags"
    async with UnitOfWork(database) as work:
        assert await Lookups(work).is_due("wecom")


async def test_tags_are_shared_at_last_however_many_come(database: Database, clock: SteppedClock) -> None:
    tagged, coming = await contacts(database, 4), await contacts(database, 50, start=100)
    await share(database, *tagged.values())
    await push(database, *coming)
    clock.advance(minutes=1)
    assert [len(set(await asked(database, 20)) & set(tagged)) for _ in range(2)] == [2, 2]


async def test_a_change_brings_forward_who_waits_for_a_tag_and_a_tag_puts_nobody_back(
    database: Database, clock: SteppedClock
) -> None:
    people = await contacts(database, 3)
    (first, one), (second, _), (third, other) = people.items()
    await share(database, one, people[second], other)
    clock.advance(seconds=1)
    await push(database, third)
    clock.advance(seconds=1)
    await share(database, other)
    clock.advance(minutes=1)
    assert await asked(database, 1) == [third]
    # Once they were asked about, a tag is only a tag again.
    await share(database, other)
    clock.advance(seconds=1)
    await push(database, second)
    clock.advance(minutes=1)
    assert await asked(database, 1) == [second]
    assert sorted(await asked(database, 5)) == sorted([first, third])
