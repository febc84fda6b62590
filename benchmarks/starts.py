"""How fast runs can be started over HTTP, against Temporal's own start."""

import asyncio
from itertools import count

from temporalio.client import Client

from benchmarks.calls import FLOW_INPUT, WAITING
from benchmarks.figures import Figure
from benchmarks.house import House, load
from benchmarks.stage import Kind, flow_start

TITLE = "Starts: POST /api/v1/runs, 20 callers; no worker takes them"
NOTE = "a start is a row, an audit entry and a workflow; limit: a bare start at Temporal"
_ROUNDS = 3
_STARTS = 120
_CALLERS = 20
_numbers = count(1)


async def measure(house: House) -> list[Figure]:
    """Over HTTP and bare, in turns."""
    bare = await Client.connect(house.settings.required_temporal_address())

    async def start_over_http(_: int) -> None:
        wanted = {"namespace": WAITING.namespace, "name": WAITING.name, "input": FLOW_INPUT}
        key = f"start-{next(_numbers)}"
        answer = await house.api.post("/api/v1/runs", json=wanted, headers={"Idempotency-Key": key})
        answer.raise_for_status()

    async def start_at_temporal(_: int) -> None:
        start = flow_start(Kind.interpreted(WAITING))
        await bare.start_workflow("bench/nobody", start, id=f"bare-{next(_numbers)}", task_queue="nobody")

    async def alone() -> float:
        return (await load(start_over_http, 20, 1)).p50_ms

    await asyncio.gather(load(start_over_http, 20, 5), load(start_at_temporal, 20, 5))
    rounds = [
        (
            await load(start_over_http, _STARTS, _CALLERS),
            await load(start_at_temporal, _STARTS, _CALLERS),
            await alone(),
        )
        for _ in range(_ROUNDS)
    ]
    limit = [bare_load.per_second for _, bare_load, _ in rounds]
    return [
        Figure("over HTTP", [over_http.per_second for over_http, _, _ in rounds], "starts/s", limit=limit),
        Figure("  p95", [over_http.p95_ms for over_http, _, _ in rounds], "ms", "lower"),
        Figure("  one at a time, p50", [one for _, _, one in rounds], "ms", "lower"),
        Figure("bare start at Temporal", limit, "starts/s"),
    ]
