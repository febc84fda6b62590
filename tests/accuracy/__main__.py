"""`python -m tests.accuracy [--customers 300] [--years 1] [--faults]`: a merchant's past comes in, and is compared with
the truth.

A Tandem of its own is connected with every simulated shop. What pushes is replayed through the signed pushes of its
platform, what does not is pulled; with `--faults` pushes are lost, doubled, forged and out of order, and platforms are
busy, shifting and forgetful while it happens. Nothing but HTTP leads in. Exit code 1 when an order or amount is wrong.
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from sqlalchemy import text
from temporalio.client import Client as TemporalClient

from runtime.application import open_database
from runtime.configuration import connected_settings
from runtime.settings import Settings
from services.pull_schedules import PREFIX
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.accuracy import truth
from tests.chaos.house import House
from tests.chaos.table import table

FAULTS: tuple[dict[str, Any], ...] = (
    {"match": {}, "fault": "duplicate_push", "probability": 0.3, "copies": 1},
    {"match": {}, "fault": "reorder_push", "probability": 0.2, "seconds": 3},
    {"match": {}, "fault": "drop_push", "probability": 0.05},
    {"match": {}, "fault": "forge_push", "probability": 0.02},
    {"match": {"kind": "request"}, "fault": "5xx", "probability": 0.02},
    {"match": {"kind": "request"}, "fault": "busy", "probability": 0.02},
    {"match": {"kind": "request"}, "fault": "429", "probability": 0.01, "seconds": 1},
    {"match": {"kind": "request"}, "fault": "token_dies", "probability": 0.01},
)
ENDS_S = 900


async def measure(customers: int, years: float, *, faults: bool) -> int:
    """0 when every order and amount is right."""
    began = time.monotonic()
    settings = {
        "TANDEM_SIMULATOR_TRICKLE_S": "0",
        "TANDEM_SIMULATOR_CUSTOMERS": str(customers),
        "TANDEM_SIMULATOR_YEARS": str(years),
    }
    async with House(settings) as house:
        os.environ.update(TANDEM_DATA_DIR=str(house.data_dir), TANDEM_SIMULATOR_URL=house.simulator_url)
        connected = connected_settings()
        database = open_database(connected)
        async with httpx.AsyncClient(base_url=house.simulator_url, timeout=60, trust_env=False) as simulator:
            platforms = (await simulator.get("/_sim/truth")).raise_for_status().json()["platforms"]
            if faults:
                (await simulator.put("/_sim/faults", json={"rules": list(FAULTS)})).raise_for_status()
            _say(began, f"{sum(each['orders'] for each in platforms.values())} orders of {len(platforms)} platforms")
            (await simulator.post("/_sim/replay", json={"order": "shuffled" if faults else "time"})).raise_for_status()
            await _until(lambda: _replayed(simulator), "the replay")
            _say(began, "pushes have come; now what is only pulled, and what pushes missed")
            await _pull_everything(connected)
            await _until(lambda: _pulled(database), "the streams")
            await _until(lambda: _drained(database), "the inbox")
            _say(began, "everything is in")
            accuracy = await truth.orders(simulator, database, platforms)
            people = await truth.people(simulator, database)
            pushes = (await simulator.get("/_sim/state")).json()["pushes"]
        inbox = await _inbox(database)
        await database.close()
    house.forget()
    _show(accuracy, inbox)
    print(f"\npushes at the simulator: {pushes}")
    print(
        f"identity, pairs of strong keys: precision {people.precision:.4%}, recall {people.recall:.4%}, "
        f"{people.pairs} pairs held, {people.false} false, {people.reachable} reachable"
    )
    print(f"  {people.unconnected} more pairs are of one person, but no record of any platform ties them: not counted")
    for kinds, count in people.missed.items():
        print(f"  missed {kinds}: {count}")
    wrong = [each for each in accuracy.values() if (each.here, each.amount) != (each.true, each.true)]
    print(f"\n{'FAILED' if wrong else 'PASSED'} in {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


async def _pull_everything(settings: Settings) -> None:
    """Let the clock strike for every stream at once."""
    client = await TemporalClient.connect(settings.required_temporal_address())
    async for schedule in await client.list_schedules():
        if schedule.id.startswith(f"{PREFIX}pull/"):
            await client.get_schedule_handle(schedule.id).trigger()


async def _replayed(simulator: httpx.AsyncClient) -> bool:
    progress = (await simulator.get("/_sim/replay")).json()
    waiting = (await simulator.get("/_sim/state")).json()["pushes"]["waiting"]
    return progress["state"] != "running" and not waiting


async def _pulled(database: Database) -> bool:
    async with UnitOfWork(database) as work:
        row = (
            await work.session.execute(
                text("SELECT count(*), bool_and(reached_at > now() - interval '30 minutes') FROM streams")
            )
        ).one()
    return bool(row[0]) and bool(row[1])


async def _drained(database: Database) -> bool:
    async with UnitOfWork(database) as work:
        asked = await work.session.scalar(text("SELECT count(*) FROM lookups WHERE due_at IS NOT NULL"))
        # In this order: who was asked about waits in the inbox before the question is settled.
        waiting = await work.session.scalar(text("SELECT count(*) FROM inbox WHERE state = 'waiting'"))
        return not asked and not waiting


async def _inbox(database: Database) -> dict[str, tuple[int, int, int]]:
    """By platform: records stored, quarantined, and events that came of them."""
    async with UnitOfWork(database) as work:
        stored = await work.session.execute(
            text("SELECT platform, count(*), count(*) FILTER (WHERE state = 'quarantined') FROM inbox GROUP BY 1")
        )
        told = await work.session.execute(text("SELECT split_part(source, '/', 2), count(*) FROM events GROUP BY 1"))
        events: Counter[str] = Counter({row[0]: row[1] for row in told})
        return {platform: (count, aside, events[platform]) for platform, count, aside in stored}


async def _until(done: Callable[[], Awaitable[bool]], what: str) -> None:
    for _ in range(ENDS_S):
        if await done():
            return
        await asyncio.sleep(1)
    raise TimeoutError(f"{what} did not end within {ENDS_S} s")


def _show(accuracy: dict[str, truth.Accuracy], inbox: dict[str, tuple[int, int, int]]) -> None:
    rows = []
    for platform, found in sorted(accuracy.items()):
        stored, aside, events = inbox.get(platform, (0, 0, 0))
        share = [f"{part / found.true:.2%}" if found.true else "–" for part in (found.here, found.amount, found.status)]
        rows.append([platform, stored, events, aside, found.true, found.out_of_reach, *share])
    heads = [
        "platform",
        "records",
        "events",
        "quarantined",
        "true orders",
        "out of reach",
        "here",
        "amounts",
        "statuses",
    ]
    print(table(heads, rows))
    print("out of reach: further back than the platform's lists, or never paid at Pinduoduo, which shows only what was")
    for platform, found in sorted(accuracy.items()):
        for line in found.wrong:
            print(f"  {platform} {line}")


def _say(began: float, what: str) -> None:
    print(f"[{time.monotonic() - began:6.1f}s] {what}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--customers", type=int, default=300)
    parser.add_argument("--years", type=float, default=1.0)
    parser.add_argument("--faults", action="store_true")
    chosen = parser.parse_args()
    return asyncio.run(measure(chosen.customers, chosen.years, faults=chosen.faults))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The Temporal client's threads may abort an interpreter that ends in the ordinary way.
    os._exit(code)
