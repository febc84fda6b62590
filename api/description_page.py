"""`/openapi.json`, and `/docs`: the same for people, one page without any script."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from api.auth import PUBLIC
from api.masking import AUTHORED
from api.routing import ApiRoute

description = APIRouter(route_class=ApiRoute, dependencies=[AUTHORED])

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1f2328}
h2{margin-top:2.5rem}table{border-collapse:collapse;width:100%}td{border-top:1px solid #d0d7de;padding:.45rem .6rem;
vertical-align:top}td:first-child{white-space:nowrap}code{font-size:13px}small{color:#59636e}"""


@description.get("/openapi.json", dependencies=[PUBLIC], include_in_schema=False)
async def show_openapi(request: Request) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


@description.get("/docs.css", dependencies=[PUBLIC], include_in_schema=False)
async def show_style() -> HTMLResponse:
    """How the page looks."""
    return HTMLResponse(_STYLE, media_type="text/css")


@description.get("/docs", dependencies=[PUBLIC], include_in_schema=False)
async def show_page(request: Request) -> HTMLResponse:
    """Every operation with its permission, in Chinese and English."""
    document: dict[str, Any] = request.app.openapi()
    parts = [
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>Tandem API</title>',
        '<link rel="stylesheet" href="/docs.css"></head><body><h1>Tandem（双擎）API</h1>',
        f'<p>{escape(document["info"]["description"])}</p><p><a href="/openapi.json">openapi.json</a></p>',
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['description'])}</h2><table>")
        parts += [
            _row(method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if tag["name"] in operation.get("tags", [])
        ]
        parts.append("</table>")
    return HTMLResponse("".join([*parts, "</body></html>"]))


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    permissions = " / ".join(operation.get("x-permissions", [])) or ("–" if not operation["security"] else "session")
    return (
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(operation['summary'])}<br><small>{escape(operation.get('description', ''))}</small></td>"
        f"<td><small>{escape(permissions)}</small></td></tr>"
    )
