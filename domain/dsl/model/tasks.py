"""The twelve tasks, and walking through lists of them."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    StrictBool,
    Tag,
    model_validator,
)

from domain.dsl.findings import child
from domain.dsl.model.base import (
    BY_KIND,
    FIELDS_TAG,
    TEXT_TAG,
    DslModel,
    Duration,
    TextBranch,
    TimeoutOrName,
    require_one_of,
)
from domain.dsl.model.data import Export, Input, Output
from domain.dsl.model.errors import CatchErrors, ErrorDefinition, RetryPolicy
from domain.dsl.model.events import EmittedProperties, EventConsumption


class TaskBase(DslModel):
    """What every task may carry besides its own keyword."""

    keyword: ClassVar[str]

    if_: str | None = None
    input: Input | None = None
    output: Output | None = None
    export: Export | None = None
    timeout: TimeoutOrName | None = None
    then: str | None = None
    metadata: dict[str, Any] = {}


class CallTask(TaskBase):
    keyword = "call"
    call: str
    with_: dict[str, Any] = {}


class DoTask(TaskBase):
    keyword = "do"
    do_: "TaskList" = Field(alias="do")


class EmitEvent(DslModel):
    with_: EmittedProperties


class Emit(DslModel):
    event: EmitEvent


class EmitTask(TaskBase):
    keyword = "emit"
    emit: Emit


class ForLoop(DslModel):
    each: str = "item"
    in_: str
    at: str = "index"


class ForTask(TaskBase):
    keyword = "for"
    for_: ForLoop
    while_: str | None = None
    do_: "TaskList" = Field(alias="do")


class Fork(DslModel):
    branches: "TaskList"
    compete: StrictBool = False


class ForkTask(TaskBase):
    keyword = "fork"
    fork: Fork


class Listen(DslModel):
    to: EventConsumption
    read: Literal["data", "envelope", "raw"] = "data"


class SubscriptionIterator(DslModel):
    item: str = "item"
    at: str = "index"
    do_: "TaskList" = Field(default=(), alias="do")
    output: Output | None = None
    export: Export | None = None


class ListenTask(TaskBase):
    keyword = "listen"
    listen: Listen
    foreach: SubscriptionIterator | None = None


class Raise(DslModel):
    error: Annotated[Annotated[ErrorDefinition, Tag(FIELDS_TAG)] | TextBranch, BY_KIND]


class RaiseTask(TaskBase):
    keyword = "raise"
    raise_: Raise


class ChildFlow(DslModel):
    namespace: str
    name: str
    version: str
    input: dict[str, Any] | None = None


class Run(DslModel):
    workflow: ChildFlow | None = None
    script: Any = None
    shell: Any = None
    container: Any = None
    await_: StrictBool = True
    return_: Literal["stdout", "stderr", "code", "all", "none"] = "stdout"

    @model_validator(mode="after")
    def _exactly_one(self) -> "Run":
        require_one_of(self, "workflow", "script", "shell", "container")
        return self


class RunTask(TaskBase):
    keyword = "run"
    run: Run


class SetTask(TaskBase):
    keyword = "set"
    set: Annotated[
        Annotated[Annotated[dict[str, Any], Field(min_length=1)], Tag(FIELDS_TAG)] | Annotated[str, Tag(TEXT_TAG)],
        BY_KIND,
    ]


class SwitchCase(DslModel):
    when: str | None = None
    then: str


class SwitchItem(RootModel[Annotated[dict[str, SwitchCase], Field(min_length=1, max_length=1)]]):
    """One named case."""

    model_config = ConfigDict(frozen=True)

    @property
    def name(self) -> str:
        return next(iter(self.root))

    @property
    def case(self) -> SwitchCase:
        return next(iter(self.root.values()))


class SwitchTask(TaskBase):
    keyword = "switch"
    switch: Annotated[tuple[SwitchItem, ...], Field(min_length=1)]


class Catch(DslModel):
    errors: CatchErrors | None = None
    as_: str = "error"
    when: str | None = None
    except_when: str | None = None
    retry: Annotated[Annotated[RetryPolicy, Tag(FIELDS_TAG)] | TextBranch, BY_KIND] | None = None
    do_: "TaskList | None" = Field(default=None, alias="do")


class TryTask(TaskBase):
    keyword = "try"
    try_: "TaskList" = Field(alias="try")
    catch: Catch


class WaitTask(TaskBase):
    keyword = "wait"
    wait: Duration


TASK_KEYWORDS = ("call", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait", "do")
"""Every task keyword, `do` last because `for` and `listen` carry a `do` of their own."""


def task_keyword(task: Any) -> str:
    """The keyword that says which of the twelve tasks a mapping is; empty when none does."""
    if isinstance(task, TaskBase):
        return task.keyword
    return next((word for word in TASK_KEYWORDS if isinstance(task, dict) and word in task), "")


def _task_tag(task: Any) -> str:
    return f"<{task_keyword(task)}>"


Task = Annotated[
    Annotated[CallTask, Tag("<call>")]
    | Annotated[EmitTask, Tag("<emit>")]
    | Annotated[ForTask, Tag("<for>")]
    | Annotated[ForkTask, Tag("<fork>")]
    | Annotated[ListenTask, Tag("<listen>")]
    | Annotated[RaiseTask, Tag("<raise>")]
    | Annotated[RunTask, Tag("<run>")]
    | Annotated[SetTask, Tag("<set>")]
    | Annotated[SwitchTask, Tag("<switch>")]
    | Annotated[TryTask, Tag("<try>")]
    | Annotated[WaitTask, Tag("<wait>")]
    | Annotated[DoTask, Tag("<do>")],
    Discriminator(
        _task_tag,
        custom_error_type="task_keyword",
        custom_error_message=f"a task needs one of the keywords {', '.join(TASK_KEYWORDS)}",
    ),
]


class TaskItem(RootModel[Annotated[dict[str, Task], Field(min_length=1, max_length=1)]]):
    """One named task of a list."""

    model_config = ConfigDict(frozen=True)

    @property
    def name(self) -> str:
        return next(iter(self.root))

    @property
    def task(self) -> TaskBase:
        return next(iter(self.root.values()))


TaskList = tuple[TaskItem, ...]


for _model in (DoTask, ForTask, ForkTask, Fork, SubscriptionIterator, ListenTask, TryTask, Catch):
    # They were written before what they hold; rebuilt, their fields can be read.
    _model.model_rebuild(force=True)


def walk_tasks(items: TaskList, pointer: str) -> Iterator[tuple[str, str, TaskBase]]:
    """`(reference, name, task)` of every task below a list, outer before inner, in the order they are written.

    The reference is the JSON pointer of the task in its document: `/do/0/tryGetPet/try/0/getPet`.
    """
    for index, item in enumerate(items):
        reference = child(pointer, index, item.name)
        yield reference, item.name, item.task
        for key, children in nested_lists(item.task):
            yield from walk_tasks(children, f"{reference}/{key}")


def nested_lists(task: TaskBase) -> Iterator[tuple[str, TaskList]]:
    """The task lists directly inside a task, each with its pointer relative to the task."""
    match task:
        case DoTask() | ForTask():
            yield "do", task.do_
        case ForkTask():
            yield "fork/branches", task.fork.branches
        case TryTask():
            yield "try", task.try_
            if task.catch.do_:
                yield "catch/do", task.catch.do_
        case ListenTask(foreach=SubscriptionIterator() as iterator):
            if iterator.do_:
                yield "foreach/do", iterator.do_
        case _:
            return
