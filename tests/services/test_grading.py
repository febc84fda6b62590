"""Grades: one word for each customer, by what is known, and as time passes."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.access import Role
from domain.dsl.lint import lint
from domain.problems import AuthorizationProblem, ValidationProblem
from domain.tags import EVERY_KIND
from services.customer_tags import CustomerTagService
from services.definition_sources import SourceText
from services.grade_previews import GradePreviews
from services.tagging import Tagging
from storage.customer_grades import CustomerGrades
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.people import add_customers, add_records, order
from tests.services.test_tagging import outbox, publish, somebody

SHIPPED = [SourceText(path.name, path.read_text("utf-8")) for path in sorted(Path("definitions/grades").glob("*.yaml"))]


async def happens(database: Database, customer: UUID, identity: int, *records: tuple[str, Any, dict[str, Any]]) -> None:
    async with UnitOfWork(database) as work:
        await add_records(work, [(identity, *record) for record in records])
        await Tagging(database).evaluate(work, frozenset({customer}), EVERY_KIND)


async def grades(database: Database, customer: UUID) -> dict[str, tuple[str | None, int]]:
    async with UnitOfWork(database) as work:
        rows = await CustomerGrades(work).of_customer(customer)
        return {row.grading: (row.grade, row.score) for row in rows}


async def test_the_life_cycle_goes_on_by_itself(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    await happens(database, customer, identity)
    seen = [(await grades(database, customer))["life-cycle"][0]]
    await happens(database, customer, identity, order("E1", clock.now))
    seen.append((await grades(database, customer))["life-cycle"][0])
    for days in (30, 30, 120):
        clock.advance(days=days)
        await Tagging(database).check_due()
        seen.append((await grades(database, customer))["life-cycle"][0])
    assert seen == ["潜客", "新客", "活跃", "沉睡", "流失"]
    await happens(database, customer, identity, order("E2", clock.now))
    assert (await grades(database, customer))["life-cycle"][0] == "活跃"


async def test_points_add_up_to_a_grade_that_says_why(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    await happens(database, customer, identity, order("E1", clock.now, 60_000))
    # Once 5, 500 yuan 5, within 30 days 6, within 90 days 4.
    assert (await grades(database, customer))["vip"] == ("白银", 20)
    async with UnitOfWork(database) as work:
        (row,) = [each for each in await CustomerGrades(work).of_customer(customer) if each.grading == "vip"]
    assert [each["points"] for each in row.why] == [5, 5, 6, 4]
    clock.advance(days=30)
    await Tagging(database).check_due()
    assert (await grades(database, customer))["vip"] == ("普通", 14)


async def test_the_platform_s_own_members_have_points_for_it(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    name, at, data = order("E1", clock.now, 60_000)
    await happens(database, customer, identity, (name, at, {**data, "membership": "88VIP"}))
    assert (await grades(database, customer))["vip"] == ("白银", 26), "six more than without"


async def test_a_grade_is_explained_step_by_step(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    await happens(database, customer, identity, order("E1", clock.now, 60_000))
    service = CustomerTagService(database)
    found = await service.explain(an_actor("root"), customer, "白银")
    assert found.carried
    (vip,) = found.grades
    assert (vip.grading, vip.grade, vip.score, len(vip.steps)) == ("vip", "白银", 20, 27)
    assert sum(step.points for step in vip.steps if step.met) == 20
    (once,) = [step for step in vip.steps if step.name == "付款一次以上"]
    assert [(each["fact"], each["measure"], each["value"], each["met"]) for each in once.seen] == [
        ("orders", "count", 1, True)
    ]
    thrice = next(step for step in vip.steps if step.name == "付款三次以上")
    assert (thrice.met, thrice.seen[0]["value"]) == (False, 1)
    not_gold = await service.explain(an_actor("root"), customer, "黄金")
    assert (not_gold.carried, not_gold.grades[0].grade) == (False, "白银")
    stage = (await service.explain(an_actor("root"), customer, "新客")).grades[0]
    assert next(step.name for step in stage.steps if step.met) == "新客"


async def test_a_changed_grade_is_told_once(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    _, identity = await somebody(database)
    async with UnitOfWork(database) as work:
        await add_records(work, [(identity, *order("E1", clock.now))])
    await Tagging(database).backfill()
    assert await outbox(database) == 0
    clock.advance(days=30)
    await Tagging(database).check_due()
    await Tagging(database).check_due()
    async with UnitOfWork(database) as work:
        told = "SELECT count(*) FROM events JOIN event_outbox USING (seq) WHERE type = 'tandem.customer.graded'"
        assert await work.session.scalar(text(told)) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("stages: [ { name: a }, { name: b } ]", "missing-key"),
        ("stages: [ { name: a, wenn: {} } ]", "unknown-key"),
        ("stages: [ { name: a, when: { all: [ { ordrs: {} } ] } } ]", "unknown-fact"),
        ("points: [ { name: a, points: 1.5, when: { all: [ { orders: {} } ] } } ]", "bad-value"),
        ("points: [ { name: a, points: 1, when: { all: [ { orders: {} } ] } } ], grades: []", "bad-value"),
        ("grades: []", "missing-key"),
    ],
)
def test_a_broken_grading_is_told_apart(body: str, code: str) -> None:
    found = lint(f"grading: {{ name: g, title: t, {body} }}")
    assert code in {each.code for each in found}


async def test_rfm_ranks_among_everybody_and_follows_every_order(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    async with UnitOfWork(database) as work:
        people = await add_customers(work, 10)
        for place, (_, identity) in enumerate(people):
            at = clock.now - timedelta(days=100 - 10 * place, hours=1)
            orders = [order(f"E{place}-{number}", at, 1_000 * (place + 1)) for number in range(place + 1)]
            await add_records(work, [(identity, *each) for each in orders])
    tagging = Tagging(database)
    assert (await tagging.measure(), await tagging.measure()) == (1, 0)
    while not (await tagging.backfill()).complete:
        pass
    seen = [(await grades(database, customer))["rfm"][0] for customer, _ in people]
    assert seen[:4] == ["一般挽留"] * 4
    assert seen[-3:] == ["重要价值"] * 3
    poorest, key = people[0]
    await happens(database, poorest, key, order("late", clock.now, 500_000))
    assert (await grades(database, poorest))["rfm"][0] == "重要发展"
    # What is long ago counts less, without anything new.
    clock.advance(days=60)
    await tagging.check_due()
    assert (await grades(database, poorest))["rfm"][0] == "重要挽留"


async def test_who_bought_once_as_most_did_does_not_buy_often(database: Database, clock: SteppedClock) -> None:
    """Of twenty buyers 13 bought once and four twice: the values at 20, 40 and 60 % are all the same."""
    await publish(database, *SHIPPED)
    bought = [1] * 13 + [2] * 4 + [3] * 3
    async with UnitOfWork(database) as work:
        people = await add_customers(work, len(bought))
        for place, ((_, identity), count) in enumerate(zip(people, bought, strict=True)):
            # Half of them lately, and money back from a third.
            at = clock.now - timedelta(days=5 + place % 2 * 300 + place)
            paid = [order(f"E{place}-{number}", at, 100_000 if place % 3 else 0) for number in range(count)]
            await add_records(work, [(identity, *each) for each in paid])
    tagging = Tagging(database)
    await tagging.measure()
    while not (await tagging.backfill()).complete:
        pass
    seen = [(await grades(database, customer))["rfm"][0] or "" for customer, _ in people]
    often = {"重要价值", "重要保持", "一般价值", "一般保持"}
    assert not often & set(seen[:13]), "once is not often"
    assert {each in often for each in seen[13:]} == {True}
    assert "一般发展" in seen[:13], "lately, once, for nothing"


async def test_a_preview_tells_from_which_grade_to_which_and_writes_nothing(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, *SHIPPED)
    async with UnitOfWork(database) as work:
        people = await add_customers(work, 9)
        for place, (_, identity) in enumerate(people[:6]):
            await add_records(work, [(identity, *order(f"E{place}", clock.now - timedelta(days=20 * place + 1)))])
    tagging, previews, ops = Tagging(database), GradePreviews(database), an_actor("ops", Role.OPS)
    await tagging.measure()
    while not (await tagging.backfill()).complete:
        pass
    texts = {each.file: each.text for each in SHIPPED}
    found = await previews.preview(ops, texts["life-cycle.yaml"].replace("P60D", "P30D"))
    moves = {(each.was, each.grade): each.customers for each in found.moves}
    assert (found.examined, found.complete, sum(moves.values())) == (9, True, 9)
    assert moves["潜客", "潜客"] == 3
    assert {move: count for move, count in moves.items() if move[0] != move[1]} == {("活跃", "沉睡"): 1}
    ranked = await previews.preview(ops, texts["rfm.yaml"].replace("一般发展", "新词"))
    assert {each.was for each in ranked.moves if each.grade == "新词"} == {"一般发展"}
    for curious in (an_actor("li", Role.AGENT), an_actor("audit", Role.AUDITOR)):
        with pytest.raises(AuthorizationProblem):
            await previews.preview(curious, texts["vip.yaml"])
    with pytest.raises(ValidationProblem, match="grading"):
        await previews.preview(ops, "form: {}")
    async with UnitOfWork(database) as work:
        known = await work.session.scalar(text("SELECT count(*) FROM customer_grades WHERE grade = '新词'"))
        assert known == 0


async def test_ranks_do_not_hold_for_a_day_while_the_past_still_comes_in(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, *SHIPPED)
    tagging = Tagging(database)
    customer, identity = await somebody(database)
    await happens(database, customer, identity, order("first", clock.now - timedelta(days=1), 9_900))
    assert (await tagging.measure(), await tagging.measure()) == (1, 0), "there is nobody to rank them with"
    await _past_comes_in(database, clock)
    clock.advance(minutes=2)
    assert (await tagging.measure(), await tagging.measure()) == (1, 0)
    while not (await tagging.backfill()).complete:
        pass
    assert (await grades(database, customer))["rfm"][0] == "一般发展"
    clock.advance(minutes=1)
    assert await tagging.measure() == 0, "twice as late each time"
    clock.advance(days=3)
    assert await tagging.measure() == 1
    clock.advance(hours=23)
    assert await tagging.measure() == 0
    clock.advance(hours=1)
    assert await tagging.measure() == 1


async def _past_comes_in(database: Database, clock: SteppedClock) -> None:
    async with UnitOfWork(database) as work:
        for place, (_, identity) in enumerate(await add_customers(work, 9)):
            at = clock.now - timedelta(days=100 - place)
            await add_records(work, [(identity, *order(f"P{place}-{each}", at, 50_000)) for each in range(3)])
