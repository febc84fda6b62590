import json
import re
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.dsl.definition import Definition, DefinitionProblem, parse_definition, parse_definitions
from domain.dsl.graph import Graph, GraphEdge, GraphNode, flow_graph
from domain.dsl.graph_layout import Layout, layout_graph
from domain.dsl.graph_mermaid import to_mermaid
from domain.dsl.graph_svg import STYLE, to_svg
from tests.dsl.case import all_cases

HEADER = "document: {dsl: '1.0.3', namespace: shop, name: sample, version: '1.0.0', title: 退货 <退款>}\n"
SVG = "{http://www.w3.org/2000/svg}"
DEFINITIONS = sorted((Path(__file__).parents[3] / "definitions").rglob("*.yaml"))


def graph_of(tasks: str) -> Graph:
    return flow_graph(parse_definition(f"{HEADER}{tasks}"))


def edges_of(graph: Graph) -> set[tuple[str, str, str]]:
    names = {node.id: node.label for node in graph.nodes}
    return {(names[edge.source], names[edge.target], edge.kind) for edge in graph.edges}


def test_tasks_follow_one_another_and_jump() -> None:
    graph = graph_of(
        "do:\n  - a: {set: {x: 1}}\n  - b: {if: .x, set: {x: 2}, then: a}\n  - c: {set: {x: 3}, then: exit}\n"
    )
    assert edges_of(graph) == {
        ("开始", "a", "next"),
        ("a", "b", "next"),
        ("b", "a", "then"),
        ("b", "c", "next"),
        ("c", "结束", "then"),
    }


def test_a_switch_has_an_edge_per_case_and_one_for_no_match() -> None:
    graph = graph_of(
        "do:\n  - s: {switch: [good: {when: .good, then: b}, bad: {when: .bad, then: end}]}\n"
        "  - a: {set: {x: 1}}\n  - b: {set: {x: 1}}\n"
    )
    cases = {(edge.label, edge.kind) for edge in graph.edges if edge.kind == "case"}
    assert cases == {("good: .good", "case"), ("bad: .bad", "case"), ("其他", "case")}
    assert ("s", "a", "case") in edges_of(graph), "no match goes on with the next task"


def test_what_is_inside_a_task_is_drawn_inside_it() -> None:
    graph = graph_of(
        "do:\n"
        "  - careful:\n"
        "      try: [{pay: {set: {x: 1}}}]\n"
        "      catch:\n"
        "        errors: {with: {status: 404}}\n"
        "        retry: {limit: {attempt: {count: 3}}}\n"
        "        do: [{tell: {set: {x: 1}}}]\n"
        "  - both: {fork: {compete: true, branches: [{one: {wait: PT1H}}, {two: {wait: {days: 1}}}]}}\n"
        "  - loop: {for: {in: .lines, each: line}, do: [{x: {set: {x: 1}}}, {y: {set: {x: 1}, then: exit}}]}\n"
    )
    labels = {node.id: node.label for node in graph.nodes}
    inside = {(labels.get(node.parent or "", ""), node.label) for node in graph.nodes}
    assert {("careful", "尝试"), ("careful", "出错时"), ("尝试", "pay"), ("出错时", "tell")} <= inside
    assert {("both", "one"), ("both", "two"), ("loop", "x"), ("loop", "y"), ("loop", "离开")} <= inside
    assert ("尝试", "出错时", "error") in edges_of(graph)
    assert ("y", "x", "loop") in edges_of(graph)
    references = {node.label: node.reference for node in graph.nodes}
    assert references["pay"] == "/do/0/careful/try/0/pay"
    assert references["two"] == "/do/1/both/fork/branches/1/two"
    for edge in graph.edges:
        parents = {node.parent for node in graph.nodes if node.id in (edge.source, edge.target)}
        assert len(parents) == 1, "an edge never leaves the task it is drawn in"


def test_mermaid_escapes_what_it_would_read_itself() -> None:
    text = to_mermaid(graph_of("do:\n  - s: {switch: [{a: {when: '.x == \"a|b\" and .y[0]', then: end}}]}\n"))
    assert text.startswith('---\ntitle: "退货 <退款>"\n---\nflowchart TD\n')
    label = next(line for line in text.splitlines() if "a#58;" in line or "a: .x" in line)
    inside = label.split('|"')[1].split('"|')[0]
    assert not set(inside) & set('"|[]<>')


HOSTILE = (
    "</title><script>alert(1)</script>",
    '" onload="alert(1)',
    "]]><foreignObject/>",
    "&lt;b&gt; &#x3c; &amp;",
    "a\n---\nflowchart TD\n  click n0 href 'javascript:alert(1)'",
    '"]\n  click n1 call alert()\n  n9["',
    "%%{init: {'securityLevel': 'loose'}}%%",
    "\x01\x08\x1b",
    "\u202egnihtemos\u202c \u2066x\u2069",
    "line\u2028separator\x85next\u2029",
    "退" * 150,
    "👩‍👩‍👧 e\u0301",
)
TAGS = {"svg", "title", "desc", "style", "defs", "marker", "path", "text", "g", "polygon", "rect"}
MERMAID_LINE = re.compile(
    r"\s*(?:n\d+\S{1,2}\"[^\"]*\"\S{1,2}|subgraph n\d+\[\"[^\"]*\"\]|end|n\d+ -\.?->(?:\|\"[^\"]*\"\|)? n\d+)"
)


def quoted(text: str) -> str:
    """Between double quotes of YAML, with the escapes by which even what the reader refuses gets in."""
    return '"' + "".join(letter if letter > "\uffff" else json.dumps(letter)[1:-1] for letter in text) + '"'


def a_hostile_flow(text: str) -> str:
    """A flow that says this wherever an author can say something."""
    said, condition = quoted(text), quoted(f". == {json.dumps(text)}")
    return (
        f"document: {{dsl: '1.0.3', namespace: shop, name: sample, version: '1.0.0', title: {said}}}\ndo:\n"
        f"  - {said}: {{set: {{x: 1}}, if: {condition}}}\n"
        f"  - decide: {{switch: [{{{said}: {{when: {condition}, then: end}}}}]}}\n"
        f"  - tell: {{emit: {{event: {{with: {{source: /x, type: {said}}}}}}}}}\n"
        f"  - loop: {{do: [{{{said}: {{raise: {{error: {{type: {said}, status: 500, title: {said}}}}}}}}}]}}\n"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_an_author_writes_stays_text_in_a_drawing(text: str) -> None:
    check_harmless(parse_definition(a_hostile_flow(text)))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_stays_text_in_a_drawing(text: str) -> None:
    try:
        definition = parse_definition(a_hostile_flow(text))
    except DefinitionProblem:
        return  # nothing that is refused gets as far as a drawing
    check_harmless(definition)


def check_harmless(definition: Definition) -> None:
    graph = flow_graph(definition)
    picture = ElementTree.fromstring(to_svg(graph))
    for element in picture.iter():
        assert element.tag.removeprefix(SVG) in TAGS
        assert not [name for name in element.attrib if name.startswith("on") or name.endswith("href")]
    assert [element.text for element in picture.iter(f"{SVG}style")] == [STYLE]
    assert picture.findtext(f"{SVG}title") == graph.title
    lines = to_mermaid(graph).split("\n")
    assert (lines[0], lines[2], lines[3]) == ("---", "---", "flowchart TD")
    assert json.loads(lines[1].removeprefix("title: ")) == graph.title
    assert [line for line in lines[4:] if not MERMAID_LINE.fullmatch(line)] == []
    for label in (graph.title, *(node.label for node in graph.nodes), *(edge.label for edge in graph.edges)):
        assert len(label) <= 120
        assert not set(label) & set("\n\r\x00\x08\u202e\u2066")


@pytest.mark.parametrize("file", DEFINITIONS, ids=lambda file: file.stem)
def test_our_definitions_can_be_drawn(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if not text.lstrip().startswith("document:") and "\ndocument:" not in text:
        return
    for definition in parse_definitions(text):
        check_picture(definition)


def test_every_case_of_the_language_can_be_drawn() -> None:
    for case in all_cases():
        check_picture(parse_definition(case.text))


def check_picture(definition: Definition) -> None:
    graph = flow_graph(definition)
    picture = ElementTree.fromstring(to_svg(graph))
    drawn = {group.get("data-reference") for group in picture.iter(f"{SVG}g") if group.get("data-reference")}
    assert drawn == {node.reference for node in graph.nodes if node.reference}
    assert len(list(picture.iter(f"{SVG}path"))) == len(graph.edges) + 1, "every edge, and the arrow head"
    assert picture.get("role") == "img"
    assert picture.findtext(f"{SVG}title") == graph.title
    assert not [value for element in picture.iter() for value in element.attrib.values() if "://" in value]
    check_layout(layout_graph(graph))


def check_layout(layout: Layout) -> None:
    for one, other in combinations(layout.boxes, 2):
        beside = one.x + one.width <= other.x + 0.01 or other.x + other.width <= one.x + 0.01
        above = one.y + one.height <= other.y + 0.01 or other.y + other.height <= one.y + 0.01
        assert beside or above, (one.node.label, other.node.label)
    for box in layout.boxes:
        assert box.x >= -0.01
        assert box.x + box.width <= layout.width + 0.01
        assert box.y + box.height <= layout.height + 0.01
        if box.inner is not None:
            assert box.inner.width <= box.width
            check_layout(box.inner)
    for route in layout.routes:
        for x, _ in route.points:
            assert -0.01 <= x <= layout.width + 0.01


PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16, unique=True)


@given(PAIRS)
@settings(max_examples=150, deadline=None)
def test_any_web_of_jumps_is_laid_out_without_overlap(pairs: list[tuple[int, int]]) -> None:
    nodes = tuple(GraphNode(f"n{number}", "set", f"任务{number}", (), None, f"/do/{number}") for number in range(8))
    edges = tuple(GraphEdge(f"n{source}", f"n{target}", "标签", "then") for source, target in pairs)
    layout = layout_graph(Graph("t", "s", nodes, edges))
    check_layout(layout)
    assert len(layout.routes) == len(edges)
    for route in layout.routes:
        assert all(before != after for before, after in pairwise(route.points))


def test_the_same_definition_always_gives_the_same_picture() -> None:
    tasks = "do:\n  - s: {switch: [a: {when: .a, then: c}, b: {then: b}]}\n  - b: {set: {x: 1}}\n  - c: {set: {x: 1}}\n"
    assert to_svg(graph_of(tasks)) == to_svg(graph_of(tasks))
