"""A graph in the notation of Mermaid.

Source: Mermaid documentation, "Flowcharts - Basic Syntax".
"""

import json

from domain.dsl.graph import Graph, GraphEdge, GraphNode

_SHAPES = {
    "start": ('(["', '"])'),
    "end": ('(["', '"])'),
    "exit": ('(["', '"])'),
    "fault": ('(["', '"])'),
    "switch": ('{"', '"}'),
    "human": ('[["', '"]]'),
    "listen": ('[/"', '"/]'),
    "wait": ('[/"', '"/]'),
    "raise": ('>"', '"]'),
    "emit": ('(["', '"])'),
}
_DASHED = frozenset({"error", "loop"})


def to_mermaid(graph: Graph) -> str:
    """The text of a flowchart, from the top down."""
    lines = ["---", f"title: {json.dumps(graph.title, ensure_ascii=False)}", "---", "flowchart TD"]
    _draw(graph, None, lines, "  ")
    return "\n".join(lines)


def _draw(graph: Graph, parent: str | None, lines: list[str], indentation: str) -> None:
    nodes, edges = graph.inside(parent)
    for node in nodes:
        if graph.inside(node.id)[0]:
            lines.append(f'{indentation}subgraph {node.id}["{_label(node)}"]')
            _draw(graph, node.id, lines, indentation + "  ")
            lines.append(f"{indentation}end")
        else:
            before, after = _SHAPES.get(node.kind, ('["', '"]'))
            lines.append(f"{indentation}{node.id}{before}{_label(node)}{after}")
    lines += [indentation + _arrow(edge) for edge in edges]


def _arrow(edge: GraphEdge) -> str:
    line = "-.->" if edge.kind in _DASHED else "-->"
    label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
    return f"{edge.source} {line}{label} {edge.target}"


def _label(node: GraphNode) -> str:
    return "<br/>".join(map(_escaped, (node.label, *node.details)))


def _escaped(text: str) -> str:
    """Text for a quoted label: what Mermaid or HTML would read becomes an entity code."""
    return "".join(f"#{ord(letter)};" if letter in '"#<>&`\\;{}[]()|' else letter for letter in text)
