"""What expressions see of the run around them: `$workflow`, `$task`, `$runtime`.

Source: Serverless Workflow DSL 1.0.3, "Runtime expression arguments".
"""

from datetime import datetime
from typing import Any

from domain.dsl.host import RunDescriptor
from domain.dsl.program import Node
from domain.dsl.run_state import Frame
from domain.events import rfc3339

RUNTIME: dict[str, Any] = {"name": "Tandem", "version": "0.1.0", "metadata": {}}


def instant(moment: datetime) -> dict[str, Any]:
    """A moment as ISO 8601 and as seconds and milliseconds of the epoch."""
    milliseconds = int(moment.timestamp() * 1000)
    return {"iso8601": rfc3339(moment), "epoch": {"seconds": milliseconds // 1000, "milliseconds": milliseconds}}


def workflow(run: RunDescriptor, data: dict[str, Any], raw_input: Any) -> dict[str, Any]:
    """`$workflow`: id, definition, raw input, start; and the business subject of the run."""
    return {
        "id": run.id,
        "definition": data,
        "input": raw_input,
        "startedAt": instant(run.started_at),
        "subject": run.subject,
    }


def task(node: Node, frame: Frame) -> dict[str, Any]:
    """`$task`: the specification's descriptor, and the keys of the definition for the conditions of extensions."""
    return {
        **node.data,
        "name": node.name,
        "reference": node.reference,
        "definition": node.data,
        "input": frame["rawInput"],
        "output": None,
        "startedAt": instant(datetime.fromisoformat(frame["startedAt"])),
    }
