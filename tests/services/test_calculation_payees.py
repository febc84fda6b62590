"""What a calculation gives to each payee, before it is booked: beside what was booked, why, and to the cent."""

import csv
import io
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role, Scope
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, ValidationProblem
from services import calculation_payees
from services.audit import AuditTrail
from services.calculation_payees import Asked, GivenPayees, PayeeGiven
from services.calculations import Wanted
from services.given_files import GivenFiles
from services.settlement_reports import ReportService
from services.settlement_reports import Wanted as WantedReport
from storage import calculation_payees as stored_payees
from storage.paging import PageRequest
from tests.actors import an_actor
from tests.services.test_calculations import MAY, SCHEME, Office, office
from tests.services.test_selling import NOW, a_refund, an_order
from tests.services.test_settlement_runs import HE, JUNE, QIAN, WU, Books, books

__all__ = ["books", "office"]
AUDITOR = an_actor("auditor", Role.AUDITOR)


async def every(office: Office, asked: Asked, size: int = 50) -> list[PayeeGiven]:
    given, found, cursor = GivenPayees(office.database), list[PayeeGiven](), None
    while True:
        page = (await given.page(QIAN, asked, PageRequest(size, cursor))).rows
        assert len(page.items) <= size
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def sums(given: Sequence[PayeeGiven]) -> dict[str, tuple[int, int, int]]:
    return {each.payee: (each.total_minor, each.before_minor, each.difference_minor) for each in given}


def of(calculation: UUID, **more: Any) -> Asked:
    return Asked("calculation", calculation, **more)


def of_run(run: UUID, **more: Any) -> Asked:
    return Asked("settlement-run", run, **more)


async def test_a_first_settlement_gives_all_that_is_earned(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    await office.note("visits", {"P2": 2})
    preview = await office.preview()
    given = await every(office, of(preview))
    assert sums(given) == {"P1": (1_537, 0, 1_537), "C1": (360, 0, 360), "P2": (300, 0, 300)}
    assert {(each.books, tuple(each.reasons)) for each in given} == {("commission", ("first",))}
    (own,) = (each for each in given if each.payee == "P1")
    assert [(each.component, each.title, each.amount_minor, each.before_minor) for each in own.components] == [
        ("sales", "推广", 1_500, None),
        ("deals", "单", 37, None),
    ]
    view = await books.computed()
    settled = await every(office, of_run(view.run.id))
    assert sums(settled) == sums(given), "what is approved is what was tried"
    assert sum(each.difference_minor for each in settled) == view.run.total_minor
    assert await books.payable() == {}, "nothing is booked by looking"


async def test_a_second_settlement_shows_what_a_late_refund_takes_back(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    first = await books.settled()
    before = sums(await every(office, of_run(first.run.id)))
    await office.told(a_refund(10_000))
    preview = await office.preview()
    again = await books.computed()
    for asked in (of(preview), of_run(again.run.id)):
        given = await every(office, asked)
        changed = await every(office, asked._replace(changed=True, sort="change"))
        assert {each.payee: each.before_minor for each in given} == {
            code: total for code, (total, _, _) in before.items()
        }
        assert sum(each.difference_minor for each in given) == again.run.total_minor
        assert sums(changed) == {"P1": (1_037, 1_537, -500), "C1": (240, 360, -120)}
        assert [each.payee for each in changed] == ["P1", "C1"], "the largest change first"
        assert {(each.books, tuple(each.reasons)) for each in changed} == {("commission", ("counted",))}
        unchanged = [each for each in given if each.payee not in sums(changed)]
        assert {(each.difference_minor, each.books, tuple(each.reasons)) for each in unchanged} == {(0, None, ())}
    await books.runs.decide(WU, again.run.id, approve=True)
    await books.book(again.run.id)
    assert sums(await every(office, of_run(again.run.id, changed=True))) == sums(changed), "as it was then"
    assert await books.payable() == {code: total for code, (total, _, _) in sums(given).items()}


async def test_a_closed_period_is_adjusted_beside_the_open_one(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    await books.closed()
    late = NOW + timedelta(days=35)
    await office.told(a_refund(10_000), an_order("E9", channel="P2", paid_at=late, created_at=late), at=late)
    view = await books.computed(JUNE)
    given = await every(office, of_run(view.run.id, changed=True))
    told = {(each.start.month, each.payee): (each.difference_minor, each.books) for each in given}
    assert told[5, "P1"] == (-500, "clawback")
    assert told[6, "P2"][1] == "commission"
    assert sum(amount for amount, _ in told.values()) == view.run.total_minor
    tried = await every(office, of(await office.preview(), changed=True))
    assert {each.books for each in tried} == {"clawback"}, "of a closed period, as it would be booked"
    totals = {each.id: each.total_minor for each in view.calculations}
    whole = await every(office, of_run(view.run.id))
    for calculation, total in totals.items():
        assert sum(each.total_minor for each in whole if each.calculation == calculation) == total


async def test_it_says_what_else_is_not_as_it_was(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    await office.note("service", {"C1": 95})
    await books.settled()
    await office.note("service", {"C1": 50})
    (scored,) = await every(office, of(await office.preview(), changed=True))
    assert (scored.payee, tuple(scored.reasons)) == ("C1", ("scores",))
    await office.note("service", {"C1": 95})
    await office.scheme("1.1.0", rate="6%")
    raised = {each.payee: tuple(each.reasons) for each in await every(office, of(await office.preview(), changed=True))}
    assert raised == {"P1": ("version",), "C1": ("counted", "version")}
    renamed = SCHEME.replace("name: deals, title: 单", "name: orders, title: 订单")
    await office.scheme("1.2.0", text=renamed)
    (own,) = (each for each in await every(office, of(await office.preview())) if each.payee == "P1")
    assert {each.component: (each.amount_minor, each.before_minor) for each in own.components} == {
        "sales": (1_500, 1_500),
        "deals": (None, 37),
        "orders": (37, None),
    }
    assert own.difference_minor == 0


@pytest.mark.parametrize("at_once", [1, 20_000])
async def test_pages_hold_everybody_once_in_either_order(
    office: Office, books: Books, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(stored_payees, "_AT_ONCE", at_once)
    await office.told(*(an_order(f"E{number}", channel=f"P{number}") for number in range(1, 6)))
    await books.settled()
    await office.told(an_order("E7", channel="P2"), an_order("E8", channel="P2"), an_order("E9", channel="P4"))
    calculation = await office.preview()
    for changed in (False, True):
        whole = await every(office, of(calculation, changed=changed))
        assert len(whole) == (3 if changed else 7)
        by_change = await every(office, of(calculation, changed=changed, sort="change"))
        assert sums(whole) == sums(by_change)
        sizes = [abs(each.difference_minor) for each in by_change]
        assert sizes == sorted(sizes, reverse=True)
        for size in (1, 2, 3):
            assert await every(office, of(calculation, changed=changed), size) == whole
            assert await every(office, of(calculation, changed=changed, sort="change"), size) == by_change
    page = await GivenPayees(office.database).page(QIAN, of(calculation), PageRequest(1))
    with pytest.raises(ValidationProblem):
        await GivenPayees(office.database).page(
            QIAN, of(calculation, sort="change"), PageRequest(1, page.rows.next_cursor)
        )
    for values in ((9, 0, 0), (0, 99, 0), (-1, 0, 0)):
        cursor = calculation_payees._IN_ORDER.cursor_of(values)
        with pytest.raises(ValidationProblem):
            await GivenPayees(office.database).page(QIAN, of(calculation), PageRequest(1, cursor))


async def table(office: Office, asked: Asked, **more: Any) -> list[dict[str, str]]:
    made = await GivenFiles(office.database).export(QIAN, asked, "csv", **more)
    text = b"".join(made.chunks()).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert made.rows == len(rows)
    return rows


async def test_a_file_says_what_the_pages_say(office: Office, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calculation_payees, "_FOUND_AT_ONCE", 3)
    monkeypatch.setattr(calculation_payees, "_TOLD_AT_ONCE", 2)
    await office.told(*(an_order(f"E{number}", channel=f"P{number}") for number in range(1, 6)))
    await books.settled()
    await office.told(a_refund(10_000))
    asked = of_run((await books.computed()).run.id)
    rows = {row["收款人"]: row for row in await table(office, asked)}
    given = await every(office, asked)
    assert rows.keys() == {each.payee for each in given}
    for each in given:
        row = rows[each.payee]
        cents = [round(float(row[name]) * 100) for name in ("合计", "此前已记", "差额")]
        assert cents == [each.total_minor, each.before_minor, each.difference_minor]
        components = {one.title: one.amount_minor for one in each.components}
        for title in ("推广", "单", "到店", "城市"):
            assert row[title] == ("" if components.get(title) is None else f"{(components[title] or 0) / 100:.2f}")
        assert row["账期"] == "2026-05-01"
    assert rows["P1"]["记作"] == "收入"
    assert rows["P1"]["为什么不同"].startswith("计入的订单")
    (english, *_) = await table(office, asked._replace(changed=True), locale="en")
    assert "Booked before" in english
    book = await GivenFiles(office.database).export(QIAN, asked, "xlsx")
    assert b"".join(book.chunks()).startswith(b"PK")


async def test_names_are_masked_but_for_a_reason_that_is_on_record(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    calculation = await office.preview()
    given, pages = GivenPayees(office.database), PageRequest()
    hidden = await given.page(QIAN, of(calculation), pages)
    assert hidden.masked
    assert {each.payee_name for each in hidden.rows.items}.isdisjoint({"P1", "C1"})
    for who in (QIAN, HE):
        clear = await given.page(who, of(calculation), pages, unmask_for="复核")
        assert ({each.payee_name for each in clear.rows.items}, clear.masked) == ({"P1", "C1"}, False)
    for who, reason in ((AUDITOR, "复核"), (QIAN, " ")):
        with pytest.raises((AuthorizationProblem, ValidationProblem)):
            await given.page(who, of(calculation), pages, unmask_for=reason)
    rows = await table(office, of(calculation), unmask_for="复核")
    assert {row["姓名"] for row in rows} == {"P1", "C1"}
    assert "P1" not in {row["姓名"] for row in await table(office, of(calculation))}
    entries = (await AuditTrail(office.database).list(an_actor("he", Role.AUDITOR), PageRequest(200))).items
    unmasked = [each for each in entries if each.action == "calculation.unmask"]
    assert [each.detail["reason"] for each in unmasked] == ["复核"] * 3
    exports = [each for each in entries if each.action == "settlement.export"]
    assert {each.target for each in exports} == {f"calculation:{calculation}"}
    assert sorted(each.detail["names_in_clear"] for each in exports) == [False, True]


async def test_who_may_not_see_calculations_sees_no_payees_of_them(office: Office) -> None:
    given, pages = GivenPayees(office.database), PageRequest()
    calculation = uuid4()
    await office.steps.ask(QIAN, calculation, Wanted("promoters", MAY, "preview"))
    for who in (an_actor("agent", Role.AGENT), an_actor("qian", Role.FINANCE, scope=Scope.of_branch("/east/"))):
        with pytest.raises(AuthorizationProblem):
            await given.page(who, of(calculation), pages)
        with pytest.raises(AuthorizationProblem):
            await GivenFiles(office.database).export(who, of(calculation), "csv")
    with pytest.raises(ConflictProblem):
        await given.page(QIAN, of(calculation), pages)
    for asked in (of(uuid4()), of_run(uuid4())):
        with pytest.raises(NotFoundProblem):
            await given.page(QIAN, asked, pages)


async def test_what_is_booked_ties_with_the_report_of_payees(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P3"))
    view = await books.settled()
    reports = ReportService(office.database)
    page = await reports.page(QIAN, "payees", WantedReport(MAY, "promoters"), PageRequest())
    earned = {each["payee"]: each["earned"] for each in page.rows.items}
    assert earned == {each.payee: each.difference_minor for each in await every(office, of_run(view.run.id))}
