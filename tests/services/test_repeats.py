"""A calculation done again from what was frozen, beside the one that counts, which nothing ever touches."""

import asyncio
from datetime import date, timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

import services.calculations
from domain.access import Role
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem
from domain.settlement.calculation import Earned, Known, Member, Passed, first_pass
from domain.settlement.payees import NewPayee, UplineChange
from domain.settlement.scheme import Scheme
from services.repeats import RepeatOutcome, Repeats
from services.settlement_views import SettlementViews
from storage.sales import PARTS
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_calculations import MAY, QIAN, Office, office
from tests.services.test_selling import NOW, a_refund, an_order
from tests.services.test_settlement_runs import WU, Books

__all__ = ["office"]


async def rows_of(office: Office, calculation: UUID) -> list[tuple[object, ...]]:
    """Everything that is kept of a calculation."""
    found: list[tuple[object, ...]] = []
    async with UnitOfWork(office.database) as work:
        for table in ("earnings", "passed", "parts", "members"):
            statement = text(f"SELECT e::text FROM settlement_{table} e WHERE calculation = :id ORDER BY 1")
            found += [(table, *row) for row in await work.session.execute(statement, {"id": calculation})]
        calculations = text("SELECT c::text FROM settlement_calculations c WHERE id = :id")
        found += [tuple(row) for row in await work.session.execute(calculations, {"id": calculation})]
    return found


async def repeated(office: Office, calculation: UUID) -> RepeatOutcome:
    row = await Repeats(office.database).ask(QIAN, calculation)
    await office.steps.run(row.id)
    view = await SettlementViews(office.database).show(QIAN, row.id)
    assert view.row.purpose == "repeat"
    assert view.repeat is not None
    return view.repeat


async def settled(office: Office) -> UUID:
    """May, booked: P1 earned 15.37, their city 3.60; P3 as much."""
    await office.told(an_order(channel="P1"), an_order("E2", channel="P3"))
    await office.note("visits", {"P1": 2})
    view = await Books(office).settled()
    return view.calculations[0].id


def an_engine_that_pays_a_cent_more(monkeypatch: pytest.MonkeyPatch, payee: int | None = None) -> None:
    def first(scheme: Scheme, members: list[Member], known: dict[int, Known]) -> tuple[list[Earned], list[Passed]]:
        earned, passed = first_pass(scheme, members, known)
        return [
            each._replace(amount=each.amount + (each.component == "sales" and payee in (None, each.payee)))
            for each in earned
        ], passed

    monkeypatch.setattr(services.calculations, "first_pass", first)


async def test_whatever_came_since_a_repeat_comes_to_the_same(office: Office) -> None:
    booked = await settled(office)
    await Books(office).runs.close(WU, "promoters", MAY)
    before = await rows_of(office, booked)
    late = NOW + timedelta(days=35)
    await office.told(a_refund(30_000), an_order("E3", channel="P1"), at=late)
    await office.note("visits", {"P1": 40})
    await office.register.set_uplines(QIAN, [UplineChange(code="P1", upline="C1", since=MAY)])
    await office.register.put(QIAN, [NewPayee(code="P3", name="P3", role="city", active=False)])
    await office.scheme("2.0.0", "9%")
    found = await repeated(office, booked)
    assert (found.of, found.same, found.differing, found.first) == (booked, True, 0, [])
    assert found.digest == await office.digest(booked)
    assert await rows_of(office, booked) == before
    assert (await repeated(office, booked)).same, "as often as one likes"


async def test_an_engine_that_comes_to_something_else_is_told_with_who_differs(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked = await settled(office)
    before = await rows_of(office, booked)
    an_engine_that_pays_a_cent_more(monkeypatch)
    found = await repeated(office, booked)
    assert (found.same, found.differing) == (False, 2)
    assert [(each.payee, each.component, each.before_minor, each.now_minor) for each in found.first] == [
        ("P1", "sales", 1_500, 1_501),
        ("P3", "sales", 1_500, 1_501),
    ]
    assert await rows_of(office, booked) == before


async def test_earnings_that_the_owner_of_the_database_altered_are_found_out(office: Office, database_url: str) -> None:
    booked = await settled(office)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("ALTER TABLE settlement_earnings DISABLE TRIGGER ALL")
        await connection.execute("UPDATE settlement_earnings SET amount_minor = 1 WHERE component = 2")
    found = await repeated(office, booked)
    assert (found.same, [(each.payee, each.before_minor, each.now_minor) for each in found.first]) == (
        False,
        [("P1", 1, 300)],
    ), "although the digest that was kept is the same"


_OF_BOOKED = "(SELECT calculation FROM settlement_run_calculations)"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE settlement_earnings SET amount_minor = 1 WHERE component = 2",
        f"INSERT INTO settlement_earnings SELECT {_OF_BOOKED}, base, amount_minor, payee, part, 2, component "
        "FROM settlement_earnings WHERE calculation = :tried AND pass = 1",
        f"UPDATE settlement_earnings SET calculation = {_OF_BOOKED}, pass = pass + 2 WHERE calculation = :tried",
        f"UPDATE settlement_members SET calculation = {_OF_BOOKED}, part = part + 1 WHERE calculation = :tried",
        "DELETE FROM settlement_earnings WHERE amount_minor > 0",
        "UPDATE settlement_members SET uplines = '{}'",
        "DELETE FROM settlement_passed",
        "UPDATE settlement_parts SET amount_minor = 0",
        "UPDATE settlement_calculations SET total_minor = 0",
        "UPDATE settlement_calculations SET purpose = 'preview'",
        "DELETE FROM settlement_calculations",
        "UPDATE settlement_run_calculations SET before = calculation",
        "DELETE FROM settlement_run_calculations",
        "DELETE FROM settlement_booked_parts",
        "UPDATE attributions SET payee = (SELECT max(payee) FROM attributions)",
        "UPDATE attributions SET ended_at = now(), share = 1",
        "DELETE FROM attributions",
    ],
)
async def test_what_explains_the_journal_is_changed_by_nobody(office: Office, statement: str) -> None:
    booked = await settled(office)
    tried = await office.preview()
    before = await rows_of(office, booked)
    with pytest.raises(SQLAlchemyError, match=r"never changed|changes in nothing else"):
        async with UnitOfWork(office.database) as work:
            await work.session.execute(text(statement), {"tried": tried} if ":tried" in statement else {})
    assert await rows_of(office, booked) == before


async def test_what_came_to_nothing_with_its_run_can_go(office: Office) -> None:
    booked = await settled(office)
    before = await rows_of(office, booked)
    books = Books(office)
    view = await books.runs.ask(QIAN, "promoters", MAY)
    refused = view.calculations[0].id
    await office.steps.run(refused)
    await books.runs.computed(view.run.id)
    gone = ("settlement_run_calculations WHERE calculation = :id", "settlement_calculations WHERE id = :id")
    with pytest.raises(SQLAlchemyError, match="never changed"):
        await _remove(office, refused, *gone)
    await books.runs.decide(WU, view.run.id, approve=False)
    await _remove(office, refused, *gone)
    assert (await rows_of(office, refused), await rows_of(office, booked)) == ([], before)


async def _remove(office: Office, calculation: UUID, *rows: str) -> None:
    async with UnitOfWork(office.database) as work:
        for each in rows:
            await work.session.execute(text(f"DELETE FROM {each}"), {"id": calculation})


async def test_what_was_only_tried_can_go(office: Office) -> None:
    booked = await settled(office)
    before = await rows_of(office, booked)
    tried = await office.preview()
    async with UnitOfWork(office.database) as work:
        await work.session.execute(text("DELETE FROM settlement_calculations WHERE purpose = 'preview'"))
    assert (await rows_of(office, tried), await rows_of(office, booked)) == ([], before)


async def test_a_computed_part_that_is_done_again_is_compared_and_left(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked = await settled(office)
    before = await rows_of(office, booked)
    assert await office.steps.run(booked) == await office.digest(booked)
    assert await rows_of(office, booked) == before, "not even written again"
    an_engine_that_pays_a_cent_more(monkeypatch)
    parts = [office.steps.earn_alone(booked, part) for part in range(PARTS)]
    refused = [each for each in await asyncio.gather(*parts, return_exceptions=True) if isinstance(each, Exception)]
    assert {type(each) for each in refused} == {ConflictProblem}
    with pytest.raises(ConflictProblem):
        await office.steps.run(booked)
    assert await rows_of(office, booked) == before


async def test_what_can_be_repeated_by_whom(office: Office) -> None:
    repeats = Repeats(office.database)
    with pytest.raises(NotFoundProblem):
        await repeats.ask(QIAN, UUID(int=9))
    booked = await settled(office)
    with pytest.raises(AuthorizationProblem):
        await repeats.ask(WU, booked)
    with pytest.raises(AuthorizationProblem):
        await repeats.ask(an_actor("he", Role.AUDITOR), booked)
    asked = await Books(office).runs.ask(QIAN, "promoters", date(2026, 6, 1))
    with pytest.raises(ConflictProblem):
        await repeats.ask(QIAN, asked.calculations[0].id)
    again = await repeats.ask(QIAN, booked)
    with pytest.raises(ConflictProblem):
        await repeats.ask(QIAN, again.id)
    view = await SettlementViews(office.database).show(QIAN, again.id)
    assert view.repeat is not None
    assert view.repeat.same is None, "it is not known yet"
