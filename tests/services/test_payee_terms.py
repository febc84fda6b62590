"""What is said of payees holds from its day on, refuses to change what is closed, and is shown and audited."""

from datetime import date, timedelta
from random import Random

import pytest
from sqlalchemy import text

from domain.access import Scope
from domain.problems import ConflictProblem, ValidationProblem
from domain.settlement.payee_terms import PayeeTerms, standing_in
from domain.settlement.payees import NewPayee, UplineChange
from domain.settlement.scheme import Cycle
from services.payee_terms import TermsTakingEffect
from storage.audit import AuditLog
from storage.engine import Database
from storage.paging import PageRequest
from storage.payee_terms import PayeeTermBook
from storage.payees import Payees
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.stores import DECEMBER, NOVEMBER, OCTOBER, Stores
from tests.services.test_calculations import QIAN


@pytest.fixture
async def stores(database: Database, clock: SteppedClock) -> Stores:
    found = Stores(database, clock)
    await found.open()
    return found


async def terms_of(stores: Stores, code: str) -> list[PayeeTerms]:
    """In order."""
    return [*(await stores.register.show(QIAN, code)).terms][::-1]


async def test_what_is_said_holds_from_today_unless_it_says_when(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.be("P1", "promoter")
    assert await terms_of(stores, "P1") == [PayeeTerms(OCTOBER, "promoter")]
    stores.on(date(2026, 10, 5))
    same = NewPayee(code="P1", name="P1", role="promoter")
    assert (await stores.register.put(QIAN, [same])).unchanged == 1
    await stores.be("P1", "city", since=date(2026, 10, 3))
    stores.clock.advance(minutes=1)
    await stores.be("P1", "promoter", active=False)
    assert await terms_of(stores, "P1") == [
        PayeeTerms(OCTOBER, "promoter"),
        PayeeTerms(date(2026, 10, 3), "city"),
        PayeeTerms(date(2026, 10, 5), "promoter", None, active=False),
    ]
    # An earlier beginning is a change, though they are the same.
    stores.on(date(2026, 10, 6))
    earlier = NewPayee(code="P1", name="P1", role="promoter", since=date(2026, 9, 30))
    assert (await stores.register.put(QIAN, [earlier])).changed == 1
    assert (await terms_of(stores, "P1"))[0] == PayeeTerms(date(2026, 9, 30), "promoter")
    payee = (await stores.register.show(QIAN, "P1")).payee
    assert (payee.role, payee.active, payee.version) == ("promoter", False, 4)
    async with UnitOfWork(stores.database) as work:
        page = await AuditLog(work).list(Scope.everything(), PageRequest(size=2), action="payee.change")
    assert [each.detail["since"] for each in page.items] == [{"P1": "2026-09-30"}, {"P1": "2026-10-05"}]
    assert page.items[1].detail["changed"] == {"P1": ["role", "active"]}


async def test_what_is_said_for_later_holds_once_it_is_there(stores: Stores) -> None:
    stores.on(date(2026, 11, 20))
    await stores.be("P1", "promoter")
    await stores.be("P2", "promoter", since=DECEMBER)
    await stores.be("P1", "city", since=DECEMBER, active=False)
    # A list that comes every night says what holds by then, and moves nothing that is to come.
    await stores.be("P1", "promoter")
    await stores.be("P2", "promoter")
    assert await terms_of(stores, "P2") == [PayeeTerms(DECEMBER, "promoter")]
    sweep = TermsTakingEffect(stores.database)
    assert await sweep.sweep() == 0
    assert (await stores.register.show(QIAN, "P1")).payee.role == "promoter"
    stores.on(DECEMBER)
    assert await sweep.sweep() == 1
    payee = (await stores.register.show(QIAN, "P1")).payee
    assert (payee.role, payee.active) == ("city", False)
    assert await sweep.sweep() == 0


async def test_a_closed_period_stays_as_it_was_settled(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("P1", "promoter")
    await stores.join("D1", "store", cycle="day")
    stores.on(DECEMBER)
    await stores.books.closed(NOVEMBER)
    inside = date(2026, 11, 20)
    for code, role, more in (
        ("P1", "city", {"since": inside}),
        ("P1", "promoter", {"since": inside, "cycle": "day"}),
        ("P1", "promoter", {"since": NOVEMBER, "active": False}),
        ("S2", "store", {"since": inside}),
    ):
        with pytest.raises((ConflictProblem, ValidationProblem)) as refused:
            await stores.be(code, role, **more)
        assert "2026-12-01" in refused.value.text.zh, (code, more)
        assert "2026-12-01" in refused.value.text.en
    with pytest.raises(ConflictProblem) as closed:
        await stores.be("P1", "city", since=inside)
    assert closed.value.problem.as_dict()["first_open_day"] == "2026-12-01"
    # What the closed period would not see: who left within it was there, and who is settled by the day, or by nobody.
    await stores.be("P1", "promoter", since=inside, active=False)
    await stores.be("P1", "promoter", since=DECEMBER)
    await stores.be("D1", "city", since=inside, cycle="day")
    await stores.be("X1", "courier", since=inside)
    await stores.be("S2", "store", since=DECEMBER)
    assert [each.since for each in await terms_of(stores, "P1")] == [OCTOBER, inside, DECEMBER]


async def test_who_was_above_whom_in_a_closed_period_stays_as_it_was(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("C1", "city")
    await stores.join("C2", "city")
    await stores.join("P1", "promoter", "C1")
    stores.on(DECEMBER)
    await stores.books.closed(NOVEMBER)
    other = UplineChange(code="P1", upline="C2", since=date(2026, 11, 30))
    with pytest.raises(ConflictProblem) as refused:
        await stores.register.set_uplines(QIAN, [other])
    assert refused.value.problem.as_dict()["first_open_day"] == "2026-12-01"
    same = UplineChange(code="P1", upline="C1", since=date(2026, 11, 15))
    await stores.register.set_uplines(QIAN, [same, other.model_copy(update={"since": DECEMBER})])
    await stores.join("P2", "promoter", "C2")
    await stores.register.set_uplines(QIAN, [UplineChange(code="P2", upline="C2", since=NOVEMBER)])


async def test_one_wrong_day_changes_nobody(stores: Stores) -> None:
    stores.on(OCTOBER)
    await stores.join("P1", "promoter")
    stores.on(DECEMBER)
    await stores.books.closed(NOVEMBER)
    payees = [
        NewPayee(code="P9", name="P9", role="promoter"),
        NewPayee(code="P1", name="P1", role="city", since=NOVEMBER),
    ]
    with pytest.raises(ConflictProblem):
        await stores.register.put(QIAN, payees)
    async with UnitOfWork(stores.database) as work:
        assert (await Payees(work).rows(["P1", "P9"])).keys() == {"P1"}


async def test_the_database_says_the_same_of_periods(stores: Stores) -> None:
    """`payees_standing` and `standing_in`, of whatever terms and periods."""
    pick = Random("standing")
    cycles: tuple[Cycle | None, ...] = (None, "day", "month")
    people = [NewPayee(code=f"P{number}", name="x", role="promoter") for number in range(60)]
    await stores.register.put(QIAN, people)
    async with UnitOfWork(stores.database) as work:
        ids = [row.id for row in (await Payees(work).rows([each.code for each in people])).values()]
        await work.session.execute(text("DELETE FROM payee_terms"))
        for payee in ids:
            for _ in range(pick.randrange(1, 5)):
                since = NOVEMBER + timedelta(days=pick.randrange(-20, 60))
                role, cycle = pick.choice("abc"), pick.choice(cycles)
                await PayeeTermBook(work).set({payee: PayeeTerms(since, role, cycle, pick.random() < 0.6)}, "test")
        held = await PayeeTermBook(work).of(ids)
        for _ in range(20):
            start = NOVEMBER + timedelta(days=pick.randrange(-30, 60))
            end = start + timedelta(days=pick.choice((1, 7, 15, 31)))
            rows = await work.session.execute(
                text("SELECT payee, role, cycle, is_present FROM payees_standing(:start, :end)"),
                {"start": start, "end": end},
            )
            found = {row[0]: tuple(row[1:]) for row in rows}
            assert found == {payee: tuple(standing_in(terms, start, end)) for payee, terms in held.items()}
