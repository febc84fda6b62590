"""How long one three-step flow takes when nothing else is going on."""

from benchmarks.figures import Figure
from benchmarks.hand_coded import EMPTY, HAND_CODED_INSIDE, HAND_CODED_OUTSIDE
from benchmarks.stage import INTERPRETED_INSIDE, INTERPRETED_OUTSIDE, Stage, flow_type

TITLE = "Idle latency: one flow of three steps at a time, start to result"
NOTE = "each value is the median of 20 flows; limit: an empty workflow"
_ROUNDS = 5
_FLOWS = 20


async def measure(stage: Stage) -> list[Figure]:
    """Interpreted against hand-coded, in turns."""

    async def median(workflow_type: str) -> float:
        return (await stage.load(workflow_type, INTERPRETED_OUTSIDE, _FLOWS, in_flight=1, eager=True)).p50_ms

    async def interpreted(inner: bool) -> float:
        definition = INTERPRETED_INSIDE if inner else INTERPRETED_OUTSIDE
        return (await stage.load(flow_type(definition), definition, _FLOWS, in_flight=1, eager=True)).p50_ms

    values: dict[str, list[float]] = {name: [] for name in ("floor", "outside", "by hand", "inner", "inner by hand")}
    for inner in (True, False):
        await interpreted(inner)
    for _ in range(_ROUNDS):
        values["floor"].append(await median(EMPTY))
        values["outside"].append(await interpreted(inner=False))
        values["by hand"].append(await median(HAND_CODED_OUTSIDE))
        values["inner"].append(await interpreted(inner=True))
        values["inner by hand"].append(await median(HAND_CODED_INSIDE))
    floor = values["floor"]
    return [
        Figure("empty workflow", floor, "ms", "lower"),
        Figure(
            "three outside steps", values["outside"], "ms", "lower", values["by hand"], "by hand", aim=60, limit=floor
        ),
        Figure(
            "three inner steps", values["inner"], "ms", "lower", values["inner by hand"], "by hand", aim=20, limit=floor
        ),
    ]
