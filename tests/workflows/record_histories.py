"""Write the histories of `tests.workflows.recordings` to `tests/workflows/histories/`, those that are not there yet.

    python -m tests.workflows.record_histories

Each file is plain JSON: the id of a run, its definitions, and its executions, the oldest first. Nothing in it names a
machine or a person. Commit new files; an existing one is only ever deleted when runs like it cannot be open anywhere
any more.
"""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from runtime.embedded import EmbeddedTemporal
from runtime.rehearsal import Rehearsal
from tests.workflows.observing import Handle
from tests.workflows.recordings import RECORDINGS, play

FOLDER = Path(__file__).parent / "histories"
EARLY = {"limit.historyCount.suggestContinueAsNew": "40"}
# `sdkMetadata` stays: it says which of its own behaviours the SDK used.
_OF_THE_MACHINE = frozenset({"identity", "stackTrace", "binaryChecksum", "workerVersion", "taskId"})


async def record() -> None:
    """Play what has no file yet on a server of its own, which asks runs to move early."""
    missing = [recording for recording in RECORDINGS if not (FOLDER / f"{recording.name}.json").exists()]
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedTemporal(Path(folder), durable=False, dynamic_config=EARLY) as server:
            stage = Rehearsal(await server.client(), keyring={})
            async with stage.worker():
                for recording in missing:
                    handle = await play(stage, recording, f"recording/{recording.name}")
                    content = {
                        "id": handle.id,
                        "definitions": recording.texts,
                        "executions": await executions(stage, handle),
                    }
                    text = json.dumps(content, ensure_ascii=False, indent=1)
                    (FOLDER / f"{recording.name}.json").write_text(text + "\n", encoding="utf-8")
                    print(f"{recording.name}: {len(text)} characters")


async def executions(stage: Rehearsal, handle: Handle) -> list[dict[str, Any]]:
    """The histories of a run's executions, the oldest first."""
    found = [execution async for execution in stage.client.list_workflows(f'WorkflowId = "{handle.id}"')]
    found.sort(key=lambda execution: execution.start_time)
    return [
        without_machine(
            (await stage.client.get_workflow_handle(handle.id, run_id=each.run_id).fetch_history()).to_json_dict()
        )
        for each in found
    ]


def without_machine(value: Any) -> Any:
    """A history without what tells where it was made."""
    if isinstance(value, dict):
        return {name: without_machine(item) for name, item in value.items() if name not in _OF_THE_MACHINE}
    if isinstance(value, list):
        return [without_machine(item) for item in value]
    return value


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    asyncio.run(record())
