"""A settlement sees payees as they were in its period, whatever became of them since, and drops nothing late."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

import services.run_planning
from domain.access import Scope
from domain.problems import ConflictProblem, ProblemError
from domain.settlement.payees import UplineChange
from domain.settlement.scheme import Cycle
from storage.audit import AuditLog
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.stores import DECEMBER, FEE, NOVEMBER, OCTOBER, SALE, Stores, days
from tests.services.test_calculations import QIAN
from tests.services.test_settlement_runs import WU

FIVE_OFF = -5
"""What a refund of one yuan takes from 5 %."""


@pytest.fixture
async def stores(database: Database, clock: SteppedClock) -> Stores:
    found = Stores(database, clock)
    await found.open()
    return found


async def a_closed_november(stores: Stores, role: str = "promoter") -> None:
    stores.on(OCTOBER)
    await stores.join("P1", role)
    await stores.sell("E1", "P1", date(2026, 11, 10))
    stores.on(DECEMBER)
    await stores.books.closed(NOVEMBER)


async def test_who_left_loses_a_refund_of_a_closed_month_and_no_more(stores: Stores) -> None:
    await a_closed_november(stores)
    stores.on(date(2026, 12, 2))
    await stores.be("P1", "promoter", active=False)
    await stores.refund("E1", 100)
    await stores.books.settled(DECEMBER)
    assert await stores.books.payable() == {"P1": 1_500 + FIVE_OFF}


async def test_who_was_promoted_keeps_what_they_were_in_closed_months(stores: Stores) -> None:
    await a_closed_november(stores)
    stores.on(date(2026, 12, 15))
    await stores.be("P1", "city")
    await stores.refund("E1", 100)
    await stores.sell("E2", "P1", date(2026, 12, 20))
    await stores.books.settled(DECEMBER)
    assert await stores.books.payable() == {"P1": 1_500 + FIVE_OFF + 3_600}


async def test_a_store_of_december_has_no_fee_of_november(stores: Stores) -> None:
    await a_closed_november(stores)
    stores.on(date(2026, 12, 3))
    await stores.join("S1", "store")
    await stores.refund("E1", 100)
    await stores.books.settled(DECEMBER)
    assert await stores.books.payable() == {"P1": 1_500 + FIVE_OFF, "S1": FEE}


async def test_who_leaves_in_december_still_has_a_november_that_was_not_settled(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("C1", "city")
    await stores.join("P1", "promoter", "C1")
    await stores.sell("E1", "P1", date(2026, 11, 10))
    stores.on(date(2026, 12, 2))
    for code, role in (("C1", "city"), ("P1", "promoter")):
        await stores.be(code, role, active=False)
    await stores.books.settled(NOVEMBER)
    assert await stores.books.payable() == {"P1": 1_500, "C1": 300}
    await stores.books.settled(DECEMBER)
    assert await stores.books.payable() == {"P1": 1_500, "C1": 300}, "and nothing of December"


async def test_an_order_that_ends_after_its_store_is_paid_for_without_a_fee(
    database: Database, clock: SteppedClock
) -> None:
    stores = Stores(database, clock)
    await stores.open(counts="completed")
    stores.on(OCTOBER)
    await stores.join("S1", "store")
    await stores.sell("E1", "S1", date(2026, 11, 30))
    stores.on(DECEMBER)
    await stores.be("S1", "store", active=False)
    stores.on(date(2026, 12, 8))
    await stores.sell("E1", "S1", date(2026, 11, 30), version=2, status="completed", completed_at=stores.clock.now)
    await stores.books.settled(DECEMBER)
    assert await stores.books.payable() == {"S1": 1_500}


async def test_a_scheme_counts_orders_on_the_same_day_in_all_its_versions(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("P1", "promoter")
    await stores.sell("E1", "P1", date(2026, 11, 28))
    with pytest.raises(ConflictProblem, match="settled twice, or never"):
        await stores.say("2.0.0", "month", since=DECEMBER, counts="completed")
    stores.on(date(2026, 12, 3))
    await stores.sell("E1", "P1", date(2026, 11, 28), version=2, status="completed", completed_at=stores.clock.now)
    await stores.books.settled(NOVEMBER)
    await stores.books.settled(DECEMBER)
    assert await stores.books.payable() == {"P1": 1_500}, "once"


async def test_what_is_said_of_who_had_left_changes_nothing_that_is_closed(
    database: Database, clock: SteppedClock
) -> None:
    stores = Stores(database, clock)
    await stores.open(counts="completed")
    stores.on(OCTOBER)
    for code in ("C1", "C2"):
        await stores.join(code, "city")
    await stores.join("P1", "promoter", "C1")
    await stores.sell("E1", "P1", date(2026, 10, 30))
    await stores.sell("E2", "P1", date(2026, 10, 30))
    stores.on(date(2026, 11, 1))
    await stores.be("P1", "promoter", active=False)
    stores.on(date(2026, 11, 8))
    for number in ("E1", "E2"):
        done: dict[str, Any] = {"version": 2, "status": "completed", "completed_at": stores.clock.now}
        await stores.sell(number, "P1", date(2026, 10, 30), **done)
    stores.on(DECEMBER)
    await stores.books.closed(NOVEMBER)
    assert await stores.books.payable() == {"P1": 3_000, "C1": 600}
    stores.on(date(2026, 12, 2))
    with suppress(ConflictProblem):
        await stores.register.set_uplines(QIAN, [UplineChange(code="P1", upline="C2", since=date(2026, 11, 1))])
    with suppress(ConflictProblem):
        await stores.be("P1", "city", active=False, since=date(2026, 11, 2))
    await stores.refund("E1", 100)
    await stores.books.settled(DECEMBER)
    assert await stores.books.payable() == {"P1": 3_000 + FIVE_OFF, "C1": 600 - 1}


async def test_an_order_belongs_to_who_held_its_code_on_its_day(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("P1", "promoter")
    stores.on(date(2026, 11, 20))
    await stores.be("P1", "city")
    stores.on(date(2026, 12, 2))
    await stores.be("P1", "city", active=False)
    stores.on(date(2026, 12, 5))
    for number, day in enumerate((date(2026, 11, 19), date(2026, 11, 30), date(2026, 12, 2))):
        await stores.sell(f"E{number}", "P1", day)
    async with UnitOfWork(stores.database) as work:
        rows = await work.session.execute(text("SELECT day, role FROM sales JOIN attributions USING (order_key)"))
        found = {(str(row.day), row.role) for row in rows}
    assert found == {("2026-11-19", "promoter"), ("2026-11-30", "city")}


async def test_a_daily_store_turns_monthly_and_no_day_is_paid_twice(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("S1", "promoter", cycle="day")
    for number, day in enumerate(days(NOVEMBER, 30)):
        await stores.sell(f"E{number}", "S1", day)
    for day in days(NOVEMBER, 19):
        stores.on(day)
        await stores.books.closed(day, "day")
    stores.on(date(2026, 11, 20))
    with pytest.raises(ProblemError) as refused:
        await stores.be("S1", "promoter")
    assert "2026-12-01" in refused.value.text.zh
    assert "2026-12-01" in refused.value.text.en
    await stores.be("S1", "promoter", since=DECEMBER)
    for day in days(date(2026, 11, 20), 11):
        await stores.books.settled(day, "day")
    await stores.books.settled(NOVEMBER)
    assert await stores.books.payable() == {"S1": 30 * 1_500}
    await stores.sell("F1", "S1", DECEMBER)
    await stores.books.settled(DECEMBER, "day")
    assert await stores.books.payable() == {"S1": 30 * 1_500}, "December is no longer settled by the day"
    await stores.books.settled(DECEMBER)
    assert await stores.books.payable() == {"S1": 31 * 1_500}


async def test_a_scheme_turns_to_half_months_where_a_month_begins(stores: Stores) -> None:
    await a_closed_november(stores)
    with pytest.raises(ConflictProblem) as refused:
        await stores.say("2.0.0", "half-month", date(2026, 12, 16))
    assert "2027-01-01" in refused.value.text.zh
    assert "2027-01-01" in refused.value.text.en
    # From a day that both have in common, but long before what is settled.
    await stores.say("2.0.1", "half-month", date(2026, 1, 1))
    with pytest.raises(ConflictProblem) as twice:
        await stores.books.computed(date(2026, 11, 16))
    assert "2026-12-01" in twice.value.text.zh
    assert "2026-12-01" in twice.value.text.en
    await stores.sell("E2", "P1", date(2026, 12, 3))
    await stores.refund("E1", 100)
    view = await stores.books.settled(DECEMBER)
    assert [(each.purpose, each.cycle) for each in view.calculations] == [
        ("adjustment", "month"),
        ("settlement", "half-month"),
    ]
    assert await stores.books.payable() == {"P1": 1_500 + FIVE_OFF + 1_500}


async def test_a_refund_of_a_day_that_was_closed_long_ago_is_taken_back(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("S1", "promoter", cycle="day")
    await stores.sell("E1", "S1", OCTOBER)
    for day in days(OCTOBER, 28):
        stores.on(day)
        await stores.books.closed(day, "day")
    await stores.refund("E1", SALE)
    view = await stores.books.settled(date(2026, 10, 29), "day")
    assert [each.start for each in view.calculations if each.purpose == "adjustment"] == [OCTOBER]
    assert await stores.books.payable() == {}


async def test_what_is_too_much_for_one_run_waits_for_the_next_and_is_told(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.run_planning, "MOST_ADJUSTED", 2)
    stores.on(OCTOBER)
    await stores.join("S1", "promoter", cycle="day")
    for day in days(OCTOBER, 5):
        stores.on(day)
        await stores.sell(f"E{day}", "S1", day)
        await stores.books.closed(day, "day")
    for day in days(OCTOBER, 5):
        await stores.refund(f"E{day}", SALE)
    waiting = []
    for number, day in enumerate(days(date(2026, 10, 6), 3)):
        stores.on(day)
        # The first day changes again and again: the others have their turn all the same.
        await stores.sell(f"F{number}", "S1", OCTOBER)
        view = await stores.books.settled(day, "day")
        waiting.append((view.run.waiting, len(view.calculations) - 1))
    assert waiting == [(3, 2), (2, 2), (0, 2)]
    assert await stores.books.payable() == {"S1": 3 * 1_500}
    async with UnitOfWork(stores.database) as work:
        page = await AuditLog(work).list(Scope.everything(), PageRequest(size=20), action="settlement.run")
    told = {each.detail["start"]: each.detail["waiting"] for each in page.items}
    assert [told[f"2026-10-0{day}"] for day in (5, 6, 7, 8)] == [0, 3, 2, 0]


async def test_runs_of_two_cycles_adjust_what_is_closed_once(stores: Stores) -> None:
    await a_closed_november(stores)
    stores.on(date(2027, 1, 1))
    await stores.refund("E1", 100)
    asked = [stores.books.runs.ask(QIAN, "stores", DECEMBER, cycle) for cycle in ("month", "day", "week")]
    views = await asyncio.gather(*asked)
    assert sorted(len(each.calculations) for each in views) == [1, 1, 2]
    # It is refused, so it is still to be done.
    for view in views:
        for each in view.calculations:
            await stores.steps.run(each.id)
        await stores.books.runs.computed(view.run.id)
        await stores.books.runs.decide(WU, view.run.id, approve=False)
    assert len((await stores.books.computed(DECEMBER)).calculations) == 2


async def test_who_was_paid_for_some_days_by_another_cycle_is_not_paid_for_them_again(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("S1", "promoter", cycle="day")
    await stores.join("P1", "promoter")
    for number, day in enumerate(days(NOVEMBER, 3)):
        await stores.sell(f"E{number}", "S1", day)
        await stores.books.closed(day, "day")
    await stores.sell("E9", "P1", date(2026, 11, 9))
    stores.on(DECEMBER)
    month = await stores.books.computed(NOVEMBER)
    # As it was possible before terms had days.
    change = text(
        "INSERT INTO payee_terms SELECT id, '2026-11-04', role, NULL, true, now(), 'x' FROM payees WHERE code = 'S1'"
    )
    async with UnitOfWork(stores.database) as work:
        await work.session.execute(change)
    await stores.books.runs.decide(WU, month.run.id, approve=False)
    view = await stores.books.runs.ask(QIAN, "stores", NOVEMBER)
    with pytest.raises(ConflictProblem) as refused:
        await stores.steps.freeze(view.calculations[0].id)
    assert "S1" in refused.value.text.zh
    assert "S1" in refused.value.text.en
    assert refused.value.problem.as_dict()["codes"] == ["S1"]
    await stores.books.runs.failed(view.run.id, refused.value.problem.as_dict())
    # What the refusal advises.
    await stores.be("S1", "promoter", cycle="day", since=date(2026, 11, 4))
    await stores.be("S1", "promoter", since=DECEMBER)
    await stores.books.settled(NOVEMBER)
    assert await stores.books.payable() == {"S1": 3 * 1_500, "P1": 1_500}


async def test_what_another_cycle_booked_meanwhile_is_seen_at_the_approval(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("S1", "promoter")
    await stores.sell("E1", "S1", NOVEMBER)
    month = await stores.books.computed(NOVEMBER)
    await stores.be("S1", "promoter", cycle="day", since=NOVEMBER)
    await stores.books.settled(NOVEMBER, "day")
    with pytest.raises(ConflictProblem) as refused:
        await stores.books.runs.decide(WU, month.run.id, approve=True)
    assert refused.value.problem.as_dict()["codes"] == ["S1"]
    await stores.books.runs.decide(WU, month.run.id, approve=False)
    await stores.books.settled(NOVEMBER)
    assert await stores.books.payable() == {"S1": 1_500}


async def test_what_was_said_after_it_was_settled_is_settled_before_it_is_closed(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("C1", "city")
    await stores.join("P1", "promoter")
    await stores.sell("E1", "P1", date(2026, 11, 10))
    stores.on(DECEMBER)
    await stores.books.settled(NOVEMBER)
    await stores.register.set_uplines(QIAN, [UplineChange(code="P1", upline="C1", since=NOVEMBER)])
    await stores.join("S1", "store", since=date(2026, 11, 20))
    with pytest.raises(ConflictProblem) as refused:
        await stores.books.runs.close(WU, "stores", NOVEMBER)
    assert refused.value.problem.as_dict()["codes"] == ["P1", "S1"]
    await stores.books.closed(NOVEMBER)
    assert await stores.books.payable() == {"P1": 1_500, "C1": 300, "S1": FEE}


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_becomes_of_payees_the_books_end_as_if_all_was_known(stores: Stores, seed: int) -> None:
    """Roles, activity and cycles change on days that are open; months and halves are settled and closed, and refunds
    and orders come late. In the end everybody has what one settlement of each period would give."""
    pick = Random(f"becomes {seed}")
    roles = ("promoter", "city", "store")
    cycles: tuple[Cycle | None, ...] = (None, "half-month")
    stores.on(OCTOBER)
    people = [_Whoever(f"P{number}", pick.choice(roles), pick.choice(cycles)) for number in range(3)]
    # Who is above others has their cycle, and keeps it.
    team = [_Whoever(f"T{number}", pick.choice(roles), None) for number in range(4)]
    for each in (*people, *team):
        above = team[0].code if each in team[1:] else None
        await stores.join(each.code, each.role, above, cycle=each.cycle)
    everybody = [*people, *team]
    sold: list[str] = []
    for month, after in pairwise(MONTHS):
        for each in pick.sample(everybody, 3):
            stores.on(month.replace(day=pick.randrange(1, 29)))
            each.role, each.active = pick.choice(roles), pick.random() < 0.7
            await stores.be(each.code, each.role, cycle=each.cycle, active=each.active)
        stores.on(after)
        for _ in range(4):
            sold.append(f"E{len(sold)}")
            day = pick.choice(MONTHS[: MONTHS.index(month) + 1]).replace(day=pick.randrange(1, 29))
            await stores.sell(sold[-1], pick.choice(everybody).code, day, pick.randrange(100, 90_000))
        await stores.refund(pick.choice(sold), pick.randrange(1, 20_000))
        for day, cycle in _periods(month):
            await stores.books.closed(day, cycle)
        for each in pick.sample(people, 2):
            each.cycle = pick.choice(cycles)
            await stores.be(each.code, each.role, cycle=each.cycle, active=each.active)
    await stores.refund(sold[0], 50)
    await stores.books.settled(MONTHS[-1])
    expected = Counter[str]()
    for day, cycle in [*(each for month in MONTHS[:-1] for each in _periods(month)), (MONTHS[-1], "month")]:
        earned = await stores.earned(await stores.preview(scheme="stores", day=day, cycle=cycle))
        expected.update({code: sum(parts.values()) for code, parts in earned.items()})
    assert await stores.books.payable() == {code: amount for code, amount in expected.items() if amount}


MONTHS = [OCTOBER, NOVEMBER, DECEMBER, date(2027, 1, 1), date(2027, 2, 1)]


@dataclass
class _Whoever:
    code: str
    role: str
    cycle: Cycle | None
    active: bool = True


def _periods(month: date) -> list[tuple[date, Cycle]]:
    return [(month, "half-month"), (month.replace(day=16), "half-month"), (month, "month")]
