"""The simulator behind real HTTP, the connectors in front of it, and what a worker does around a call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import BaseModel

from connectors.accounts import Account
from connectors.capabilities import call_capability
from connectors.http import Link, open_client
from connectors.kept import Kept
from connectors.loading import load_connectors
from connectors.registry import Connector
from connectors.tokens import MemoryTokenStore
from connectors.webhooks import WebhookRequest
from domain.calls import AnyCall, Attempted, Catalog
from domain.catalog import CATALOG
from domain.problems import ProblemError
from simulator.app import create_app
from simulator.settings import Settings
from tests.simulator.harness import Receiver, Sim, served

CONNECTORS = load_connectors(Catalog())
PATIENT_S = 10.0
NOT_SETTINGS = {"platform", "account", "name", "staff"}


@dataclass
class Outside:
    """A running simulator, the receiver of its pushes, and a link to it: patient, until silence is what is tried."""

    sim: Sim
    receiver: Receiver
    link: Link
    impatient_s: float = 0.4

    async def account(self, platform: str, **changes: Any) -> Account:
        """The first demo account of a platform, with some settings changed."""
        known = (await self.sim.admin("GET", "/accounts"))["accounts"]
        shown = next(account for account in known if account["platform"] == platform)
        settings = {name: value for name, value in shown.items() if name not in NOT_SETTINGS}
        return Account(platform, shown["account"], {**settings, **changes})

    async def open(self, platform: str) -> Any:
        """The client of the demo account."""
        return CONNECTORS[platform].open(await self.account(platform), self.link)

    async def break_things(self, *rules: dict[str, Any]) -> None:
        """Put exactly these fault rules in force; while they mean silence, patience is short."""
        is_silent = any(rule["fault"].startswith("timeout") for rule in rules)
        # In place: clients that are open already wait as long.
        object.__setattr__(self.link, "answer_timeout_s", self.impatient_s if is_silent else PATIENT_S)
        await self.sim.admin("PUT", "/faults", json={"rules": list(rules)})

    async def effects(self, **wanted: str) -> int:
        """How many effects of that kind the outside world saw."""
        return int((await self.sim.ledger(effect="true", **wanted))["effects"])

    async def pushes(self, platform: str, count: int) -> list[WebhookRequest]:
        """The first pushes of a platform, once there are so many."""
        for _ in range(500):
            received = [push for push in self.receiver.pushes if f"/{platform}/" in push.path]
            if len(received) >= count:
                break
            await asyncio.sleep(0.01)
        return [WebhookRequest("POST", push.query, push.headers, push.body, datetime.now(UTC)) for push in received]

    async def be_new(self) -> None:
        """No faults, no memory, no push still on its way, no token of ours."""
        await self.break_things()
        for _ in range(500):
            if not (await self.sim.admin("GET", "/state"))["pushes"]["waiting"]:
                break
            await asyncio.sleep(0.01)
        await self.sim.admin("POST", "/reset")
        self.receiver.pushes.clear()
        self.link = replace(self.link, tokens=MemoryTokenStore(), answer_timeout_s=PATIENT_S, kept=Kept())


def just_now() -> Attempted:
    """An earlier attempt a moment ago."""
    now = datetime.now(UTC)
    return Attempted(now, now)


@asynccontextmanager
async def outside(**settings: Any) -> AsyncIterator[Outside]:
    """A simulator on a free port, pushing to a receiver on another."""
    receiver = Receiver()
    async with served(receiver.app()) as hooks:
        chosen = {"customers": 30, "push_retry_scale": 0, "push_base": hooks, "transit_s": 0.0, **settings}
        app = create_app(Settings(**chosen))
        async with served(app) as address, httpx.AsyncClient(base_url=address) as admin, open_client() as client:
            yield Outside(Sim(app, admin), receiver, Link(client, MemoryTokenStore(), answer_timeout_s=PATIENT_S))


@dataclass
class Attempts:
    """What a worker's ledger does with one effect: repeats while it may, and remembers when nobody knows."""

    client: Any
    call: AnyCall
    request: BaseModel
    key: str
    made: int = 0

    async def until_done(self, most: int = 12) -> BaseModel:
        """The result; the last problem when it is final or there were too many."""
        began, attempted = datetime.now(UTC), None
        while True:
            self.made += 1
            try:
                return await call_capability(self.client, self.call, self.request, key=self.key, attempted=attempted)
            except ProblemError as error:
                problem = error.problem.as_dict()
                is_open = problem.get("outcome") == "unknown"
                attempted = Attempted(began, datetime.now(UTC)) if is_open else None
                if not problem["retryable"] or self.made >= most:
                    raise


async def perform(client: Any, call_name: str, *, key: str = "key-1", **arguments: Any) -> Any:
    """Run a call as often as it takes."""
    call = CATALOG[call_name]
    return await Attempts(client, call, call.parse_arguments(arguments), key).until_done()


def connector(platform: str) -> Connector:
    """The connector of a platform."""
    return CONNECTORS[platform]
