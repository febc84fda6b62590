"""What a step costs in the history that Temporal keeps: events and bytes."""

from benchmarks.calls import THREE_INSIDE, THREE_OUTSIDE
from benchmarks.figures import Figure
from benchmarks.hand_coded import EMPTY, HAND_CODED_INSIDE, HAND_CODED_OUTSIDE
from benchmarks.stage import Kind, Stage

TITLE = "History: what a step adds"
NOTE = "whole histories of three-step flows less an empty one, by three; so a third of the report of the end is in it"
_ROUNDS = 3
_STEPS = 3


async def measure(stage: Stage) -> list[Figure]:
    """Interpreted against hand-coded."""
    empty = [await _size(stage, Kind(EMPTY, THREE_INSIDE)) for _ in range(_ROUNDS)]
    figures = []
    for name, definition, hand_coded in (
        ("outside step", THREE_OUTSIDE, HAND_CODED_OUTSIDE),
        ("inner step", THREE_INSIDE, HAND_CODED_INSIDE),
    ):
        ours = [await _size(stage, Kind.interpreted(definition)) for _ in range(_ROUNDS)]
        theirs = [await _size(stage, Kind(hand_coded, definition)) for _ in range(_ROUNDS)]
        for part, unit in enumerate(("events", "bytes")):
            values, by_hand = (
                [(flow[part] - bare[part]) / _STEPS for flow, bare in zip(sizes, empty, strict=True)]
                for sizes in (ours, theirs)
            )
            figures.append(Figure(f"{unit} of an {name}", values, unit, "lower", by_hand, "by hand"))
    return figures


async def _size(stage: Stage, kind: Kind) -> tuple[int, int]:
    handle = await stage.start(kind)
    await handle.result()
    events = [event async for event in handle.fetch_history_events()]
    return len(events), sum(event.ByteSize() for event in events)
