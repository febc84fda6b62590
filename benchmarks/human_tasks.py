"""How long a person waits for the answer when completing a task over HTTP: the flow has taken the form by then."""

import asyncio
from itertools import count

from benchmarks.calls import FLOW_INPUT
from benchmarks.figures import Figure
from benchmarks.house import AGENT, House, load

TITLE = "Human tasks: POST /api/v1/human-tasks/{id}/complete"
NOTE = "checked, kept as a draft, taken by the run's update, recorded; API, worker, Temporal, PostgreSQL on two cores"
_ROUNDS = 3
_ALONE = 40
_TOGETHER = 80
_CALLERS = 20
_PAGE = 200
_numbers = count(1)


async def measure(house: House) -> list[Figure]:
    """One person at a time, then twenty at once."""
    await _complete(house, _ALONE // 2, 1)
    rounds = [(await _complete(house, _ALONE, 1), await _complete(house, _TOGETHER, _CALLERS)) for _ in range(_ROUNDS)]
    return [
        Figure("one at a time, p50", [alone[1] for alone, _ in rounds], "ms", "lower"),
        Figure("one at a time, p95", [alone[2] for alone, _ in rounds], "ms", "lower", aim=50),
        Figure("twenty at once", [together[0] for _, together in rounds], "tasks/s"),
        Figure("  p50", [together[1] for _, together in rounds], "ms", "lower"),
        Figure("  p95", [together[2] for _, together in rounds], "ms", "lower"),
    ]


async def _complete(house: House, tasks: int, callers: int) -> tuple[float, float, float]:
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

    found = await load(complete, tasks, callers)
    return found.per_second, found.p50_ms, found.p95_ms


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
