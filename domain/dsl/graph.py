"""A definition as a graph of its tasks: what follows what, under which condition, and what happens on an error.

`then` stays within a list of tasks, so edges do too: a task that holds others (`do`, `for`, `fork`, `try`, `foreach`)
is a node with nodes inside, and what is drawn inside never points out of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from domain.calls import Catalog
from domain.catalog import CATALOG
from domain.dsl.definition import Definition
from domain.dsl.findings import child
from domain.dsl.model import (
    CallTask,
    Catch,
    DoTask,
    DurationFields,
    EmitTask,
    EventConsumption,
    ForkTask,
    ForTask,
    ListenTask,
    RaiseTask,
    RunTask,
    Schedule,
    SwitchTask,
    TaskBase,
    TaskList,
    Timeout,
    TryTask,
    WaitTask,
)
from domain.problems import Text

Locale = Literal["zh", "en"]
EdgeKind = Literal["next", "then", "case", "error", "loop"]
_LONGEST = 44
_LONGEST_TITLE = 120
# What XML 1.0 (2.2, "Characters") does not allow, and what turns the direction of a line around (Unicode TR 36).
_UNDRAWABLE = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class GraphNode:
    """kind: the task's keyword, or `start`, `end`, `exit`, `attempt`, `catch`. parent: the node it is drawn in.

    reference is the task's JSON pointer, empty for nodes that are no tasks.
    """

    id: str
    kind: str
    label: str
    details: tuple[str, ...]
    parent: str | None
    reference: str


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """source and target have the same parent."""

    source: str
    target: str
    label: str
    kind: EdgeKind


@dataclass(frozen=True, slots=True)
class Graph:
    """title: what the flow is called; summary: one sentence about the drawing for who cannot see it."""

    title: str
    summary: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]

    def inside(self, parent: str | None) -> tuple[tuple[GraphNode, ...], tuple[GraphEdge, ...]]:
        """The nodes drawn directly in a node (None: outermost) and the edges between them."""
        nodes = tuple(node for node in self.nodes if node.parent == parent)
        names = {node.id for node in nodes}
        return nodes, tuple(edge for edge in self.edges if edge.source in names)


def flow_graph(definition: Definition, *, locale: Locale = "zh", catalog: Catalog = CATALOG) -> Graph:
    """The graph of a definition. Functions and extensions under `use` are not drawn."""
    document = definition.flow.document
    builder = _Builder(locale, catalog)
    start = builder.node("start", builder.say(Text("开始", "start")), tuple(builder.triggers(definition.flow.schedule)))
    builder.scope(definition.flow.do_, "/do", None, start)
    title = shortened(document.title or document.name, _LONGEST_TITLE)
    tasks = sum(1 for node in builder.nodes if node.reference)
    summary = builder.say(
        Text(
            f"流程 {document.namespace}/{document.name} {document.version}，共 {tasks} 个任务",
            f"Flow {document.namespace}/{document.name} {document.version} with {tasks} tasks",
        )
    )
    return Graph(title, summary, tuple(builder.nodes), tuple(builder.edges))


class _Builder:
    def __init__(self, locale: Locale, catalog: Catalog) -> None:
        self.nodes: list[GraphNode] = []
        self.edges: list[GraphEdge] = []
        self._locale = locale
        self._catalog = catalog

    def say(self, text: Text) -> str:
        return text.zh if self._locale == "zh" else text.en

    def node(
        self, kind: str, label: str, details: tuple[str, ...] = (), parent: str | None = None, reference: str = ""
    ) -> str:
        """Add a node and return its id."""
        identity = f"n{len(self.nodes)}"
        shown = tuple(shortened(detail) for detail in details if detail)
        self.nodes.append(GraphNode(identity, kind, shortened(label), shown, parent, reference))
        return identity

    def edge(self, source: str, target: str, kind: EdgeKind = "next", label: str = "") -> None:
        edge = GraphEdge(source, target, shortened(label), kind)
        if edge not in self.edges:
            self.edges.append(edge)

    def scope(self, items: TaskList, pointer: str, parent: str | None, start: str | None = None) -> list[str]:
        """Draw a list of tasks within a node; the ids of the tasks."""
        ids = [
            self.task(item.name, item.task, child(pointer, index, item.name), parent)
            for index, item in enumerate(items)
        ]
        scope = _Scope(self, items, ids, parent, is_flow=start is not None)
        if start is not None:
            self.edge(start, ids[0] if ids else scope.end())
        for index in range(len(ids)):
            scope.connect(index)
        return ids

    def task(self, name: str, task: TaskBase, reference: str, parent: str | None) -> str:
        """Draw a task with everything in it."""
        kind = "human" if isinstance(task, CallTask) and task.call.startswith("human-task") else task.keyword
        identity = self.node(kind, name, tuple(self.details(task)), parent, reference)
        match task:
            case DoTask():
                self.scope(task.do_, f"{reference}/do", identity)
            case ForTask():
                self._loop(self.scope(task.do_, f"{reference}/do", identity))
            case ForkTask():
                for index, item in enumerate(task.fork.branches):
                    self.task(item.name, item.task, child(f"{reference}/fork/branches", index, item.name), identity)
            case ListenTask() if task.foreach is not None:
                self._loop(self.scope(task.foreach.do_, f"{reference}/foreach/do", identity))
            case TryTask():
                attempt = self.node("attempt", self.say(Text("尝试", "try")), (), identity)
                self.scope(task.try_, f"{reference}/try", attempt)
                retry = tuple(self.retries(task.catch))
                handler = self.node("catch", self.say(Text("出错时", "on error")), retry, identity)
                self.scope(task.catch.do_ or (), f"{reference}/catch/do", handler)
                self.edge(attempt, handler, "error", self.caught(task.catch))
        return identity

    def _loop(self, ids: list[str]) -> None:
        if len(ids) > 1:
            self.edge(ids[-1], ids[0], "loop", self.say(Text("下一项", "next item")))

    def details(self, task: TaskBase) -> Iterator[str]:
        """What is worth knowing of a task at a glance."""
        if task.if_ is not None:
            yield f"if {task.if_}"
        match task:
            case CallTask():
                declared = self._catalog.resolve(task.call)
                yield f"{self.say(declared.title)} · {task.call}" if declared else task.call
                yield from (str(task.with_[key]) for key in ("queue", "template") if key in task.with_)
            case EmitTask():
                yield task.emit.event.with_.type
            case ForTask():
                yield f"${task.for_.each} in {task.for_.in_}"
            case ForkTask() if task.fork.compete:
                yield self.say(Text("先完成者胜出", "the first one wins"))
            case ListenTask():
                yield from self.consumption(task.listen.to)
            case RaiseTask():
                error = task.raise_.error
                yield error if isinstance(error, str) else f"{error.status} {error.title or error.type}"
            case RunTask() if task.run.workflow is not None:
                yield f"{task.run.workflow.namespace}/{task.run.workflow.name}"
            case WaitTask():
                yield duration_text(task.wait)
        if task.timeout is not None:
            length = duration_text(task.timeout.after) if isinstance(task.timeout, Timeout) else task.timeout
            yield self.say(Text(f"期限 {length}", f"within {length}"))

    def consumption(self, wanted: EventConsumption) -> Iterator[str]:
        """The event types that are waited for."""
        word = {"one": Text("", ""), "all": Text("全部：", "all of "), "any": Text("任一：", "any of ")}
        strategy = "one" if wanted.one else "all" if wanted.all is not None else "any"
        names = [found.with_.type or "*" for found in wanted.filters] or ["*"]
        yield self.say(word[strategy]) + names[0]
        yield from names[1:]

    def triggers(self, schedule: Schedule | None) -> Iterator[str]:
        """What starts a run by itself."""
        if schedule is None:
            return
        if schedule.on is not None:
            yield from self.consumption(schedule.on)
        if schedule.cron:
            yield f"cron {schedule.cron}"
        for word, length in ((Text("每", "every"), schedule.every), (Text("完成后", "after"), schedule.after)):
            if length is not None:
                yield f"{self.say(word)} {duration_text(length)}"

    def retries(self, handler: Catch) -> Iterator[str]:
        if isinstance(handler.retry, str):
            yield self.say(Text(f"重试：{handler.retry}", f"retry: {handler.retry}"))
        elif handler.retry is not None:
            limit = handler.retry.limit
            count = limit.attempt.count if limit and limit.attempt else None
            yield self.say(
                Text(f"重试，最多 {count} 次", f"retry, {count} at most") if count else Text("重试", "retry")
            )

    def caught(self, handler: Catch) -> str:
        """Which errors go to a handler."""
        wanted = handler.errors.with_ if handler.errors else None
        if wanted is None:
            return handler.when or ""
        parts = [str(wanted.status) if wanted.status is not None else "", (wanted.type or "").rpartition("/")[2]]
        return " ".join(part for part in parts if part)


class _Scope:
    """The edges within one list of tasks."""

    def __init__(
        self, builder: _Builder, items: TaskList, ids: list[str], parent: str | None, *, is_flow: bool
    ) -> None:
        self._builder = builder
        self._items = items
        self._ids = ids
        self._parent = parent
        self._is_flow = is_flow
        self._markers: dict[str, str] = {}

    def connect(self, index: int) -> None:
        """The edges that leave a task."""
        task, source = self._items[index].task, self._ids[index]
        if isinstance(task, SwitchTask):
            for item in task.switch:
                label = item.name if item.case.when is None else f"{item.name}: {item.case.when}"
                self._leave(index, item.case.then, "case", label)
            if all(item.case.when is not None for item in task.switch):
                self._leave(index, task.then or "continue", "case", self._builder.say(Text("其他", "otherwise")))
        elif not isinstance(task, RaiseTask):
            self._leave(index, task.then or "continue", "then" if task.then else "next")
        elif self._is_flow:
            self._builder.edge(source, self._marker("fault", Text("失败", "fault")), "error")
        jumps = isinstance(task, SwitchTask | RaiseTask) or task.then not in (None, "continue")
        if task.if_ is not None and jumps:
            self._leave(index, "continue", "next", self._builder.say(Text("跳过", "skipped")))

    def end(self) -> str:
        """The node where the flow is over."""
        return self._marker("end", Text("结束", "end"))

    def _leave(self, index: int, directive: str, kind: EdgeKind, label: str = "") -> None:
        target = self._target(index, directive)
        if target is not None:
            self._builder.edge(self._ids[index], target, kind, label)

    def _target(self, index: int, directive: str) -> str | None:
        if directive == "continue":
            if index + 1 < len(self._ids):
                return self._ids[index + 1]
            return self.end() if self._is_flow else None
        if directive == "end" or (directive == "exit" and self._is_flow):
            return self.end()
        if directive == "exit":
            return self._marker("exit", Text("离开", "exit"))
        place = next((place for place, item in enumerate(self._items) if item.name == directive), None)
        return None if place is None else self._ids[place]

    def _marker(self, kind: str, label: Text) -> str:
        if kind not in self._markers:
            self._markers[kind] = self._builder.node(kind, self._builder.say(label), parent=self._parent)
        return self._markers[kind]


def duration_text(length: Any) -> str:
    """A duration as its author wrote it, its parts in one line."""
    if isinstance(length, DurationFields):
        units = {"days": "d", "hours": "h", "minutes": "min", "seconds": "s", "milliseconds": "ms"}
        parts = [f"{value} {units[name]}" for name, value in length.model_dump().items() if value]
        return " ".join(parts) or "0 s"
    return str(length)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """A text for one line of a drawing; what cannot be drawn is a replacement character."""
    line = drawable(" ".join(text.split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def drawable(text: str) -> str:
    """The text as any kind of drawing can carry it."""
    return _UNDRAWABLE.sub("\ufffd", text)
