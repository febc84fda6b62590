"""Settlements booked: by others' approval, once, in differences; what comes late is adjusted, closed is closed."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from domain.access import Role
from domain.problems import AuthorizationProblem, ConflictProblem, ProblemError
from domain.settlement.approvals import ApprovalPolicy, ApprovalStep
from domain.settlement.scheme import Cycle
from services.run_views import RunView
from services.sale_corrections import Part
from services.settlement_runs import SettlementRunService
from storage.ledger import Ledger
from storage.payees import Payees
from storage.sales import PARTS
from storage.settlement_periods import SettlementPeriods
from storage.settlement_runs import SettlementRunRow, SettlementRuns
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import CONNECTORS
from tests.services.test_calculations import MAY, Office, office
from tests.services.test_selling import NOW, OPS, a_refund, an_order

__all__ = ["office"]
QIAN, WU, HE = an_actor("qian", Role.FINANCE), an_actor("wu", Role.APPROVER), an_actor("he", Role.APPROVER)
HAN = an_actor("han", Role.DIRECTOR)
JUNE = date(2026, 6, 1)


class Books:
    """A merchant's settlements, done by hand instead of by workflows."""

    def __init__(self, office: Office, policy: ApprovalPolicy | None = None, scheme: str = "promoters") -> None:
        self.office = office
        self.scheme = scheme
        self.runs = SettlementRunService(office.database, office.steps, CONNECTORS, policy)

    async def computed(self, day: date = MAY, cycle: Cycle | None = None) -> RunView:
        view = await self.runs.ask(QIAN, self.scheme, day, cycle)
        for each in view.calculations:
            await self.office.steps.run(each.id)
        await self.runs.computed(view.run.id)
        return await self.runs.show(QIAN, view.run.id)

    async def book(self, run: UUID, pick: Random | None = None) -> None:
        view = await self.runs.show(QIAN, run)
        parts = [(each.id, part) for each in view.calculations for part in range(PARTS)]
        for calculation, part in pick.sample(parts, len(parts)) if pick else parts:
            await self.runs.book_part(run, calculation, part)
        await self.runs.finish(run)

    async def settled(self, day: date = MAY, cycle: Cycle | None = None) -> RunView:
        """Computed, approved by another, booked."""
        view = await self.computed(day, cycle)
        await self.runs.decide(WU, view.run.id, approve=True)
        await self.book(view.run.id)
        return await self.runs.show(QIAN, view.run.id)

    async def closed(self, day: date = MAY, cycle: Cycle | None = None) -> RunView:
        """Settled, and closed for ever."""
        view = await self.settled(day, cycle)
        await self.runs.close(WU, self.scheme, day, cycle)
        return view

    async def payable(self) -> Mapping[str, int]:
        """What each payee may have now or later, less what they owe, by code; without those who may have nothing."""
        async with UnitOfWork(self.office.database) as work:
            balances = await Ledger(work).balances()
            assert sum(each.balance_minor for each in balances) == 0, "balanced"
            sums = Counter[int]()
            for each in balances:
                sums[each.payee or 0] += each.balance_minor
            codes = await Payees(work).codes(sums.keys() - {0})
            return {codes[payee]: amount for payee, amount in sums.items() if payee and amount}

    async def transfers(self) -> list[tuple[str, int]]:
        async with UnitOfWork(self.office.database) as work:
            rows = await work.session.execute(text("SELECT kind, amount_minor FROM transfers ORDER BY id"))
            return [(row.kind, row.amount_minor) for row in rows]


async def had_a_hand(
    office: Office, kind: str, version: str, hand: str, login: str, published_on: date | None = None
) -> None:
    """As if somebody else had written or published a definition, and on that day."""
    values = {"kind": kind, "version": version, "login": login, "on": published_on}
    statement = (
        f"UPDATE definition_versions SET {hand} = :login, published_at = coalesce(:on, published_at) "
        "WHERE kind = :kind AND version = :version"
    )
    async with UnitOfWork(office.database) as work:
        await work.session.execute(text(statement), values)


@pytest.fixture
async def books(office: Office) -> Books:
    return Books(office)


P1 = {"P1": 1_537, "C1": 360}


async def test_nothing_is_booked_before_another_person_approves(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    assert (view.run.state, view.run.total_minor, view.run.approvals_needed) == ("computed", 1_897, 1)
    calculation = view.calculations[0].id
    with pytest.raises(ConflictProblem):
        await books.runs.book_part(view.run.id, calculation, 0)
    for who in (QIAN, an_actor("qian", Role.FINANCE, Role.APPROVER)):
        with pytest.raises(AuthorizationProblem):
            await books.runs.decide(who, view.run.id, approve=True)
    assert await books.payable() == {}
    assert (await books.runs.decide(WU, view.run.id, approve=True)).run.state == "approved"
    await books.book(view.run.id)
    assert await books.payable() == P1
    with pytest.raises(ConflictProblem):
        await books.runs.decide(HE, view.run.id, approve=False)


async def test_how_far_it_is_is_told_part_by_part(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    asked = await books.runs.ask(QIAN, "promoters", MAY)
    assert (asked.parts_done, asked.parts, asked.parts_booked) == (0, 2 * PARTS, 0)
    (calculation,) = asked.calculations
    await office.steps.freeze(calculation.id)
    for part in range(3):
        await office.steps.earn_alone(calculation.id, part)
    half = await books.runs.show(QIAN, asked.run.id)
    assert [(each.calculation, each.parts_done, each.parts) for each in half.progress] == [
        (calculation.id, 3, 2 * PARTS)
    ]
    await office.steps.run(calculation.id)
    await books.runs.computed(asked.run.id)
    await books.runs.decide(WU, asked.run.id, approve=True)
    await books.runs.book_part(asked.run.id, calculation.id, 5)
    booking = await books.runs.show(QIAN, asked.run.id)
    assert (booking.parts_done, booking.parts, booking.parts_booked) == (2 * PARTS, 2 * PARTS, 1)


async def test_who_wrote_a_scheme_approves_no_settlement_by_it(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    with pytest.raises(AuthorizationProblem) as refused:
        await books.runs.decide(an_actor(OPS.login, Role.OPS, Role.APPROVER), view.run.id, approve=True)
    assert "own scheme" in refused.value.text.en
    assert (await books.runs.show(QIAN, view.run.id)).run.state == "computed"


@pytest.mark.parametrize("hand", ["author", "published_by"])
async def test_who_wrote_or_published_the_attribution_approves_no_settlement_by_it(
    office: Office, books: Books, hand: str
) -> None:
    await had_a_hand(office, "attribution", "1.0.0", hand, HE.login)
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    with pytest.raises(AuthorizationProblem) as refused:
        await books.runs.decide(HE, view.run.id, approve=True)
    assert "归属规则" in refused.value.text.zh
    assert "own scheme or attribution" in refused.value.text.en
    assert (await books.runs.decide(WU, view.run.id, approve=True)).run.state == "approved"


async def test_an_attribution_that_was_over_long_before_the_period_keeps_nobody(office: Office, books: Books) -> None:
    """What is in force since before the first order of the period could be decided, and what came after, count."""
    for version in ("1.1.0", "1.2.0"):
        await office.publish(version)
    for version, days, login in (("1.0.0", 200, "he"), ("1.1.0", 100, "wu"), ("1.2.0", 1, "han")):
        await had_a_hand(office, "attribution", version, "published_by", login, MAY - timedelta(days=days))
    await office.settle()
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    for who in (WU, HAN):
        with pytest.raises(AuthorizationProblem):
            await books.runs.decide(who, view.run.id, approve=True)
    assert (await books.runs.decide(HE, view.run.id, approve=True)).run.state == "approved"


async def test_who_puts_back_the_attribution_that_it_was_computed_by_does_not_get_out_of_it(
    office: Office, books: Books
) -> None:
    await had_a_hand(office, "attribution", "1.0.0", "author", HE.login)
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    later = office.clock.now.date() + timedelta(days=1)
    await office.publish("1.1.0")
    for version, days, login in (("1.1.0", 0, "wu"), ("1.0.0", 1, "han")):
        await had_a_hand(office, "attribution", version, "published_by", login, later + timedelta(days=days))
    for who in (HE, HAN):
        with pytest.raises(AuthorizationProblem):
            await books.runs.decide(who, view.run.id, approve=True)


async def test_who_wrote_an_attribution_afterwards_may_approve(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    office.clock.now += timedelta(minutes=1)
    await office.publish("1.1.0")
    await had_a_hand(office, "attribution", "1.1.0", "author", WU.login)
    assert (await books.runs.decide(WU, view.run.id, approve=True)).run.state == "approved"


async def test_a_settlement_that_is_booked_while_the_next_is_asked_for_is_not_booked_twice(
    office: Office, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.told(an_order(channel="P1"))
    first = (await books.computed()).run.id
    await books.runs.decide(WU, first, approve=True)
    begin = SettlementRuns.begin

    async def a_moment_later(self: SettlementRuns, run: SettlementRunRow) -> None:
        monkeypatch.undo()
        await books.book(first)
        await begin(self, run)

    monkeypatch.setattr(SettlementRuns, "begin", a_moment_later)
    assert (await books.settled()).run.total_minor == 0
    assert await books.payable() == P1


async def test_nobody_approves_the_difference_to_what_was_booked_before_the_last(
    office: Office, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.told(an_order(channel="P1"))
    await books.settled()

    async def nothing_yet(self: SettlementRuns, origins: object) -> Mapping[int, UUID]:
        return {}

    monkeypatch.setattr(SettlementRuns, "last_booked", nothing_yet)
    again = (await books.computed()).run.id
    monkeypatch.undo()
    with pytest.raises(ConflictProblem, match="settle once more"):
        await books.runs.decide(WU, again, approve=True)
    assert await books.payable() == P1


async def test_the_database_itself_lets_nobody_approve_their_own(office: Office, books: Books) -> None:
    view = await books.computed()
    own = text("INSERT INTO settlement_approvals VALUES (:run, 'qian', true, NULL, now())")
    with pytest.raises((SQLAlchemyError, ProblemError)):
        async with UnitOfWork(office.database) as work:
            await work.session.execute(own, {"run": view.run.id})


async def test_more_money_needs_more_people(office: Office) -> None:
    steps = (ApprovalStep(), ApprovalStep(above_minor=1_000, approvals=2))
    books = Books(office, ApprovalPolicy(steps=steps))
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    assert (await books.runs.decide(WU, view.run.id, approve=True)).run.state == "computed"
    assert (await books.runs.decide(WU, view.run.id, approve=True)).run.state == "computed", "one person is one"
    assert (await books.runs.decide(HE, view.run.id, approve=True)).run.state == "approved"


async def test_what_moves_from_one_to_another_needs_approval_although_it_comes_to_nothing(office: Office) -> None:
    books = Books(office, ApprovalPolicy(steps=(ApprovalStep(), ApprovalStep(above_minor=1_900, approvals=2))))
    await office.told(an_order(channel="P1"))
    assert (await books.settled()).run.approvals_needed == 1
    await office.told(a_refund(30_000), an_order("E2", channel="P2"), an_order("E3", channel="P2"))
    view = await books.computed()
    assert (view.run.total_minor, view.run.moved_minor, view.run.approvals_needed) == (1_897, 3_794, 2)


async def test_beyond_an_approvers_limit_a_director_approves(office: Office) -> None:
    books = Books(office, ApprovalPolicy(limits_minor={Role.APPROVER: 1_896}))
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    with pytest.raises(AuthorizationProblem, match="limit"):
        await books.runs.decide(WU, view.run.id, approve=True)
    assert (await books.runs.decide(HAN, view.run.id, approve=True)).run.state == "approved"


@pytest.mark.parametrize(
    ("above", "limit", "state"), [(2_500, None, "computed"), (9_999, 2_500, None), (9_999, 9_999, "approved")]
)
async def test_what_is_approved_together_counts_together(
    office: Office, above: int, limit: int | None, state: str | None
) -> None:
    """Many small ones by one person are one large one."""
    limits = {} if limit is None else {Role.APPROVER: limit}
    steps = (ApprovalStep(), ApprovalStep(above_minor=above, approvals=2))
    books = Books(office, ApprovalPolicy(steps=steps, limits_minor=limits))
    noon = datetime(2026, 6, 1, 4, tzinfo=UTC)
    office.clock.now = noon
    june = an_order("E2", channel="P1", paid_at=noon, created_at=noon, occurred_at=noon)
    await office.told(an_order(channel="P1"), june, at=noon)
    runs = [(await books.computed(day)).run.id for day in (MAY, JUNE)]
    together = await books.runs.moved_together([*runs, uuid4()])
    assert together == dict.fromkeys(runs, 2 * 1_897)
    for run in runs:
        decided = books.runs.decide(WU, run, approve=True, together_minor=together[run])
        if state is None:
            with pytest.raises(AuthorizationProblem, match="limit"):
                await decided
        else:
            assert (await decided).run.state == state


async def test_anybody_who_approves_may_refuse_whatever_it_comes_to(office: Office) -> None:
    books = Books(office, ApprovalPolicy(limits_minor={Role.APPROVER: 0}))
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    assert (await books.runs.decide(WU, view.run.id, approve=False)).run.state == "refused"


async def test_a_period_is_not_closed_while_a_settlement_of_it_begins(office: Office, books: Books) -> None:
    """Whoever asks holds the period: closing waits, and sees the settlement."""
    await office.told(an_order(channel="P1"))
    await books.settled()
    async with UnitOfWork(office.database) as work:
        period = await SettlementPeriods(work).open("promoters", "month", MAY.replace(day=1), JUNE, "CNY")
        closing = asyncio.create_task(books.runs.close(WU, "promoters", MAY))
        await asyncio.sleep(0.3)
        assert not closing.done()
        run = SettlementRunRow(
            id=uuid4(),
            scheme="promoters",
            cycle="month",
            period=period.id,
            state="computing",
            asked_by="qian",
            asked_at=work.now,
        )
        await SettlementRuns(work).begin(run)
    with pytest.raises(ConflictProblem, match="under way"):
        await closing


async def test_a_booking_that_is_refused_ends_the_run_and_late_attempts_book_nothing(
    office: Office, books: Books
) -> None:
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    await books.runs.decide(WU, view.run.id, approve=True)
    await books.runs.failed(view.run.id, {"title": "refused"})
    found = (await books.runs.show(QIAN, view.run.id)).run
    assert (found.state, found.problem) == ("failed", {"title": "refused"})
    with pytest.raises(ConflictProblem):
        await books.book(view.run.id)
    assert await books.payable() == {}
    assert (await books.settled()).run.state == "booked", "another may be asked for"


async def test_a_run_that_is_booked_in_part_is_not_given_up(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    await books.runs.decide(WU, view.run.id, approve=True)
    await books.runs.book_part(view.run.id, view.calculations[0].id, 0)
    await books.runs.failed(view.run.id, {"title": "refused"})
    assert (await books.runs.show(QIAN, view.run.id)).run.state == "approved"
    await books.book(view.run.id)
    assert (await books.runs.show(QIAN, view.run.id)).run.problem is None
    assert await books.payable() == P1


async def test_a_refusal_ends_it_and_another_may_be_asked_for(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    with pytest.raises(ConflictProblem):
        await books.runs.ask(QIAN, "promoters", MAY + timedelta(days=9))
    assert (await books.runs.decide(WU, view.run.id, approve=False, note="少一人")).run.state == "refused"
    assert (await books.settled()).run.state == "booked"
    assert await books.payable() == P1


async def test_two_who_ask_at_once_get_one_settlement(office: Office, books: Books) -> None:
    asked = await asyncio.gather(*(books.runs.ask(QIAN, "promoters", MAY) for _ in range(4)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in asked) == ["ConflictProblem"] * 3 + ["RunView"]


async def test_parts_booked_again_and_in_any_order_book_nothing_twice(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P4"))
    view = await books.computed()
    await books.runs.decide(WU, view.run.id, approve=True)
    calculation = view.calculations[0].id
    pick = Random("book")
    parts = [*range(PARTS), *range(0, PARTS, 2)]
    pick.shuffle(parts)
    await asyncio.gather(*(books.runs.book_part(view.run.id, calculation, part) for part in parts))
    await books.book(view.run.id, pick)
    before = await books.transfers()
    await books.runs.book_part(view.run.id, calculation, 3)
    assert await books.transfers() == before
    assert sum((await books.payable()).values()) == view.run.total_minor


async def test_nothing_is_finished_before_all_is_booked(office: Office, books: Books) -> None:
    view = await books.computed()
    await books.runs.decide(WU, view.run.id, approve=True)
    with pytest.raises(ConflictProblem):
        await books.runs.finish(view.run.id)


async def test_a_second_settlement_of_an_open_period_books_the_difference(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    await books.settled()
    again = await books.settled()
    assert (again.run.total_minor, again.transfers) == (0, 0), "nothing happened in between"
    await office.told(a_refund(10_000, 1, "2"), an_order("E2", channel="P3"))
    third = await books.settled()
    assert third.run.total_minor == -500 - 120 + 1_537 + 360
    assert await books.payable() == {"P1": 1_037, "P3": 1_537, "C1": 600}


async def test_what_comes_after_the_closing_is_adjusted_in_the_next_period(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P3"))
    await books.settled()
    await books.runs.close(WU, "promoters", MAY)
    with pytest.raises(ConflictProblem) as closed:
        await books.runs.ask(QIAN, "promoters", MAY)
    assert "下一期" in closed.value.text.zh
    # A refund of May, a late order of May, a correction, and an order of June.
    late = NOW + timedelta(days=35)
    await office.told(a_refund(30_000), an_order("E3", channel="P1"), at=late)
    await office.told(an_order("E4", channel="P2", paid_at=late, created_at=late), at=late)
    asked = await office.corrections.ask(QIAN, ("youzan/flagship", "E2"), "promoter", [Part("P5", 10_000)], "挂错码")
    await office.corrections.decide(WU, asked.id, approve=True)
    await office.settle()
    view = await books.settled(JUNE)
    assert [each.purpose for each in view.calculations] == ["adjustment", "settlement"]
    assert await books.payable() == {"P1": 1_537, "P5": 1_537, "P2": 1_537, "C1": 720, "C2": 360}
    kinds = [kind for kind, _ in (await books.transfers())[3:]]
    # P1 lost as much by the refund as the late order brought.
    assert sorted(kinds) == ["adjustment", "clawback", "commission", "commission"]
    # Nothing more came: the next settlement adjusts nothing.
    await books.runs.close(WU, "promoters", JUNE)
    assert [each.purpose for each in (await books.computed(date(2026, 7, 1))).calculations] == ["settlement"]


async def test_a_closed_period_takes_nothing_whoever_asks(office: Office, books: Books) -> None:
    with pytest.raises(ConflictProblem):
        await books.runs.close(WU, "promoters", MAY)
    await office.told(an_order(channel="P1"))
    view = await books.computed()
    await books.runs.decide(WU, view.run.id, approve=True)
    with pytest.raises(ConflictProblem):
        await books.runs.close(WU, "promoters", MAY)
    await books.book(view.run.id)
    with pytest.raises(AuthorizationProblem):
        await books.runs.close(QIAN, "promoters", MAY)
    await books.runs.close(WU, "promoters", MAY)
    for statement in (
        "UPDATE settlement_periods SET closed_at = NULL",
        "INSERT INTO transfers (key, amount_minor, booked_at, debit, credit, period, currency, kind, source) "
        "SELECT uuidv7(), 1, now(), debit, credit, period, currency, kind, source FROM transfers LIMIT 1",
    ):
        with pytest.raises((SQLAlchemyError, ProblemError)):
            async with UnitOfWork(office.database) as work:
                await work.session.execute(text(statement))


async def test_years_of_changes_end_where_one_settlement_would_have(office: Office, books: Books) -> None:
    """Whatever is told when, settled and closed in between: in the end everybody has what a single one would give."""
    pick = Random("changes")
    told: list[Any] = []
    for number in range(24):
        order = an_order(f"E{number}", channel=f"P{pick.randrange(1, 7)}", paid_minor=pick.randrange(100, 90_000))
        told.append(order)
        if pick.random() < 0.5:
            refund = a_refund(pick.randrange(1, 60_000))
            told.append(refund.model_copy(update={"refund_id": f"R{number}", "order_id": f"E{number}"}))
    pick.shuffle(told)
    months = [date(2026, 5 + number, 1) for number in range(4)]
    for number, month in enumerate(months):
        await office.told(*told[number * len(told) // 4 : (number + 1) * len(told) // 4])
        await books.settled(month)
        await books.runs.close(WU, "promoters", month)
    whole = await office.earned(await office.preview())
    expected = {code: sum(parts.values()) for code, parts in whole.items()}
    assert await books.payable() == {code: amount for code, amount in expected.items() if amount}
