"""What people rely on in a report, told as small stories."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.problems import ValidationProblem
from services.settlement_reports import ReportService, Wanted
from storage.engine import Database
from storage.paging import PageRequest
from storage.report_rows import ReportRows
from tests.clock import SteppedClock
from tests.reports.by_hand import ByHand
from tests.reports.year_bills import QIAN

OF_PAYOUTS = ("payouts", "payout-states", "batches", "tax-base", "balances", "carry-over", "exceptions")


@pytest.fixture
async def hand(database: Database, clock: SteppedClock) -> ByHand:
    clock.now = datetime(2027, 3, 1, 4, tzinfo=UTC)
    found = ByHand(database)
    await found.people("P1", "P2")
    return found


def _month(number: int, scheme: str | None = None) -> Wanted:
    return Wanted(date(2026, number, 1), scheme, "month")


async def test_a_debt_is_as_old_as_what_is_still_open_of_it(hand: ByHand) -> None:
    """Repaid is the oldest first; a debt that is paid off is forgotten, and the next one begins anew."""
    periods = [await hand.period("a", date(2026, number, 1)) for number in range(1, 9)]
    await hand.book(periods[0], "P1", "receivable", "commission", 10_000, "clawback")
    await hand.book(periods[1], "P1", "receivable", "commission", 5_000, "clawback")
    await hand.book(periods[2], "P1", "payable", "receivable", 12_000, "offset")
    await hand.book(periods[3], "P1", "payable", "receivable", 3_000, "offset")
    await hand.book(periods[7], "P1", "receivable", "commission", 700, "clawback")
    names = ("since", "opening", "taken_back", "repaid", "closing", "days_30", "days_60", "days_90", "older")

    async def told(number: int) -> list[tuple[Any, ...]]:
        return [tuple(row[name] for name in names) for row in await hand.rows("receivables", _month(number))]

    assert await told(1) == [(date(2026, 1, 31), 0, 10_000, 0, 10_000, 10_000, 0, 0, 0)]
    assert await told(2) == [(date(2026, 1, 31), 10_000, 5_000, 0, 15_000, 15_000, 0, 0, 0)]
    assert await told(3) == [(date(2026, 2, 28), 15_000, 0, 12_000, 3_000, 0, 3_000, 0, 0)]
    assert await told(4) == [(None, 3_000, 0, 3_000, 0, 0, 0, 0, 0)]
    assert await told(5) == []
    assert await told(8) == [(date(2026, 8, 31), 0, 700, 0, 700, 700, 0, 0, 0)]


async def test_ages_go_into_the_bucket_of_their_days(hand: ByHand) -> None:
    """Days to the end of the frame: 31 March is 0, 28 February 31, 31 January 59, 31 December 90, 30 November 121."""
    for year, number, amount in ((2025, 11, 1), (2025, 12, 20), (2026, 1, 300), (2026, 2, 4_000), (2026, 3, 50_000)):
        period = await hand.period("a", date(year, number, 1))
        await hand.book(period, "P1", "receivable", "commission", amount, "clawback")
    (row,) = await hand.rows("receivables", _month(3))
    assert [row[name] for name in ("days_30", "days_60", "days_90", "older")] == [50_000, 4_300, 20, 1]


async def test_debts_of_a_year_that_goes_on_are_as_old_as_they_are_today(hand: ByHand, clock: SteppedClock) -> None:
    clock.now = datetime(2026, 3, 10, 4, tzinfo=UTC)
    period = await hand.period("a", date(2026, 2, 1))
    await hand.book(period, "P1", "receivable", "commission", 100, "clawback")
    (row,) = await hand.rows("receivables", Wanted(date(2026, 2, 1), None, "year"))
    assert (row["days_30"], row["older"]) == (100, 0)


async def test_why_somebody_is_not_paid_is_what_the_last_batch_of_the_scheme_says(hand: ByHand) -> None:
    """An omission is over once somebody was paid, and is no other scheme's."""
    period = await hand.period("a", date(2026, 5, 1))
    other = await hand.period("b", date(2026, 5, 1))
    for code in ("P1", "P2"):
        await hand.book(period, code, "commission", "payable", 500, "commission")
    await hand.batch("a", period, date(2026, 5, 2), omitted={"P1": "below-minimum", "P2": "no-account"})
    await hand.book(other, "P1", "commission", "payable", 900, "commission")

    async def told() -> dict[tuple[str, str], tuple[Any, ...]]:
        names = ("state", "reason", "batch", "closing")
        rows = await hand.rows("exceptions", _month(5))
        return {(row["payee"], row["scheme"]): tuple(row[name] for name in names) for row in rows}

    assert await told() == {
        ("P1", "a"): ("omitted", "below-minimum", 1, 500),
        ("P1", "b"): ("not-planned", "", 0, 900),
        ("P2", "a"): ("omitted", "no-account", 1, 500),
    }
    batch = await hand.batch("a", period, date(2026, 5, 20))
    paid = await hand.payout(batch, "P1", 500, "paid", ended_at=datetime(2026, 5, 21, tzinfo=UTC))
    await hand.book(period, "P1", "paying", "bank", 500, "payout-paid", f"payout/{paid}")
    failed = await hand.payout(
        batch, "P2", 500, "failed", ended_at=datetime(2026, 5, 21, tzinfo=UTC), reason="户名不符"
    )
    await hand.book(period, "P2", "paying", "payable", 500, "payout-returned", f"payout/{failed}")
    await hand.book(period, "P1", "commission", "payable", 70, "commission")
    assert await told() == {
        ("P1", "a"): ("not-planned", "", 2, 70),
        ("P1", "b"): ("not-planned", "", 0, 900),
        ("P2", "a"): ("failed", "户名不符", 2, 500),
    }


async def test_what_a_bank_sent_back_has_failed_and_is_nobody_s_income(hand: ByHand) -> None:
    """Paid in May and sent back in June: May says that it was paid, June why it was not."""
    may, june = [await hand.period("a", date(2026, number, 1)) for number in (5, 6)]
    await hand.book(may, "P1", "commission", "payable", 500, "commission")
    batch = await hand.batch("a", may, date(2026, 5, 20))
    ended_at = datetime(2026, 5, 21, 4, tzinfo=UTC)
    number = await hand.payout(batch, "P1", 500, "failed", ended_at=ended_at, reason="returned")
    await hand.book(may, "P1", "paying", "bank", 500, "payout-paid", f"payout/{number}")
    await hand.book(june, "P1", "bank", "payable", 500, "payout-bounced", f"payout/{number}")
    names = ("payee", "state", "reason", "closing")
    assert await hand.rows("exceptions", _month(5)) == []
    (row,) = await hand.rows("exceptions", _month(6))
    assert tuple(row[name] for name in names) == ("P1", "failed", "returned", 500)
    assert await hand.rows("tax-base", _month(5)) == []
    for each in (_month(5), _month(6), Wanted(date(2026, 5, 1), None, "year")):
        lines = await ReportService(hand.database).tie_out(QIAN, each, OF_PAYOUTS)
        assert [line.report.name for line in lines if line.difference] == []


async def test_what_was_paid_twice_is_taxed_twice(hand: ByHand) -> None:
    """Until it comes back: then it never was income."""
    may, june, july = [await hand.period("a", date(2026, number, 1)) for number in (5, 6, 7)]
    await hand.book(may, "P1", "commission", "payable", 500, "commission")
    batch = await hand.batch("a", may, date(2026, 5, 20))
    number = await hand.payout(batch, "P1", 500, "paid", ended_at=datetime(2026, 5, 21, 4, tzinfo=UTC))
    await hand.book(may, "P1", "paying", "bank", 500, "payout-paid", f"payout/{number}")
    await hand.book(june, "P1", "payable", "bank", 500, "payout-overpaid", f"payout/{number}")

    async def told() -> tuple[list[int], list[int]]:
        """The tax base of May; what was paid by month."""
        of_may = [row["paid"] for row in await hand.rows("tax-base", _month(5))]
        months = [row["paid"] for each in (5, 6, 7) for row in await hand.rows("payouts", _month(each))]
        for each in (5, 6, 7):
            lines = await ReportService(hand.database).tie_out(QIAN, _month(each), OF_PAYOUTS)
            assert [line.report.name for line in lines if line.difference] == []
        return of_may, months

    assert await told() == ([1_000], [500, 500])
    await hand.book(july, "P1", "bank", "payable", 500, "payout-overpaid", f"payout/{number}")
    assert await told() == ([500], [500, 500, -500])


async def test_tax_goes_by_the_day_of_payment_at_a_year_s_end(hand: ByHand) -> None:
    """The week of 28 December ends in January; what was paid on Thursday is the old year's all the same."""
    week = await hand.period("weekly", date(2026, 12, 31), "week")
    await hand.book(week, "P1", "commission", "payable", 3_000, "commission")
    batch = await hand.batch("weekly", week, date(2026, 12, 30))
    for amount, ended_at in (
        (1_000, datetime(2026, 12, 31, 15, 59, tzinfo=UTC)),
        (2_000, datetime(2026, 12, 31, 16, 0, tzinfo=UTC)),
    ):
        number = await hand.payout(batch, "P1" if amount == 1_000 else "P2", amount, "paid", ended_at=ended_at)
        code = "P1" if amount == 1_000 else "P2"
        await hand.book(week, code, "paying", "bank", amount, "payout-paid", f"payout/{number}")
    for year, expected in ((2026, [("P1", date(2026, 12, 1), 1, 1_000)]), (2027, [("P2", date(2027, 1, 1), 1, 2_000)])):
        for scheme in (None, "weekly"):
            wanted = Wanted(date(year, 6, 1), scheme, "year")
            rows = await hand.rows("tax-base", wanted)
            assert [(row["payee"], row["month"], row["count"], row["paid"]) for row in rows] == expected
            (tie,) = await ReportService(hand.database).tie_out(QIAN, wanted, ["tax-base"])
            assert tie.total == tie.journal == expected[0][3]


@pytest.mark.parametrize(
    ("name", "wanted", "word"),
    [
        ("approvals", Wanted(date(2026, 5, 1), None, "month", "P1"), "payee"),
        ("calculations", Wanted(date(2026, 5, 1), None, "month", "P1"), "payee"),
        ("corrections", Wanted(date(2026, 5, 1), "a", "month"), "scheme"),
        ("breaks", Wanted(date(2026, 5, 1), "a", "month"), "scheme"),
        ("breaks", Wanted(date(2026, 5, 1), None, "month", "P1"), "payee"),
    ],
)
async def test_a_report_that_cannot_be_narrowed_so_says_so(hand: ByHand, name: str, wanted: Wanted, word: str) -> None:
    await hand.period("a", date(2026, 5, 1))
    with pytest.raises(ValidationProblem) as refused:
        await hand.rows(name, wanted)
    assert name in refused.value.text.zh
    assert word in refused.value.text.en
    with pytest.raises(ValidationProblem):
        await ReportService(hand.database).tie_out(QIAN, wanted, [name])


async def test_sums_of_one_payee_are_not_compared_with_everybody_s(hand: ByHand) -> None:
    await hand.period("a", date(2026, 5, 1))
    with pytest.raises(ValidationProblem, match="payee"):
        await ReportService(hand.database).tie_out(QIAN, Wanted(date(2026, 5, 1), None, "month", "P1"))
    found = await ReportService(hand.database).tie_out(QIAN, _month(5, "a"))
    assert {"breaks", "corrections"}.isdisjoint({each.report.name for each in found})
    assert len(found) > 30


async def test_batches_of_one_payee_are_those_that_pay_them(hand: ByHand) -> None:
    period = await hand.period("a", date(2026, 5, 1))
    for code in ("P1", "P2"):
        await hand.book(period, code, "commission", "payable", 500, "commission")
    for code in ("P1", "P2"):
        await hand.payout(await hand.batch("a", period, date(2026, 5, 2)), code, 500, "accepted")
    rows = await hand.rows("batches", _month(5)._replace(payee="P2"))
    assert [(row["batch"], row["count"], row["amount"]) for row in rows] == [(2, 1, 500)]


async def test_a_page_may_take_as_long_as_a_file(hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    page = ReportRows.page

    async def asked(self: ReportRows, *arguments: Any) -> Any:
        connection = await self.session.connection()
        told.append(await connection.exec_driver_sql("SHOW statement_timeout"))
        return await page(self, *arguments)

    monkeypatch.setattr(ReportRows, "page", asked)
    await ReportService(hand.database).page(QIAN, "payees", _month(5), PageRequest())
    assert [each.scalar() for each in told] == ["10min"]
