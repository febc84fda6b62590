"""A checked definition: the author's text, its data, its typed flow, and what it needs from outside."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from domain.dsl.findings import Finding, has_errors, in_order
from domain.dsl.model import CallTask, EventConsumption, Flow, ListenTask, TaskBase, nested_lists, walk_tasks
from domain.dsl.shape import check_shape
from domain.dsl.source import SourceDocument, read_source
from domain.ids import content_digest
from domain.problems import Text, ValidationProblem

ANY_TYPE = "*"
"""Stands for every event type where a filter names none or computes it."""


class DefinitionProblem(ValidationProblem):
    """A text is no valid definition; `findings` say why and where."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(in_order(findings))
        first = next((found for found in self.findings if found.severity == "error"), None)
        reason = Text("没有内容", "there is nothing in it")
        if first is not None:
            reason = Text(
                f"第 {first.line} 行第 {first.column} 列：{first.message.zh}",
                f"line {first.line}, column {first.column}: {first.message.en}",
            )
        super().__init__(
            Text(f"流程定义有误，{reason.zh}", f"The definition is wrong: {reason.en}"),
            findings=[
                {
                    "code": found.code,
                    "severity": found.severity,
                    "line": found.line,
                    "column": found.column,
                    "pointer": found.pointer,
                    "message": found.message.as_dict(),
                }
                for found in self.findings
            ],
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.findings,))


@dataclass(frozen=True, eq=False)
class Definition:
    """One definition. digest: of the exact text. data: the document as plain JSON. flow: the same, typed."""

    digest: str
    text: str
    data: dict[str, Any]
    flow: Flow

    @property
    def namespace(self) -> str:
        return self.flow.document.namespace

    @property
    def name(self) -> str:
        return self.flow.document.name

    @property
    def version(self) -> str:
        return self.flow.document.version

    @property
    def triggers(self) -> EventConsumption | None:
        """The events that start a run, when events do."""
        return self.flow.schedule.on if self.flow.schedule else None

    @cached_property
    def listened_types(self) -> frozenset[str]:
        """Every event type a run may listen or wait for; `ANY_TYPE` among them when one cannot be told beforehand."""
        return frozenset(kind for task in self.all_tasks() for kind in _listened(task))

    @cached_property
    def calls_used(self) -> frozenset[str]:
        """Names of the catalog functions it calls, without version; its own functions left out."""
        names = (task.call for task in self.all_tasks() if isinstance(task, CallTask))
        return frozenset(call_name(name) for name in names if name not in self.flow.use.functions)

    @property
    def secrets_used(self) -> frozenset[str]:
        """The secrets it may read."""
        return frozenset(self.flow.use.secrets)

    def all_tasks(self) -> Iterator[TaskBase]:
        """Every task, those of functions and extensions included."""
        flow = self.flow
        lists = [flow.do_]
        for item in flow.use.extensions:
            lists += [item.extension.before, item.extension.after]
        for items in lists:
            for _, _, task in walk_tasks(items, ""):
                yield task
        for function in flow.use.functions.values():
            yield function
            for _, items in nested_lists(function):
                for _, _, task in walk_tasks(items, ""):
                    yield task


def call_name(reference: str) -> str:
    """The bare name in `name`, `name:version`, `name:version@default`."""
    return reference.partition(":")[0].removesuffix("@default")


def parse_definition(text: str) -> Definition:
    """The one definition in a text. Raises DefinitionProblem when it is not valid YAML or not shaped like a flow.

    Whether it makes sense is the linter's to say.
    """
    definitions = parse_definitions(text)
    if len(definitions) > 1:
        raise DefinitionProblem(
            [
                Finding(
                    "several-documents",
                    "error",
                    1,
                    1,
                    "",
                    Text(
                        f"这里只能有一份定义，文件里有 {len(definitions)} 份（用 --- 分隔），请分别提交",
                        f"One definition is expected; the text holds {len(definitions)}, separated by ---",
                    ),
                )
            ]
        )
    return definitions[0]


def parse_definitions(text: str) -> tuple[Definition, ...]:
    """Every definition in a text, at least one. Raises DefinitionProblem as soon as one of them has an error."""
    source = read_source(text)
    findings = list(source.findings)
    definitions: list[Definition] = []
    for document in source.documents:
        flow, wrong = check_shape(document)
        findings += wrong
        if flow is not None:
            definitions.append(_definition(document, flow))
    if has_errors(findings):
        raise DefinitionProblem(findings)
    return tuple(definitions)


def _definition(document: SourceDocument, flow: Flow) -> Definition:
    return Definition(content_digest(document.text), document.text, document.data, flow)


def _listened(task: TaskBase) -> Iterator[str]:
    if isinstance(task, ListenTask):
        yield from consumed_types(task.listen.to)
    elif isinstance(task, CallTask) and call_name(task.call) == "wait-for":
        events = task.with_.get("events")
        for event in events.values() if isinstance(events, dict) else ({},):
            yield _type_or_any(event.get("type") if isinstance(event, dict) else None)


def consumed_types(consumption: EventConsumption) -> Iterator[str]:
    """The types that a consumption wants, those that end it included."""
    for wanted in consumption.filters:
        yield _type_or_any(wanted.with_.type)
    if consumption.any == ():
        yield ANY_TYPE
    if isinstance(consumption.until, EventConsumption):
        yield from consumed_types(consumption.until)


def _type_or_any(name: Any) -> str:
    return name if isinstance(name, str) and name and "${" not in name else ANY_TYPE


class DefinitionCache:
    """Definitions by digest, the least recently used forgotten; safe for threads."""

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._kept: OrderedDict[str, Definition] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: str) -> Definition | None:
        with self._lock:
            found = self._kept.get(digest)
            if found is not None:
                self._kept.move_to_end(digest)
            return found

    def put(self, definition: Definition) -> Definition:
        """Keep a definition; the one that is kept already under its digest, when there is one."""
        with self._lock:
            kept = self._kept.setdefault(definition.digest, definition)
            self._kept.move_to_end(definition.digest)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
            return kept


DEFINITIONS = DefinitionCache()
"""The definitions this process has read."""
