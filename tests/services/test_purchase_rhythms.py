"""How often customers buy again: their own median, what is usual, and rules that go by it to the hour."""

from datetime import timedelta
from uuid import UUID

from domain.access import Scope
from domain.catalog import CATALOG
from services.profiles import ProfileService
from services.tag_book import StoredTags
from services.tagging import Tagging
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.purchase_rhythms import LEAST_CUSTOMERS, PurchaseRhythms, Rhythm
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.people import add_records, order
from tests.services.test_tagging import happens, publish, rule, somebody

ADMIN = an_actor("root")
SILENT = "any: [ { replenishment: { silence: { at-least: '1.5', less-than: '3' } } } ]"


async def buys(database: Database, identity: int, category: str, *days_ago: int) -> None:
    async with UnitOfWork(database) as work:
        records = [
            (
                identity,
                *order(f"{identity}-{category}-{days}", work.now - timedelta(days=days), category=category),
            )
            for days in days_ago
        ]
        await add_records(work, records)


async def rhythms_of(database: Database, identity: int) -> dict[str, Rhythm]:
    async with UnitOfWork(database) as work:
        return {each.category: each for each in await PurchaseRhythms(work).of([identity], Scope.everything())}


async def carried(database: Database, customer: UUID) -> set[str]:
    async with UnitOfWork(database) as work:
        return {row.tag for row in await CustomerTags(work).by_rules(customer) if row.held}


async def test_the_interval_is_the_median_between_the_days_on_which_somebody_bought(database: Database) -> None:
    _, identity = await somebody(database)
    await buys(database, identity, "猫粮", 100, 70, 68, 38, 8)
    await buys(database, identity, "咖啡", 3)
    async with UnitOfWork(database) as work:
        closed = order("closed", work.now - timedelta(days=5), category="猫粮", status="closed")
        again = order("again", work.now - timedelta(days=8), category="猫粮")
        await add_records(work, [(identity, *closed), (identity, *again)])
    found = await rhythms_of(database, identity)
    cat, coffee = found["猫粮"], found["咖啡"]
    # Gaps of 30, 2, 30, 30 days; two orders of one day are one purchase, a closed one is none.
    assert (cat.purchases, cat.interval_days, cat.own) == (5, 30, True)
    assert cat.due_at == cat.last_at + timedelta(days=30)
    assert (coffee.purchases, coffee.interval_days, coffee.own, coffee.due_at) == (1, None, False, None)


async def test_who_bought_once_has_the_usual_interval_of_enough_others(database: Database) -> None:
    _, once = await somebody(database)
    await buys(database, once, "猫粮", 3)
    for days in range(20, 20 + LEAST_CUSTOMERS):
        _, other = await somebody(database)
        await buys(database, other, "猫粮", days + 1, 1)
        await buys(database, other, "咖啡", *((days + 1, 1) if days > 20 else (1,)))
    async with UnitOfWork(database) as work:
        rhythms = PurchaseRhythms(work)
        assert await rhythms.measure()
        assert not await rhythms.measure(), "once a day"
        # One too few bought coffee again.
        assert await rhythms.usual() == {"猫粮": 22}
    found = (await rhythms_of(database, once))["猫粮"]
    assert (found.interval_days, found.own) == (22, False)


async def test_a_rule_turns_with_the_interval_and_not_before(database: Database, clock: SteppedClock) -> None:
    await publish(database, rule(SILENT, tag="断粮"))
    customer, identity = await somebody(database)
    tagging = Tagging(database)
    now = clock.now
    records = [order(f"E{days}", now - timedelta(days=days), category="猫粮") for days in (20, 10, 0)]
    assert await happens(database, customer, identity, *records) == []
    clock.advance(days=14, hours=23)
    assert (await tagging.check_due()).gained == 0
    clock.advance(hours=1)
    assert (await tagging.check_due()).gained == 1
    async with UnitOfWork(database) as work:
        [row] = await CustomerTags(work).by_rules(customer)
    day = (now + timedelta(hours=8)).date()
    assert row.why[0]["value"] == f"猫粮 P10D {day}"
    clock.advance(days=15)
    assert (await tagging.check_due()).lost == 1


async def test_what_is_due_in_one_category_is_not_hidden_by_another_that_was_given_up(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, rule(SILENT, tag="断粮"))
    customer, identity = await somebody(database)
    await buys(database, identity, "咖啡", 400, 390)
    await buys(database, identity, "猫粮", 20, 10)
    assert await happens(database, customer, identity) == []
    clock.advance(days=5)
    assert (await Tagging(database).check_due()).gained == 1
    clock.advance(days=1)
    fresh = order("F", clock.now, category="狗粮")
    assert await happens(database, customer, identity, fresh) == [], "another category says nothing about this one"
    assert await happens(database, customer, identity, order("G", clock.now, category="猫粮")) == ["-断粮"]


async def test_a_new_usual_interval_is_filled_in_for_everybody(database: Database, clock: SteppedClock) -> None:
    await publish(
        database, rule("all: [ { replenishment: { where: { category: 猫粮 }, silence: { at-least: '1.5' } } } ]")
    )
    tagging = Tagging(database)
    customer, identity = await somebody(database)
    await buys(database, identity, "猫粮", 35)
    await happens(database, customer, identity)
    await _fill_in(tagging)
    assert await carried(database, customer) == set()
    for days in range(LEAST_CUSTOMERS):
        other, key = await somebody(database)
        await buys(database, key, "猫粮", 21 + days, 1)
        await happens(database, other, key)
    assert await tagging.measure() == 1, "of those in force some rule asks for it"
    await _fill_in(tagging)
    assert await carried(database, customer) == {"标签"}
    clock.advance(days=1)
    assert await tagging.measure() == 1
    assert (await tagging.backfill()).customers == 0, "the same figures change nothing"


async def test_nothing_is_measured_for_rules_that_do_not_ask(database: Database) -> None:
    await publish(database, rule("all: [ { orders: { count: { at-least: 1 } } } ]"))
    assert await Tagging(database).measure() == 0


async def test_the_profile_shows_what_is_due_first(database: Database) -> None:
    customer, identity = await somebody(database)
    await buys(database, identity, "咖啡", 40, 20)
    await buys(database, identity, "猫粮", 40, 35)
    shown = await ProfileService(database, CATALOG.masking(), StoredTags()).show(ADMIN, customer)
    assert [(each.category, each.interval_days) for each in shown.rhythms] == [("猫粮", 5), ("咖啡", 20)]


async def test_many_customers_at_once_each_go_by_their_own_interval(database: Database, clock: SteppedClock) -> None:
    await publish(database, rule(SILENT, tag="断粮"))
    people = [await somebody(database) for _ in range(60)]
    async with UnitOfWork(database) as work:
        records = [
            (identity, *order(f"E{identity}-{days}", work.now - timedelta(days=days), category="猫粮"))
            for number, (_, identity) in enumerate(people)
            for days in ((36, 16) if number % 2 else (20, 10))
        ]
        await add_records(work, records)
        assert await Tagging(database).evaluate(work, frozenset(dict(people)), frozenset({"orders"})) == []
    # Half of them are due after 5 days, the others after 14.
    clock.advance(days=5)
    assert (await Tagging(database).check_due()).gained == 30
    clock.advance(days=9)
    assert (await Tagging(database).check_due()).gained == 30


async def _fill_in(tagging: Tagging) -> None:
    while not (await tagging.backfill()).complete:
        pass
