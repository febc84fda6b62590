"""`python -m tests.chaos.gray`: a new version released to 0, 10, 40 and 100 % under load, then rolled back.

A Tandem of its own gets starts from the API and from events, about hundreds of customers, all the time. Measured: the
share of each stage, whether customers keep their side while the share grows, whether any run changed its version, and
how fast a roll back counts. Exit code 1 tells of exceptions.
"""

import argparse
import asyncio
import contextlib
import itertools
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.chaos.client import Answer, Client
from tests.chaos.house import House, HouseProblem
from tests.chaos.table import table

FLOW = "chaos/greeting"
OLD, NEW = "1.0.0", "1.1.0"
SHARES = (0.0, 10.0, 40.0, 100.0)
CUSTOMERS = 800
# Of a share measured with so many customers; one honest run in four hundred is outside.
TOLERANCE_SIGMAS = 3.0
_UNDER_WAY = timedelta(seconds=1)
_ENDING_S = 60.0
_DEFINITION = """
document: {{ dsl: '1.0.3', namespace: chaos, name: greeting, version: '{version}', title: 灰度演示 }}
schedule: {{ on: {{ one: {{ with: {{ type: chaos.visit }} }} }} }}
do:
  - greet: {{ set: {{ begun: '{version}' }} }}
  - think: {{ wait: PT8S }}
  - part: {{ set: {{ begun: '${{ .begun }}', ended: '{version}' }} }}
"""


@dataclass(frozen=True)
class Stage:
    """What was released, from the answer of the call until the next call; `call_ms`: how long the call took."""

    name: str
    share: float
    called: datetime
    answered: datetime

    @property
    def call_ms(self) -> float:
        return (self.answered - self.called) / timedelta(milliseconds=1)


@dataclass
class Load:
    """What was started; digests: by run, as the answer to the start told it."""

    digests: dict[str, str] = field(default_factory=dict)
    by_api: set[str] = field(default_factory=set)
    published: int = 0


async def prove(stage_s: float) -> int:
    """0 when everything is as it should be."""
    began = time.monotonic()
    repeats: Counter[str] = Counter()
    exceptions: list[str] = []
    async with House() as house, Client(house.api_url, house.tokens()["ops"], repeats, exceptions) as ops:
        _say(began, f"Tandem runs at {house.api_url}")
        digests = {version: await _publish(ops, version) for version in (OLD, NEW)}
        await ops.send("POST", f"/api/v1/releases/{FLOW}", {"version": OLD, "share_percent": 100})
        load, stages = Load(), []
        async with _under_load(ops, load):
            for share in SHARES:
                stages.append(await _release(ops, share))
                _say(began, f"{NEW} is released to {share:g} %")
                await asyncio.sleep(stage_s)
            stages.append(await _roll_back(ops))
            _say(began, "rolled back")
            await asyncio.sleep(stage_s)
        runs = await _ended_runs(ops, exceptions)
        _say(began, f"{len(runs)} runs have ended")
    rows, more = _measure(stages, runs)
    exceptions += more + _changed(runs, load, digests)
    print("\nthe stages, under load all the time")
    heading = ["stage", "call ms", "runs", "by API", "by event", "customers", f"on {NEW}", "measured %", "allowed %"]
    print(table([*heading, "went back"], rows))
    _show_roll_back(stages[-1], runs)
    print(f"\nruns that changed their version: {len(_changed(runs, load, digests))} of {len(runs)}")
    for exception in exceptions:
        print(f"EXCEPTION {exception}")
    if exceptions:
        print(f"\nFAILED in {time.monotonic() - began:.0f} s; its data and logs stay in {house.data_dir}")
        return 1
    house.forget()
    print(f"\nPASSED in {time.monotonic() - began:.0f} s")
    return 0


@contextlib.asynccontextmanager
async def _under_load(ops: Client, load: Load) -> AsyncIterator[None]:
    """Starts all the time, from the API and from events."""
    sources = [asyncio.create_task(_call(ops, load, Random(desk))) for desk in range(6)]
    sources.append(asyncio.create_task(_publish_events(ops, load, Random("events"))))
    try:
        yield
    finally:
        for source in sources:
            source.cancel()
        ended = await asyncio.gather(*sources, return_exceptions=True)
    broken = next((error for error in ended if isinstance(error, Exception)), None)
    if broken is not None:
        raise broken


async def _publish(ops: Client, version: str) -> str:
    """Upload and publish a version; its digest."""
    text = _DEFINITION.format(version=version).encode()
    uploaded = await ops.send("POST", "/api/v1/definitions", content=text, media_type="application/yaml")
    published = await ops.send("POST", f"/api/v1/definitions/{FLOW}/{version}/publish")
    if not (uploaded.ok and published.ok):
        raise HouseProblem(f"{version} was not taken: {uploaded.reason} {published.reason}")
    return str(published.body["digest"])


async def _release(ops: Client, share: float) -> Stage:
    called = datetime.now(UTC)
    answer = await ops.send("POST", f"/api/v1/releases/{FLOW}", {"version": NEW, "share_percent": share})
    return _stage(f"{share:g} %", share, called, answer)


async def _roll_back(ops: Client) -> Stage:
    called = datetime.now(UTC)
    answer = await ops.send("POST", f"/api/v1/releases/{FLOW}/rollback", {"reason": "shown"})
    return _stage("rolled back", 0.0, called, answer)


def _stage(name: str, share: float, called: datetime, answer: Answer) -> Stage:
    if not answer.ok:
        raise HouseProblem(f"{name} was refused: {answer.reason}")
    return Stage(name, share, called, datetime.now(UTC))


async def _call(ops: Client, load: Load, pick: Random) -> None:
    """Start runs through the API, one after the other."""
    for number in itertools.count():
        wanted = {"namespace": "chaos", "name": "greeting", "subject": _customer(pick)}
        started = await ops.send("POST", "/api/v1/runs", wanted, key=f"{pick.random()}-{number}")
        if started.ok:
            load.digests[started.body["id"]] = started.body["digest"]
            load.by_api.add(started.body["id"])


async def _publish_events(ops: Client, load: Load, pick: Random) -> None:
    """Start runs by events, in batches."""
    for batch in itertools.count():
        events = [
            {
                "specversion": "1.0",
                "id": f"{batch}-{number}",
                "source": "/chaos/gray",
                "type": "chaos.visit",
                "subject": _customer(pick),
            }
            for number in range(6)
        ]
        await ops.send("POST", "/api/v1/events", events, media_type="application/cloudevents-batch+json")
        load.published += len(events)
        await asyncio.sleep(0.6)


def _customer(pick: Random) -> str:
    return f"customer:gray-{pick.randrange(CUSTOMERS):04}"


async def _ended_runs(ops: Client, exceptions: list[str]) -> list[dict[str, Any]]:
    """Every run, with its output, once all have ended."""
    query = {"namespace": "chaos", "name": "greeting"}
    deadline = time.monotonic() + _ENDING_S
    while await ops.all("/api/v1/runs", **query, phase=["pending", "running", "waiting"]):
        if time.monotonic() > deadline:
            exceptions.append("not every run has ended in time")
            break
        await asyncio.sleep(1)
    slots = asyncio.Semaphore(6)

    async def shown(run_id: str) -> dict[str, Any]:
        async with slots:
            run: dict[str, Any] = await ops.get(f"/api/v1/runs/{run_id}")
            return run

    return await asyncio.gather(*(shown(row["id"]) for row in await ops.all("/api/v1/runs", **query)))


def _measure(stages: Sequence[Stage], runs: Sequence[Mapping[str, Any]]) -> tuple[list[list[object]], list[str]]:
    """A row for each stage, and what is not as it should be."""
    rows: list[list[object]] = []
    wrong: list[str] = []
    was_new: set[str] = set()
    for stage, following in itertools.zip_longest(stages, stages[1:]):
        sides, sources = _within(stage, following, runs)
        for subject, versions in sides.items():
            if len(versions) > 1:
                wrong.append(f"{stage.name}: {subject} was on both sides: {sorted(versions)}")
        new = {subject for subject, versions in sides.items() if NEW in versions}
        measured = 100 * len(new) / max(len(sides), 1)
        deviation = 100 * math.sqrt(stage.share / 100 * (1 - stage.share / 100) / max(len(sides), 1))
        allowed = TOLERANCE_SIGMAS * deviation
        if abs(measured - stage.share) > allowed:
            wrong.append(f"{stage.name}: {measured:.1f} % of {len(sides)} customers got {NEW}")
        rolled_back = following is None
        went_back = sorted(subject for subject in was_new & sides.keys() if subject not in new)
        if went_back and not rolled_back:
            wrong.append(f"{stage.name}: {len(went_back)} customers went back to {OLD}, such as {went_back[0]}")
        was_new |= new
        shown = f"{stage.share:g} ± {allowed:.1f}"
        row = [stage.name, stage.call_ms, sources.total(), sources["api"], sources["event"], len(sides), len(new)]
        rows.append([*row, measured, shown, len(went_back)])
    return rows, wrong


def _within(
    stage: Stage, following: Stage | None, runs: Sequence[Mapping[str, Any]]
) -> tuple[Mapping[str, set[str]], Counter[str]]:
    """Versions by customer and starts by source, of the runs that began while the stage's release counted for sure.

    A start that was under way when the next release was written may belong to either.
    """
    sides: defaultdict[str, set[str]] = defaultdict(set)
    sources: Counter[str] = Counter()
    for run in runs:
        at = _began(run)
        if at > stage.answered and (following is None or at < following.called - _UNDER_WAY):
            sides[run["subject"]].add(run["version"])
            sources["event" if run["started_by"] == "system:events" else "api"] += 1
    return sides, sources


def _changed(runs: Sequence[Mapping[str, Any]], load: Load, digests: Mapping[str, str]) -> list[str]:
    """Runs that are not in the end what they were at their start: by digest, and by what they did."""
    wrong = []
    for run in runs:
        at_start = load.digests.get(run["id"], digests[run["version"]])
        if run["digest"] != at_start or run["digest"] != digests[run["version"]]:
            wrong.append(f"{run['id']} began as {at_start} and ended as {run['digest']}")
        if run["output"] != {"begun": run["version"], "ended": run["version"]}:
            wrong.append(f"{run['id']} of {run['version']} is {run['phase']} with {run['output']}")
    return wrong


def _show_roll_back(stage: Stage, runs: Sequence[Mapping[str, Any]]) -> None:
    """How fast new runs got the old version again."""
    new = [run for run in runs if run["version"] == NEW]
    last_new = max((_began(run) for run in new), default=None)
    after = [_began(run) for run in runs if run["version"] == OLD and _began(run) > stage.called]
    under_way = [run for run in new if datetime.fromisoformat(run["ended_at"]) > stage.answered]
    facts: list[list[object]] = [
        ["the call answered after", f"{stage.call_ms:.0f} ms"],
        [f"last run with {NEW}, from the call", _ms(last_new, stage.called)],
        [f"first run with {OLD}, from the call", _ms(min(after, default=None), stage.called)],
        [f"runs with {NEW} that began after the answer", sum(_began(run) > stage.answered for run in new)],
        [f"runs with {NEW} still under way then, which ended as {NEW}", len(under_way)],
    ]
    print("\nthe roll back")
    print(table(["what", "measured"], facts))


def _began(run: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(run["created_at"])


def _ms(at: datetime | None, since: datetime) -> str:
    return "-" if at is None else f"{(at - since) / timedelta(milliseconds=1):+.0f} ms"


def _say(began: float, sentence: str) -> None:
    print(f"[{time.monotonic() - began:6.1f}s] {sentence}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.chaos.gray", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stage", type=float, default=11.0, metavar="SECONDS", help="how long each stage lasts")
    chosen = parser.parse_args()
    try:
        return asyncio.run(prove(chosen.stage))
    except HouseProblem as problem:
        print(problem)
        return 1


if __name__ == "__main__":
    sys.exit(main())
