"""From YAML text to nodes that know their place, read event by event, so that tags, endless aliases and bottomless
nesting are refused before anything is built."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from domain.problems import Text

DEEPEST_NESTING = 60
MOST_DOCUMENTS = 100


class Place(NamedTuple):
    """Where something starts, both from 1."""

    line: int
    column: int


class RefusedYaml(Exception):
    """YAML that is well formed and still not accepted."""

    def __init__(self, code: str, place: Place, message: Text) -> None:
        self.code, self.place, self.message = code, place, message


@dataclass(slots=True, eq=False)
class Node:
    """kind is `scalar`, `sequence` or `mapping`; `plain` scalars are the ones whose type is guessed."""

    kind: str
    place: Place
    text: str = ""
    plain: bool = False
    items: list["Node"] = field(default_factory=list)
    pairs: list[tuple["Node", "Node"]] = field(default_factory=list)
    open: bool = True


class _PythonEvents(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """The parser in Python, for installations without libyaml."""

    def __init__(self, stream: str) -> None:
        yaml.reader.Reader.__init__(self, stream)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)


def _parser(text: str) -> Any:
    return yaml.CSafeLoader(text) if yaml.__with_libyaml__ else _PythonEvents(text)


class NodeReader:
    """Composes nodes from the parser's events."""

    def __init__(self, text: str) -> None:
        self._events = _parser(text)
        self._anchors: dict[str, Node] = {}
        self._documents = 0

    def documents(self) -> Iterator[tuple[Node, Place]]:
        """The root node of each document and where the document starts."""
        while True:
            event = self._events.get_event()
            if event is None or isinstance(event, yaml.StreamEndEvent):
                return
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                self._documents += 1
                if self._documents > MOST_DOCUMENTS:
                    raise RefusedYaml(
                        "too-large",
                        place_of(event),
                        Text(
                            f"一个文件最多 {MOST_DOCUMENTS} 份定义，请拆成多个文件",
                            f"A file holds at most {MOST_DOCUMENTS} definitions; split it",
                        ),
                    )
                yield self._node(self._events.get_event(), 0), place_of(event)

    def _node(self, event: Any, depth: int) -> Node:
        place = place_of(event)
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event.anchor, place)
        if depth > DEEPEST_NESTING:
            raise RefusedYaml(
                "too-deep",
                place,
                Text(
                    f"嵌套超过 {DEEPEST_NESTING} 层，请拆分为子流程或函数",
                    f"Nested deeper than {DEEPEST_NESTING} levels; use child flows or functions",
                ),
            )
        if event.tag is not None:
            raise RefusedYaml(
                "yaml-tag",
                place,
                Text(
                    f"不支持 YAML 标签“{event.tag}”。如果是想写以 ! 开头的文字，请加引号",
                    f"YAML tags such as “{event.tag}” are not supported. Quote a text that starts with !",
                ),
            )
        if isinstance(event, yaml.ScalarEvent):
            node = Node("scalar", place, event.value, event.implicit[0])
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Node("sequence", place)
        else:
            node = Node("mapping", place)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        if node.kind == "sequence":
            while not isinstance(event := self._events.get_event(), yaml.SequenceEndEvent):
                node.items.append(self._node(event, depth + 1))
        elif node.kind == "mapping":
            while not isinstance(event := self._events.get_event(), yaml.MappingEndEvent):
                key = self._node(event, depth + 1)
                node.pairs.append((key, self._node(self._events.get_event(), depth + 1)))
        node.open = False
        return node

    def _aliased(self, anchor: str | None, place: Place) -> Node:
        node = self._anchors.get(anchor or "")
        if node is None:
            raise RefusedYaml(
                "unknown-anchor",
                place,
                Text(
                    f"没有名为 &{anchor} 的锚点。如果是想写以 * 开头的文字，请加引号",
                    f"There is no anchor &{anchor}. Quote a text that starts with *",
                ),
            )
        if node.open:
            raise RefusedYaml(
                "endless-alias",
                place,
                Text(f"*{anchor} 引用了包含它自己的内容", f"*{anchor} stands inside the very thing it refers to"),
            )
        return node


def place_of(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)
