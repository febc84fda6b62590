"""A Tandem of its own with a crowd's shop beside the simulated corp, and everything that is said to it."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
from pydantic import SecretStr
from sqlalchemy import text
from sqlmodel import col, select
from temporalio.client import Client as TemporalClient

from connectors.standard_webhooks import new_secret, sign_message
from domain.problems import UnavailableProblem
from runtime.configuration import connected_settings
from runtime.connections import open_database
from services.pull_schedules import PREFIX
from storage.engine import Database
from storage.identities import IdentityRow
from storage.unit_of_work import UnitOfWork
from tests.chaos.client import Client
from tests.chaos.house import House, HouseProblem
from tests.journeys import quick
from tests.journeys.crowd import SHOP, Person

CORP = "demo-corp"
FAULTS: tuple[dict[str, Any], ...] = (
    {"match": {"platform": "wecom"}, "fault": "duplicate_push", "probability": 0.5, "copies": 2},
    {"match": {"platform": "wecom"}, "fault": "reorder_push", "probability": 0.3, "seconds": 5},
    {
        "match": {"platform": "wecom", "api": "externalcontact/add_msg_template"},
        "fault": "timeout_after",
        "probability": 0.02,
        "seconds": 14,
    },
    {"match": {"platform": "wecom", "api": "externalcontact/*"}, "fault": "429", "probability": 0.01, "seconds": 1},
    {"match": {"platform": "wecom", "api": "externalcontact/*"}, "fault": "busy", "probability": 0.01},
)
_PATIENCE_S = 180.0
Out = TypeVar("Out")


class Stage:
    """told: how many records were posted. repeats: why requests were sent again."""

    def __init__(self, house: House, seed: int) -> None:
        self.house = house
        self.told = 0
        self.repeats: Counter[str] = Counter()
        self.surprises: list[str] = []
        self._pick = Random(f"telling:{seed}")
        self._secret = SecretStr(new_secret())
        self._posted = 0
        os.environ.update(TANDEM_DATA_DIR=str(house.data_dir), TANDEM_SIMULATOR_URL=house.simulator_url)
        self.database: Database = open_database(connected_settings())
        self.admin = Client(house.api_url, house.tokens()["admin"], self.repeats, self.surprises)
        # A connection for each request: the simulator closes those that were idle, just when the next one is asked.
        once = httpx.Limits(max_keepalive_connections=0)
        self.outside = httpx.AsyncClient(
            base_url=f"{house.simulator_url}/_sim", timeout=60, trust_env=False, limits=once
        )
        self._hooks = httpx.AsyncClient(base_url=house.api_url, timeout=20, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.outside.aclose()
        await self._hooks.aclose()
        await self.admin.__aexit__()
        await self.database.close()

    async def prepare(self, pause_s: int) -> None:
        """Short journeys released, the crowd's shop connected, the corp's contacts read."""
        account = {**SHOP, "slug": SHOP["account"], "name": "Crowd", "credentials": {"secret": self._plain}}
        del account["account"]
        await self._expect("POST", "/api/v1/accounts", account)
        for other in await self.admin.all("/api/v1/accounts"):
            # What the simulated shops' other customers do is no matter here.
            if other["platform"] not in ("wecom", SHOP["platform"]):
                await self._expect("POST", f"/api/v1/accounts/{other['platform']}/{other['slug']}/disconnect")
        await self._until_quiet()
        for name in quick.JOURNEYS:
            version = await self._upload(quick.journey(name, pause_s))
            await self._expect("POST", f"/api/v1/definitions/journeys/{name}/{version}/publish")
            release = {"version": version, "share_percent": 100}
            await self._expect("POST", f"/api/v1/releases/journeys/{name}", release)
        for name, rule in quick.rules(pause_s).items():
            version = await self._upload(rule)
            await self._expect("POST", f"/api/v1/resources/tag-rule/{name}/{version}/publish")
        await self.read_contacts("pull")

    async def _until_quiet(self) -> None:
        """Until what those shops told has gone its ways: the journeys that it began are of the shipped versions."""
        waiting = text(
            "SELECT (SELECT count(*) FROM inbox WHERE state = 'waiting') + (SELECT count(*) FROM event_outbox)"
        )
        quiet, end = 0, time.monotonic() + _PATIENCE_S
        while quiet < 3:
            async with UnitOfWork(self.database) as work:
                quiet = 0 if await work.session.scalar(waiting) else quiet + 1
            if time.monotonic() > end:
                raise HouseProblem("the simulated shops do not become quiet")
            await asyncio.sleep(1)

    async def read_contacts(self, task: str) -> None:
        """Have the corp's contacts read now. task: `pull`, or `compare` as every night, which finds whom WeCom told of
        in vain: it calls again for 15 seconds only, and an API that is killed under load may be away for longer."""
        temporal = await TemporalClient.connect(self.house.addresses().temporal_address)
        async for schedule in await temporal.list_schedules():
            if schedule.id.startswith(f"{PREFIX}{task}/wecom/") and schedule.id.endswith("/contacts"):
                await temporal.get_schedule_handle(schedule.id).trigger()

    async def people(self) -> list[dict[str, Any]]:
        """Everybody in the simulated world."""
        found: list[dict[str, Any]] = []
        while True:
            page = (await self.sim("GET", "/customers", params={"limit": 1000, "offset": len(found)}))["customers"]
            if not page:
                return found
            found += page

    async def contacts_known(self) -> int:
        """How many contacts Tandem has read."""
        statement = text("SELECT count(DISTINCT identity_id) FROM interactions WHERE kind = 'contact'")
        async with UnitOfWork(self.database) as work:
            return int(await work.session.scalar(statement) or 0)

    async def customers(self, people: Sequence[Person]) -> dict[str, UUID]:
        """The customer of each person that is known, by the person's name."""
        names = {person.unionid: person.name for person in people}

        async def read() -> dict[str, UUID]:
            async with UnitOfWork(self.database) as work:
                rows = await work.session.scalars(select(IdentityRow).where(col(IdentityRow.kind) == "unionid"))
                return {names[row.value]: row.customer_id for row in rows if row.value in names}

        return await patiently(read)

    async def sim(self, method: str, path: str, **content: Any) -> Any:
        return (await self.outside.request(method, path, **content)).raise_for_status().json()

    async def tell(self, records: Sequence[dict[str, Any]]) -> None:
        """Post records to the crowd's shop, signed; some posts come twice under their own number."""
        for start in range(0, len(records), 100):
            self._posted += 1
            part = records[start : start + 100]
            number = f"crowd-{self._posted}"
            for _ in range(2 if self._pick.random() < 0.2 else 1):
                await self._post(number, json.dumps({"records": part}, ensure_ascii=False).encode())
            self.told += len(part)

    async def silence(self, customer: UUID) -> None:
        """A person of the shop leaves a customer alone."""
        await self._expect("POST", f"/api/v1/customers/{customer}/suppressions", {"reason": "来电要求"})

    async def _post(self, number: str, body: bytes) -> None:
        deadline, pause_s = time.monotonic() + _PATIENCE_S, 0.2
        while True:
            headers = sign_message(self._secret, number, datetime.now(UTC), body)
            path = f"/hooks/{SHOP['platform']}/{SHOP['account']}"
            try:
                answer = await self._hooks.post(path, content=body, headers=headers)
                if answer.status_code < 300:
                    return
                if answer.status_code not in (429, 500, 502, 503, 504):
                    raise HouseProblem(f"the crowd's records were refused: {answer.status_code} {answer.text[:500]}")
                self.repeats[f"HTTP {answer.status_code}"] += 1
            except httpx.TransportError as error:
                self.repeats[type(error).__name__] += 1
            if time.monotonic() > deadline:
                raise HouseProblem("nobody took the crowd's records")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 3.0)

    async def _upload(self, definition: str) -> str:
        """Upload a definition; its version."""
        content = definition.encode()
        answer = await self.admin.send("POST", "/api/v1/definitions", content=content, media_type="application/yaml")
        if not answer.ok:
            raise HouseProblem(f"a definition was not taken: {answer.reason}")
        return definition.partition("version: ")[2].split("\n", 1)[0].strip("' ")

    async def _expect(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.admin.send(method, path, body)
        if not answer.ok:
            raise HouseProblem(f"{method} {path}: {answer.status} {answer.reason}")
        return answer.body

    @property
    def _plain(self) -> str:
        return self._secret.get_secret_value()


async def patiently(read: Callable[[], Awaitable[Out]]) -> Out:
    """What is read, tried again while the database is away: it is being killed."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await read()
        except UnavailableProblem:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)
