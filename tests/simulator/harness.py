"""A simulator, a receiver of its pushes and the small clients that the tests speak with."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response

from simulator.app import create_app
from simulator.settings import Settings

Json = dict[str, Any]
T = TypeVar("T")


class QuietServer(uvicorn.Server):
    """A server that leaves the signals of the test program alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


async def eventually(check: Callable[[], Awaitable[T]], timeout_s: float = 5) -> T:
    """The first true value of `check`; fails when there is none in time."""
    for _ in range(int(timeout_s / 0.01)):
        if value := await check():
            return value
        await asyncio.sleep(0.01)
    raise AssertionError(f"did not come true in {timeout_s} s")


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """Serves an application on a free port of loopback; its address."""
    # With the protocol named, asyncio turns Nagle's algorithm off; without, each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = QuietServer(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listener]))

    async def started() -> bool:
        return server.started

    await eventually(started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Received:
    """One push as it arrived."""

    path: str
    headers: Json
    query: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Takes pushes; answers with `status` and `answer`."""

    pushes: list[Received] = field(default_factory=list)
    status: int = 200
    answer: str = '{"code":0,"msg":"success"}'

    def app(self) -> FastAPI:
        """The receiving application."""
        app = FastAPI()

        @app.api_route("/hooks/{platform}/{account}", methods=["POST", "GET"])
        async def take(request: Request) -> Response:
            self.pushes.append(
                Received(
                    path=request.url.path,
                    headers=dict(request.headers),
                    query=dict(request.query_params),
                    body=await request.body(),
                )
            )
            return Response(self.answer, status_code=self.status)

        return app

    async def wait_for(self, count: int, timeout_s: float = 5) -> list[Received]:
        """The pushes, once there are `count` of them."""

        async def there() -> bool:
            return len(self.pushes) >= count

        await eventually(there, timeout_s)
        return self.pushes


class Sim:
    """A running simulator and an HTTP client for it."""

    def __init__(self, app: FastAPI, http: httpx.AsyncClient) -> None:
        self.app = app
        self.http = http

    async def admin(self, method: str, path: str, **more: Any) -> Any:
        """An admin call that has to work; its JSON (None for 204)."""
        answer = await self.http.request(method, f"/_sim{path}", **more)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def account(self, slug: str) -> Json:
        """The credentials of a demo account."""
        found = (await self.admin("GET", "/accounts"))["accounts"]
        answered: Json = next(account for account in found if account["account"] == slug)
        return answered

    async def refund(self, **wanted: Any) -> Json:
        """One new refund, not pushed unless asked."""
        made = await self.admin("POST", "/refunds", json={"push": False, **wanted})
        answered: Json = made["refunds"][0]
        return answered

    async def ledger(self, **wanted: str) -> Json:
        """The ledger, filtered."""
        answered: Json = await self.admin("GET", "/ledger", params=wanted)
        return answered

    async def pushes(self, state: str) -> list[Json]:
        """The pushes in a state."""
        found: list[Json] = (await self.admin("GET", "/pushes", params={"state": state}))["pushes"]
        return found

    async def youzan_token(self, slug: str = "demo-apparel", **more: Any) -> Json:
        """The answer of /auth/token."""
        account = await self.account(slug)
        body = {
            "client_id": account["client_id"],
            "client_secret": account["client_secret"],
            "authorize_type": "silent",
            "grant_id": str(account["kdt_id"]),
            "refresh": False,
        }
        answered: Json = (await self.http.post("/youzan/auth/token", json=body | more)).json()
        return answered

    async def youzan(self, name: str, version: str, params: Json, token: str | None = None) -> Json:
        """The answer of an API call, with a fresh token unless one is given."""
        token = token if token is not None else (await self.youzan_token())["data"]["access_token"]
        answer = await self.http.post(
            f"/youzan/api/{name}/{version}", params={"access_token": token} if token else {}, json=params
        )
        assert answer.status_code == 200, answer.text
        answered: Json = answer.json()
        return answered

    async def wecom_token(self, app: str = "contact_secret") -> str:
        """A token of one of the corp's apps."""
        account = await self.account("demo-corp")
        answer = await self.http.get(
            "/wecom/cgi-bin/gettoken", params={"corpid": account["corp_id"], "corpsecret": account[app]}
        )
        return str(answer.json()["access_token"])

    async def wecom(self, api: str, params: Json, token: str | None = None, method: str = "POST") -> Json:
        """The answer of an API call."""
        query: dict[str, Any] = {"access_token": token or await self.wecom_token()}
        if method == "GET":
            answer = await self.http.get(f"/wecom/cgi-bin/{api}", params=query | params)
        else:
            answer = await self.http.post(f"/wecom/cgi-bin/{api}", params=query, json=params)
        assert answer.status_code == 200, answer.text
        answered: Json = answer.json()
        return answered

    async def friend(self) -> Json:
        """A customer whom an employee has as a friend."""
        rows = (await self.admin("GET", "/customers"))["customers"]
        answered: Json = next(row for row in rows if row["external_userid"])
        return answered


@asynccontextmanager
async def simulator(**settings: Any) -> AsyncIterator[Sim]:
    """A simulator in this process, pushing nowhere unless told."""
    app = create_app(Settings(**({"push_base": None, "push_retry_scale": 0, "customers": 30} | settings)))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://simulator") as http,
    ):
        yield Sim(app, http)
