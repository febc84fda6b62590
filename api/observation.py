"""Around every request: an id, a line in the log, a count, safe headers, and an answer whatever happens.

The line tells the route's template and the ids in it, never the address as it came, a header or a body.
"""

import re
import uuid
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.problems import problem_response, unexpected

REQUEST_ID_HEADER = "X-Request-Id"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_HARMLESS_ID = re.compile(r"[\w./:@-]{1,300}")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; style-src 'self'; frame-ancestors 'none'"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)

log = structlog.get_logger(__name__)


class Observation:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        status = 0
        began = perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *_added_headers(message, request_id)]
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)
        try:
            await self._app(scope, receive, answer)
        except Exception as error:  # the last resort: every request gets an answer, every bug a line in the log
            if status:
                # Half an answer is on its way: the connection has to break, and the log has to tell why.
                unexpected(error)
                raise
            languages = headers.get(b"accept-language", b"").decode("latin-1")
            await problem_response(unexpected(error), languages)(scope, receive, answer)
        finally:
            self._note(scope, status, perf_counter() - began)
            structlog.contextvars.clear_contextvars()

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if route != "unknown" else "any"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.latency.labels(method, route).observe(seconds)
        if route in _QUIET:
            return
        tell = log.error if status >= 500 else log.info
        tell("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1), **_ids(scope))


def _request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's own id when it is a harmless one, so that its log and ours can be laid side by side."""
    given = headers.get(REQUEST_ID_HEADER.lower().encode(), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _added_headers(message: Message, request_id: str) -> list[tuple[bytes, bytes]]:
    present = {name.lower() for name, _ in message.get("headers", [])}
    added = [(name, value) for name, value in _SAFE_HEADERS if name not in present]
    if b"cache-control" not in present:
        added.append((b"cache-control", b"no-store"))
    return [*added, (REQUEST_ID_HEADER.lower().encode(), request_id.encode())]


def _ids(scope: Scope) -> dict[str, Any]:
    """The run, task, account and customer that a request is about, as far as its address says."""
    path: dict[str, Any] = scope.get("path_params") or {}
    ids = {"run": path.get("run_id"), "task": path.get("task_id")}
    if "platform" in path and "account" in path:
        ids["account"] = f"{path['platform']}/{path['account']}"
    customer = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("customer")
    ids["customer"] = customer[0] if customer else None
    return {name: value for name, value in ids.items() if isinstance(value, str) and _HARMLESS_ID.fullmatch(value)}
