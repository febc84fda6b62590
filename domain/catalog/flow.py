"""What a flow can ask of Tandem itself: a person's step, waiting for the first of several events, waiting for the right
hour, splitting an audience."""

from typing import Any, Literal

from pydantic import Field, RootModel

from domain.calls import Arguments, Call, Result
from domain.problems import Text


class HumanTaskCheck(Arguments):
    """A rule over the completed form; `when` is an expression that must be true, else the form is refused."""

    when: str
    message: dict[Literal["zh", "en"], str]


class HumanTaskArguments(Arguments):
    """A step that a person completes.

    form: a JSON Schema, or the name of a published form. due: ISO 8601 duration after which it counts as overdue (the
    task's own `timeout` ends the wait). priority: 0 (whenever) to 100 (drop everything). data: shown beside the form.
    """

    queue: str = Field(min_length=1, max_length=64)
    title: str = Field(min_length=1, max_length=200)
    form: str | dict[str, Any]
    due: str | None = None
    priority: int = Field(default=50, ge=0, le=100)
    data: dict[str, Any] = {}
    checks: tuple[HumanTaskCheck, ...] = ()
    assignee: str | None = Field(default=None, description="The login of the person it is reserved for at once")
    exclude: tuple[str, ...] = Field(
        default=(), description="Logins that may not take it: who proposes may not approve"
    )


class HumanTaskOutput(RootModel[dict[str, Any]]):
    """The form as the person completed it."""


HUMAN_TASK: Call[HumanTaskArguments, HumanTaskOutput] = Call(
    name="human-task",
    title=Text("人工任务", "Human task"),
    input=HumanTaskArguments,
    output=HumanTaskOutput,
    kind="flow",
    example={},
)


class AwaitedEvent(Arguments):
    """An event to wait for: its type, and conditions on its attributes and data."""

    type: str
    source: str | None = None
    subject: str | None = None
    data: Any = None


class WaitForArguments(Arguments):
    """Wait for the first of several named events, no longer than `timeout` (ISO 8601 duration)."""

    events: dict[str, AwaitedEvent] = Field(min_length=1, max_length=20)
    timeout: str


class WaitForOutput(Result):
    """`came` is the name of the event that came first, or `timeout`; `event` is its data, null on timeout."""

    came: str
    event: Any = None


WAIT_FOR: Call[WaitForArguments, WaitForOutput] = Call(
    name="wait-for",
    title=Text("等待事件", "Wait for an event"),
    input=WaitForArguments,
    output=WaitForOutput,
    kind="flow",
    example={"came": "timeout", "event": None},
)


class WaitUntilArguments(Arguments):
    """Wait until the next instant that satisfies everything given, in the calendar's time zone.

    at: an RFC 3339 instant, or a local time `HH:MM`. weekdays: ISO names. working_hours: only within the calendar's
    working hours. calendar: a named calendar.
    """

    at: str | None = None
    weekdays: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    working_days: bool = False
    working_hours: bool = False
    calendar: str = "cn"


class WaitUntilOutput(Result):
    """The instant it was waited for, RFC 3339."""

    reached: str


WAIT_UNTIL: Call[WaitUntilArguments, WaitUntilOutput] = Call(
    name="wait-until",
    title=Text("等到指定时刻", "Wait until a moment"),
    input=WaitUntilArguments,
    output=WaitUntilOutput,
    kind="flow",
    example={"reached": "2026-11-11T00:00:00.000Z"},
)


class SplitArguments(Arguments):
    """Shares in percent by branch name; what is missing to 100 is the hold-out.

    The same subject with the same salt always lands in the same branch.
    """

    shares: dict[str, float] = Field(min_length=1, max_length=20)
    salt: str = Field(min_length=1)
    subject: str | None = Field(default=None, description="Defaults to the subject of the run")


class SplitOutput(Result):
    """The branch of this subject; `holdout` when it belongs to none."""

    branch: str


SPLIT: Call[SplitArguments, SplitOutput] = Call(
    name="split",
    title=Text("分流", "Split"),
    input=SplitArguments,
    output=SplitOutput,
    kind="flow",
    example={"branch": "holdout"},
)

FLOW_CALLS = (HUMAN_TASK, WAIT_FOR, WAIT_UNTIL, SPLIT)
