"""A web service for tests: what real ones do, good and bad, on a real port."""

import asyncio
import gzip
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class Service:
    """The running service: its port, and the requests it has seen as (method, path, headers)."""

    port: int
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str, host: str = "shop.test") -> str:
        return f"http://{host}:{self.port}{path}"


async def _echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.scope["query_string"].decode(),
            "headers": dict(request.headers),
            "body": body.decode("utf-8", "replace"),
        },
        status_code=201 if request.method == "POST" else 200,
    )


_CONTENT = {
    "json": (b'{"id": 1, "name": "\xe6\xaf\x9b\xe7\x90\x83"}', "application/json"),
    "problem": (b'{"title": "x"}', "application/problem+json; charset=utf-8"),
    "text": ("你好".encode(), "text/plain; charset=utf-8"),
    "gb2312": ("镕基".encode("gb18030"), "text/html; charset=gb2312"),
    "xml": (b"<a/>", "application/xml"),
    "png": (b"\x89PNG\x00", "image/png"),
    "broken": (b'{"id": ', "application/json"),
    "nan": (b'{"id": NaN}', "application/json"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, "application/json"),
    "digits": (b"9" * 5000, "application/json"),
    "empty": (b"", "application/json"),
}


async def _content(request: Request) -> Response:
    body, content_type = _CONTENT[request.path_params["name"]]
    return Response(body, headers={"content-type": content_type})


async def _status(request: Request) -> Response:
    headers = {"retry-after": request.query_params["after"]} if "after" in request.query_params else None
    return JSONResponse({"why": "because"}, status_code=request.path_params["status"], headers=headers)


async def _redirect(request: Request) -> Response:
    return RedirectResponse(request.query_params["to"], status_code=int(request.query_params.get("status", "302")))


async def _circle(request: Request) -> Response:
    return RedirectResponse("/circle")


async def _packed(request: Request) -> Response:
    content = {
        "bomb": gzip.compress(b"0" * 50_000_000),
        "fine": gzip.compress(b'{"packed": true}') + gzip.compress(b" " * 200_000),
        "cut": gzip.compress(b'{"packed": true}')[:-6],
        "damaged": b"this is not gzip",
        "brotli": b"whatever",
    }[request.path_params["name"]]
    packing = "br" if request.path_params["name"] == "brotli" else "gzip"
    return Response(content, headers={"content-type": "application/json", "content-encoding": packing})


async def _drip(request: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"."
            await asyncio.sleep(0.05)

    return StreamingResponse(body(), media_type="text/plain")


async def _silent(request: Request) -> Response:
    await asyncio.sleep(2)
    return Response(b"late")


async def _cookie(request: Request) -> Response:
    return JSONResponse({"cookie": request.headers.get("cookie")}, headers={"set-cookie": "session=abc; Path=/"})


_ROUTES = [
    Route("/echo{rest:path}", _echo, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    Route("/content/{name}", _content),
    Route("/status/{status:int}", _status, methods=["GET", "POST", "PUT"]),
    Route("/redirect", _redirect, methods=["GET", "POST"]),
    Route("/circle", _circle),
    Route("/packed/{name}", _packed),
    Route("/drip", _drip),
    Route("/silent", _silent, methods=["GET", "POST"]),
    Route("/cookie", _cookie),
]


class _Recorder:
    """Notes every request before the application answers it."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
            self._service.seen.append((scope["method"], scope["path"], headers))
        await self._app(scope, receive, send)


@contextmanager
def serve(*routes: Route, host: str = "127.0.0.1", port: int = 0, certificate: str | None = None) -> Iterator[Service]:
    """The service, listening until the block ends; with further routes; over TLS with a PEM of certificate and key."""
    app = Starlette(routes=[*routes, *_ROUTES])
    service = app.state.service = Service(port)
    server = uvicorn.Server(
        uvicorn.Config(
            _Recorder(app, service),
            host=host,
            port=port,
            log_level="critical",
            lifespan="off",
            ssl_certfile=certificate,
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the service did not start"
        time.sleep(0.005)
    service.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.should_exit = True
        thread.join()
