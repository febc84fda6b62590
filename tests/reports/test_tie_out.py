"""Every report comes to what the journal says, to the cent: of a month, a half, a year, one scheme and all."""

from datetime import date

import pytest

from domain.settlement.report_kinds import REPORTS
from services.settlement_reports import ReportService, Wanted
from storage.engine import Database
from tests.reports.year_bills import QIAN

FRAMES = {
    "a month of a scheme": Wanted(date(2026, 3, 9), "promoters"),
    "a half month": Wanted(date(2026, 3, 9), "stores"),
    "a quarter of all": Wanted(date(2026, 2, 9), None, "quarter"),
    "a year of all": Wanted(date(2026, 2, 9), None, "year"),
    "a month of all": Wanted(date(2026, 2, 9), None, "month"),
}


def test_there_are_more_than_two_dozen() -> None:
    assert len(REPORTS) >= 24


@pytest.mark.parametrize("name", list(REPORTS))
@pytest.mark.parametrize("frame", list(FRAMES))
async def test_it_ties(books: Database, name: str, frame: str) -> None:
    for each in await ReportService(books).tie_out(QIAN, FRAMES[frame], [name]):
        assert each.total == each.journal, f"{name} {frame}: {each}"


async def test_none_of_them_is_empty_over_a_year(books: Database) -> None:
    """A sum of nothing ties with nothing: that would prove little."""
    lines = await ReportService(books).tie_out(QIAN, FRAMES["a year of all"])
    assert [each.report.name for each in lines if not each.rows] == []
    assert [each.report.name for each in lines if not each.total] == []
