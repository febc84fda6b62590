"""A whole definition: its identity, its reusable parts, its schedule, its tasks."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel

from domain.dsl.model.access import AuthenticationPolicy
from domain.dsl.model.base import NAME_PATTERN, SEMVER_PATTERN, DslModel, Duration, Timeout, TimeoutOrName
from domain.dsl.model.data import Input, Output
from domain.dsl.model.errors import ErrorDefinition, RetryPolicy
from domain.dsl.model.events import EventConsumption
from domain.dsl.model.tasks import Task, TaskList


class Extension(DslModel):
    extend: Literal[
        "call",
        "composite",
        "emit",
        "for",
        "listen",
        "raise",
        "run",
        "set",
        "switch",
        "try",
        "wait",
        "all",
    ]
    when: str | None = None
    before: TaskList = ()
    after: TaskList = ()


class ExtensionItem(RootModel[Annotated[dict[str, Extension], Field(min_length=1, max_length=1)]]):
    """One named extension."""

    model_config = ConfigDict(frozen=True)

    @property
    def name(self) -> str:
        return next(iter(self.root))

    @property
    def extension(self) -> Extension:
        return next(iter(self.root.values()))


class Use(DslModel):
    """Reusable parts."""

    authentications: dict[str, AuthenticationPolicy] = {}
    errors: dict[str, ErrorDefinition] = {}
    extensions: tuple[ExtensionItem, ...] = ()
    functions: dict[str, Task] = {}
    retries: dict[str, RetryPolicy] = {}
    secrets: tuple[str, ...] = ()
    timeouts: dict[str, Timeout] = {}
    catalogs: dict[str, Any] = {}


class Schedule(DslModel):
    every: Duration | None = None
    cron: str | None = None
    after: Duration | None = None
    on: EventConsumption | None = None


class Evaluate(DslModel):
    language: Literal["jq"] = "jq"
    mode: Literal["strict", "loose"] = "strict"


class Document(DslModel):
    dsl: Annotated[str, Field(pattern=SEMVER_PATTERN)]
    namespace: Annotated[str, Field(pattern=NAME_PATTERN)]
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    version: Annotated[str, Field(pattern=SEMVER_PATTERN)]
    title: str | None = None
    summary: str | None = None
    tags: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class Flow(DslModel):
    """A whole definition."""

    document: Document
    input: Input | None = None
    use: Use = Use()
    do_: Annotated[TaskList, Field(alias="do", min_length=1)]
    timeout: TimeoutOrName | None = None
    output: Output | None = None
    schedule: Schedule | None = None
    evaluate: Evaluate = Evaluate()
