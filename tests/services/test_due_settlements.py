"""Periods that are over and were not settled: who lists them, what begins them, when finance is told."""

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest

from domain.access import Actor, Role
from domain.problems import AuthorizationProblem, ConflictProblem
from domain.settlement.payees import NewPayee
from services.due_periods import DuePeriod
from services.due_settlements import MOST_REFUSED, DueSettlements
from services.run_views import RunView
from storage.events import Events
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_calculations import MAY, SCHEME, Office, office
from tests.services.test_selling import a_refund, an_order, key
from tests.services.test_settlement_runs import JUNE, QIAN, WU, Books

__all__ = ["office"]


class Desk:
    """Finance, who settles what is due by hand instead of by workflows."""

    def __init__(self, office: Office, *, by_itself: bool = False) -> None:
        self.office = office
        self.books = Books(office)
        self.refusing: set[date] = set()
        self.due = DueSettlements(office.database, self._settle, by_itself=by_itself)

    async def _settle(self, actor: Actor, period: DuePeriod, *, leave_out: bool) -> RunView:
        if period.start in self.refusing:
            raise ConflictProblem("there is no rate")
        view = await self.books.runs.ask(actor, period.scheme, period.start, period.cycle, leave_out=leave_out)
        for each in view.calculations:
            await self.office.steps.run(each.id)
        await self.books.runs.computed(view.run.id)
        return view

    async def starts(self, cycle: str | None = None) -> list[date]:
        return [each.start for each in await self.due.due(QIAN) if cycle in (None, each.cycle)]

    async def book(self, *runs: UUID) -> None:
        for run in runs:
            await self.books.runs.decide(WU, run, approve=True)
            await self.books.book(run)


def today_is(office: Office, day: date) -> None:
    """Noon of that day in Shanghai."""
    ahead = day - office.clock().date()
    office.clock.advance(days=ahead.days)


@pytest.fixture
async def desk(office: Office) -> Desk:
    """Everybody is there since New Year; it is the fourth of January."""
    today_is(office, date(2026, 1, 4))
    return Desk(office)


async def a_daily_payee(office: Office, since: date) -> None:
    await office.register.put(QIAN, [NewPayee(code="D1", name="D1", role="promoter", cycle="day", since=since)])
    await office.register.set_keys(QIAN, [key("D1", "channel", "D1")])


async def test_a_month_is_due_from_the_day_after_its_last(office: Office, desk: Desk) -> None:
    today_is(office, date(2026, 1, 31))
    assert await desk.starts() == []
    today_is(office, date(2026, 2, 1))
    (found,) = await desk.due.due(QIAN)
    assert (found.scheme, found.cycle, found.start, found.end) == ("promoters", "month", date(2026, 1, 1), found.end)
    assert (found.days, found.why, found.run, found.state) == (1, "never", None, None)
    assert await desk.due.due(QIAN, "others") == []
    assert await desk.due.due(QIAN, None, "week") == []


async def test_it_is_no_longer_due_once_it_is_booked_and_until_then_it_says_how_far_it_is(
    office: Office, desk: Desk
) -> None:
    today_is(office, date(2026, 6, 2))
    before = await desk.starts()
    assert before == [date(2026, month, 1) for month in range(1, 6)]
    await office.told(an_order(channel="P1"), at=office.clock())
    view = await desk.books.computed(MAY)
    (may,) = [each for each in await desk.due.due(QIAN) if each.start == MAY]
    assert (may.run, may.state, may.is_under_way) == (view.run.id, "computed", True)
    await desk.books.runs.decide(WU, view.run.id, approve=False)
    (may,) = [each for each in await desk.due.due(QIAN) if each.start == MAY]
    assert (may.state, may.is_under_way) == ("refused", False)
    await desk.books.settled(MAY)
    assert await desk.starts() == before[:-1]


async def test_what_was_settled_before_it_was_over_is_due_once_more(office: Office, desk: Desk) -> None:
    today_is(office, date(2026, 5, 20))
    await desk.books.settled(MAY)
    today_is(office, JUNE)
    (may,) = [each for each in await desk.due.due(QIAN) if each.start == MAY]
    assert (may.why, may.state) == ("early", "booked")
    await desk.books.closed(MAY)
    assert MAY not in await desk.starts()


async def test_a_payee_s_own_cycle_is_due_for_the_days_on_which_they_are_there(office: Office, desk: Desk) -> None:
    assert await desk.starts() == []
    await a_daily_payee(office, date(2026, 1, 2))
    assert await desk.starts() == [date(2026, 1, 2), date(2026, 1, 3)]
    gone = NewPayee(code="D1", name="D1", role="promoter", cycle="day", active=False, since=date(2026, 1, 3))
    await office.register.put(QIAN, [gone])
    assert await desk.starts() == [date(2026, 1, 2)]
    # Of a role that the scheme does not pay.
    await office.register.put(QIAN, [NewPayee(code="S1", name="S1", role="store", cycle="day", since=date(2026, 1, 1))])
    assert await desk.starts() == [date(2026, 1, 2)]


async def test_only_what_a_published_version_is_for_is_due(office: Office) -> None:
    published, desk = office.clock(), Desk(office)
    today_is(office, date(2026, 3, 2))
    assert await desk.starts() == [date(2026, 1, 1), date(2026, 2, 1)]
    stopped = SCHEME.replace("from: 2026-01-01", "from: 2026-02-01\n  active: false")
    await office.scheme("2.0.0", text=stopped, published=False)
    assert await desk.starts() == [date(2026, 1, 1), date(2026, 2, 1)]
    office.clock.now = published + timedelta(minutes=1)
    await office.scheme("3.0.0", text=stopped)
    today_is(office, date(2026, 3, 2))
    assert await desk.starts() == [date(2026, 1, 1)]


async def test_all_that_are_due_are_begun_once_and_approved_one_by_one(office: Office, desk: Desk) -> None:
    today_is(office, date(2026, 5, 4))
    await a_daily_payee(office, MAY)
    await office.told(an_order(channel="D1"))
    first = await desk.due.begin(QIAN, "promoters", "day", most=2)
    assert ([each.period.start.day for each in first.begun], first.waiting) == ([1, 2], 1)
    again = await desk.due.begin(QIAN, None, "day")
    assert [each.period.start.day for each in again.begun] == [3]
    assert [each.run for each in again.left_alone] == [each.run.id for each in first.begun]
    third = await desk.due.begin(QIAN, None, "day")
    assert (len(third.begun), len(third.left_alone), third.waiting) == (0, 3, 0)
    await desk.book(*(each.run.id for each in (*first.begun, *again.begun)))
    assert await desk.starts("day") == []
    assert await desk.books.payable() == {"D1": 1_537}, "once, although three were under way together"
    assert (await desk.due.begin(QIAN, None, "day")).begun == []


async def test_two_who_begin_at_once_begin_each_of_them_once(office: Office, desk: Desk) -> None:
    await a_daily_payee(office, date(2026, 1, 1))
    both = await asyncio.gather(*(DueSettlements(office.database, desk._settle).begin(QIAN) for _ in range(2)))
    begun = [each.period.start.day for found in both for each in found.begun]
    assert sorted(begun) == [1, 2, 3]


async def test_what_is_refused_is_told_and_keeps_no_other_from_its_turn(office: Office, desk: Desk) -> None:
    await a_daily_payee(office, date(2026, 1, 1))
    desk.refusing.add(date(2026, 1, 1))
    found = await desk.due.begin(QIAN)
    assert [each.period.start.day for each in found.refused] == [1]
    assert "rate" in str(found.refused[0].problem)
    assert [each.period.start.day for each in found.begun] == [2, 3]


async def test_many_that_are_refused_of_one_cycle_keep_no_other_from_its_turn(office: Office, desk: Desk) -> None:
    today_is(office, date(2026, 2, 1))
    await a_daily_payee(office, date(2026, 1, 1))
    desk.refusing |= {date(2026, 1, day) for day in range(2, 32)}
    found = await desk.due.begin(QIAN)
    assert len(found.refused) == MOST_REFUSED
    assert [each.period.cycle for each in found.begun] == ["month"]
    assert found.waiting == 31 - MOST_REFUSED


async def test_what_is_taken_back_is_booked_in_the_last_period_that_is_due(office: Office, desk: Desk) -> None:
    """By instalments it is paid off from there on, not from a period that is over for long."""
    today_is(office, date(2026, 5, 6))
    await a_daily_payee(office, MAY)
    await office.told(an_order(channel="D1"))
    await desk.books.closed(date(2026, 5, 3), "day")
    await office.told(a_refund(30_000))
    found = await desk.due.begin(QIAN, cycle="day")
    adjusting = [each for each in found.begun if any(one.purpose == "adjustment" for one in each.calculations)]
    assert [each.period.start for each in adjusting] == [max(each.period.start for each in found.begun)]


async def test_one_closed_period_that_changed_is_adjusted_by_one_of_those_begun_together(
    office: Office, desk: Desk
) -> None:
    today_is(office, date(2026, 5, 4))
    await a_daily_payee(office, MAY)
    await office.told(an_order(channel="D1"))
    await desk.books.closed(date(2026, 5, 3), "day")
    assert await desk.books.payable() == {"D1": 1_537}
    office.clock.advance(days=1)
    await office.told(a_refund(30_000))
    found = await desk.due.begin(QIAN, None, "day")
    adjusting = [each for each in found.begun if len(each.calculations) > 1]
    assert ([each.period.start.day for each in found.begun], len(adjusting)) == ([1, 2, 4], 1)
    await desk.book(*(each.run.id for each in found.begun))
    assert await desk.books.payable() == {}, "taken back once"


async def test_finance_is_told_of_each_scheme_once_a_week_when_a_period_is_over_for_long(
    office: Office, desk: Desk
) -> None:
    await a_daily_payee(office, date(2026, 1, 1))
    await desk.due.look_after()
    assert await told(office) == [], "the first is three days ago"
    today_is(office, date(2026, 1, 5))
    for _ in range(2):
        await desk.due.look_after()
    ((scheme, periods, listed),) = await told(office)
    assert (scheme, periods) == ("promoters", 1)
    assert listed == [{"cycle": "day", "start": "2026-01-01", "last": "2026-01-01", "why": "never", "state": None}]
    today_is(office, date(2026, 1, 12))
    await desk.due.look_after()
    assert [periods for _, periods, _ in await told(office)] == [1, 8], "in another week anew"


async def told(office: Office) -> list[tuple[object, object, object]]:
    async with UnitOfWork(office.database) as work:
        found = [each.event for each in await Events(work).claim(50, timedelta(minutes=1))]
    return [
        (each.data["scheme"], each.data["periods"], each.data["listed"])
        for each in found
        if each.type == "tandem.settlement.due"
    ]


async def test_by_itself_it_asks_for_what_nobody_has_and_leaves_what_was_refused_to_people(office: Office) -> None:
    today_is(office, date(2026, 1, 4))
    await a_daily_payee(office, date(2026, 1, 1))
    await Desk(office).due.look_after()
    assert [each.state for each in await Desk(office).due.due(QIAN)] == [None] * 3, (
        "unless it is wished, nothing begins"
    )
    desk = Desk(office, by_itself=True)
    view = await desk.books.computed(date(2026, 1, 2), "day")
    await desk.books.runs.decide(WU, view.run.id, approve=False)
    for _ in range(2):
        await desk.due.look_after()
    assert [each.state for each in await desk.due.due(QIAN)] == ["computed", "refused", "computed"]
    assert await desk.books.payable() == {}
    asked = [await desk.books.runs.show(QIAN, each.run) for each in await desk.due.due(QIAN) if each.run is not None]
    assert [each.run.asked_by for each in asked] == ["system:settle-due", "qian", "system:settle-due"]
    await desk.book(asked[0].run.id)


async def test_who_may(desk: Desk) -> None:
    for who in (an_actor("he", Role.AUDITOR), WU):
        assert await desk.due.due(who) == []
        with pytest.raises(AuthorizationProblem):
            await desk.due.begin(who)
    with pytest.raises(AuthorizationProblem):
        await desk.due.due(an_actor("zhao", Role.AGENT))
