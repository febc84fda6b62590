"""`python -m tests.reports [--months 12]`: the tie-out table over a seeded year.

A database of its own; exit code 1 when a report does not come to what the journal says, to the cent.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from domain.money import major_from_minor
from runtime.embedded import EmbeddedPostgres
from services.settlement_reports import ReportService, TieLine, Wanted
from storage.encryption import Keyring
from storage.engine import Database
from storage.migrations import upgrade
from tests.chaos.table import table
from tests.clock import SteppedClock
from tests.reports.year import a_year
from tests.reports.year_bills import QIAN

_HEAD = ("report", "title", "rows", "total", "journal", "difference", "ties with")


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
                lines = await ReportService(database).tie_out(QIAN, Wanted(date(2026, 1, 1), None, "year"))
                _say(lines, seeded_s, time.monotonic() - begun - seeded_s)
            finally:
                await database.close()
    return int(any(each.difference for each in lines))


def _say(lines: Sequence[TieLine], seeded_s: float, reported_s: float) -> None:
    rows = [
        (
            each.report.name,
            each.report.title.zh,
            f"{each.rows:,}",
            _shown(each, each.total),
            _shown(each, each.journal),
            _shown(each, each.difference),
            each.report.tie.said.en,
        )
        for each in lines
    ]
    print(table(_HEAD, rows))
    wrong = sum(each.difference != 0 for each in lines)
    print(f"\n{len(lines)} sums of reports, {wrong} differ; seeded in {seeded_s:.0f} s, reported in {reported_s:.0f} s")


def _shown(line: TieLine, amount: int) -> str:
    return major_from_minor(amount, line.currency) if line.currency else str(amount)


if __name__ == "__main__":
    sys.exit(main())
