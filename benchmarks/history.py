"""What a step costs in the history that Temporal keeps: events and bytes."""

from benchmarks.figures import Figure
from benchmarks.hand_coded import EMPTY, HAND_CODED_INSIDE, HAND_CODED_OUTSIDE
from benchmarks.stage import INTERPRETED_INSIDE, INTERPRETED_OUTSIDE, Stage, flow_type
from domain.dsl.definition import Definition

TITLE = "History: what a step adds"
NOTE = "whole histories of three-step flows less that of an empty one, by three; the report of the end included"
_ROUNDS = 3
_STEPS = 3


async def measure(stage: Stage) -> list[Figure]:
    """Interpreted against hand-coded."""
    figures = []
    empty = [await _size(stage, EMPTY, INTERPRETED_OUTSIDE) for _ in range(_ROUNDS)]
    for name, definition, hand_coded in (
        ("outside step", INTERPRETED_OUTSIDE, HAND_CODED_OUTSIDE),
        ("inner step", INTERPRETED_INSIDE, HAND_CODED_INSIDE),
    ):
        ours = [await _size(stage, flow_type(definition), definition) for _ in range(_ROUNDS)]
        theirs = [await _size(stage, hand_coded, definition) for _ in range(_ROUNDS)]
        for part, unit in enumerate(("events", "bytes")):
            figures.append(
                Figure(
                    f"{unit} of an {name}",
                    [(flow[part] - bare[part]) / _STEPS for flow, bare in zip(ours, empty, strict=True)],
                    unit,
                    "lower",
                    [(flow[part] - bare[part]) / _STEPS for flow, bare in zip(theirs, empty, strict=True)],
                    "by hand",
                )
            )
    return figures


async def _size(stage: Stage, workflow_type: str, definition: Definition) -> tuple[int, int]:
    handle = await stage.start(workflow_type, definition, eager=True)
    await handle.result()
    events = [event async for event in handle.fetch_history_events()]
    return len(events), sum(event.ByteSize() for event in events)
