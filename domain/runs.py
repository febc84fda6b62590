"""A run as the read model knows it: what was started, where it stands, what came out."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain.ids import derived_id

Phase = Literal["pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed"]

ENDED_PHASES: tuple[Phase, ...] = ("cancelled", "faulted", "completed")


def run_id_of(namespace: str, name: str, key: str) -> str:
    """The id of a run, which is its workflow id: the same key of the same flow is the same run."""
    return f"flow/{namespace}/{name}/{key}"


def key_of_event(source: str, event_id: str) -> str:
    """The key of every run that one event starts: an event that comes again starts nothing new."""
    return derived_id("event", source, event_id)


def subject_id(subjects: tuple[str, ...], kind: str) -> str | None:
    """The id of the first subject of a kind: `customer` in (`order:7`, `customer:42`) is `42`."""
    return next((subject.partition(":")[2] for subject in subjects if subject.startswith(kind + ":")), None)


def customer_id(subjects: tuple[str, ...]) -> str | None:
    """The id of the customer among subjects: Tandem's own, else the first that a platform gave (`wecom/wm…`)."""
    named = [subject.partition(":")[2] for subject in subjects if subject.startswith("customer:")]
    return next((each for each in named if "/" not in each), named[0] if named else None)


class RunSummary(BaseModel):
    """One run in a list."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    namespace: str
    name: str
    version: str
    digest: str
    subject: str
    subjects: tuple[str, ...]
    customer: str | None
    ticket: str | None
    phase: Phase
    attempt: int
    started_by: str
    parent_id: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    unit_path: str
    account_id: str | None
    customer_owner: str | None


class Run(RunSummary):
    """One run with everything recorded of it. tasks: as in `workflows.messages.Progress`.

    live: whether phase and tasks come from the run itself just now, not from its last report. masked: whether personal
    data is masked in input, output, error, tasks and start_problem.
    """

    input: Any = None
    output: Any = None
    error: dict[str, Any] | None = None
    tasks: list[dict[str, Any]] = []
    dropped_tasks: int = 0
    start_problem: str | None = None
    live: bool = False
    masked: bool = True


_ORDER: dict[Phase, int] = {
    "pending": 0,
    "running": 1,
    "waiting": 1,
    "suspended": 1,
    "cancelled": 2,
    "faulted": 2,
    "completed": 2,
}


def supersedes(phase: Phase, at: datetime, known_phase: Phase, known_at: datetime | None) -> bool:
    """Whether a report of a run's phase is news: an older one never overwrites a newer, nothing overwrites an end.

    Both instants are of the run's own clock. A run that was taken up again stands at `pending`, not at its old end.
    """
    if known_phase in ENDED_PHASES:
        return False
    if known_at is None or at > known_at:
        return True
    return at == known_at and _ORDER[phase] >= _ORDER[known_phase] and phase != known_phase
