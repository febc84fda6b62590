"""What hangs together without end is not followed: new links wait for a person, and everybody else is found as ever."""

import asyncio
import random

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from domain.canonical.keys import IdentityKey
from domain.problems import UnavailableProblem
from services.customers import CustomerService
from services.identities import IdentityService
from storage.engine import Database
from storage.identities import IdentityRow
from storage.identity_links import IdentityLinks
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_identities import SCOPES, any_records, doubts, expected, owner, people, seen, told

MOST = 12


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.identity_resolution.MOST_HANGING", MOST)


def a_tangle(length: int) -> list[str]:
    """A daigou shop's records: each buyer has two phones, each phone two buyers."""
    return [f"T{number // 2} P{(number + 1) // 2}" for number in range(length)]


async def test_beyond_the_bound_a_link_waits_for_review_and_makes_nobody_one(few: None, database: Database) -> None:
    for record in a_tangle(MOST + 6):
        await told(database, record)
    before = await people(database)
    got = await told(database, "T90 P0 D90", "J1 G1 P70")
    assert owner(got, "T90") != owner(await told(database, "P0"), "P0"), "a stranger is nobody's guess"
    assert {"P0 T90 too_many_linked"} <= await doubts(database)
    assert await people(database) == before | {"D90 T90", "G1 J1 P70"}, "who came in the same batch is found as ever"
    again = await told(database, "T90 P0 D90")
    assert owner(again, "T90") == owner(got, "T90")


async def test_new_keys_of_one_record_are_one_person_s_though_a_third_one_is_tangled(
    few: None, database: Database
) -> None:
    for record in a_tangle(MOST + 6):
        await told(database, record)
    before, known_doubts = await people(database), await doubts(database)
    # A second one in the batch has nothing in common with the first but the phone on which too much hangs.
    got = await told(database, "U90 G90 P0", "U90 J90", "U91 G91 P0")
    assert await people(database) == before | {"G90 J90 U90", "G91 U91"}
    assert owner(got, "U90") == owner(await told(database, "G90"), "G90")
    new_doubts = await doubts(database) - known_doubts
    assert new_doubts == {"P0 U90 too_many_linked", "P0 U91 too_many_linked"}, "what is plain is nobody's question"
    async with UnitOfWork(database) as work:
        known = {row.customer_id for row in await work.session.scalars(select(IdentityRow))}
        ids = {
            each for (each,) in await work.session.execute(text("SELECT id FROM customers WHERE merged_into IS NULL"))
        }
    assert ids == known, "and no customer is left without a key"


async def test_nothing_is_held_of_what_is_not_followed(few: None, database: Database) -> None:
    for record in a_tangle(MOST + 6):
        await told(database, record)
    async with UnitOfWork(database) as work:
        far = await work.session.scalar(
            select(IdentityRow.id).where(col(IdentityRow.kind) == "buyer").order_by(col(IdentityRow.id)).limit(1)
        )
        await work.session.execute(text("SELECT FROM identities WHERE id = :id FOR UPDATE"), {"id": far})
        async with UnitOfWork(database) as other:
            async with asyncio.timeout(10):
                await IdentityService().assign(other, seen(f"T91 P{(MOST + 6) // 2}"))


async def test_a_decision_looks_at_all_of_it(few: None, database: Database) -> None:
    for record in a_tangle(MOST + 6):
        await told(database, record)
    got = await told(database, "T90 P0")
    phone = owner(await told(database, "P0"), "P0")
    await CustomerService(database).merge(an_actor("root"), owner(got, "T90"), [phone], "本人确认")
    assert any({"P0", "T90"} <= set(each.split()) for each in await people(database))


async def test_a_batch_of_many_small_ones_is_cut_until_each_fits(few: None, database: Database) -> None:
    records = [f"J{number} P{number} G{number}" for number in range(MOST)]
    await told(database, *[record.rpartition(" ")[0] for record in records])
    await told(database, *records)
    assert await people(database) == expected(records)
    assert await doubts(database) == set()


async def test_below_the_bound_neither_order_nor_batches_matter(
    monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    generator = random.Random(5)
    for world in range(3):
        records = any_records(generator)
        keys = len({name for record in records for name in record.split()})
        monkeypatch.setattr("services.identity_resolution.MOST_HANGING", keys)
        generator.shuffle(records)
        for start in range(0, len(records), 5):
            await told(database, *records[start : start + 5], world=f"{world}/")
        assert await people(database, f"{world}/") == expected(records), records


async def test_what_grows_as_often_as_it_is_looked_at_is_tried_again_and_not_decided_by_half(
    monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    got = await told(database, "J1 P1")

    async def more(*_: object) -> set[int]:
        return {1}

    monkeypatch.setattr(IdentityLinks, "_grown", more)
    async with UnitOfWork(database) as work:
        with pytest.raises(UnavailableProblem, match="keep linking"):
            await IdentityLinks(work).component([got.identities[IdentityKey(*SCOPES["J"], "J1")]])
