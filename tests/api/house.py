"""An API with people in it: the application, and a client for whoever should speak."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from temporalio.client import Client

from api.app import create_app
from api.deps import ApiDependencies, ApiSettings
from commands.serve import api_dependencies
from connectors.loading import load_connectors
from domain.access import Actor, Role, Scope, system_actor
from domain.calls import Catalog
from domain.organisation import Unit
from runtime.application import Application
from runtime.settings import Settings
from services.access import Access
from storage.engine import Database
from storage.organisation import Units
from storage.unit_of_work import UnitOfWork
from storage.users import Users
from tests.actors import PASSWORD, a_user, quick_passwords
from tests.services.house import House as Core

PEPPER = "a pepper for tests"
METRICS_TOKEN = "metrics-token-of-the-tests"
QUEUES = frozenset({"warehouse"})
SYSTEM = system_actor("tests")

Answer = httpx.Response


class House:
    """The application of one test module, its users by role, and what they say to it."""

    def __init__(self, database: Database, temporal: Client, **settings: Any) -> None:
        self.database = database
        self.core = Core(database, temporal, deadline_s=6.0)
        self.application = Application(
            Settings(_env_file=None, token_pepper=SecretStr(PEPPER)),
            database,
            self.core.client,
            load_connectors(Catalog()),
        )
        # Access is made when first asked for: the quick one takes its place before.
        self.application.access = Access(database, PEPPER, passwords=quick_passwords(), cache_s=0)
        self.deps = replace(
            api_dependencies(self.application),
            human_tasks=self.core.human_tasks,
            settings=ApiSettings(metrics_token=METRICS_TOKEN, **settings),
        )
        self.app = create_app(self.deps)
        self.tokens: dict[str, str] = {}
        self.client = self.client_of(self.app)

    async def move_in(self) -> None:
        """A user of each role who sees everything, and the units `/east/` and `/west/`."""
        async with UnitOfWork(self.database) as work:
            await Units(work).add(Unit(path="/east/", name="East"))
            await Units(work).add(Unit(path="/west/", name="West"))
        for role in Role:
            await self.add_user(role.value, role)

    async def add_user(self, login: str, *roles: Role, scope: Scope | None = None, **more: Any) -> str:
        """A user with a token, which is the answer."""
        await self.deps.people.create(
            SYSTEM, a_user(login, *roles, scope=scope, **{"queues": QUEUES, **more}), PASSWORD
        )
        issued = await self.deps.access.issue_token(SYSTEM, "tests", login=login)
        self.tokens[login] = issued.text
        return issued.text

    async def add_whoever_may_do_everything(self, login: str) -> str:
        """A user with all roles, whom the product refuses to make, with a token, which is the answer."""
        token = await self.add_user(login, Role.ADMIN)
        async with UnitOfWork(self.database) as work:
            await Users(work).set_rights(login, frozenset(Role), Scope.everything(), QUEUES)
        return token

    async def actor(self, login: str) -> Actor:
        return await self.deps.access.authenticate(self.tokens[login])

    async def say(self, who: str | None, method: str, path: str, **request: Any) -> Answer:
        """What the API answers to this person (by login); None says it to nobody in particular."""
        headers: dict[str, str] = dict(request.pop("headers", {}))
        if who is not None:
            headers.setdefault("Authorization", f"Bearer {self.tokens[who]}")
        return await self.client.request(method, path, headers=headers, **request)

    async def get(self, who: str | None, path: str, **request: Any) -> Answer:
        return await self.say(who, "GET", path, **request)

    async def post(self, who: str | None, path: str, body: Any = None, **request: Any) -> Answer:
        return await self.say(who, "POST", path, **({"json": body} if body is not None else {}), **request)

    def client_of(self, app: FastAPI, address: str = "203.0.113.7") -> httpx.AsyncClient:
        """A client that calls an application directly, as if from that address."""
        transport = httpx.ASGITransport(app, client=(address, 40_000))
        return httpx.AsyncClient(transport=transport, base_url="http://tandem.test")

    def with_other(self, **changes: Any) -> tuple[FastAPI, ApiDependencies]:
        """A second application over the same services with some of them, or their settings, changed."""
        deps = replace(self.deps, **changes)
        return create_app(deps), deps

    async def close(self) -> None:
        await self.client.aclose()
        await self.core.close()
        await self.database.close()


def problem(answer: Answer) -> Mapping[str, Any]:
    """The problem in an answer, which must be one."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    content: dict[str, Any] = answer.json()
    assert content["status"] == answer.status_code
    assert {"type", "title"} <= content.keys()
    return content
