"""Batches that began before their chunks were cut by day go on as they began.

The histories in `histories/payouts` are of that time; they are only ever deleted when no such batch can be open
anywhere any more.
"""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from workflows import payouts
from workflows.payouts import PayingWorkflow, PayoutChunkWorkflow

FILES = sorted((Path(__file__).parent / "histories" / "payouts").glob("*.json"))


async def _replay(file: Path) -> None:
    replayer = Replayer(workflows=[PayingWorkflow, PayoutChunkWorkflow], workflow_runner=UnsandboxedWorkflowRunner())
    for workflow_id, history in json.loads(file.read_text(encoding="utf-8")).items():
        await replayer.replay_workflow(WorkflowHistory.from_json(workflow_id, history))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_batch_of_before_replays(file: Path) -> None:
    await _replay(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_what_it_would_do_otherwise_is_noticed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payouts, "CHUNKS_AT_ONCE", 1)
    with pytest.raises(NondeterminismError):
        await _replay(file)


def test_there_are_histories() -> None:
    assert {file.stem for file in FILES} == {"paid-to-the-end", "under-way"}
