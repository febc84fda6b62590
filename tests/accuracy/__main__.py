"""`python -m tests.accuracy [--customers 300] [--years 1] [--faults]`: a merchant's past comes in, and is compared with
the truth.

A Tandem of its own is connected with every simulated shop. What pushes is replayed through the signed pushes of its
platform, what does not is pulled; with `--faults` pushes are lost, doubled, forged and out of order, and platforms are
busy, silent, shifting and forgetful while it happens; then what they broke is read again, as schedules do. Nothing but
HTTP leads in. Exit code 1, with the reasons, when anything is missing, wrong, twice, made up or set aside, when keys of
one person are apart or of two together (`verdict.py`), or when a fault that was set never struck.
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import text
from temporalio.client import Client as TemporalClient

from runtime.configuration import connected_settings
from runtime.connections import open_database
from runtime.settings import Settings
from services.pull_schedules import PREFIX
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.accuracy import truth
from tests.accuracy.faults import FAULTS
from tests.accuracy.parcels import Parcels, compare_parcels, held_parcels
from tests.accuracy.refunds import Refunds, compare_refunds, held_refunds
from tests.accuracy.verdict import Inflow, complaints, duplicates, refusals
from tests.chaos.house import House, HouseProblem
from tests.chaos.table import table

ENDS_S = 1_800
_EVER = timedelta(days=731)
"""Longer than any simulated past."""
REPAIRS = 3
"""How often everything is read again after the faults, at most: schedules repair what pushes and pages missed."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found at one moment."""

    accuracy: dict[str, truth.Accuracy]
    refunds: dict[str, Refunds]
    parcels: dict[str, Parcels]
    people: truth.People
    inflow: dict[str, Inflow]
    complaints: list[str]


async def measure(customers: int, years: float, *, faults: bool) -> int:
    """0 when there is nothing to complain of."""
    began = time.monotonic()
    settings = {
        "TANDEM_SIMULATOR_TRICKLE_S": "0",
        "TANDEM_SIMULATOR_CUSTOMERS": str(customers),
        "TANDEM_SIMULATOR_YEARS": str(years),
    }
    rules: list[dict[str, Any]] = []
    async with House(settings) as house:
        os.environ.update(TANDEM_DATA_DIR=str(house.data_dir), TANDEM_SIMULATOR_URL=house.simulator_url)
        connected = connected_settings()
        database = open_database(connected)
        async with httpx.AsyncClient(base_url=house.simulator_url, timeout=60, trust_env=False) as simulator:
            platforms = (await simulator.get("/_sim/truth")).raise_for_status().json()["platforms"]
            _say(began, f"{sum(each['orders'] for each in platforms.values())} orders of {len(platforms)} platforms")
            await _replay(simulator, faults=faults)
            _say(began, "pushes have come; now what is only pulled, and what pushes missed")
            await _pull_everything(connected, database)
            if faults:
                rules = (await simulator.get("/_sim/faults")).raise_for_status().json()["rules"]
                (await simulator.delete("/_sim/faults")).raise_for_status()
                await _until(lambda: _replayed(simulator), "the last pushes")
                await _until(lambda: _drained(database), "the inbox")
            _say(began, "everything is in")
            found = await _compare(house, simulator, database, rules)
            for number in range(REPAIRS if faults else 0):
                if not found.complaints:
                    break
                _say(began, f"{len(found.complaints)} complaints after the faults; read again, {number + 1}")
                await _pull_everything(connected, database)
                found = await _compare(house, simulator, database, rules)
            pushes = (await simulator.get("/_sim/state")).json()["pushes"]
        await database.close()
    _show(found.accuracy, found.inflow)
    _show_refunds(found.refunds)
    _show_parcels(found.parcels)
    print(f"\npushes at the simulator: {pushes}")
    for rule in rules:
        print(f"  {rule['fault']} {rule['match']['platform']}: {rule['hit']}")
    _tell(found.people)
    for complaint in found.complaints:
        print(f"COMPLAINT {complaint}")
    if found.complaints:
        print(f"\nFAILED in {time.monotonic() - began:.0f} s; data and logs stay in {house.data_dir}")
        return 1
    house.forget()
    print(f"\nPASSED in {time.monotonic() - began:.0f} s")
    return 0


async def _replay(simulator: httpx.AsyncClient, *, faults: bool) -> None:
    """Let the past be pushed. What no list shows any more is pushed before pushes are lost: nothing could repair it."""
    if not faults:
        await _replay_part(simulator, {"order": "time"})
        return
    now = datetime.now(UTC)
    shortly = {name: truth.listed_since(name, now) for name in sorted(truth.PUSHED)}
    unlisted = {name: since.isoformat() for name, since in shortly.items() if since > now - _EVER}
    targets = (await simulator.get("/_sim/push-targets")).raise_for_status().json()
    others = sorted({target.partition("/")[0] for target in targets} - unlisted.keys())
    lossless = [rule for rule in FAULTS if rule["fault"] != "drop_push"]
    (await simulator.put("/_sim/faults", json={"rules": lossless})).raise_for_status()
    for name, at in unlisted.items():
        await _replay_part(simulator, {"order": "shuffled", "platforms": [name], "until": at})
    (await simulator.put("/_sim/faults", json={"rules": list(FAULTS)})).raise_for_status()
    for name, at in unlisted.items():
        await _replay_part(simulator, {"order": "shuffled", "platforms": [name], "since": at})
    await _replay_part(simulator, {"order": "shuffled", "platforms": others})


async def _replay_part(simulator: httpx.AsyncClient, wish: Mapping[str, Any]) -> None:
    (await simulator.post("/_sim/replay", json=wish)).raise_for_status()
    await _until(lambda: _replayed(simulator), "the replay")


async def _compare(
    house: House, simulator: httpx.AsyncClient, database: Database, rules: Sequence[Mapping[str, Any]]
) -> Findings:
    identities = [row async for row in truth.pages(simulator, "identities")]
    rows = [row async for row in truth.pages(simulator, "orders")]
    now = datetime.now(UTC)
    held, customer = await truth.held_orders(database), await truth.held_keys(database)
    owners, buyers = truth.owners(identities, customer), truth.buyers(identities)
    by_platform: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_platform[row["platform"]].append(row)
    accuracy = {name: truth.compare_orders(each, held, owners, buyers, now) for name, each in by_platform.items()}
    people = truth.compare_people(identities, customer, rows, now)
    refunds = await _refunds(simulator, database, now)
    parcels = await _parcels(by_platform, database, now)
    inflow = await _inflow(house, database)
    said = complaints(accuracy, truth.phantoms(rows, held), people, inflow, rules, refunds=refunds, parcels=parcels)
    return Findings(accuracy, refunds, parcels, people, inflow, said)


async def _refunds(simulator: httpx.AsyncClient, database: Database, now: datetime) -> dict[str, Refunds]:
    """By platform."""
    true, stored = defaultdict(list), defaultdict(list)
    async for row in truth.pages(simulator, "refunds"):
        true[row["platform"]].append(row)
    for each in await held_refunds(database):
        stored[each.account.partition("/")[0]].append(each)
    return {name: compare_refunds(true[name], stored[name], now) for name in sorted(true.keys() | stored.keys())}


async def _parcels(
    orders: Mapping[str, Sequence[Mapping[str, Any]]], database: Database, now: datetime
) -> dict[str, Parcels]:
    """By platform; an ERP's stand in no shop's truth."""
    stored = defaultdict(list)
    for each in await held_parcels(database):
        stored[each.account.partition("/")[0]].append(each)
    return {name: compare_parcels(rows, stored[name], now) for name, rows in sorted(orders.items())}


async def _pull_everything(settings: Settings, database: Database) -> None:
    """Let the clock strike for every stream at once, and wait until all is read and drained."""
    struck = datetime.now(UTC)
    client = await TemporalClient.connect(settings.required_temporal_address())
    async for schedule in await client.list_schedules():
        if schedule.id.startswith(f"{PREFIX}pull/"):
            await client.get_schedule_handle(schedule.id).trigger()
    await _until(lambda: _pulled(database, struck), "the streams")
    await _until(lambda: _drained(database), "the inbox")


async def _replayed(simulator: httpx.AsyncClient) -> bool:
    progress = (await simulator.get("/_sim/replay")).json()
    if progress["state"] in ("broken", "stopped"):
        raise HouseProblem(f"the replay ended before its end: {progress}")
    waiting = (await simulator.get("/_sim/state")).json()["pushes"]["waiting"]
    return progress["state"] == "done" and not waiting


async def _pulled(database: Database, since: datetime) -> bool:
    async with UnitOfWork(database) as work:
        row = (
            await work.session.execute(
                text(
                    "SELECT count(*), bool_and(problem IS NULL AND pulled_at > :since "
                    "AND reached_at > now() - interval '30 minutes') FROM streams"
                ),
                {"since": since},
            )
        ).one()
    return bool(row[0]) and bool(row[1])


async def _drained(database: Database) -> bool:
    async with UnitOfWork(database) as work:
        asked = await work.session.scalar(text("SELECT count(*) FROM lookups WHERE due_at IS NOT NULL"))
        asked = asked or await work.session.scalar(text("SELECT count(*) FROM awaited_orders WHERE attempts = 0"))
        # In this order: who was asked about waits in the inbox before the question is settled.
        waiting = await work.session.scalar(text("SELECT count(*) FROM inbox WHERE state = 'waiting'"))
        return not asked and not waiting


async def _inflow(house: House, database: Database) -> dict[str, Inflow]:
    """By platform."""
    async with httpx.AsyncClient(base_url=house.api_url, trust_env=False) as api:
        counted = (await api.get("/metrics")).raise_for_status().text
    dropped, turned_away = duplicates(counted), refusals(counted)
    async with UnitOfWork(database) as work:
        stored = await work.session.execute(
            text("SELECT platform, count(*), count(*) FILTER (WHERE state = 'quarantined') FROM inbox GROUP BY 1")
        )
        told = await work.session.execute(text("SELECT split_part(source, '/', 2), count(*) FROM events GROUP BY 1"))
        events: Counter[str] = Counter({row[0]: row[1] for row in told})
        return {
            platform: Inflow(count, aside, events[platform], dropped.get(platform, 0), turned_away.get(platform, 0))
            for platform, count, aside in stored
        }


async def _until(done: Callable[[], Awaitable[bool]], what: str) -> None:
    for _ in range(ENDS_S):
        if await done():
            return
        await asyncio.sleep(1)
    raise TimeoutError(f"{what} did not end within {ENDS_S} s")


def _show(accuracy: Mapping[str, truth.Accuracy], inflow: Mapping[str, Inflow]) -> None:
    rows = []
    for platform in sorted(accuracy.keys() | inflow.keys()):
        found, came = accuracy.get(platform, truth.Accuracy()), inflow.get(platform, Inflow())
        right = (found.here, found.amount, found.status, found.owner)
        share = [f"{part / found.true:.2%}" if found.true else "–" for part in right]
        kept = [came.stored, came.events, came.duplicates, came.refused, came.quarantined]
        counts = [*kept, found.true, found.out_of_reach]
        rows.append([platform, *counts, *share])
    counted = ["records", "events", "duplicates", "refused", "quarantined", "true orders", "out of reach"]
    print(table(["platform", *counted, "here", "amounts", "statuses", "owners"], rows))
    print("duplicates: pushes dropped because they were here before; refused: pushes that were not the platform's")
    print("out of reach: further back than the platform's lists, or never paid at Pinduoduo, which shows only what was")
    for platform, found in sorted(accuracy.items()):
        for line in found.wrong:
            print(f"  {platform} {line}")


def _show_refunds(refunds: Mapping[str, Refunds]) -> None:
    rows = []
    for platform, found in refunds.items():
        right = (found.here, found.amount, found.status, found.order)
        share = [f"{part / found.true:.2%}" if found.true else "–" for part in right]
        rows.append([platform, found.true, found.out_of_reach, *share])
    print(table(["platform", "true refunds", "out of reach", "here", "amounts", "statuses", "orders"], rows))
    for platform, found in refunds.items():
        for line in found.wrong:
            print(f"  {platform} {line}")


def _show_parcels(parcels: Mapping[str, Parcels]) -> None:
    rows = [
        [platform, found.true, found.out_of_reach, f"{found.here / found.true:.2%}" if found.true else "–"]
        for platform, found in parcels.items()
    ]
    print(table(["platform", "true parcels", "out of reach", "here"], rows))
    for platform, found in parcels.items():
        for line in found.wrong:
            print(f"  {platform} {line}")


def _tell(people: truth.People) -> None:
    print(
        f"identity, pairs of strong keys: precision {people.precision:.4%}, recall {people.recall:.4%}, "
        f"{people.pairs} pairs held, {people.false} false, {people.reachable} reachable, {people.absent} of their keys "
        "not here"
    )
    print(f"  {people.unconnected} more pairs are of one person, but no record of any platform ties them: not counted")
    print(f"  {people.out_of_reach} keys are shown only by orders out of reach or visits of a day ago: not counted")
    rows = [
        [
            platform,
            found.pairs,
            found.reachable,
            f"{found.true / found.pairs:.2%}" if found.pairs else "–",
            f"{found.known / found.reachable:.2%}" if found.reachable else "–",
        ]
        for platform, found in people.by_platform.items()
    ]
    print(table(["keys of", "pairs held", "reachable", "precision", "recall"], rows))
    for kinds, count in people.missed.items():
        print(f"  missed {kinds}: {count}")


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
