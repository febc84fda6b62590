"""Every cell of every report is what comes out row by row: of a month, a quarter, a year, one scheme, one payee."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pytest

from domain.settlement.report_kinds import REPORTS
from domain.settlement.reports import Report, Span
from services.settlement_reports import ReportService, Wanted
from storage.engine import Database
from storage.report_rows import NAME, NUMBER
from storage.unit_of_work import UnitOfWork
from tests.reports.expected import balances, earnings, forecast, lines, payouts
from tests.reports.expected.parts import Cells
from tests.reports.expected.raw import Books, Frame, months_of, read_books

Expected = Callable[[Books, Frame], Cells]
EXPECTED: Mapping[str, Expected] = {
    "payees": earnings.payees,
    "components": earnings.components,
    "levels": earnings.levels,
    "roles": earnings.roles,
    "group-leaders": earnings.group_leaders,
    "tier-distance": earnings.tier_distance,
    "step-bonuses": partial(earnings.some, chosen=earnings.of_sort("bonus")),
    "overrides": partial(earnings.some, chosen=earnings.of_sort("override")),
    "deeds": partial(earnings.some, chosen=earnings.of_sort("deed")),
    "bounds": partial(earnings.some, chosen=earnings.of_sort("bounds")),
    "fx": lines.fx,
    "fees": partial(earnings.some, chosen=earnings.of_sort("deduction")),
    "comparison": earnings.comparison,
    **{name: partial(lines.cut_by, name=name) for name in lines.PLACES},
    "statements": balances.statements,
    "balances": balances.balances,
    "adjustments": partial(balances.late, sign=1),
    "clawbacks": partial(balances.late, sign=-1),
    "receivables": balances.receivables,
    "holds": balances.holds,
    "carry-over": balances.carry_over,
    "exceptions": balances.exceptions,
    "forecast": forecast.forecast,
    "trial-balance": balances.trial_balance,
    "payouts": payouts.payouts,
    "payout-states": lambda books, frame: payouts.payout_sums(books, frame, "rail", "state", "currency"),
    "payout-calendar": lambda books, frame: payouts.payout_sums(books, frame, "pay_on", "rail", "currency"),
    "batches": payouts.batches,
    "tax-base": payouts.tax_base,
    "approvals": payouts.approvals,
    "calculations": payouts.calculations,
    "corrections": payouts.corrections,
    "breaks": payouts.breaks,
}
_YEAR = (date(2025, 1, 1), date(2026, 1, 1), date(2027, 1, 1))
_QUARTER = (date(2025, 10, 1), date(2026, 1, 1), date(2026, 4, 1))
_WEEK = (date(2026, 2, 2), date(2026, 2, 9), date(2026, 2, 16))
_HALF = (date(2026, 2, 16), date(2026, 3, 1), date(2026, 3, 16))
FRAMES: Mapping[str, tuple[tuple[date, date, date], Span, str | None, str | None]] = {
    "January": (months_of(1), "month", None, None),
    "March": (months_of(3), "month", None, None),
    "the quarter": (_QUARTER, "quarter", None, None),
    "a week": (_WEEK, "week", None, None),
    "promoters in February": (months_of(2), "month", "promoters", None),
    "promoters in March": (months_of(3), "month", "promoters", None),
    "leaders in a week": (_WEEK, "week", "leaders", None),
    "stores in half a month": (_HALF, "half-month", "stores", None),
    "everybody in the year": (_YEAR, "year", "everybody", None),
    "one promoter": (_QUARTER, "quarter", None, "P1"),
    "one city": (months_of(2), "month", "promoters", "C1"),
    "one leader": (_YEAR, "year", None, "L1"),
    "one influencer": (months_of(3), "month", None, "I2"),
    "one by the week": (_QUARTER, "quarter", "promoters", "P7"),
    "one by the day": (_YEAR, "year", "stores", "S3"),
}


@pytest.fixture(scope="module")
async def raw(books: Database) -> Books:
    """The tables of the seeded months."""
    url = books.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    return await read_books(url, books.clock())


def test_every_report_is_worked_out() -> None:
    assert set(EXPECTED) == set(REPORTS)


def _wanted(frame: str) -> Wanted:
    (_, start, _), span, scheme, payee = FRAMES[frame]
    return Wanted(start, scheme, span, payee)


@pytest.mark.parametrize(
    ("name", "frame"),
    [(name, frame) for name in REPORTS for frame in FRAMES if not REPORTS[name].refusal(_wanted(frame).filters)],
)
async def test_every_cell_is_right(books: Database, raw: Books, name: str, frame: str) -> None:
    (before, start, end), _, scheme, payee = FRAMES[frame]
    report, wanted = REPORTS[name], _wanted(frame)
    expected = EXPECTED[name](raw, Frame(start, end, before, scheme, raw.ids[payee] if payee else None))
    assert await _shown(books, report, wanted) == _rows(report, expected)


def test_the_months_have_something_of_everything(raw: Books) -> None:
    """Where nothing is expected, nothing is proved."""
    year = Frame(_YEAR[1], _YEAR[2], _YEAR[0])
    assert [name for name in REPORTS if not EXPECTED[name](raw, year)] == []


async def _shown(books: Database, report: Report, wanted: Wanted) -> list[dict[str, Any]]:
    """All rows of a report, but for names, in an order that does not hang on how a server sorts words."""
    service = ReportService(books)
    async with UnitOfWork(books) as work:
        frame = await service.frame(work, report, wanted)
        rows = [dict(each) async for each in service.rows(work, report, frame)]
    shown = [{name: _plain(value) for name, value in row.items() if name not in (NAME, NUMBER)} for row in rows]
    return sorted(shown, key=lambda row: [str(row[name]) for name in report.key])


def _rows(report: Report, expected: Cells) -> list[dict[str, Any]]:
    names = [each.name for each in report.columns]
    found = [dict(zip(report.key, key, strict=True)) | row for key, row in expected.items()]
    shown = [{name: _plain(row[name]) for name in names} for row in found]
    return sorted(shown, key=lambda row: [str(row[name]) for name in report.key])


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
