"""Recorded histories replay on today's code: runs that were started with older versions of it can go on."""

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.workflow import NondeterminismError

from domain.dsl import effort
from domain.dsl.library import LIBRARY
from domain.dsl.program import Program
from runtime.rehearsal import SANDBOX, Rehearsal
from tests.workflows.record_histories import FOLDER
from tests.workflows.recordings import RECORDINGS

FILES = sorted(FOLDER.glob("*.json"))


@pytest.fixture
def stage(temporal: Client) -> Rehearsal:
    """A stage that knows the definitions of every recording."""
    return Rehearsal(temporal, keyring={})


async def _replay(stage: Rehearsal, content: dict[str, Any], runner: WorkflowRunner) -> None:
    for text in content["definitions"]:
        stage.know(text)
    replayer = stage.replayer(runner)
    for execution in content["executions"]:
        await replayer.replay_workflow(WorkflowHistory.from_json(content["id"], execution))


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def test_every_recording_has_its_history() -> None:
    assert {file.stem for file in FILES} >= {recording.name for recording in RECORDINGS}


@pytest.mark.parametrize("runner", [SANDBOX, UnsandboxedWorkflowRunner()], ids=["sandboxed", "as in production"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_recorded_history_replays(file: Path, runner: WorkflowRunner, stage: Rehearsal) -> None:
    await _replay(stage, _read(file), runner)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_changed_definition_is_noticed(file: Path, stage: Rehearsal) -> None:
    """The digest names another text: as if the code did something else than it did when the history was written."""
    content = _read(file)
    definition = stage.know(content["definitions"][0])
    other = stage.know(content["definitions"][0].replace("do:\n", "do:\n- first:\n    wait: PT1M\n", 1))
    LIBRARY.put(definition.digest, Program(other.flow, other.data))
    try:
        with pytest.raises(NondeterminismError):
            await stage.replayer().replay_workflow(WorkflowHistory.from_json(content["id"], content["executions"][0]))
    finally:
        LIBRARY.put(definition.digest, Program(definition.flow, definition.data))


@pytest.mark.parametrize("limit", ["MOST_TASKS", "MOST_STEPS"])
async def test_a_change_of_the_moments_of_rest_is_noticed(
    limit: str, stage: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort, limit, getattr(effort, limit) * 2)
    with pytest.raises(NondeterminismError):
        await _replay(stage, _read(FOLDER / "busy.json"), SANDBOX)
