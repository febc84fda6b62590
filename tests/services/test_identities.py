"""Records become identities, identities become customers: in any order, in any batches, at once."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlmodel import col, func, select

from domain.canonical.keys import IdentityKey, KeyKind, strongest_first
from domain.customers.identity import Decision, Link, Verdict, resolve
from domain.customers.strength import MOST_LINKS, Known, Tier, link_tier
from domain.problems import ConfigurationProblem, UnavailableProblem
from services.identities import Assigned, IdentityService, Sighting
from storage.encryption import Keyring
from storage.engine import Database
from storage.identities import Customers, Identities, IdentityRow
from storage.identity_digests import IdentityDigestKeyRow, IdentityDigests
from storage.identity_links import IdentityLinkRow
from storage.identity_reviews import IdentityMoveRow, IdentitySuggestionRow
from storage.rekey import rekey
from storage.unit_of_work import UnitOfWork

NOW = datetime(2026, 11, 11, tzinfo=UTC)
SCOPES: dict[str, tuple[KeyKind, str]] = {
    "U": ("unionid", ""),
    "E": ("external_userid", "wecom/corp"),
    "O": ("openid", "official_account/a"),
    "T": ("buyer", "taobao"),
    "J": ("buyer", "jd"),
    "G": ("buyer", "pinduoduo"),
    "P": ("phone", ""),
    "D": ("device", ""),
}


def seen(*records: str, world: str = "") -> list[Sighting]:
    """Records as `T1 P1`: a Taobao buyer with a phone. world: keeps the keys apart from those of other worlds."""
    return [
        Sighting(
            tuple(IdentityKey(*SCOPES[name[0]], f"{world}{name}") for name in record.split()),
            "jd/flagship",
            f"order:{record}",
            NOW + timedelta(minutes=number),
        )
        for number, record in enumerate(records)
    ]


async def told(database: Database, *records: str, world: str = "") -> Assigned:
    async with UnitOfWork(database) as work:
        return await IdentityService().assign(work, seen(*records, world=world))


def owner(assigned: Assigned, name: str) -> UUID:
    return assigned.customers[IdentityKey(*SCOPES[name[0]], name)]


async def people(database: Database, world: str = "") -> set[str]:
    """Customers with more than one key, as `P1 T1`."""
    async with UnitOfWork(database) as work:
        rows = (await work.session.scalars(select(IdentityRow))).all()
    found: dict[UUID, list[str]] = {}
    for row in rows:
        if row.value.startswith(world):
            found.setdefault(row.customer_id, []).append(row.value.removeprefix(world))
    return {" ".join(sorted(names)) for names in found.values() if len(names) > 1}


async def doubts(database: Database) -> set[str]:
    async with UnitOfWork(database) as work:
        names = {row.id: row.value for row in await work.session.scalars(select(IdentityRow))}
        rows = (await work.session.scalars(select(IdentitySuggestionRow))).all()
    return {" ".join(sorted((names[row.low], names[row.high]))) + f" {row.why}" for row in rows if row.state == "open"}


async def count(database: Database, row: type) -> int:
    async with UnitOfWork(database) as work:
        return int(await work.session.scalar(select(func.count()).select_from(row)) or 0)


def expected(records: Iterable[str], decisions: Iterable[tuple[Verdict, str, str]] = ()) -> set[str]:
    """What the pure rules say of all records and decisions at once."""
    names = sorted({name for record in records for name in record.split()})
    numbers = {name: number for number, name in enumerate(names)}
    links = set()
    for record in records:
        keys = [IdentityKey(*SCOPES[name[0]], name) for name in record.split()]
        first, *others = strongest_first(keys)
        for other in others:
            low, high = sorted((numbers[first.value], numbers[other.value]))
            links.add(Link(low, high, link_tier(first.kind, other.kind)))
    known = {numbers[name]: Known(*SCOPES[name[0]]) for name in names}
    decided = [Decision(verdict, (numbers[one],), (numbers[other],)) for verdict, one, other in decisions]
    resolution = resolve(known, links, decided)
    return {" ".join(sorted(names[key] for key in cluster)) for cluster in resolution.clusters if len(cluster) > 1}


async def test_one_phone_at_jd_and_pinduoduo_is_one_person(database: Database) -> None:
    """A8: and who bought there before is told, so that their runs and tags follow."""
    jd = await told(database, "J1 P1")
    assert jd.events == []
    pinduoduo = await told(database, "G1 D1")
    merged = await told(database, "G1 P1")
    oldest, younger = owner(jd, "J1"), owner(pinduoduo, "G1")
    assert await people(database) == {"D1 G1 J1 P1"}
    assert set(merged.customers.values()) == {oldest}
    assert merged.touched == {oldest, younger}
    assert merged.aliases == {oldest: [younger]}
    assert [(event.type, event.data, event.subjects) for event in merged.events] == [
        (
            "tandem.customer.merged",
            {"customer": str(oldest), "merged": [str(younger)]},
            (f"customer:{oldest}", f"customer:{younger}"),
        )
    ]
    async with UnitOfWork(database) as work:
        assert await Customers(work).current(younger) == oldest
        moves = (await work.session.scalars(select(IdentityMoveRow))).all()
    assert {(move.from_customer, move.to_customer, move.cause) for move in moves} == {(younger, oldest, "evidence")}
    assert {record for move in moves for record in move.detail["records"]} == {"jd/flagship order:G1 P1"}


async def test_a_family_s_phone_ties_nobody_together(database: Database) -> None:
    first = await told(database, "T1 P1")
    second = await told(database, "T2 P1")
    assert await people(database) == set()
    assert owner(first, "T1") != owner(second, "T2")
    assert await doubts(database) == {"P1 T1 shared_phone", "P1 T2 shared_phone"}
    # The phone left the first buyer, who keeps the customer's id.
    assert [event.type for event in second.events] == ["tandem.customer.split"]
    assert owner(await told(database, "T1"), "T1") == owner(first, "T1")


async def test_a_record_points_at_the_key_that_tells_people_apart_best(database: Database) -> None:
    assigned = await told(database, "P1 T1", "P1", "")
    async with UnitOfWork(database) as work:
        rows = await Identities(work).rows([each for each in assigned.identity_ids if each is not None])
    assert [each and rows[each].value for each in assigned.identity_ids] == ["T1", "P1", None]


async def test_the_same_again_changes_nothing(database: Database) -> None:
    records = ("J1 P1", "G1 P1", "T1 P2", "T2 P2", "U1 O1", "U1 E1", "D1 J1", "D1 U1")
    first = await told(database, *records)
    tables = (IdentityRow, IdentityLinkRow, IdentityMoveRow, IdentitySuggestionRow)
    before = [await count(database, table) for table in tables]
    again = await told(database, *records)
    assert (again.identity_ids, again.customers, again.events) == (first.identity_ids, first.customers, [])
    assert [await count(database, table) for table in tables] == before


def any_records(generator: random.Random) -> list[str]:
    """Records over so few keys that families, conflicts and chains turn up."""
    names = [f"{kind}{number}" for kind in SCOPES for number in range(4)]
    found = []
    for _ in range(24):
        record: dict[str, str] = {}
        for name in generator.sample(names, generator.choice((1, 2, 2, 2, 3))):
            record.setdefault(name[0], name)
        found.append(" ".join(record.values()))
    return found


async def test_neither_order_nor_batches_matter(database: Database) -> None:
    generator = random.Random(7)
    for number in range(8):
        records = any_records(generator)
        wanted = expected(records)
        for way, size in enumerate((len(records), 1, 5, 7)):
            world = f"{number}/{way}/"
            generator.shuffle(records)
            for start in range(0, len(records), size):
                await told(database, *records[start : start + size], world=world)
            assert await people(database, world) == wanted, (records, size)


async def test_batches_at_once_make_one_customer_of_one_person(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    generator = random.Random(11)

    async def drain(batch: Sequence[str], world: str) -> None:
        for _ in range(20):
            try:
                await told(database, *batch, world=world)
            except UnavailableProblem:  # a deadlock between two of them: the drain comes again
                await asyncio.sleep(generator.random() / 50)
            else:
                return
        pytest.fail("never got through")

    for number in range(6):
        records, world = any_records(generator), f"{number}/"
        batches = [generator.sample(records, 8) for _ in range(10)]
        batches += [records[start : start + 6] for start in range(0, len(records), 6)]
        await asyncio.gather(*(drain(batch, world) for batch in batches))
        assert await people(database, world) == expected(records), records
    async with UnitOfWork(database) as work:
        values = list(await work.session.scalars(select(IdentityRow.value)))
        inhabited = set(await work.session.scalars(select(IdentityRow.customer_id)))
        aliases = await Customers(work).aliases(inhabited)
    assert len(values) == len(set(values))
    assert not inhabited & {alias for each in aliases.values() for alias in each}
    await database.close()


async def test_what_a_crowd_uses_is_nobody_s_in_any_order(database: Database) -> None:
    many = [f"J{number} P1" for number in range(MOST_LINKS[Tier.PHONE] + 1)]
    await told(database, "G1 P1", "G1 P2", *many, world="once/")
    for record in (*many, "G1 P2", "G1 P1", "T1 P1"):
        await told(database, record, world="singly/")
    assert await people(database, "once/") == await people(database, "singly/") == {"G1 P2"}
    async with UnitOfWork(database) as work:
        rows = await work.session.scalars(select(IdentityRow).where(col(IdentityRow.crowded) != 0))
        assert {row.value for row in rows} == {"once/P1", "singly/P1"}
    before = await told(database, "P1", world="once/")
    after = await told(database, "J98 P1", "J99 P1", world="once/")
    assert after.events == []
    assert (await told(database, "P1", world="once/")).customers == before.customers


async def test_keys_are_found_while_and_after_the_field_key_changes(database_url: str) -> None:
    old, new = b"1" * 32, b"2" * 32
    before = Database(database_url, Keyring({"k1": old}))
    during = Database(database_url, Keyring({"k2": new, "k1": old}))
    after = Database(database_url, Keyring({"k2": new}))
    first = await told(before, "J1 P1", "G1")
    assert (await told(during, "J1 P1", "G1")).identity_ids == first.identity_ids
    async with UnitOfWork(during) as work:
        # As if the rotation had been killed here.
        assert await IdentityDigests(work).rotate()
    second = await told(during, "J1 P1", "G1", "T1 P1")
    assert second.identity_ids[:2] == first.identity_ids
    with pytest.raises(ConfigurationProblem, match="k2"):
        await told(before, "J1")
    assert (await rekey(during))["identities.digest"] == 3
    assert await rekey(during) == {}
    assert await count(during, IdentityDigestKeyRow) == 1
    assert (await told(after, "J1 P1", "G1", "T1 P1")).identity_ids == second.identity_ids
    for each in (before, during, after):
        await each.close()


async def test_keys_that_come_while_the_field_key_changes_are_stored_once(database_url: str) -> None:
    before = Database(database_url, Keyring({"k1": b"1" * 32}))
    during = Database(database_url, Keyring({"k2": b"2" * 32, "k1": b"1" * 32}), pool_size=8)
    after = Database(database_url, Keyring({"k2": b"2" * 32}))
    records = [f"J{number} P{number}" for number in range(300)]
    await told(before, *records[:150])

    async def drain(first: int) -> None:
        for start in range(first, 300, 20):
            await told(during, *records[start : start + 20])

    await asyncio.gather(rekey(during), *(drain(first) for first in (0, 7, 140, 151)))
    # Those that came last were stored under the new key: nothing needs the old one.
    await told(after, *records)
    assert await count(after, IdentityRow) == 600
    for each in (before, during, after):
        await each.close()


async def test_a_text_that_postgresql_cannot_keep_spoils_no_batch(database: Database) -> None:
    strange = Sighting((IdentityKey("openid", "a\0b", "x\0y"),), "jd/flagship", "order:1", NOW)
    async with UnitOfWork(database) as work:
        assigned = await IdentityService().assign(work, [strange, *seen("J1")])
        assert await IdentityService().assign(work, [strange, *seen("J1")]) == assigned
    assert None not in assigned.identity_ids
