"""Tags as people handle them: why, what a rule would change, and decisions by hand that rules respect."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from domain.access import Role, Scope
from domain.catalog import CATALOG
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from services.customer_tags import CustomerTagService
from services.profiles import ProfileService
from services.tag_book import StoredTags
from services.tagging import Tagging
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.people import add_customers, add_records, order
from tests.services.test_tagging import happens, publish, rule, somebody

AGENT = an_actor("li.lei", Role.AGENT)
OPS = an_actor("ops", Role.OPS)
THREE = "all: [ { orders: { count: { at-least: 3 } } } ]"
NINE_AT_MOST = "all: [ { orders: { count: { at-most: 9 } } } ]"


async def tags_of(database: Database, customer: UUID) -> list[str]:
    found = await CustomerTagService(database).of_customer(AGENT, customer)
    return sorted(each.tag for each in found.carried)


async def told(database: Database) -> list[str]:
    async with UnitOfWork(database) as work:
        types = "SELECT type FROM events WHERE type LIKE 'tandem.customer.tag-%' ORDER BY seq"
        return [each.removeprefix("tandem.customer.tag-") for each in await work.session.scalars(text(types))]


async def test_why_tells_what_the_rule_saw_then_and_sees_now(database: Database, clock: SteppedClock) -> None:
    await publish(database, rule(THREE, name="loyal", tag="高价值"))
    customer, identity = await somebody(database)
    gained_at = clock.now
    await happens(database, customer, identity, *(order(f"E{number}", clock.now) for number in range(3)))
    clock.advance(days=2)
    await happens(database, customer, identity, order("E9", clock.now))
    found = await CustomerTagService(database).explain(AGENT, customer, "高价值")
    (reason,) = found.rules
    assert found.carried
    assert (reason.rule, reason.version, reason.held, reason.since) == ("loyal", "1.0.0", True, gained_at)
    assert ([each["value"] for each in reason.why], [each["value"] for each in reason.now]) == ([3], [4])


async def test_why_not_tells_what_is_missing(database: Database, clock: SteppedClock) -> None:
    await publish(database, rule("all: [ { orders: { within: P30D, count: { at-least: 2 } } } ]", tag="常客"))
    customer, identity = await somebody(database)
    await happens(database, customer, identity, order("E1", clock.now))
    found = await CustomerTagService(database).explain(AGENT, customer, "常客")
    assert not found.carried
    assert [(each["value"], each["met"]) for each in found.rules[0].now] == [(1, False)]
    with pytest.raises(NotFoundProblem):
        await CustomerTagService(database).explain(AGENT, customer, "没有的标签")


async def test_a_preview_tells_who_would_gain_and_lose_and_writes_nothing(
    database: Database, clock: SteppedClock
) -> None:
    async with UnitOfWork(database) as work:
        people = await add_customers(work, 10)
        for place, (_, identity) in enumerate(people):
            await add_records(work, [(identity, *order(f"E{place}-{n}", clock.now)) for n in range(place)])
    await publish(database, rule(THREE))
    await Tagging(database).backfill()
    stricter = rule(THREE.replace("3", "5"), version="1.1.0").text
    found = await CustomerTagService(database).preview(OPS, stricter)
    assert (found.examined, found.complete, found.holds, found.gained, found.lost) == (10, True, 5, 0, 2)
    assert sorted(found.lost_samples) == sorted(customer for customer, _ in people[3:5])
    looser = rule(THREE.replace("3", "1"), version="1.1.0").text
    assert (await CustomerTagService(database).preview(OPS, looser)).gained == 2
    elsewhere = an_actor("west", Role.OPS, scope=Scope.of_accounts("youzan/nowhere"))
    narrow = await CustomerTagService(database).preview(elsewhere, stricter)
    assert (narrow.lost, narrow.lost_samples) == (2, [])
    assert await tags_of(database, people[4][0]) == ["标签"]
    with pytest.raises(ValidationProblem):
        await CustomerTagService(database).preview(OPS, "form: {}")
    for curious in (AGENT, an_actor("audit", Role.AUDITOR)):
        with pytest.raises(AuthorizationProblem):
            await CustomerTagService(database).preview(curious, stricter)


async def test_a_preview_counts_who_comes_to_carry_the_tag_and_not_whom_the_rule_is_new_for(
    database: Database, clock: SteppedClock
) -> None:
    async with UnitOfWork(database) as work:
        people = await add_customers(work, 6)
        for place, (_, identity) in enumerate(people):
            await add_records(work, [(identity, *order(f"E{place}-{n}", clock.now)) for n in range(place)])
    await publish(database, rule(THREE, name="three", tag="常客"))
    await Tagging(database).backfill()
    tags, (nobody, by_hand, free, *_) = CustomerTagService(database), [customer for customer, _ in people]
    await tags.decide(AGENT, by_hand, "常客", "add", "门店老客")
    await tags.decide(AGENT, free, "常客", "exclude", "员工账号")
    once = THREE.replace("3", "1")
    found = await tags.preview(OPS, rule(once, name="other", tag="常客").text)
    assert (found.holds, found.gained, found.lost) == (4, 0, 0), (
        "three by the other rule, one by hand, one is kept free"
    )
    found = await tags.preview(OPS, rule(NINE_AT_MOST, name="other", tag="常客").text)
    assert (found.gained, found.gained_samples) == (1, [nobody])
    # The rule in force lets go: who has the tag by hand as well keeps it.
    await tags.decide(AGENT, people[5][0], "常客", "add", "门店老客")
    found = await tags.preview(OPS, rule(THREE.replace("3", "9"), name="three", version="1.1.0", tag="常客").text)
    assert (found.lost, sorted(found.lost_samples)) == (2, sorted(customer for customer, _ in people[3:5]))
    # Under another name everybody's tag is another one.
    found = await tags.preview(OPS, rule(THREE, name="three", version="1.1.0", tag="老客").text)
    assert (found.gained, found.lost) == (3, 2)


async def test_a_tag_by_hand_stays_when_the_rule_lets_go(database: Database, clock: SteppedClock) -> None:
    await publish(database, rule("all: [ { orders: { within: P7D } } ]", tag="新客"))
    tags = CustomerTagService(database)
    customer, identity = await somebody(database)
    await tags.decide(AGENT, customer, "新客", "add", "电话确认")
    await tags.decide(AGENT, customer, "新客", "add", "电话确认")
    assert await happens(database, customer, identity, order("E1", clock.now)) == []
    clock.advance(days=7)
    await Tagging(database).check_due()
    assert await tags_of(database, customer) == ["新客"]
    await tags.decide(AGENT, customer, "新客", "remove", "填错了")
    assert await tags_of(database, customer) == []
    assert await told(database) == ["gained", "lost"]


async def test_an_exclusion_holds_against_every_rule_until_it_is_taken_back(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, rule(THREE, tag="高价值"))
    tags = CustomerTagService(database)
    customer, identity = await somebody(database)
    await happens(database, customer, identity, *(order(f"E{number}", clock.now) for number in range(3)))
    found = await tags.decide(AGENT, customer, "高价值", "exclude", "员工账号")
    assert (found.carried, [mark.reason for mark in found.excluded]) == ([], ["员工账号"])
    assert await happens(database, customer, identity, order("E4", clock.now)) == []
    await tags.decide(AGENT, customer, "高价值", "include", "已离职")
    assert await tags_of(database, customer) == ["高价值"]
    async with UnitOfWork(database) as work:
        audited = "SELECT action FROM audit_entries WHERE target = :target ORDER BY action"
        actions = await work.session.scalars(text(audited), {"target": f"customer:{customer}"})
        assert list(actions) == ["tag.exclude", "tag.include"]
    assert await told(database) == ["lost", "gained"]


async def test_only_whose_records_are_within_the_scope_is_found(database: Database, clock: SteppedClock) -> None:
    customer, identity = await somebody(database)
    await happens(database, customer, identity, order("E1", clock.now))
    tags = CustomerTagService(database)
    inside = an_actor("a", Role.AGENT, scope=Scope.of_accounts("youzan/flagship"))
    outside = an_actor("b", Role.AGENT, scope=Scope.of_accounts("youzan/other"))
    assert (await tags.of_customer(inside, customer)).customer_id == customer
    for actor, wanted in ((outside, customer), (AGENT, uuid4())):
        with pytest.raises(NotFoundProblem):
            await tags.of_customer(actor, wanted)
    with pytest.raises(AuthorizationProblem):
        await tags.decide(an_actor("c", Role.AUDITOR), customer, "x", "add", "y")


async def test_values_over_records_of_other_shops_are_for_who_sees_them(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, rule(THREE, tag="高价值"))
    customer, identity = await somebody(database)
    await happens(database, customer, identity, *(order(f"E{number}", clock.now) for number in range(3)))
    tags = CustomerTagService(database)
    here = an_actor("a", Role.AGENT, scope=Scope.of_accounts("youzan/flagship"))
    author = an_actor("b", Role.OPS, scope=Scope.of_accounts("youzan/flagship"))
    stricter = rule(THREE.replace("3", "9"), tag="高价值", version="1.1.0").text
    assert [each["value"] for each in (await tags.of_customer(here, customer)).carried[0].why] == [3]
    assert (await tags.preview(author, stricter)).lost_samples == [customer]
    async with UnitOfWork(database) as work:
        await work.session.execute(text("UPDATE orders SET account_id = 'youzan/other' WHERE order_id = 'E0'"))
    (carried,) = (await tags.of_customer(here, customer)).carried
    assert (carried.tag, [(each["value"], each["met"]) for each in carried.why]) == ("高价值", [(None, True)])
    (reason,) = (await tags.explain(here, customer, "高价值")).rules
    assert [each["value"] for each in (*reason.why, *reason.now)] == [None, None]
    shown = await ProfileService(database, CATALOG.masking(), StoredTags()).show(here, customer)
    assert [each["value"] for each in shown.tags[0].why] == [None]
    assert (await tags.preview(author, stricter)).lost_samples == [], "whom it samples tells of other shops"
    whole = await tags.explain(AGENT, customer, "高价值")
    assert [each["value"] for each in whole.rules[0].why] == [3]
