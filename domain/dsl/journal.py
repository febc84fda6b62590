"""What happened in a run, task by task, and the lifecycle events that tell others.

Source: Serverless Workflow DSL 1.0.3, "Lifecycle Events".
"""

from typing import Any

from domain.dsl.host import ENDED_STATUSES, TaskChange
from domain.events import rfc3339
from domain.ids import derived_id

CAPACITY = 1_000
"""Tasks remembered; beyond it the oldest that ended is dropped and counted."""

TASK_EVENT_PREFIX = "io.serverlessworkflow.task."
WORKFLOW_EVENT_PREFIX = "io.serverlessworkflow.workflow."
EVENT_SOURCE = "/tandem/runs"

_TASK_EVENTS = {
    "running": ("created", "started"),
    "suspended": ("suspended",),
    "retried": ("retried",),
    "cancelled": ("cancelled",),
    "faulted": ("faulted",),
    "completed": ("completed",),
}


class Journal:
    """The tasks of a run in the order they started, and the events not published yet."""

    def __init__(self, run_id: str, flow: dict[str, str], *, task_events: bool = False) -> None:
        """`flow` is `{namespace, name, version}`; `task_events` asks for events of every task besides the run's own."""
        self._run_id = run_id
        self._flow = flow
        self._task_events = task_events
        self._tasks: dict[str, dict[str, Any]] = {}
        self._events: list[dict[str, Any]] = []
        self._sequence = 0
        self.dropped = 0

    def note(self, change: TaskChange) -> None:
        """Take in a change of a task."""
        at = rfc3339(change.at)
        entry = self._tasks.get(change.site.path)
        if entry is None or entry["endedAt"] is not None:
            self._tasks.pop(change.site.path, None)
            entry = {
                "name": change.site.name,
                "reference": change.site.reference,
                "path": change.site.path,
                "keyword": change.keyword,
                "status": "running",
                "startedAt": at,
                "endedAt": None,
                "attempt": 1,
            }
            self._tasks[change.site.path] = entry
            self._make_room()
        entry["attempt"] = max(entry["attempt"], change.attempt)
        if change.status != "retried":
            entry["status"] = change.status
        if change.error is not None:
            entry["error"] = dict(change.error)
        if change.status in ENDED_STATUSES:
            entry["endedAt"] = at
        if self._task_events:
            error = {"error": dict(change.error)} if change.error is not None else {}
            for name in _TASK_EVENTS.get(change.status, ()):
                self._event(TASK_EVENT_PREFIX + name, at, {"task": change.site.reference, f"{name}At": at, **error})

    def note_run(self, phase: str, at: str, **data: Any) -> None:
        """Take in a change of the run: `started`, `suspended`, `resumed`, `cancelled`, `faulted`, `completed`."""
        self._event(WORKFLOW_EVENT_PREFIX + phase, at, {"definition": self._flow, f"{phase}At": at, **data})

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """Every remembered task: `{name, reference, path, keyword, status, startedAt, endedAt, attempt, error?}`."""
        return list(self._tasks.values())

    def take_events(self) -> list[dict[str, Any]]:
        """The lifecycle events since the last time, as CloudEvent envelopes."""
        events, self._events = self._events, []
        return events

    def dump(self) -> dict[str, Any]:
        """JSON-ready content, for a run that continues as new."""
        return {
            "tasks": [dict(task) for task in self._tasks.values()],
            "dropped": self.dropped,
            "sequence": self._sequence,
            "events": list(self._events),
        }

    def load(self, content: dict[str, Any]) -> None:
        """Put back what `dump` gave."""
        self._tasks = {task["path"]: task for task in content["tasks"]}
        self.dropped = content["dropped"]
        self._sequence = content["sequence"]
        self._events = list(content["events"])

    def _event(self, kind: str, at: str, data: dict[str, Any]) -> None:
        self._sequence += 1
        self._events.append(
            {
                "specversion": "1.0",
                "id": derived_id(self._run_id, "lifecycle", str(self._sequence)),
                "source": EVENT_SOURCE,
                "type": f"{kind}.v1",
                "time": at,
                "subject": f"run:{self._run_id}",
                "data": {"name": self._run_id, **data},
            }
        )

    def _make_room(self) -> None:
        while len(self._tasks) > CAPACITY:
            oldest = next((path for path, task in self._tasks.items() if task["endedAt"] is not None), None)
            if oldest is None:
                return
            del self._tasks[oldest]
            self.dropped += 1
