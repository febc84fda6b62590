"""How long one three-step flow takes when nothing else is going on."""

from benchmarks.calls import THREE_INSIDE, THREE_OUTSIDE
from benchmarks.figures import Figure
from benchmarks.hand_coded import EMPTY, HAND_CODED_INSIDE, HAND_CODED_OUTSIDE
from benchmarks.stage import Kind, Stage

TITLE = "Idle latency: one flow of three steps at a time, start to result"
NOTE = "each value is the median of 20 flows; limit: an empty workflow"
_ROUNDS = 5
_FLOWS = 20


async def measure(stage: Stage) -> list[Figure]:
    """Interpreted against hand-coded, in turns."""
    kinds = (
        Kind(EMPTY, THREE_INSIDE),
        Kind.interpreted(THREE_OUTSIDE),
        Kind(HAND_CODED_OUTSIDE, THREE_OUTSIDE),
        Kind.interpreted(THREE_INSIDE),
        Kind(HAND_CODED_INSIDE, THREE_INSIDE),
    )
    for kind in kinds:
        await stage.load(kind, 5, in_flight=1)
    rounds = [[(await stage.load(kind, _FLOWS, in_flight=1)).p50_ms for kind in kinds] for _ in range(_ROUNDS)]
    floor, outside, outside_by_hand, inner, inner_by_hand = zip(*rounds, strict=True)
    return [
        Figure("empty workflow", floor, "ms", "lower"),
        Figure("three outside steps", outside, "ms", "lower", outside_by_hand, "by hand", aim=60, limit=floor),
        Figure("three inner steps", inner, "ms", "lower", inner_by_hand, "by hand", aim=20, limit=floor),
    ]
