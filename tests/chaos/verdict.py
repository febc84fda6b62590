"""Did everything end as it should? The simulator's ledger against the runs, and what the house says of itself."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from temporalio.client import Client as Temporal

from tests.chaos.client import Client
from tests.chaos.house import House
from tests.chaos.outside import Outside, Refund, Truth
from tests.chaos.people import WorkDone

FLOW = {"namespace": "apparel", "name": "return-refund"}
_SETTLING_S = 20.0
_TELL_EVERY_S = 10.0
_ENDED = ("completed", "faulted", "cancelled")
# Where the platform's refund stands in the end, and how the run that handled it must have ended.
_RESULTS: Mapping[str, frozenset[str]] = {
    "refunded": frozenset({"refunded"}),
    "refused": frozenset({"refused"}),
    "return_refused": frozenset({"refused"}),
    "closed": frozenset({"withdrawn", "settled-elsewhere"}),
}
_LEFT_OPEN = """
    SELECT 'effect ' || call || ' of ' || run_id || ' is ' || state FROM effects
    WHERE state IN ('started', 'unknown') AND run_id <> ALL(%(told)s)
    UNION ALL SELECT 'push of ' || kind || ' was not read' FROM inbox WHERE state = 'waiting'
    UNION ALL SELECT 'event ' || seq || ' was not dispatched' FROM event_outbox
    UNION ALL SELECT 'task ' || name || ' of ' || run_id || ' is ' || state FROM human_tasks WHERE ended_at IS NULL
    """


@dataclass
class Verdict:
    """checked: each claim with how many fulfilled it, of how many. exceptions: every departure, explained."""

    checked: list[tuple[str, int, int]] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    exceptions: list[str] = field(default_factory=list)

    def check(self, claim: str, departures: Sequence[str], total: int) -> None:
        self.checked.append((claim, max(total - len(departures), 0), total))
        self.exceptions += [f"{claim}: {departure}" for departure in departures]


async def until_ended(client: Client, outside: Outside, deadline_s: float, say: Callable[[str], None]) -> bool:
    """Wait until there is an ended run for every refund; False when the time was up. `say` hears what is awaited."""
    end, told = time.monotonic() + deadline_s, 0.0
    while True:
        phases = {row["subject"].partition(":")[2]: row["phase"] for row in await client.all("/api/v1/runs", **FLOW)}
        ended = sum(phases.get(refund_id) in _ENDED for refund_id in outside.refunds)
        if ended == len(outside.refunds):
            return True
        if time.monotonic() > end:
            return False
        if time.monotonic() - told > _TELL_EVERY_S:
            told = time.monotonic()
            missing = len(outside.refunds.keys() - phases.keys())
            tasks = await client.all("/api/v1/human-tasks", open=True)
            say(f"{ended} runs have ended; {missing} pushes on their way, {len(tasks)} tasks before people")
        await asyncio.sleep(2)


async def judge(house: House, client: Client, outside: Outside, done: WorkDone) -> Verdict:
    """Everything that can be checked once all runs have ended."""
    verdict, truth = Verdict(), await outside.truth()
    rows = await client.all("/api/v1/runs", **FLOW)
    shown = [await client.get(f"/api/v1/runs/{row['id']}") for row in rows]
    _judge_runs(verdict, outside.refunds, shown, truth)
    _judge_effects(verdict, outside.refunds, truth)
    open_tasks = await client.all("/api/v1/human-tasks", open=True)
    verdict.check("no human task is left open", [f"{task['name']} of {task['subject']}" for task in open_tasks], 1)
    for kind in ("parked", "quarantine"):
        found = await client.all(f"/api/v1/events/{kind}")
        verdict.check(f"no event or push in {kind}", [str(each.get("reason")) for each in found], 1)
    withdrawn = {refund.id for refund in outside.refunds.values() if refund.withdrawn}
    told = [row["id"] for row in rows if row["subject"].partition(":")[2] in withdrawn]
    verdict.check("nothing is left half done", await left_open(house, told), 1)
    verdict.check("no workflow of the flow still runs in Temporal", await _still_running(house), 1)
    verdict.check("the audit chain verifies", await audit_findings(house), 1)
    verdict.check("no answer that a client should never get", done.surprises, 1)
    verdict.check("no bug in the logs", bugs(house), 1)
    return verdict


def _judge_runs(
    verdict: Verdict, refunds: Mapping[str, Refund], shown: Sequence[Mapping[str, Any]], truth: Truth
) -> None:
    by_refund: dict[str, list[Mapping[str, Any]]] = {refund_id: [] for refund_id in refunds}
    strangers = []
    for run in shown:
        refund_id = run["subject"].partition(":")[2]
        by_refund[refund_id].append(run) if refund_id in by_refund else strangers.append(run["id"])
    counts = [f"refund {refund_id} has {len(runs)} runs" for refund_id, runs in by_refund.items() if len(runs) != 1]
    verdict.check("one run for each refund, none missing", [*counts, *strangers], len(refunds))
    wrong = []
    for refund_id, runs in by_refund.items():
        for run in runs:
            result = (run["output"] or {}).get("result") if run["phase"] == "completed" else run["phase"]
            verdict.results[str(result)] += 1
            if departure := _departure(refunds[refund_id], str(result), truth.status[refund_id]):
                wrong.append(f"refund {refund_id}: {departure} {_explained(run)}")
    verdict.check("every run ended as planned", wrong, len(refunds))


def _departure(refund: Refund, result: str, status: str) -> str | None:
    if result not in _RESULTS.get(status, frozenset()):
        return f"the run ended {result}, but the platform has the refund at {status}."
    planned = {"withdrawn", "settled-elsewhere"} if refund.withdrawn else {refund.plan.result}
    return None if result in planned else f"ended {result}, planned was {' or '.join(sorted(planned))}."


def _explained(run: Mapping[str, Any]) -> str:
    """The run's error, its last steps and what failed in them, for a person to follow."""
    steps = [f"{task['name']}={task['status']}" for task in run["tasks"][-8:]]
    failed = [f"{task['name']}: {task['error']}" for task in run["tasks"] if task.get("error")]
    return f"({run['id']}; error {run['error']}; last steps {' '.join(steps)}; failures {failed})"


def _judge_effects(verdict: Verdict, refunds: Mapping[str, Refund], truth: Truth) -> None:
    paid, refused, told = [], [], []
    for refund in refunds.values():
        was_paid, was_refused = int(truth.status[refund.id] == "refunded"), int(not refund.withdrawn)
        was_refused -= was_paid
        if truth.paid[refund.id] != was_paid:
            paid.append(f"refund {refund.id} was paid {truth.paid[refund.id]} times instead of {was_paid}")
        elif was_paid and truth.paid_minor[refund.id] != refund.plan.amount_minor:
            paid.append(f"refund {refund.id}: paid {truth.paid_minor[refund.id]}, not {refund.plan.amount_minor} fen")
        if truth.refused[refund.id] != was_refused:
            refused.append(f"refund {refund.id} was refused {truth.refused[refund.id]} times instead of {was_refused}")
        wanted = int(refund.external_userid is not None and not refund.withdrawn)
        if truth.told[refund.id] != wanted:
            told.append(f"about refund {refund.id} {truth.told[refund.id]} messages went out instead of {wanted}")
    strangers = [f"a message about {about}" for about in truth.told if about not in refunds]
    verdict.check("exactly one payment for each refunded run, else none", paid, len(refunds))
    verdict.check("exactly one refusal for each refused run, else none", refused, len(refunds))
    verdict.check("exactly one message where there is a contact, else none", [*told, *strangers], len(refunds))


async def left_open(house: House, told: Sequence[str] = ()) -> list[str]:
    """What the database still holds as unfinished after some seconds for what the last runs told.

    told: runs that ended by what the platform told, in the middle of an effect whose outcome nobody knew.
    """
    url = house.addresses().database_url
    deadline = time.monotonic() + _SETTLING_S
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=tuple_row) as connection:
        while True:
            rows = await (await connection.execute(_LEFT_OPEN, {"told": list(told)})).fetchall()
            if not rows or time.monotonic() > deadline:
                return [str(row[0]) for row in rows]
            await asyncio.sleep(1)


async def _still_running(house: House) -> list[str]:
    temporal = await Temporal.connect(house.addresses().temporal_address)
    query = "TandemFlow = 'apparel/return-refund' AND ExecutionStatus = 'Running'"
    return [found.id async for found in temporal.list_workflows(query)]


async def audit_findings(house: House) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        "audit",
        "verify",
        env=house.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode("utf-8", "replace").splitlines() if process.returncode else []


def bugs(house: House) -> list[str]:
    """Lines of the logs that no fault outside can explain."""
    marks = ("unexpected error", "Internal error", "The interpreter failed", "Nondeterminism", "TMPRL1100")
    lines = [(name, line) for name in ("api", "worker") for line in house.log(name).splitlines()]
    return [f"{name}: {line[:600]}" for name, line in lines if any(mark in line for mark in marks)]
