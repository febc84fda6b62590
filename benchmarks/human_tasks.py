"""How long a person waits for the answer when completing a task over HTTP: the flow has taken the form by then."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.calls import FLOW_INPUT
from benchmarks.figures import Figure
from benchmarks.hand_coded import BARE_UPDATE, ECHO, BareUpdate
from benchmarks.house import AGENT, House, load

TITLE = "Human tasks: POST /api/v1/human-tasks/{id}/complete"
NOTE = (
    "checked, kept as a draft, taken by the run's update, recorded; API, worker, Temporal, PostgreSQL on two cores; "
    "bare: an update by hand whose activity does nothing; a person comes when the run before is over"
)
_THINKS_S = 0.1
_ROUNDS = 3
_ALONE = 40
_TOGETHER = 80
_CALLERS = 20
_PAGE = 200
_numbers = count(1)


async def measure(house: House) -> list[Figure]:
    """One person, the same without a pause, then twenty at once."""
    await _complete(house, _ALONE // 2, 1)
    bare, person, hurried, together = [], [], [], []
    async with _bare(house) as client:
        for _ in range(_ROUNDS):
            bare.append(await _bare_updates(client))
            person.append(await _complete(house, _ALONE, 1, _THINKS_S))
            hurried.append(await _complete(house, _ALONE, 1))
            together.append(await _complete(house, _TOGETHER, _CALLERS))
    floor50, floor95 = [p50 for p50, _ in bare], [p95 for _, p95 in bare]
    return [
        Figure("one person, p50", [p50 for _, p50, _ in person], "ms", "lower", floor50, "bare"),
        Figure("  p95", [p95 for _, _, p95 in person], "ms", "lower", floor95, "bare", aim=50),
        Figure("bare update with an activity, p50", floor50, "ms", "lower"),
        Figure("  p95", floor95, "ms", "lower"),
        Figure("back to back, p50", [p50 for _, p50, _ in hurried], "ms", "lower"),
        Figure("  p95", [p95 for _, _, p95 in hurried], "ms", "lower"),
        Figure("twenty at once", [per_second for per_second, _, _ in together], "tasks/s"),
        Figure("  p50", [p50 for _, p50, _ in together], "ms", "lower"),
        Figure("  p95", [p95 for _, _, p95 in together], "ms", "lower"),
    ]


async def _complete(house: House, tasks: int, callers: int, think_s: float = 0.0) -> tuple[float, float, float]:
    """Per second, p50 and p95 in milliseconds."""
    waiting = await _open(house, tasks)

    async def complete(number: int) -> None:
        task_id, version = waiting[number]
        answer = await house.api.post(
            f"/api/v1/human-tasks/{task_id}/complete",
            json={"form": {"grade": "A"}},
            headers={"If-Match": f'"{version}"', "Idempotency-Key": f"complete-{task_id}"},
        )
        answer.raise_for_status()

    found = await load(complete, tasks, callers, think_s=think_s)
    return found.per_second, found.p50_ms, found.p95_ms


@activity.defn(name=ECHO)
async def _echo(form: dict[str, Any]) -> dict[str, Any]:
    return form


@asynccontextmanager
async def _bare(house: House) -> AsyncIterator[Client]:
    """A client of a worker beside Tandem's that knows the bare update only."""
    client = await Client.connect(house.settings.required_temporal_address())
    async with Worker(
        client,
        task_queue="bare",
        workflows=[BareUpdate],
        activities=[_echo],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield client


async def _bare_updates(client: Client) -> tuple[float, float]:
    """p50 and p95 in milliseconds, of one person as well."""
    numbers = [next(_numbers) for _ in range(_ALONE)]
    waiting = [await client.start_workflow(BARE_UPDATE, id=f"bare-{number}", task_queue="bare") for number in numbers]
    await asyncio.sleep(1)

    async def complete(number: int) -> None:
        await waiting[number].execute_update("complete", {"grade": "A"})

    found = await load(complete, _ALONE, 1, think_s=_THINKS_S)
    return found.p50_ms, found.p95_ms


async def _open(house: House, tasks: int) -> list[tuple[str, int]]:
    """That many open tasks, the runs quiet behind them."""

    async def start(_: int) -> None:
        wanted = {"namespace": "bench", "name": "inspection", "input": FLOW_INPUT}
        key = f"inspect-{next(_numbers)}"
        (await house.api.post("/api/v1/runs", json=wanted, headers={"Idempotency-Key": key})).raise_for_status()

    await load(start, tasks, 10)
    async with asyncio.timeout(60):
        while True:
            answer = await house.api.get("/api/v1/human-tasks", params={"view": "mine", "open": "true", "size": _PAGE})
            answer.raise_for_status()
            items = answer.json()["items"]
            if len(items) >= tasks:
                await asyncio.sleep(1)
                return [(item["id"], item["version"]) for item in items if item["assignee"] == AGENT]
            await asyncio.sleep(0.2)
