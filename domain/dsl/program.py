"""A definition made ready to run: every task a node that knows its place and keeps its compiled expressions.

A program is immutable in meaning and shared by all runs of a definition; what belongs to one run is in `RunState`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.dsl.expressions import Template, compile_template
from domain.dsl.findings import child
from domain.dsl.model import Flow, TaskBase, TaskItem, TaskList, nested_lists


@dataclass(slots=True, eq=False)
class Node:
    """A task at its place.

    reference: JSON pointer in the document. data: the task as it was written, for `$task.definition`. children: nested
    lists by their pointer relative to the task (`try`, `catch/do`, `fork/branches` …). extensible: whether extensions
    apply to it (they do not to their own tasks).
    """

    reference: str
    name: str
    task: TaskBase
    data: dict[str, Any]
    children: dict[str, tuple["Node", ...]]
    extensible: bool


@dataclass(slots=True, eq=False)
class ExtensionNode:
    name: str
    extend: str
    when: str | None
    before: tuple[Node, ...]
    after: tuple[Node, ...]

    def applies_to(self, keyword: str) -> bool:
        """Whether it extends tasks of that keyword; `composite` means `do` and `fork`."""
        return self.extend in ("all", keyword) or (self.extend == "composite" and keyword in ("do", "fork"))


class Program:
    """The nodes of one definition."""

    def __init__(self, flow: Flow, data: dict[str, Any]) -> None:
        """`data` is the document as parsed, `flow` its model."""
        self.flow = flow
        self.data = data
        self._templates: dict[int, tuple[Any, Template]] = {}
        self.tasks = _nodes(flow.do_, data["do"], "/do", extensible=True)
        use = data.get("use") or {}
        self.functions = {
            name: _node(TaskItem({name: task}), use["functions"][name], child("/use/functions", name), extensible=True)
            for name, task in flow.use.functions.items()
        }
        self.extensions = tuple(
            ExtensionNode(
                name=item.name,
                extend=item.extension.extend,
                when=item.extension.when,
                before=_extension_tasks(item.extension.before, use, index, item.name, "before"),
                after=_extension_tasks(item.extension.after, use, index, item.name, "after"),
            )
            for index, item in enumerate(flow.use.extensions)
        )

    def template(self, structure: Any) -> Template:
        """The compiled form of a structure of this definition; compiled at first use, kept as long as the program."""
        known = self._templates.get(id(structure))
        if known is None:
            # The structure is kept beside its template, so that its id is never given to another one.
            known = structure, compile_template(structure, mode=self.flow.evaluate.mode)
            self._templates[id(structure)] = known
        return known[1]


def _extension_tasks(items: TaskList, use: dict[str, Any], index: int, name: str, key: str) -> tuple[Node, ...]:
    if not items:
        return ()
    raw = use["extensions"][index][name][key]
    return _nodes(items, raw, child("/use/extensions", index, name, key), extensible=False)


def _nodes(items: TaskList, raw: Sequence[Any], pointer: str, *, extensible: bool) -> tuple[Node, ...]:
    return tuple(
        _node(item, raw[index][item.name], child(pointer, index, item.name), extensible=extensible)
        for index, item in enumerate(items)
    )


def _node(item: TaskItem, raw: Any, reference: str, *, extensible: bool) -> Node:
    children = {}
    for key, items in nested_lists(item.task):
        nested = raw
        for part in key.split("/"):
            nested = nested[part]
        children[key] = _nodes(items, nested, f"{reference}/{key}", extensible=extensible)
    return Node(reference, item.name, item.task, raw, children, extensible)
