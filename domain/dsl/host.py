"""What the interpreter asks of the world it runs in.

The interpreter walks a definition and knows neither Temporal nor a clock; everything that has an effect or takes time
goes through a `Host`. Temporal is one host; the virtual clock of dry-runs is another; a fake serves unit tests. All
coroutines may be cancelled at any await; a host then undoes what it holds open (a timer, a human task).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from domain.calls import AnyCall
from domain.catalog.flow import HumanTaskArguments
from domain.events import Event

TaskStatus = Literal["running", "waiting", "suspended", "completed", "faulted", "cancelled", "skipped", "retried"]

ENDED_STATUSES: frozenset[TaskStatus] = frozenset({"completed", "faulted", "cancelled", "skipped"})
"""Statuses of a task that is over, unless the run is taken up again."""


@dataclass(frozen=True, slots=True)
class TaskSite:
    """Where in a run a task executes.

    reference: the JSON pointer of the task in its document. path: unique per execution, also inside loops; the same
    again when the same execution is retried or goes on after a restart.
    """

    name: str
    reference: str
    path: str


@dataclass(frozen=True, slots=True)
class CallRequest:
    """One call of a capability. `arguments` are JSON-ready, checked against the declaration, secrets as placeholders.

    idempotency_key: the same for every attempt of this execution of the task, different for every other execution.
    """

    call: AnyCall
    arguments: Mapping[str, Any]
    site: TaskSite
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class HumanTaskRequest:
    """One step of a person. `id` is derived from run and path, so that opening it twice opens it once."""

    id: str
    arguments: HumanTaskArguments
    site: TaskSite


@dataclass(frozen=True, slots=True)
class ChildFlowRequest:
    """One run of another flow. `id` is derived from run and path; `awaited` says whether its output is wanted."""

    id: str
    namespace: str
    name: str
    version: str
    input: Any
    awaited: bool
    site: TaskSite


@dataclass(frozen=True, slots=True)
class TaskChange:
    """A task entered another status."""

    site: TaskSite
    keyword: str
    status: TaskStatus
    at: datetime
    attempt: int = 1
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunDescriptor:
    """Who this run is: what `$workflow` and idempotency keys are made of.

    subject: the business subject (`customer:42`, `refund:R1`) that splits and shares are drawn by. secrets: names the
    definition may use, each with its member names, or None for a plain string; values never come near the interpreter.
    attempt: counts the times the run was taken up again after it had failed.
    """

    id: str
    subject: str
    started_at: datetime
    secrets: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    attempt: int = 1


class Host(Protocol):
    """The effects and the time of one run."""

    def now(self) -> datetime:
        """The run's time, UTC: the same on every replay."""

    def random(self) -> float:
        """A number in [0, 1): the same on every replay."""

    async def checkpoint(self, site: TaskSite) -> None:
        """Called before a task starts; returns when the run may go on (it may be suspended or about to move house).

        Not called for a task that was under way when the run moved: it goes on waiting, also when suspended.
        """

    async def rest(self, length: timedelta) -> None:
        """The run has computed for long enough: let others have their turn, then return."""

    async def sleep_until(self, instant: datetime, site: TaskSite) -> None:
        """Return at the instant, at once when it has passed."""

    async def call(self, request: CallRequest) -> Any:
        """The JSON-ready result of a capability. Raises ProblemError when it failed for good."""

    async def human_task(self, request: HumanTaskRequest) -> Any:
        """The form that a person completed. Raises ProblemError when the person declared it failed."""

    async def receive(
        self, matches: Callable[[Event], bool], site: TaskSite, pause: Callable[[], Awaitable[None]]
    ) -> Event:
        """The next event that reached this run and matches, one that waits already first.

        The task listens from its first `receive` until it is reported as ended. `matches` is asked last about the event
        that is returned; `pause` is awaited after every other one.
        """

    async def emit(self, event: Event, site: TaskSite) -> None:
        """Publish an event: to other runs, to triggers, to subscribers."""

    async def child_flow(self, request: ChildFlowRequest) -> Any:
        """The output of another flow (None when not awaited). Raises ProblemError with the child's own error."""

    def report(self, change: TaskChange) -> None:
        """Take note that a task entered another status; must not block."""
