"""A connector in a wheel: built, installed beside a running Tandem, and in use; what ran before runs on."""

import asyncio
import base64
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.access import Role, system_actor
from runtime.embedded import EmbeddedTemporal
from runtime.ports import free_port
from services.access import Access
from services.people import People
from storage.encryption import Keyring
from storage.engine import Database
from tests.actors import PASSWORD, a_user, quick_passwords
from tests.documents import ROOT
from tests.plugins.bazaar import KEY_ID, SECRET, Bazaar, push
from tests.simulator.harness import served

EXAMPLE = ROOT / "docs" / "examples" / "connector-wheel"
PEPPER = "a pepper for tests"
START_S, RUN_S = 60.0, 60.0
FLOW = """
document: {dsl: '1.0.3', namespace: bazaar, name: ship-paid, version: '1.0.0', title: 集市发货}
schedule:
  on:
    one:
      with: {type: tandem.order.paid, data: {platform: bazaar}}
input:
  from: '{ order: .[0].data.order_id }'
do:
  - look: {call: bazaar.get_order, with: {order_id: '${ .order }'}}
  - ship: {call: bazaar.ship_order, with: {order_id: '${ .order_id }', waybill: SF1}}
"""


def pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example is installed after it was built into a wheel, without any network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(EXAMPLE, source)
    pip("wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(folder / "dist"), str(source))
    [wheel] = (folder / "dist").glob("tandem_connector_bazaar-*.whl")
    pip("install", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel))
    return folder / "site"


@dataclass
class Installation:
    """A database, a Temporal of its own, and the environment that processes start in."""

    folder: Path
    environment: dict[str, str]
    token: str

    def with_wheel(self, site: Path | None) -> dict[str, str]:
        paths = [str(site)] if site else []
        known = self.environment.get("PYTHONPATH")
        return {**self.environment, "PYTHONPATH": os.pathsep.join([*paths, *([known] if known else [str(ROOT)])])}

    @asynccontextmanager
    async def process(
        self, name: str, *arguments: str, site: Path | None = None, **settings: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A `tandem` process; ended at the end of the block."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "cli",
                *arguments,
                cwd=ROOT,
                env={**self.with_wheel(site), **settings},
                stdout=output,
                stderr=output,
            )
        try:
            yield process
            assert process.returncode is None, log.read_text()
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), 30)
                except TimeoutError:
                    process.kill()
                    await process.wait()

    @asynccontextmanager
    async def api(self, name: str, site: Path | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """An API process that answers, spoken to by an administrator."""
        port = free_port()
        async with (
            self.process(name, "api", site=site, TANDEM_API_PORT=str(port)) as process,
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {self.token}"},
                trust_env=False,
                timeout=20,
            ) as client,
        ):
            async with asyncio.timeout(START_S):
                while True:
                    assert process.returncode is None, (self.folder / f"{name}.log").read_text()
                    try:
                        if (await client.get("/healthz")).is_success:
                            break
                    except httpx.TransportError:
                        await asyncio.sleep(0.1)
            yield client


@pytest.fixture
async def installation(tmp_path: Path, database_url: str) -> AsyncIterator[Installation]:
    key = base64.b64encode(b"1" * 32).decode()
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    access = Access(database, PEPPER, passwords=quick_passwords())
    system = system_actor("tests")
    await People(database, access).create(system, a_user("root", Role.ADMIN), PASSWORD)
    token = (await access.issue_token(system, "tests", login="root")).text
    await database.close()
    async with EmbeddedTemporal(tmp_path / "temporal", durable=False) as temporal:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
        yield Installation(
            tmp_path,
            {
                **plain,
                "TANDEM_DATA_DIR": str(tmp_path / "data"),
                "TANDEM_DATABASE_URL": database_url,
                "TANDEM_TEMPORAL_ADDRESS": temporal.address,
                "TANDEM_FIELD_KEYS": f"k1:{key}",
                "TANDEM_PAYLOAD_KEYS": f"k1:{key}",
                "TANDEM_TOKEN_PEPPER": PEPPER,
            },
            token,
        )


async def test_a_new_connector_is_in_use_while_what_ran_before_runs_on(
    installation: Installation, wheel_folder: Path
) -> None:
    shop = Bazaar()
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(served(shop.app()))
        before = await stack.enter_async_context(installation.api("before"))
        assert (await before.get("/api/v1/catalog/functions/bazaar.get_order")).status_code == 404

        api = await stack.enter_async_context(installation.api("after", wheel_folder))
        worker = ("worker", "--queue", "platform.bazaar")
        await stack.enter_async_context(installation.process("bazaar", *worker, site=wheel_folder))
        ours = ("worker", "--queue", "flows", "--queue", "inbox")
        await stack.enter_async_context(installation.process("ours", *ours, site=wheel_folder))

        shown = await api.get("/api/v1/catalog/functions/bazaar.get_order")
        assert shown.status_code == 200, shown.text
        await _connect(api, address)
        await _release(api)
        shop.orders["B1"] = {"number": "B1", "state": "paid", "fen": 9900, "revision": 1, "buyer": "eve"}
        await _push(api, shop.orders["B1"])
        run = await _finished_run(api)
        assert (run["phase"], run["output"]["status"], shop.shipped) == ("completed", "shipped", ["B1"]), run

        assert (await before.get("/healthz")).is_success
        assert (await before.get("/api/v1/catalog/functions/youzan.get_refund")).status_code == 200
        assert (await before.post("/hooks/bazaar/main", content=b"{}")).status_code == 404, "it was started before"


async def _connect(api: httpx.AsyncClient, address: str) -> None:
    new: dict[str, Any] = {
        "platform": "bazaar",
        "slug": "main",
        "name": "Bazaar",
        "credentials": {"secret": SECRET},
        "settings": {"key_id": KEY_ID},
    }
    wrong = await api.post("/api/v1/accounts", json=new)
    assert wrong.status_code == 400
    assert "base_url" in wrong.text
    new["settings"]["base_url"] = address
    made = await api.post("/api/v1/accounts", json=new)
    assert made.status_code == 201, made.text
    assert SECRET not in made.text


async def _release(api: httpx.AsyncClient) -> None:
    uploaded = await api.post(
        "/api/v1/definitions", content=FLOW.encode(), headers={"Content-Type": "application/yaml"}
    )
    assert uploaded.status_code == 201, uploaded.text
    published = await api.post("/api/v1/definitions/bazaar/ship-paid/1.0.0/publish")
    assert published.status_code == 200, published.text
    wanted = {"version": "1.0.0", "share_percent": 100, "reason": "all of it"}
    released = await api.post("/api/v1/releases/bazaar/ship-paid", json=wanted)
    assert released.is_success, released.text


async def _push(api: httpx.AsyncClient, order: Mapping[str, Any]) -> None:
    body, headers = push(dict(order), "push-1")
    forged = await api.post("/hooks/bazaar/main", content=body, headers={**headers, "bazaar-sign": "0" * 64})
    assert forged.status_code in (401, 403)
    for _ in range(2):
        answer = await api.post("/hooks/bazaar/main", content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"result": "success"}), answer.text


async def _finished_run(api: httpx.AsyncClient) -> dict[str, Any]:
    """The run that the push started, once it is over."""
    async with asyncio.timeout(RUN_S):
        while True:
            listed = (await api.get("/api/v1/runs?namespace=bazaar")).json()["items"]
            if listed and listed[0]["phase"] in ("completed", "faulted", "cancelled"):
                assert len(listed) == 1, "two deliveries of one push start one run"
                run: dict[str, Any] = (await api.get(f"/api/v1/runs/{listed[0]['id']}")).json()
                return run
            await asyncio.sleep(0.2)


def test_the_command_line_knows_the_calls_of_an_installed_wheel(tmp_path: Path, wheel_folder: Path) -> None:
    flow = tmp_path / "flow.yaml"
    flow.write_text(FLOW, encoding="utf-8")
    codes = []
    for paths in ([str(ROOT)], [str(wheel_folder), str(ROOT)]):
        known = [path for path in (os.environ.get("PYTHONPATH"),) if path]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *known])}
        lint = [sys.executable, "-m", "cli", "flow", "lint", str(flow)]
        codes.append(subprocess.run(lint, cwd=ROOT, env=environment, capture_output=True).returncode)
    assert codes == [1, 0]
