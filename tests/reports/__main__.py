"""`python -m tests.reports [--months 12]`: the tie-out table over a seeded year.

A database of its own; exit code 1 when a report, or the file that is made of it, does not come to what the journal
says, to the cent.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from domain.money import major_from_minor
from domain.settlement.report_kinds import REPORTS
from runtime.embedded import EmbeddedPostgres
from services.settlement_reports import ReportService, TieLine, Wanted
from storage.encryption import Keyring
from storage.engine import Database
from storage.migrations import upgrade
from tests.chaos.table import table
from tests.clock import SteppedClock
from tests.reports.files import Sum, sums_of
from tests.reports.year import a_year
from tests.reports.year_bills import QIAN

_HEAD = ("report", "title", "rows", "total", "file", "journal", "difference", "ties with")
_YEAR = Wanted(date(2026, 1, 1), None, "year")


def main() -> int:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.reports", description=__doc__)
    parser.add_argument("--months", type=int, default=12, choices=range(1, 13), metavar="1-12")
    months: int = parser.parse_args().months
    return asyncio.run(_main(months))


async def _main(months: int) -> int:
    with tempfile.TemporaryDirectory(prefix="tandem-reports-") as directory:
        async with EmbeddedPostgres(Path(directory), durable=False) as server:
            url = server.url("postgres")
            upgrade(url)
            clock = SteppedClock()
            database = Database(url, Keyring({"k1": b"1" * 32}), pool_size=8, clock=clock)
            try:
                begun = time.monotonic()
                await a_year(database, clock, months)
                seeded_s = time.monotonic() - begun
                lines = await ReportService(database).tie_out(QIAN, _YEAR)
                files = {name: await sums_of(database, report, _YEAR) for name, report in REPORTS.items()}
                wrong = _say(lines, files, seeded_s, time.monotonic() - begun - seeded_s)
            finally:
                await database.close()
    return int(wrong > 0)


def _say(lines: Sequence[TieLine], files: Mapping[str, Mapping[str, Sum]], seeded_s: float, reported_s: float) -> int:
    """Print the table; how many of its lines are wrong."""
    in_file = [files[each.report.name].get(each.currency, Sum(0, 0)) for each in lines]
    rows = [
        (
            each.report.name,
            each.report.title.zh,
            f"{each.rows:,}",
            _shown(each, each.total),
            _shown(each, file.total),
            _shown(each, each.journal),
            _shown(each, each.difference),
            each.report.tie.said.en,
        )
        for each, file in zip(lines, in_file, strict=True)
    ]
    print(table(_HEAD, rows))
    pairs = zip(lines, in_file, strict=True)
    wrong = sum(each.difference != 0 or file != (each.rows, each.journal) for each, file in pairs)
    print(
        f"\n{len(lines)} sums of reports and of their files, {wrong} differ; seeded in {seeded_s:.0f} s, reported in "
        f"{reported_s:.0f} s"
    )
    return wrong


def _shown(line: TieLine, amount: int) -> str:
    return major_from_minor(amount, line.currency) if line.currency else str(amount)


if __name__ == "__main__":
    sys.exit(main())
