"""What is in the files that reports are handed out as."""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from domain.money import minor_from_major
from domain.settlement.reports import Report
from services.report_files import FileFormat, ReportFiles
from services.settlement_reports import ReportService, Wanted
from storage.engine import Database
from tests.reports.year_bills import QIAN


class Sum(NamedTuple):
    """How many rows of a file are of a currency, and what the column that ties comes to, in minor units."""

    rows: int
    total: int


async def file_of(books: Database, name: str, form: FileFormat, wanted: Wanted, **more: Any) -> bytes:
    """A report as a file."""
    made = await ReportFiles(books, ReportService(books)).export(more.pop("by", QIAN), name, wanted, form, **more)
    return b"".join(made.chunks())


def table_of(content: bytes) -> list[list[str]]:
    """The cells of a CSV, its heading first."""
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


async def sums_of(books: Database, report: Report, wanted: Wanted) -> Mapping[str, Sum]:
    """What a report's CSV comes to, by currency; empty for what is counted."""
    head, *rows = table_of(await file_of(books, report.name, "csv", wanted))
    titles = {each.name: each.title.zh for each in report.columns}
    place, of = head.index(titles[report.tie.column]), titles.get("currency")
    sums: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        sums[row[head.index(of)] if of is not None else ""].append(row[place])
    return {currency: Sum(len(cells), _total(cells, currency)) for currency, cells in sums.items()}


def _total(cells: list[str], currency: str) -> int:
    total = sum(map(Decimal, cells), Decimal())
    return minor_from_major(format(total, "f"), currency) if currency else int(total)
