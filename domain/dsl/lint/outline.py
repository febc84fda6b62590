"""A definition read leniently: its tasks and scopes as far as they can be made out, whatever else is wrong with it.

So every rule can speak in one pass, even about a file whose shape is not right yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from domain.dsl.findings import child
from domain.dsl.model import task_keyword

REFUSED_CALLS = frozenset({"asyncapi", "a2a", "mcp", "grpc"})
"""Calls of the standard that Tandem does not make."""

ScopeKind = Literal["flow", "do", "for", "branches", "try", "catch", "foreach", "before", "after", "function"]


@dataclass(slots=True, eq=False)
class Scope:
    """A list of tasks, within which `then` can jump. owner: the task it belongs to."""

    pointer: str
    kind: ScopeKind
    owner: "TaskSite | None"
    tasks: list["TaskSite"] = field(default_factory=list)

    def named(self, name: str) -> "TaskSite | None":
        """The first task of that name."""
        return next((task for task in self.tasks if task.name == name), None)


@dataclass(slots=True, eq=False)
class TaskSite:
    """A task at its place. variables: the loop and catch variables that it can see."""

    pointer: str
    name: str
    data: dict[str, Any]
    keyword: str
    index: int
    scope: Scope
    variables: frozenset[str]
    scopes: list[Scope] = field(default_factory=list)

    @property
    def then(self) -> str | None:
        """Where it goes on, when it says so."""
        directive = self.data.get("then")
        return directive if isinstance(directive, str) else None

    @property
    def cases(self) -> list[tuple[str, str, dict[str, Any]]]:
        """`(pointer, name, case)` of each case of a switch."""
        found = []
        for index, item in enumerate(as_list(self.data.get("switch"))):
            for name, case in as_dict(item).items():
                if isinstance(case, dict):
                    found.append((child(self.pointer, "switch", index, name), name, case))
        return found

    def at(self, *parts: str | int) -> str:
        """The pointer of something inside the task."""
        return child(self.pointer, *parts)

    def around(self) -> Iterator["TaskSite"]:
        """The tasks that hold this one, the nearest first."""
        owner = self.scope.owner
        while owner is not None:
            yield owner
            owner = owner.scope.owner

    def below(self) -> Iterator["TaskSite"]:
        """Every task inside this one."""
        for scope in self.scopes:
            for task in scope.tasks:
                yield task
                yield from task.below()


class Outline:
    """All tasks and scopes of one document."""

    def __init__(self, data: Any) -> None:
        self.data = as_dict(data)
        self.use = as_dict(self.data.get("use"))
        self.scopes: list[Scope] = []
        self.tasks: list[TaskSite] = []
        self.functions: dict[str, TaskSite] = {}
        self._read(self.data.get("do"), "/do", "flow", None, frozenset())
        for index, item in enumerate(as_list(self.use.get("extensions"))):
            for name, extension in as_dict(item).items():
                for kind in ("before", "after"):
                    pointer = child("/use/extensions", index, name, kind)
                    self._read(as_dict(extension).get(kind), pointer, kind, None, frozenset())
        for name, task in self.part("functions").items():
            if isinstance(task, dict):
                scope = Scope("/use/functions", "function", None)
                site = self._task(name, task, child("/use/functions", name), 0, scope, frozenset())
                self.functions[name] = site

    def part(self, name: str) -> dict[str, Any]:
        """A mapping under `use`, empty when there is none."""
        return as_dict(self.use.get(name))

    @cached_property
    def secrets(self) -> frozenset[str]:
        """The names under `use.secrets`."""
        return frozenset(name for name in as_list(self.use.get("secrets")) if isinstance(name, str))

    @cached_property
    def emitted_types(self) -> frozenset[str]:
        """The event types that the definition publishes itself."""
        found = (as_dict(as_dict(as_dict(task.data.get("emit")).get("event")).get("with")) for task in self.tasks)
        return frozenset(kind for properties in found if isinstance(kind := properties.get("type"), str))

    @cached_property
    def every_variable(self) -> frozenset[str]:
        """Every loop and catch variable that is declared anywhere."""
        return frozenset(name for task in self.tasks for name in task.variables) | {"error"}

    def calls(self) -> Iterator[tuple[TaskSite, str]]:
        """Every call task with the name it calls."""
        for task in self.tasks:
            if task.keyword == "call" and isinstance(task.data.get("call"), str):
                yield task, task.data["call"]

    def _read(
        self, items: Any, pointer: str, kind: ScopeKind, owner: TaskSite | None, variables: frozenset[str]
    ) -> None:
        if not isinstance(items, list):
            return
        scope = Scope(pointer, kind, owner)
        self.scopes.append(scope)
        if owner is not None:
            owner.scopes.append(scope)
        for index, item in enumerate(items):
            for name, data in as_dict(item).items():
                if isinstance(data, dict):
                    self._task(name, data, child(pointer, index, name), index, scope, variables)

    def _task(
        self, name: str, data: dict[str, Any], pointer: str, index: int, scope: Scope, variables: frozenset[str]
    ) -> TaskSite:
        task = TaskSite(pointer, name, data, task_keyword(data), index, scope, variables)
        scope.tasks.append(task)
        self.tasks.append(task)
        match task.keyword:
            case "do":
                self._read(data["do"], task.at("do"), "do", task, variables)
            case "for":
                self._read(data.get("do"), task.at("do"), "for", task, variables | loop_variables(task))
            case "fork":
                branches = as_dict(data["fork"]).get("branches")
                self._read(branches, task.at("fork", "branches"), "branches", task, variables)
            case "try":
                self._read(data["try"], task.at("try"), "try", task, variables)
                handler = as_dict(data.get("catch")).get("do")
                self._read(handler, task.at("catch", "do"), "catch", task, variables | {catch_variable(task)})
            case "listen":
                body = as_dict(data.get("foreach")).get("do")
                self._read(body, task.at("foreach", "do"), "foreach", task, variables | loop_variables(task))
        return task


def loop_variables(task: TaskSite) -> frozenset[str]:
    """The variables that a `for` or a `foreach` gives to its body."""
    if task.keyword == "for":
        loop = as_dict(task.data.get("for"))
        return frozenset({as_text(loop.get("each")) or "item", as_text(loop.get("at")) or "index"})
    iterator = as_dict(task.data.get("foreach"))
    return frozenset({as_text(iterator.get("item")) or "item", as_text(iterator.get("at")) or "index"})


def catch_variable(task: TaskSite) -> str:
    """The variable that holds the error within a `catch`."""
    return as_text(as_dict(task.data.get("catch")).get("as")) or "error"


def as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""
