"""How many three-step flows a second, and how long each takes while fifty are under way."""

from collections.abc import Sequence

from benchmarks.figures import Figure
from benchmarks.hand_coded import EMPTY, HAND_CODED_INSIDE, HAND_CODED_OUTSIDE
from benchmarks.stage import INTERPRETED_INSIDE, INTERPRETED_OUTSIDE, Load, Stage, flow_type
from domain.dsl.definition import Definition

TITLE = "Throughput: flows of three steps, 50 in flight"
NOTE = "ratio: interpreted / hand-coded, measured in turns; limit: an empty workflow, the floor of this server"
_ROUNDS = 3


async def measure(stage: Stage) -> list[Figure]:
    """Interpreted against hand-coded, in turns."""
    await stage.load(EMPTY, INTERPRETED_INSIDE, 50, eager=True)
    floor = [await stage.load(EMPTY, INTERPRETED_INSIDE, 300, eager=True) for _ in range(_ROUNDS)]
    floor_rate = [load.per_second for load in floor]
    figures = [Figure("empty workflow, eager start", floor_rate, "flows/s")]
    for name, definition, hand_coded, count, least in (
        ("three outside steps", INTERPRETED_OUTSIDE, HAND_CODED_OUTSIDE, 120, 25),
        ("three inner steps", INTERPRETED_INSIDE, HAND_CODED_INSIDE, 300, 80),
    ):
        ours, theirs = await _in_turns(stage, definition, hand_coded, count)
        figures += _figures(name, ours, theirs, floor_rate, least)
    return figures


async def _in_turns(
    stage: Stage, definition: Definition, hand_coded: str, count: int
) -> tuple[list[Load], list[Load]]:
    ours: list[Load] = []
    theirs: list[Load] = []
    interpreted = flow_type(definition)
    await stage.load(interpreted, definition, count // 3, eager=True)
    for _ in range(_ROUNDS):
        ours.append(await stage.load(interpreted, definition, count, eager=True))
        theirs.append(await stage.load(hand_coded, definition, count, eager=True))
    return ours, theirs


def _figures(
    name: str, ours: Sequence[Load], theirs: Sequence[Load], floor: Sequence[float], least: float
) -> list[Figure]:
    rates, by_hand = [load.per_second for load in ours], [load.per_second for load in theirs]
    return [
        Figure(f"{name}, interpreted", rates, "flows/s", aim=least, limit=floor),
        Figure("  p50", [load.p50_ms for load in ours], "ms", "lower"),
        Figure("  p95", [load.p95_ms for load in ours], "ms", "lower"),
        Figure(f"{name}, by hand", by_hand, "flows/s", limit=floor),
        Figure("  p50", [load.p50_ms for load in theirs], "ms", "lower"),
        Figure("  p95", [load.p95_ms for load in theirs], "ms", "lower"),
        Figure("  interpreted / by hand", rates, "flows/s", baseline=by_hand, aim=0.95, aim_on_ratio=True),
    ]
