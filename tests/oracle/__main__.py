"""`python -m tests.oracle [--lines 200000] [--payees 3000] [--seed tandem]`: settlement against an independent program.

A PostgreSQL of its own is filled with a month of orders, told as they change. Every shape of scheme is computed by
the real steps, and once more line by line, in exact decimals, by a program that shares nothing with them
(`recompute.py`). Exit code 1 when a single cent differs, or a shape compared nothing at all.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from runtime.embedded import EmbeddedPostgres
from storage.encryption import Keyring
from storage.engine import Database
from storage.migrations import upgrade
from tests.chaos.table import table
from tests.oracle.apart import oracle_apart
from tests.oracle.comparison import HEADING, Compared, compared
from tests.oracle.crowd import a_crowd
from tests.oracle.engine import Engine
from tests.oracle.shapes import all_shapes


async def measure(lines: int, payees: int, seed: str) -> int:
    """0 when every cent is the same."""
    began = time.monotonic()
    crowd = a_crowd(lines, payees, seed)
    found: list[Compared] = []
    with tempfile.TemporaryDirectory(prefix="tandem-oracle-") as directory:
        async with EmbeddedPostgres(Path(directory), durable=False) as server:
            url = server.url("postgres")
            await asyncio.to_thread(upgrade, url)
            database = Database(url, Keyring({"k1": b"1" * 32}), pool_size=4)
            try:
                engine = Engine(database)
                await engine.take_in(crowd)
                _say(began, f"{len(crowd.pasts):,} orders of {crowd.lines:,} lines are in")
                with oracle_apart(lines, payees, seed) as oracle:
                    async for each in compared(engine, oracle, all_shapes()):
                        found.append(each)
                        print(".", end="", file=sys.stderr, flush=True)
            finally:
                await database.close()
    print("\n" + table(HEADING, [each.row() for each in found]))
    for each in found:
        for example in each.examples:
            print(f"DIFFERS {example}")
    empty = [each.shape for each in found if not each.sums]
    for shape in empty:
        print(f"EMPTY {shape}: nothing was compared")
    sums, cents = sum(each.sums for each in found), sum(each.cents for each in found)
    differing = sum(each.differing for each in found)
    ended = "FAILED" if differing or empty else "PASSED"
    print(
        f"\n{ended} in {time.monotonic() - began:.0f} s: {len(found)} shapes, {sums:,} sums, {cents:,} cents compared, "
        f"{differing} differing"
    )
    return int(ended == "FAILED")


def _say(began: float, what: str) -> None:
    print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000, help="order lines that count in the month")
    parser.add_argument("--payees", type=int, default=3_000)
    parser.add_argument("--seed", default="tandem")
    given = parser.parse_args()
    raise SystemExit(asyncio.run(measure(given.lines, given.payees, given.seed)))


if __name__ == "__main__":
    main()
