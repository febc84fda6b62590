"""Tags and grades of customers who become one and part again: each turn is told once, and none is taken for another."""

import random
from collections import Counter
from uuid import UUID

from sqlalchemy import text

from domain.access import Role
from domain.canonical import Buyer, OrderData
from domain.canonical.announcing import announce
from services.customers import CustomerService
from services.definition_sources import SourceText
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.tag_book import StoredTags
from services.tagging import Tagging
from storage.customer_grades import CustomerGrades
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.services.enrolling import runs
from tests.services.house import House
from tests.services.test_tagging import publish, rule

SUPERVISOR = an_actor("wang", Role.SUPERVISOR)
LOYAL = rule("all: [ { orders: { count: { at-least: 3 } } } ]", tag="高价值")
IDLE = rule("all: [ { orders: { latest: { older-than: P30D } } } ]", name="idle", tag="断粮")
STAGES = SourceText(
    "grade.yaml",
    "grading: { name: stage, version: 1.0.0, title: t, stages: ["
    "{ name: 老客, when: { all: [ { orders: { count: { at-least: 3 } } } ] } }, { name: 新客 } ] }",
)
VALUED = SourceText(
    "valued.yaml",
    "grading: { name: valued, version: 1.0.0, title: t, stages: ["
    "{ name: 老客, when: { all: [ { orders: { count: { at-least: 3 } } } ] } } ] }",
)
JOURNEY = """
document: { dsl: '1.0.3', namespace: shop, name: thank, version: '1.0.0' }
schedule: { on: { one: { with: { type: tandem.customer.tag-gained } } } }
do:
  - rest: { wait: P1D }
"""


class Shop:
    """Orders of buyers come in, as batches that are drained."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.customers = CustomerService(database)
        self._versions: Counter[str] = Counter()

    async def orders(self, buyer: str, *numbers: str, status: str = "paid", also: str | None = None) -> None:
        """also: a WeChat user whom the orders name as well."""
        async with UnitOfWork(self.database) as work:
            arrivals = []
            for number in numbers:
                self._versions[number] += 1
                order = OrderData(
                    platform="youzan",
                    account="flagship",
                    version=self._versions[number],
                    order_id=number,
                    status=status,
                    paid_minor=100,
                    paid_at=work.now,
                    buyer=Buyer(buyer_id=buyer, unionid=also),
                )
                arrivals.append(Arrival.of(announce(order, work.now), work.now))
            await Intake(IdentityService(), Tagging(self.database)).take_in(work, arrivals)

    async def buys_and_leaves(self, buyer: str) -> None:
        """Three orders, of which one is closed."""
        await self.orders(buyer, *(f"{buyer}-{number}" for number in range(3)))
        await self.orders(buyer, f"{buyer}-0", status="closed")

    async def comes_back(self, buyer: str) -> None:
        await self.orders(buyer, f"{buyer}-back")

    async def merge(self, first: UUID, second: UUID) -> UUID:
        return (await self.customers.merge(SUPERVISOR, first, [second], "同一人")).decision

    async def undo(self, decision: UUID) -> None:
        await self.customers.undo(SUPERVISOR, decision)

    async def told(self, kind: str = "tag") -> list[tuple[str, int]]:
        """What reached the outbox about tags or grades: what, and of which customer (by age), in order."""
        statement = (
            "SELECT type, subjects[1] AS subject FROM events JOIN event_outbox USING (seq) "
            f"WHERE type LIKE 'tandem.customer.{kind}%' ORDER BY seq"
        )
        async with UnitOfWork(self.database) as work:
            ids = list(await work.session.scalars(text("SELECT id FROM customers ORDER BY id")))
            rows = list(await work.session.execute(text(statement)))
        ages = {f"customer:{each}": number for number, each in enumerate(ids)}
        return [(row.type.removeprefix("tandem.customer."), ages[row.subject]) for row in rows]

    async def rows(self, statement: str) -> list[tuple[object, ...]]:
        async with UnitOfWork(self.database) as work:
            return [tuple(row) for row in await work.session.execute(text(statement))]


async def two_people(shop: Shop) -> tuple[UUID, UUID]:
    await shop.orders("B1", "E1")
    await shop.orders("B2", "F1")
    ((first,), (second,)) = await shop.rows("SELECT id FROM customers ORDER BY id")
    return UUID(str(first)), UUID(str(second))


async def test_a_journey_starts_at_what_is_gained_after_a_merge_was_taken_back(house: House) -> None:
    await publish(house.database, LOYAL)
    await house.publish(JOURNEY)
    shop = Shop(house.database)
    first, second = await two_people(shop)

    async def started() -> int:
        while (await house.dispatcher.drain()).dispatched:
            pass
        return len([run for run in await runs(house, "thank") if run.subject == f"customer:{second}"])

    await shop.buys_and_leaves("B2")
    await shop.orders("B2", "F1", status="closed")
    assert await started() == 1
    await shop.undo(await shop.merge(first, second))
    assert await started() == 1
    await shop.comes_back("B2")
    assert await started() == 2


async def test_both_go_on_from_where_they_were_when_a_merge_is_taken_back(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, LOYAL)
    shop = Shop(database)
    first, second = await two_people(shop)
    await shop.orders("B2", "F2", "F3")
    assert await shop.told() == [("tag-gained", 1)]
    decision = await shop.merge(first, second)
    clock.advance(seconds=1)
    await shop.undo(decision)
    # The first had it while they were one; the second never lost it.
    assert await shop.told() == [("tag-gained", 1), ("tag-lost", 0)]
    await shop.orders("B1", "E2", "E3")
    await shop.orders("B2", "F2", status="closed")
    await shop.orders("B2", "F4")
    assert (await shop.told())[2:] == [("tag-gained", 0), ("tag-lost", 1), ("tag-gained", 1)]


async def test_what_was_handed_over_by_a_merge_is_lost_as_something_new(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, LOYAL)
    shop = Shop(database)
    first, second = await two_people(shop)
    await shop.buys_and_leaves("B1")
    await shop.orders("B1", "B1-1", "B1-2", "E1", status="closed")
    await shop.orders("B2", "F2", "F3")
    assert await shop.told() == [("tag-gained", 0), ("tag-lost", 0), ("tag-gained", 1)]
    await shop.merge(first, second)
    await shop.orders("B2", "F2", status="closed")
    assert (await shop.told())[3:] == [("tag-lost", 0)]


async def test_who_is_split_off_again_counts_on(database: Database, clock: SteppedClock) -> None:
    await publish(database, LOYAL)
    shop = Shop(database)
    await shop.orders("B1", "E1", also="U1")
    ((customer,),) = await shop.rows("SELECT id FROM customers")
    ((key,),) = await shop.rows("SELECT id FROM identities WHERE kind = 'buyer'")

    async def split() -> UUID:
        return (await shop.customers.split(SUPERVISOR, UUID(str(customer)), [int(str(key))], "两个人")).decision

    decision = await split()
    await shop.buys_and_leaves("B1")
    assert await shop.told() == [("tag-gained", 1), ("tag-lost", 1)]
    clock.advance(seconds=1)
    await shop.undo(decision)
    clock.advance(seconds=1)
    await split()
    await shop.comes_back("B1")
    assert (await shop.told())[-1] == ("tag-gained", 1)
    assert Counter(await shop.told())["tag-gained", 1] == 2


async def test_what_who_is_split_off_had_all_along_is_no_news(database: Database, clock: SteppedClock) -> None:
    await publish(database, LOYAL, VALUED)
    shop = Shop(database)
    await shop.orders("B1", "E0", also="U1")
    await shop.orders("B1", "E1", "E2", "E3")
    ((customer,),) = await shop.rows("SELECT id FROM customers")
    ((key,),) = await shop.rows("SELECT id FROM identities WHERE kind = 'buyer'")
    clock.advance(days=300)
    await shop.customers.split(SUPERVISOR, UUID(str(customer)), [int(str(key))], "妻子的账号")
    held = (
        "SELECT tag FROM customer_tags WHERE held UNION ALL SELECT grade FROM customer_grades WHERE grade IS NOT NULL"
    )
    assert await shop.rows(held) == [("高价值",), ("老客",)], "she has it"
    assert await shop.told() == [("tag-gained", 0), ("tag-lost", 0)]
    assert await shop.told("graded") == [("graded", 0), ("graded", 0)]
    await shop.orders("B1", "E1", status="closed")
    await shop.comes_back("B1")
    assert (await shop.told())[2:] == [("tag-lost", 1), ("tag-gained", 1)]


async def test_grades_count_on_as_well(database: Database, clock: SteppedClock) -> None:
    await publish(database, STAGES)
    shop = Shop(database)
    first, second = await two_people(shop)
    await shop.buys_and_leaves("B2")
    assert await shop.told("graded") == [("graded", 0), ("graded", 1), ("graded", 1)]
    decision = await shop.merge(first, second)
    clock.advance(seconds=1)
    await shop.undo(decision)
    before = len(await shop.told("graded"))
    await shop.orders("B2", "F1", "B2-1", status="closed")
    await shop.orders("B2", "B2-next", "B2-more")
    assert (await shop.told("graded"))[before:] == [("graded", 1), ("graded", 1)]


async def test_a_grade_that_one_of_two_had_is_not_told_again(database: Database, clock: SteppedClock) -> None:
    await publish(database, VALUED)
    shop = Shop(database)
    first, second = await two_people(shop)
    await shop.orders("B2", "F2", "F3")
    told = await shop.told("graded")
    await shop.merge(first, second)
    assert await shop.told("graded") == told
    async with UnitOfWork(database) as work:
        assert [each.grade for each in await CustomerGrades(work).of_customer(first)] == ["老客"]
    await shop.orders("B2", "F2", "F3", status="closed")
    assert (await shop.told("graded"))[len(told) :] == [("graded", 0)]


async def test_who_is_somebody_else_is_not_found_counted_or_looked_at(database: Database, clock: SteppedClock) -> None:
    await publish(database, LOYAL, IDLE)
    shop = Shop(database)
    first, second = await two_people(shop)
    await shop.orders("B1", "E2", "E3")
    await shop.orders("B2", "F2", "F3")
    decision = await shop.merge(first, second)
    async with UnitOfWork(database) as work:
        tags = CustomerTags(work)
        assert await StoredTags().holders(work, "高价值", None, 10) == [first]
        assert await tags.count_holders(["高价值"]) == {"高价值": 1}
    clock.advance(days=31)
    async with UnitOfWork(database) as work:
        assert await CustomerTags(work).due(10) == {"idle": [first]}
    await Tagging(database).check_due()
    assert (await shop.told())[-1] == ("tag-gained", 0)
    # Time went on for the other one as well.
    await shop.undo(decision)
    assert (await shop.told())[-1] == ("tag-gained", 1)
    await shop.merge(first, second)
    async with UnitOfWork(database) as work:
        await StoredTags().forget(work, [first, second])
    assert await shop.rows("SELECT 1 FROM customer_tags UNION ALL SELECT 1 FROM tag_checks") == []


async def test_no_turn_ever_goes_back(database: Database, clock: SteppedClock) -> None:
    """Every gain and loss has an id of its own, whatever merges, splits and orders come one after the other."""
    await publish(database, LOYAL, VALUED)
    shop = Shop(database)
    generator = random.Random(7)
    first, second = await two_people(shop)
    orders = {"B1": ["E1"], "B2": ["F1"]}
    decision: UUID | None = None
    turns: dict[tuple[object, ...], int] = {}
    for number in range(60):
        clock.advance(seconds=1)
        buyer = generator.choice(("B1", "B2"))
        match generator.randrange(4):
            case 0 if decision is None:
                decision = await shop.merge(first, second)
            case 0 if decision is not None:
                await shop.undo(decision)
                decision = None
            case 1 if orders[buyer]:
                closed, orders[buyer] = orders[buyer], []
                await shop.orders(buyer, *closed, status="closed")
            case _:
                orders[buyer].append(f"{buyer}/{number}")
                await shop.orders(buyer, f"{buyer}/{number}")
        rows = await shop.rows(
            "SELECT customer_id, rule, turn FROM customer_tags UNION ALL SELECT customer_id, grading, turn FROM "
            "customer_grades"
        )
        now = {row[:2]: int(str(row[2])) for row in rows}
        assert all(turn >= turns.get(key, 0) for key, turn in now.items())
        assert turns.keys() <= now.keys()
        turns = now
