"""Every report of a booked month of many payees: its first page over HTTP's service, and all of it as CSV."""

import time
from collections.abc import Mapping
from datetime import date

from benchmarks.figures import Figure
from domain.access import Role, system_actor
from domain.settlement.report_kinds import REPORTS
from services.report_files import ReportFiles
from services.settlement_reports import ReportService, Wanted
from storage.engine import Database
from storage.paging import PageRequest

_ACTOR = system_actor("finance", Role.FINANCE)
_SLOWEST = 3


async def report_figures(database: Database, scheme: str, day: date) -> list[Figure]:
    """How long the slowest reports of a month take, and all of them."""
    wanted = Wanted(day, scheme, "month")
    names = [name for name, report in REPORTS.items() if report.refusal(wanted.filters) is None]
    pages, files, rows = {}, {}, 0
    reports = ReportService(database)
    for name in names:
        begun = time.perf_counter()
        await reports.page(_ACTOR, name, wanted, PageRequest(100))
        pages[name] = time.perf_counter() - begun
        begun = time.perf_counter()
        made = await ReportFiles(database, reports).export(_ACTOR, name, wanted, "csv")
        files[name] = time.perf_counter() - begun
        rows += made.rows
        made.content.close()
    return [
        *_slowest("first page", pages),
        *_slowest("as CSV", files),
        Figure(f"all {len(names)} reports as CSV, {rows:,} rows", [sum(files.values())], "s", better="lower"),
    ]


def _slowest(what: str, seconds: Mapping[str, float]) -> list[Figure]:
    slowest = sorted(seconds, key=lambda name: -seconds[name])[:_SLOWEST]
    return [Figure(f"{what}: {name}", [seconds[name]], "s", better="lower") for name in slowest]
