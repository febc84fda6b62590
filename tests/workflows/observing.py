"""Small flows, written in YAML, and what can be seen of their runs."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import yaml
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError

from domain.problems import Problem
from runtime.rehearsal import Rehearsal
from workflows import messages
from workflows.failures import problem_of

_UNDER_WAY = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
)

Handle = WorkflowHandle[Any, Any]

PERSON = """
- ask: { call: human-task, with: { queue: shop, title: 核对, form: { type: object } } }
"""


def flow(do: str, *, name: str = "a-flow", head: str = "", metadata: dict[str, Any] | None = None) -> str:
    """The text of a definition: `do` and `head` (what stands beside it) in YAML, `metadata` of the document."""
    document = {"dsl": "1.0.3", "namespace": "tests", "name": name, "version": "1.0.0", "metadata": metadata or {}}
    content = {"document": document, **(yaml.safe_load(head) or {}), "do": yaml.safe_load(do)}
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def new_id() -> str:
    """A run id that no other test has."""
    return f"test/{uuid.uuid4()}"


async def history(handle: Handle) -> list[HistoryEvent]:
    """Every event of the latest execution."""
    return list((await handle.fetch_history()).events)


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Return when the check holds; raises TimeoutError after real seconds."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.02)


async def quiet_history(handle: Handle) -> list[HistoryEvent]:
    """The same, once no workflow task is under way."""
    events: list[HistoryEvent] = []

    async def is_quiet() -> bool:
        events[:] = await history(handle)
        return events[-1].event_type not in _UNDER_WAY

    await eventually(is_quiet)
    return events


def counts(events: list[HistoryEvent]) -> Counter[str]:
    return Counter(EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events)


async def event_counts(handle: Handle) -> Counter[str]:
    """How many events of each type there are, by the name without its prefix, e.g. `TIMER_STARTED`."""
    return counts(await quiet_history(handle))


async def progress(handle: Handle) -> messages.Progress:
    """Where the run stands."""
    answer: messages.Progress = await handle.query(messages.PROGRESS_QUERY, result_type=messages.Progress)
    return answer


async def problem_of_run(handle: Handle) -> Problem:
    """The problem that a run failed with."""
    try:
        output = await handle.result()
    except WorkflowFailureError as error:
        return problem_of(error.cause).problem
    raise AssertionError(f"the run completed with {output}")


async def opened(stage: Rehearsal, name: str, count: int = 1) -> messages.OpenHumanTask:
    """The human task of that name, once it was opened so many times."""

    def found() -> list[messages.OpenHumanTask]:
        return [task for task in stage.opened if task.name == name]

    await stage.until(lambda: len(found()) >= count)
    return found()[count - 1]


def form_of(task: messages.OpenHumanTask, form: dict[str, Any], **more: Any) -> messages.CompleteHumanTask:
    """The order that completes a task."""
    return messages.CompleteHumanTask(task.task_id, form, "agent", 1, uuid.uuid4().hex, **more)


async def complete(handle: Handle, command: messages.CompleteHumanTask) -> messages.HumanTaskReceipt:
    """What the run answers to a completed form. Raises WorkflowUpdateFailedError when it refuses."""
    receipt: messages.HumanTaskReceipt = await handle.execute_update(
        messages.COMPLETE_HUMAN_TASK_UPDATE, command, id=command.key, result_type=messages.HumanTaskReceipt
    )
    return receipt


def refusal(error: WorkflowUpdateFailedError) -> Problem:
    """The problem that an update was refused with."""
    return problem_of(error.cause).problem


async def order(handle: Handle, update: str, reason: str | None = None) -> None:
    """An operator's order: suspend or resume."""
    await handle.execute_update(update, messages.Command("operator", reason))
