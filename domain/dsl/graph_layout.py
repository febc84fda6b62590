"""Places for the nodes and edges of a graph: layer below layer, a node with nodes inside as one large node.

Lengths are pixels; y grows downwards. Same graph, same layout.
Source: K. Sugiyama et al., "Methods for Visual Understanding of Hierarchical System Structures", 1981, simplified.
"""

import unicodedata
from dataclasses import dataclass, field
from itertools import pairwise

from domain.dsl.graph import Graph, GraphEdge, GraphNode

FONT_SIZE = 13
LINE_HEIGHT = 18
_PADDING = 14
_GAP_X, _GAP_Y = 28, 34
_LABEL_GAP = 22
_LANE = 16
_CLEARANCE = 12
_SWEEPS = 4
_LEAST_WIDTH = 96

Point = tuple[float, float]


@dataclass(slots=True)
class Box:
    """A node at its place; x and y are its top left corner within the layout that holds it."""

    node: GraphNode
    width: float
    height: float
    inner: "Layout | None"
    x: float = 0.0
    y: float = 0.0

    @property
    def header(self) -> float:
        """The height of the lines of text."""
        return LINE_HEIGHT * (1 + len(self.node.details)) + _PADDING


@dataclass(slots=True)
class Route:
    """An edge as a line through points, and where its label stands."""

    edge: GraphEdge
    points: list[Point]
    label_at: Point


@dataclass(slots=True)
class Layout:
    boxes: list[Box]
    routes: list[Route]
    width: float
    height: float


@dataclass(slots=True, eq=False)
class _Slot:
    """A box, or a bend of a long edge, in a layer."""

    box: Box | None
    width: float
    layer: int
    x: float = 0.0
    above: list["_Slot"] = field(default_factory=list)
    below: list["_Slot"] = field(default_factory=list)

    @property
    def centre(self) -> float:
        return self.x + self.width / 2


def layout_graph(graph: Graph, parent: str | None = None) -> Layout:
    """The layout of everything directly inside a node (None: the whole graph), nested layouts included."""
    nodes, edges = graph.inside(parent)
    boxes = {node.id: _box(graph, node) for node in nodes}
    backward = _backward(nodes, edges)
    forward = [edge for edge in edges if edge not in backward and edge.source != edge.target]
    layers = _layers(nodes, forward)
    slots = {name: _Slot(box, box.width, layers[name]) for name, box in boxes.items()}
    chains = {edge: _chain(slots[edge.source], slots[edge.target], edge.label) for edge in forward}
    rows = _rows(list(slots.values()), chains)
    _order(rows)
    _place_across(rows)
    labelled = {slots[edge.source].layer for edge in forward if edge.label}
    tops, heights = _place_down(rows, labelled, _CLEARANCE if backward else 0.0)
    routes = [_route(edge, chains[edge], tops, heights) for edge in forward]
    width = max((slot.x + slot.width for row in rows for slot in row), default=0.0)
    height = tops[-1] + heights[-1] if tops else 0.0
    for lane, edge in enumerate(backward):
        row = slots[edge.source].layer
        floor = tops[row] + heights[row] + _CLEARANCE
        routes.append(_route_back(edge, boxes[edge.source], boxes[edge.target], floor, width + _LANE * (lane + 1)))
    if backward:
        # Room for the lines that go up again: on the right for their lanes and labels, above and below for the turn.
        width += _LANE * (len(backward) + 1) + max(text_width(edge.label) for edge in backward)
        height += _CLEARANCE
    return _with_room_for_labels(Layout(list(boxes.values()), routes, width, height))


def _with_room_for_labels(layout: Layout) -> Layout:
    """The layout moved and widened so that no label reaches out of it."""
    spans = [(route.label_at[0], text_width(route.edge.label) / 2) for route in layout.routes if route.edge.label]
    left = min((middle - half for middle, half in spans), default=0.0)
    right = max((middle + half for middle, half in spans), default=0.0)
    shift = max(0.0, -left)
    if shift:
        for box in layout.boxes:
            box.x += shift
        for route in layout.routes:
            route.points = [(x + shift, y) for x, y in route.points]
            route.label_at = (route.label_at[0] + shift, route.label_at[1])
    layout.width = max(layout.width, right) + shift
    return layout


def text_width(text: str) -> float:
    """How wide a text is drawn, about: Chinese characters take a square, others a good half."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return FONT_SIZE * (wide + 0.58 * (len(text) - wide))


def _box(graph: Graph, node: GraphNode) -> Box:
    inner = layout_graph(graph, node.id) if graph.inside(node.id)[0] else None
    text = max(map(text_width, (node.label, *node.details)))
    width = max(_LEAST_WIDTH, text + 2 * _PADDING)
    if node.kind == "switch":
        width += 2 * _PADDING
    box = Box(node, width, 0.0, inner)
    box.height = box.header
    if inner is not None:
        box.width = max(width, inner.width + 2 * _PADDING)
        box.height = box.header + inner.height + _PADDING
    return box


def _backward(nodes: tuple[GraphNode, ...], edges: tuple[GraphEdge, ...]) -> list[GraphEdge]:
    """Edges that close a circle, found going through the tasks in the order they are written."""
    leaving = {node.id: [edge for edge in edges if edge.source == node.id] for node in nodes}
    state: dict[str, str] = {}
    found: list[GraphEdge] = []
    for node in nodes:
        stack = [(node.id, iter(leaving[node.id]))] if node.id not in state else []
        state.setdefault(node.id, "open")
        while stack:
            name, rest = stack[-1]
            edge = next(rest, None)
            if edge is None:
                state[name] = "done"
                stack.pop()
            elif edge.target not in state:
                state[edge.target] = "open"
                stack.append((edge.target, iter(leaving[edge.target])))
            elif state[edge.target] == "open":
                found.append(edge)
    return found


def _layers(nodes: tuple[GraphNode, ...], edges: list[GraphEdge]) -> dict[str, int]:
    """The longest way from above to each node."""
    layers = {node.id: 0 for node in nodes}
    for _ in nodes:
        changed = False
        for edge in edges:
            if layers[edge.target] <= layers[edge.source]:
                layers[edge.target] = layers[edge.source] + 1
                changed = True
        if not changed:
            break
    return layers


def _chain(source: _Slot, target: _Slot, label: str) -> list[_Slot]:
    """The slots an edge goes through, with a bend in every layer between; its label stands at the first."""
    bends = [_Slot(None, 8.0, layer) for layer in range(source.layer + 1, target.layer)]
    if bends:
        bends[0].width = max(8.0, text_width(label))
    chain = [source, *bends, target]
    for upper, lower in pairwise(chain):
        upper.below.append(lower)
        lower.above.append(upper)
    return chain


def _rows(slots: list[_Slot], chains: dict[GraphEdge, list[_Slot]]) -> list[list[_Slot]]:
    everything = [*slots, *(slot for chain in chains.values() for slot in chain[1:-1])]
    rows: list[list[_Slot]] = [[] for _ in range(max((slot.layer for slot in everything), default=-1) + 1)]
    for slot in everything:
        rows[slot.layer].append(slot)
    return rows


def _order(rows: list[list[_Slot]]) -> None:
    """Sort each row by the middle of its neighbours, down and up again, so that fewer lines cross."""
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        for number in range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1):
            fixed = {slot: place for place, slot in enumerate(rows[number - 1 if downwards else number + 1])}
            own = {slot: place for place, slot in enumerate(rows[number])}

            def middle(slot: _Slot, fixed: dict[_Slot, int] = fixed, own: dict[_Slot, int] = own) -> float:
                places = [fixed[other] for other in (*slot.above, *slot.below) if other in fixed]
                return sum(places) / len(places) if places else float(own[slot])

            rows[number].sort(key=middle)


def _place_across(rows: list[list[_Slot]]) -> None:
    for row in rows:
        x = 0.0
        for slot in row:
            slot.x = x
            x += slot.width + _GAP_X
    widest = max((row[-1].x + row[-1].width for row in rows if row), default=0.0)
    for row in rows:
        _spread(row, [widest / 2 if len(row) == 1 else slot.centre for slot in row])
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wishes = []
            for slot in row:
                around = slot.above if sweep % 2 == 0 else slot.below
                wishes.append(sum(other.centre for other in around) / len(around) if around else slot.centre)
            _spread(row, wishes)
    left = min((slot.x for row in rows for slot in row), default=0.0)
    for row in rows:
        for slot in row:
            slot.x -= left


def _spread(row: list[_Slot], wishes: list[float]) -> None:
    """Put the slots of a row where they wish to be, in their order and without overlap."""
    x = -1e9
    for slot, wish in zip(row, wishes, strict=True):
        slot.x = max(x, wish - slot.width / 2)
        x = slot.x + slot.width + _GAP_X
    shift = sum(slot.centre - wish for slot, wish in zip(row, wishes, strict=True)) / len(row)
    for slot in row:
        slot.x -= shift


def _place_down(rows: list[list[_Slot]], labelled: set[int], y: float) -> tuple[list[float], list[float]]:
    """The top and the height of each row from `y` on; boxes are given their place."""
    tops: list[float] = []
    heights: list[float] = []
    for number, row in enumerate(rows):
        heights.append(max((slot.box.height for slot in row if slot.box), default=0.0))
        tops.append(y)
        for slot in row:
            if slot.box is not None:
                slot.box.x, slot.box.y = slot.x, y
        y += heights[-1] + _GAP_Y + (_LABEL_GAP if number in labelled else 0)
    return tops, heights


def _route(edge: GraphEdge, chain: list[_Slot], tops: list[float], heights: list[float]) -> Route:
    source, target = chain[0], chain[-1]
    points: list[Point] = [(_port(source, chain[1], source.below), tops[source.layer] + _height(source))]
    if _height(source) < heights[source.layer]:
        points.append((points[0][0], tops[source.layer] + heights[source.layer]))
    for bend in chain[1:-1]:
        points += [(bend.centre, tops[bend.layer]), (bend.centre, tops[bend.layer] + heights[bend.layer])]
    points.append((_port(target, chain[-2], target.above), tops[target.layer]))
    first = next(point for point in points[1:] if point[1] > tops[source.layer] + heights[source.layer])
    return Route(edge, points, (first[0], first[1] - 9))


def _height(slot: _Slot) -> float:
    return slot.box.height if slot.box is not None else 0.0


def _port(slot: _Slot, other: _Slot, neighbours: list[_Slot]) -> float:
    """Where on its edge a box is left or entered: in the order of the neighbours, so that lines do not cross there."""
    sides = sorted(neighbours, key=lambda neighbour: neighbour.centre)
    return slot.x + slot.width * (sides.index(other) + 1) / (len(sides) + 1)


def _route_back(edge: GraphEdge, source: Box, target: Box, floor: float, right: float) -> Route:
    """Out below the source, up again on the right-hand side, in above the target: past whatever stands beside them."""
    start, end = source.x + source.width * 0.8, target.x + target.width * 0.8
    ceiling = target.y - _CLEARANCE
    points = [(start, source.y + source.height), (start, floor), (right, floor), (right, ceiling), (end, ceiling)]
    label_at = (right + text_width(edge.label) / 2 + 4, (floor + ceiling) / 2)
    return Route(edge, [*points, (end, target.y)], label_at)
