"""Three-step flows as the product runs them: started through the services, every run and report a row on disk."""

from itertools import count
from typing import Any

from benchmarks.calls import FLOW_INPUT, THREE_INSIDE, THREE_OUTSIDE
from benchmarks.figures import Figure
from benchmarks.house import ACTOR, House, load, worker_beside
from domain.dsl.definition import Definition

TITLE = "Throughput with the read model: the same flows, their rows in PostgreSQL"
NOTE = (
    "start: row, audit entry, Temporal; end: report with tasks and lifecycle events; 50 in flight, then one at a time"
)
_ROUNDS = 3
_numbers = count(1)


async def measure(house: House) -> list[Figure]:
    """What the flows cost with everything around them."""
    figures = []
    async with worker_beside(house):
        for name, definition, flows, least, idle_ms in (
            ("three outside steps", THREE_OUTSIDE, 75, 25, 60),
            ("three inner steps", THREE_INSIDE, 150, 80, 20),
        ):
            await _loaded(house, definition, flows // 3)
            loads = [await _loaded(house, definition, flows) for _ in range(_ROUNDS)]
            alone = [await _loaded(house, definition, 15, in_flight=1) for _ in range(_ROUNDS)]
            figures += [
                Figure(name, [each.per_second for each in loads], "flows/s", aim=least),
                Figure("  p50", [each.p50_ms for each in loads], "ms", "lower"),
                Figure("  p95", [each.p95_ms for each in loads], "ms", "lower"),
                Figure("  one at a time, p50", [each.p50_ms for each in alone], "ms", "lower", aim=idle_ms),
            ]
    return figures


async def _loaded(house: House, definition: Definition, flows: int, in_flight: int = 50) -> Any:
    application = house.application

    async def one(_: int) -> None:
        subject = f"order:{next(_numbers)}"
        run = await application.runs.start(
            ACTOR, definition.namespace, definition.name, FLOW_INPUT, subject=subject, request_id=subject
        )
        await application.client.get_workflow_handle(run.id).result()

    return await load(one, flows, in_flight)
