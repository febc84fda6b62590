"""A person's step: its states, who may move it from one to the next, and when it is late.

States and operations follow WS-HumanTask 1.1, chapter 4.10 ("Human Task Behavior and State Transitions"), without
sub-tasks. A task waits in its queue (`ready`), belongs to one person (`reserved`), is worked on (`in_progress`), ends.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from domain.access import EVERY_QUEUE
from domain.problems import (
    TANDEM_TYPE_PREFIX,
    AuthorizationProblem,
    ConflictProblem,
    Problem,
    ProblemError,
    Text,
    ValidationProblem,
)

State = Literal["ready", "reserved", "in_progress", "suspended", "completed", "failed", "exited"]
PersonAction = Literal["claim", "release", "delegate", "start", "save", "complete", "fail"]
SystemAction = Literal["exit", "suspend", "resume"]

OPEN_STATES: tuple[State, ...] = ("ready", "reserved", "in_progress", "suspended")

_FROM: dict[PersonAction, frozenset[State]] = {
    "claim": frozenset({"ready"}),
    "release": frozenset({"reserved", "in_progress"}),
    "delegate": frozenset({"ready", "reserved", "in_progress"}),
    "start": frozenset({"ready", "reserved"}),
    "save": frozenset({"reserved", "in_progress"}),
    "complete": frozenset({"reserved", "in_progress"}),
    "fail": frozenset({"reserved", "in_progress"}),
}
_TO: dict[PersonAction, State] = {
    "claim": "reserved",
    "release": "ready",
    "delegate": "reserved",
    "start": "in_progress",
    "save": "in_progress",
    "complete": "completed",
    "fail": "failed",
}
# What a supervisor may do with somebody else's task; finishing it takes a claim of one's own.
SUPERVISED: frozenset[PersonAction] = frozenset({"release", "delegate"})

_ACTION_WORDS: dict[PersonAction, Text] = {
    "claim": Text("认领", "claim"),
    "release": Text("退回", "release"),
    "delegate": Text("转派", "delegate"),
    "start": Text("开始处理", "start"),
    "save": Text("保存草稿", "save a draft"),
    "complete": Text("完成", "complete"),
    "fail": Text("标记失败", "fail"),
}
STATE_WORDS: dict[State, Text] = {
    "ready": Text("待认领", "ready"),
    "reserved": Text("已认领", "reserved"),
    "in_progress": Text("处理中", "in progress"),
    "suspended": Text("已暂停", "suspended"),
    "completed": Text("已完成", "completed"),
    "failed": Text("已失败", "failed"),
    "exited": Text("已撤销", "exited"),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts. queues: whose tasks the person may take (`*`: every queue's). supervises: may move others' tasks."""

    login: str
    queues: frozenset[str] = frozenset()
    supervises: bool = False

    def serves(self, queue: str) -> bool:
        return queue in self.queues or EVERY_QUEUE in self.queues


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a task stands. excluded: logins that may not take it. before_suspension: where it returns to."""

    state: State
    queue: str
    assignee: str | None = None
    excluded: frozenset[str] = frozenset()
    before_suspension: State | None = None


def moved_by_person(standing: Standing, action: PersonAction, person: Person, to: str | None = None) -> Standing:
    """The standing after a person's action; `to` is the login a task is delegated to.

    :raises ConflictProblem: the state does not allow the action; `state` and `assignee` say how it is.
    :raises AuthorizationProblem: the task is somebody else's, of another queue, or the person is excluded.
    :raises ValidationProblem: a delegation without a receiver.
    """
    word = _ACTION_WORDS[action]
    if standing.state not in _FROM[action]:
        state = STATE_WORDS[standing.state]
        holder = (
            Text(f"（处理人：{standing.assignee}）", f" by {standing.assignee}") if standing.assignee else Text("", "")
        )
        raise ConflictProblem(
            Text(
                f"任务{state.zh}{holder.zh}，不能{word.zh}。请刷新后再试。",
                f"The task is {state.en}{holder.en}; it cannot be changed by '{word.en}' now. Refresh and try again.",
            ),
            state=standing.state,
            assignee=standing.assignee,
        )
    _refuse_outsiders(standing, action, person)
    match action:
        case "claim" | "start" if standing.assignee is None:
            return replace(standing, state=_TO[action], assignee=_allowed(standing, person.login))
        case "release":
            return replace(standing, state="ready", assignee=None)
        case "delegate":
            if not to:
                raise ValidationProblem(Text("请填写转派给谁（to）。", "Say whom to delegate to (`to`)."))
            return replace(standing, state="reserved", assignee=_allowed(standing, to))
        case _:
            return replace(standing, state=_TO[action])


def moved_by_system(standing: Standing, action: SystemAction) -> Standing:
    """The standing after the run suspended, resumed or no longer needs the task; an ended task stays as it is."""
    if standing.state not in OPEN_STATES:
        return standing
    match action:
        case "exit":
            return replace(standing, state="exited", before_suspension=None)
        case "suspend" if standing.state != "suspended":
            return replace(standing, state="suspended", before_suspension=standing.state)
        case "resume" if standing.state == "suspended":
            return replace(standing, state=standing.before_suspension or "ready", before_suspension=None)
        case _:
            return standing


def overdue_s(due_at: datetime | None, ended_at: datetime | None, now: datetime) -> int:
    """Whole seconds a task is, or was when it ended, past its due time; 0 when it is in time or has none."""
    if due_at is None:
        return 0
    return max(0, int(((ended_at or now) - due_at).total_seconds()))


def _refuse_outsiders(standing: Standing, action: PersonAction, person: Person) -> None:
    mine = standing.assignee == person.login
    free = standing.assignee is None and person.serves(standing.queue)
    if mine or free or (person.supervises and action in SUPERVISED):
        return
    if standing.assignee is None:
        raise AuthorizationProblem(
            Text(
                f"任务属于队列“{standing.queue}”，你不在这个队列中。请联系主管加入队列。",
                f"The task belongs to the queue '{standing.queue}', which you do not serve. "
                "Ask a supervisor to add you.",
            ),
            queue=standing.queue,
        )
    raise AuthorizationProblem(
        Text(
            f"任务由 {standing.assignee} 处理，只有本人可以{_ACTION_WORDS[action].zh}。可请主管转派。",
            f"The task is {standing.assignee}'s; only they can {_ACTION_WORDS[action].en} it. "
            "A supervisor can delegate it to you.",
        ),
        assignee=standing.assignee,
    )


def _allowed(standing: Standing, login: str) -> str:
    if login in standing.excluded:
        raise AuthorizationProblem(
            Text(
                f"{login} 参与了前面的步骤，按四眼原则不能处理这个任务，请由他人处理。",
                f"{login} took part in an earlier step and may not take this task (four eyes). Someone else has to.",
            ),
            login=login,
        )
    return login


def declared_failed(actor: str, form: Any, comment: str | None) -> ProblemError:
    """What a flow's `catch` sees when a person says that a task cannot be done: status 422, their words as detail."""
    return ProblemError.of(
        Problem(
            type=TANDEM_TYPE_PREFIX + "human-task-failed",
            status=422,
            title="The person declared the task failed",
            detail=comment,
            actor=actor,
            form=form,
        )
    )
