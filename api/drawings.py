"""A flow's graph as an answer: a picture that cannot do anything, Mermaid's notation, or nodes and edges."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

from fastapi import Request, Response
from pydantic import BaseModel

from api.etags import content_etag, is_known
from api.problems import preferred_language
from domain.access import Actor
from domain.dsl.graph import EdgeKind, Graph
from domain.dsl.graph_mermaid import to_mermaid
from domain.dsl.graph_svg import STYLE, to_svg
from services.definitions import DefinitionService
from storage.definitions import VersionKey

Style = Literal["svg", "mermaid", "json"]


class NodeOut(BaseModel):
    """A task, or a mark such as start and end. parent: the node it is drawn in; reference: the task's JSON pointer."""

    id: str
    kind: str
    label: str
    details: list[str]
    parent: str | None
    reference: str


class EdgeOut(BaseModel):
    """What follows what. It never leaves the node that both of its ends are drawn in."""

    source: str
    target: str
    label: str
    kind: EdgeKind


class GraphOut(BaseModel):
    """A flow's graph. title: what the flow is called; summary: one sentence for who cannot see the drawing."""

    title: str
    summary: str
    nodes: list[NodeOut]
    edges: list[EdgeOut]


# A picture may use its own style sheet and nothing else: it is made of what people wrote.
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_SVG_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; sandbox; frame-ancestors 'none'"
# As IANA has them registered.
_MEDIA_TYPES = {"svg": "image/svg+xml", "mermaid": "application/vnd.mermaid", "json": "application/json"}
_SUFFIXES = {"svg": "svg", "mermaid": "mmd", "json": "json"}

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "流程图 · The drawing",
        "model": GraphOut,
        "content": {
            "image/svg+xml": {
                "schema": {"type": "string"},
                "example": '<svg xmlns="http://www.w3.org/2000/svg" class="flow" role="img">…</svg>',
            },
            "application/vnd.mermaid": {
                "schema": {"type": "string"},
                "example": '---\ntitle: "退货退款"\n---\nflowchart TD\n  n0(["开始"])\n  n1["check"]\n  n0 --> n1\n',
            },
        },
    },
    304: {"description": "与 If-None-Match 相同 · As the caller has it already"},
}


async def drawn(request: Request, service: DefinitionService, actor: Actor, key: VersionKey, style: Style) -> Response:
    """The graph of a version in one of its forms; 304 when the caller has it. Raises NotFoundProblem."""
    locale = preferred_language(request.headers.get("accept-language"))
    content = await service.graph(actor, key, locale, _RENDERERS[style])
    # Of the drawing, not of the text: a newer Tandem may draw the same text otherwise.
    tag = content_etag(content)
    headers = {
        "ETag": tag,
        # Kept, and asked for again each time: who may no longer read definitions gets no picture of them either.
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Language",
        "Content-Language": "en" if locale == "en" else "zh-CN",
    }
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    _, namespace, name, version = key
    headers["Content-Disposition"] = f'inline; filename="{namespace}-{name}-{version}.{_SUFFIXES[style]}"'
    if style == "svg":
        headers["Content-Security-Policy"] = _SVG_POLICY
    return Response(content, headers=headers, media_type=_MEDIA_TYPES[style])


def _as_json(graph: Graph) -> bytes:
    return json.dumps(asdict(graph), ensure_ascii=False, separators=(",", ":")).encode()


_RENDERERS: dict[Style, Callable[[Graph], bytes]] = {
    "svg": lambda graph: to_svg(graph).encode(),
    "mermaid": lambda graph: to_mermaid(graph).encode() + b"\n",
    "json": _as_json,
}
