"""How many three-step flows a second, and how long each takes while fifty are under way."""

from collections.abc import Sequence

from benchmarks.calls import THREE_INSIDE, THREE_OUTSIDE
from benchmarks.figures import Figure
from benchmarks.hand_coded import EMPTY, HAND_CODED_INSIDE, HAND_CODED_OUTSIDE
from benchmarks.stage import Kind, Load, Stage

TITLE = "Throughput: flows of three steps, 50 in flight"
NOTE = "interpreted and hand-coded in turns, same calls, same report at the end; limit: an empty workflow"
_ROUNDS = 5


async def measure(stage: Stage) -> list[Figure]:
    """Interpreted against hand-coded, in turns."""
    empty = Kind(EMPTY, THREE_INSIDE)
    await stage.load(empty, 50)
    floor = [(await stage.load(empty, 300)).per_second for _ in range(_ROUNDS)]
    figures = [Figure("empty workflow", floor, "flows/s")]
    for name, definition, hand_coded, count, least in (
        ("three outside steps", THREE_OUTSIDE, HAND_CODED_OUTSIDE, 100, 25),
        ("three inner steps", THREE_INSIDE, HAND_CODED_INSIDE, 250, 80),
    ):
        kinds = Kind.interpreted(definition), Kind(hand_coded, definition)
        await stage.load(kinds[0], count // 3)
        loads = [[await stage.load(kind, count) for kind in kinds] for _ in range(_ROUNDS)]
        figures += _figures(name, [ours for ours, _ in loads], [theirs for _, theirs in loads], floor, least)
    return figures


def _figures(
    name: str, ours: Sequence[Load], theirs: Sequence[Load], floor: Sequence[float], least: float
) -> list[Figure]:
    rates, by_hand = [load.per_second for load in ours], [load.per_second for load in theirs]
    return [
        Figure(f"{name}, interpreted", rates, "flows/s", aim=least, limit=floor),
        Figure("  against by hand", rates, "flows/s", baseline=by_hand, against="by hand", aim=0.95, aim_on_ratio=True),
        Figure("  p50", [load.p50_ms for load in ours], "ms", "lower"),
        Figure("  p95", [load.p95_ms for load in ours], "ms", "lower"),
        Figure(f"{name}, by hand", by_hand, "flows/s", limit=floor),
        Figure("  p50", [load.p50_ms for load in theirs], "ms", "lower"),
        Figure("  p95", [load.p95_ms for load in theirs], "ms", "lower"),
    ]
