"""`tandem api` as a process: it serves, it survives the absence of Temporal, it ends when it is told to."""

import asyncio
import base64
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from cli import command_line
from domain.problems import ConflictProblem
from runtime.embedded import EmbeddedTemporal
from runtime.ports import free_port
from tests.commands.terminal import run

START_S = 60


@asynccontextmanager
async def _served(
    folder: Path, database_url: str, temporal_address: str, **settings: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient, Path]]:
    """The process, a client of it, and its log; killed when it is still there at the end."""
    port = free_port()
    key = base64.b64encode(b"1" * 32).decode()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
    environment |= {
        "TANDEM_DATA_DIR": str(folder / "data"),
        "TANDEM_DATABASE_URL": database_url,
        "TANDEM_TEMPORAL_ADDRESS": temporal_address,
        "TANDEM_FIELD_KEYS": f"k1:{key}",
        "TANDEM_PAYLOAD_KEYS": f"k1:{key}",
        "TANDEM_TOKEN_PEPPER": "a pepper for tests",
        "TANDEM_API_PORT": str(port),
        **{f"TANDEM_{name.upper()}": value for name, value in settings.items()},
    }
    log = folder / "api.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli", "api", env=environment, stdout=output, stderr=output
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            await _until_it_answers(client, process, log)
            yield process, client, log
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _until_it_answers(client: httpx.AsyncClient, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(START_S):
        while True:
            assert process.returncode is None, log.read_text()
            try:
                if (await client.get("/healthz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def test_the_api_serves_and_ends_when_told_to(
    tmp_path: Path, database_url: str, temporal_server: EmbeddedTemporal
) -> None:
    address = temporal_server.address
    async with _served(tmp_path, database_url, address, metrics_token="a token to watch with") as (
        process,
        client,
        log,
    ):
        assert (await client.get("/readyz")).json()["status"] == "ok"
        refused = await client.get("/api/v1/runs?customer=42", headers={"Authorization": "Bearer tandem_secret_thing"})
        assert refused.status_code == 401
        assert "tandem_http_requests_total" in (await client.get("/metrics")).text
        assert "server" not in refused.headers
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) in (0, -signal.SIGTERM)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (request,) = (line for line in lines if line.get("route") == "/api/v1/runs")
    assert (request["status"], request["customer"], request["service"]) == (401, "42", "api")
    assert "tandem_secret_thing" not in log.read_text()


async def test_the_api_starts_while_temporal_is_away(tmp_path: Path, database_url: str) -> None:
    async with _served(tmp_path, database_url, f"127.0.0.1:{free_port()}") as (_, client, _log):
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["temporal"], ready.json()["database"]) == (503, "down", "up")
        wrong = await client.post("/api/v1/session", json={"login": "nobody", "password": "nothing at all"})
        assert wrong.status_code == 401


def test_a_taken_port_is_refused_with_its_setting(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_TEMPORAL_ADDRESS", "127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        monkeypatch.setenv("TANDEM_SIMULATOR_PORT", port)
        for words, setting in ((["api", "--port", port], "TANDEM_API_PORT"), (["simulator"], "TANDEM_SIMULATOR_PORT")):
            with pytest.raises(ConflictProblem, match=setting):
                run(command_line(words), *words)


@pytest.mark.parametrize(
    "words",
    [
        ["simulator", "--customers", "-5"],
        ["simulator", "--years", "50"],
        ["simulator", "--trickle", "0"],
        ["api", "--port", "99999"],
    ],
)
def test_a_number_out_of_its_range_is_a_wrong_option(words: list[str]) -> None:
    assert run(command_line(words), *words).exit_code == 2
