"""A graph as an SVG picture: self-contained, readable by screen readers, light and dark.

Source: SVG 2; WAI-ARIA Graphics Module.
"""

from html import escape
from itertools import pairwise

from domain.dsl.graph import Graph, drawable
from domain.dsl.graph_layout import FONT_SIZE, LINE_HEIGHT, Box, Layout, Point, Route, layout_graph, text_width

_MARGIN = 24
_ROUND = 9
STYLE = """
svg.flow{--ink:#1f2933;--muted:#5b6875;--line:#8494a5;--paper:#ffffff;--box:#f5f7fa;--human:#fff4d6;--call:#e3f1ff;
--decide:#efe6ff;--wait:#e2f5ea;--bad:#fde3e1;background:var(--paper);
font:13px system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
@media (prefers-color-scheme:dark){svg.flow{--ink:#e6eaee;--muted:#a3b1bf;--line:#74869a;--paper:#14191f;--box:#1e262f;
--human:#453a17;--call:#17324d;--decide:#35264f;--wait:#173826;--bad:#4d201d}}
.flow text{fill:var(--ink)}.flow .detail,.flow .label{fill:var(--muted);font-size:12px}
.flow .label{paint-order:stroke;stroke:var(--paper);stroke-width:4px;text-anchor:middle}
.flow .shape{fill:var(--box);stroke:var(--line)}.flow .holds>.shape{fill-opacity:.45;stroke-dasharray:5 3}
.flow .human>.shape{fill:var(--human)}.flow .call>.shape,.flow .run>.shape{fill:var(--call)}
.flow .switch>.shape{fill:var(--decide)}.flow .wait>.shape,.flow .listen>.shape{fill:var(--wait)}
.flow .raise>.shape,.flow .fault>.shape,.flow .catch>.shape{fill:var(--bad)}
.flow .edge{fill:none;stroke:var(--line);stroke-width:1.5;marker-end:url(#flow-arrow)}
.flow .edge.error,.flow .edge.loop{stroke-dasharray:5 4}
"""
"""The one style sheet of every picture, written into it; a content security policy names it by its hash."""


def to_svg(graph: Graph) -> str:
    """The picture as one SVG element; each task is a group that carries its reference in `data-reference`."""
    layout = layout_graph(graph)
    title_width = text_width(graph.title) * 1.2
    width = max(layout.width, title_width) + 2 * _MARGIN
    top = _MARGIN + LINE_HEIGHT + 10
    height = top + layout.height + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flow" role="img" aria-labelledby="flow-title flow-summary" '
        f'viewBox="0 0 {_number(width)} {_number(height)}" width="{_number(width)}" height="{_number(height)}">',
        f'<title id="flow-title">{escape(graph.title)}</title>',
        f'<desc id="flow-summary">{escape(graph.summary)}</desc>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="flow-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="var(--line)"/></marker></defs>',
        f'<text x="{_MARGIN}" y="{_MARGIN + FONT_SIZE}" font-weight="600" font-size="15">{escape(graph.title)}</text>',
    ]
    _draw(layout, (_MARGIN + max(0.0, (width - 2 * _MARGIN - layout.width) / 2), top), lines)
    return "\n".join([*lines, "</svg>"])


def _draw(layout: Layout, origin: Point, lines: list[str]) -> None:
    for box in layout.boxes:
        _draw_box(box, (origin[0] + box.x, origin[1] + box.y), lines)
    lines += [_line(route, origin) for route in layout.routes]
    for route in layout.routes:
        if route.edge.label:
            x, y = origin[0] + route.label_at[0], origin[1] + route.label_at[1]
            lines.append(f'<text class="label" x="{_number(x)}" y="{_number(y)}">{escape(route.edge.label)}</text>')


def _draw_box(box: Box, corner: Point, lines: list[str]) -> None:
    node = box.node
    classes = f"{node.kind} holds" if box.inner is not None else node.kind
    reference = f' data-reference="{escape(drawable(node.reference))}"' if node.reference else ""
    lines.append(f'<g class="{escape(classes)}"{reference}>')
    lines.append(f"<title>{escape(' · '.join((node.label, *node.details)))}</title>")
    lines.append(_shape(box, corner))
    middle = corner[0] + box.width / 2
    x, anchor = (corner[0] + 12, "start") if box.inner is not None else (middle, "middle")
    for number, text in enumerate((node.label, *node.details)):
        y = corner[1] + LINE_HEIGHT * (number + 1) + 3
        detail = ' class="detail"' if number else ' font-weight="600"'
        lines.append(f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}"{detail}>{escape(text)}</text>')
    if box.inner is not None:
        left = corner[0] + (box.width - box.inner.width) / 2
        _draw(box.inner, (left, corner[1] + box.header), lines)
    lines.append("</g>")


def _shape(box: Box, corner: Point) -> str:
    x, y, width, height = corner[0], corner[1], box.width, box.height
    if box.node.kind == "switch":
        cut = min(14.0, height / 2)
        corners = [
            (x + cut, y),
            (x + width - cut, y),
            (x + width, y + height / 2),
            (x + width - cut, y + height),
            (x + cut, y + height),
            (x, y + height / 2),
        ]
        return f'<polygon class="shape" points="{" ".join(f"{_number(a)},{_number(b)}" for a, b in corners)}"/>'
    rounded = height / 2 if box.node.kind in ("start", "end", "exit", "fault") else 6
    return (
        f'<rect class="shape" x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}" '
        f'rx="{_number(rounded)}"/>'
    )


def _line(route: Route, origin: Point) -> str:
    points = [(origin[0] + x, origin[1] + y) for x, y in route.points]
    steps = [f"M{_number(points[0][0])} {_number(points[0][1])}"]
    for before, after in pairwise(points):
        if before[0] == after[0] or before[1] == after[1]:
            steps.append(f"L{_number(after[0])} {_number(after[1])}")
        else:
            half = (before[1] + after[1]) / 2
            bend = f"{_number(before[0])} {_number(half)} {_number(after[0])} {_number(half)}"
            steps.append(f"C{bend} {_number(after[0])} {_number(after[1])}")
    return f'<path class="edge {route.edge.kind}" d="{"".join(steps)}"/>'


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
