"""A period is closed for ever when it is reconciled, or when somebody says that it is not to be waited for."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from domain.access import Role, Scope, system_actor
from domain.accounts import NewAccount
from domain.ids import content_digest
from domain.problems import ConflictProblem, Text
from domain.settlement.bills import BillLine
from services import settlement_runs
from services.accounts import PlatformAccounts
from services.bills import take
from services.breaks import BreakService
from services.closing_unreconciled import LeftUnreconciled, left_unreconciled
from services.reconciliation import ReconciliationService
from services.unreconciled import Unreconciled
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.bill_terms import BillTermsBook, BillTermsRow
from storage.breaks import BreakFilter
from storage.paging import PageRequest
from storage.payee_terms import PayeeTermBook
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import CONNECTORS
from tests.services.reconciling import moved
from tests.services.test_calculations import MAY, QIAN, Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import WU, Books

__all__ = ["office"]
SHOP = "youzan/flagship"
FIRST, LAST = date(2026, 5, 30), date(2026, 5, 31)
OVER = datetime(2026, 6, 1, 4, tzinfo=UTC)
DIRECTOR, ADMIN = an_actor("han", Role.DIRECTOR), an_actor("guan", Role.ADMIN)


@pytest.fixture
async def books(office: Office) -> Books:
    await office.told(an_order(channel="P1"))
    await office.note("service", {"C1": 95})
    office.clock.now = OVER
    return Books(office)


async def agreed(office: Office) -> None:
    """The shop is reconciled, from the last but one day of May on."""
    terms = BillTermsRow(account=SHOP, shops=[SHOP], fees_back=False, bank=False, since=FIRST, changed_by="qian")
    terms.changed_at = office.clock.now
    async with UnitOfWork(office.database) as work:
        await Accounts(work).add(NewAccount(platform="youzan", slug="flagship", name="旗舰店", credentials={}))
        await BillTermsBook(work).put(terms)


async def billed(office: Office, day: date, *lines: BillLine) -> None:
    """A day's bill is taken, and reconciled."""
    by, digest = system_actor("bills"), content_digest(repr((day, lines)).encode())
    await take(office.database, by, SHOP, day, "trade", "platform", digest, lines, whole=True)
    await ReconciliationService(office.database).reconcile(QIAN, SHOP, day)


async def refusal(books: Books) -> ConflictProblem:
    with pytest.raises(ConflictProblem) as refused:
        await books.runs.close(WU, "promoters", MAY)
    return refused.value


def of_bills(remarks: Sequence[Text]) -> list[Text]:
    """Without what approvers are told of facts."""
    return [each for each in remarks if "考核分" not in each.zh]


async def noted(office: Office) -> dict[str, object]:
    async with UnitOfWork(office.database) as work:
        (entry,) = (await AuditLog(work).list(Scope.everything(), PageRequest(5), action="settlement.close")).items
    return dict(entry.detail)


async def test_who_never_reconciled_anything_closes_as_ever(office: Office, books: Books) -> None:
    view = await books.settled()
    assert of_bills(view.remarks) == []
    await books.runs.close(WU, "promoters", MAY)
    assert await noted(office) == {"cycle": "month"}


async def test_days_and_breaks_of_the_period_are_told_and_keep_it_open(office: Office, books: Books) -> None:
    await agreed(office)
    (remark,) = of_bills((await books.settled()).remarks)
    assert "2 天没有对账（youzan/flagship 2" in remark.zh
    assert "2 days are not reconciled" in remark.en
    refused = await refusal(books)
    assert refused.problem.as_dict()["unreconciled"] == {"days": 2, "breaks": 0}
    assert "unreconciled: true" in refused.text.zh
    await billed(office, FIRST)
    unknown = moved(1, "E-unknown", 500, "in", FIRST - timedelta(days=3), kind="payment")
    await billed(office, LAST, unknown)
    assert (await refusal(books)).problem.as_dict()["unreconciled"] == {"days": 0, "breaks": 1}
    breaks = BreakService(office.database)
    (row,) = (await breaks.list(QIAN, PageRequest(5), BreakFilter())).items
    await breaks.explain(QIAN, row.id, "platform-error", "另一家店的收款")
    assert (await refusal(books)).problem.as_dict()["unreconciled"] == {"days": 0, "breaks": 1}, "nobody let it go yet"
    await breaks.solve(DIRECTOR, row.id)
    await books.runs.close(WU, "promoters", MAY)
    assert await noted(office) == {"cycle": "month"}


async def test_it_is_closed_all_the_same_when_somebody_says_so_and_that_is_on_record(
    office: Office, books: Books
) -> None:
    await agreed(office)
    await books.settled()
    await refusal(books)
    await books.runs.close(WU, "promoters", MAY, unreconciled=True)
    assert await noted(office) == {"cycle": "month", "unreconciled": {"days": 2, "breaks": 0}}


async def test_a_shop_that_was_disconnected_counts_through_that_day(office: Office, books: Books) -> None:
    await agreed(office)
    await books.settled()
    office.clock.now = datetime(2026, 5, 30, 4, tzinfo=UTC)
    await PlatformAccounts(office.database).set_active(ADMIN, SHOP, False)
    office.clock.now = OVER
    assert (await refusal(books)).problem.as_dict()["unreconciled"] == {"days": 1, "breaks": 0}
    unreconciled = Unreconciled(office.database, CONNECTORS)
    assert [(each.account, each.day) for each in await unreconciled.days(QIAN)] == [(SHOP, FIRST)]
    office.clock.advance(days=7)
    assert await unreconciled.tell() == 0, "nobody is reminded of what is gone"
    await billed(office, FIRST)
    await books.runs.close(WU, "promoters", MAY)


async def test_nobody_waits_for_looking_at_what_is_not_reconciled(
    office: Office, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not who changes payees while a period is closed, nor who looks at a settlement of one that is closed."""
    looked: list[bool] = []

    async def looking(work: UnitOfWork, *args: Any, **more: Any) -> LeftUnreconciled:
        async with UnitOfWork(office.database) as other:
            await PayeeTermBook(other).hold()
        looked.append(True)
        return await left_unreconciled(work, *args, **more)

    run = (await books.settled()).run.id
    monkeypatch.setattr(settlement_runs, "left_unreconciled", looking)
    await books.runs.close(WU, "promoters", MAY)
    await books.runs.show(QIAN, run)
    assert looked == [True]


async def test_what_opens_while_closing_waits_keeps_the_period_open(
    office: Office, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agreed(office)
    await books.settled()
    await billed(office, FIRST)

    async def looking(work: UnitOfWork, *args: Any, **more: Any) -> LeftUnreconciled:
        unknown = moved(1, "E-unknown", 500, "in", FIRST - timedelta(days=3), kind="payment")
        await billed(office, LAST, unknown)
        return LeftUnreconciled({}, 0)

    monkeypatch.setattr(settlement_runs, "left_unreconciled", looking)
    assert (await refusal(books)).problem.as_dict()["unreconciled"] == {"days": 0, "breaks": 1}


async def test_a_day_whose_bill_is_to_come_is_waited_for(office: Office, books: Books) -> None:
    await agreed(office)
    office.clock.now = OVER - timedelta(hours=4)
    await billed(office, FIRST)
    assert of_bills((await books.settled()).remarks) == [], "there is nothing to do about it yet"
    assert (await refusal(books)).problem.as_dict()["unreconciled"] == {"days": 1, "breaks": 0}
