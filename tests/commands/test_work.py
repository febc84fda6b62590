"""`tandem worker` as a process: told to end, it finishes what it has in hand and takes nothing new."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from domain.access import system_actor
from runtime.application import Application
from runtime.configuration import connected_settings
from runtime.embedded import EmbeddedTemporal
from services.definition_sources import SourceText
from tests.workflows.observing import counts, eventually, history

OPERATIONS = system_actor("tests")
FLOW = """\
document: {{dsl: '1.0.3', namespace: shop, name: slow, version: '1.0.0'}}
do:
  - ask: {{call: http, with: {{method: get, endpoint: 'http://127.0.0.1:{port}/'}}}}
  - after: {{set: {{answer: '${{ .answer }}'}}}}
"""


@pytest.fixture(autouse=True)
def _servers(environment: None, monkeypatch: pytest.MonkeyPatch, temporal_server: EmbeddedTemporal) -> None:
    monkeypatch.setenv("TANDEM_TEMPORAL_ADDRESS", temporal_server.address)
    monkeypatch.setenv("TANDEM_HTTP_ALLOWED_HOSTS", "127.0.0.1")
    monkeypatch.setenv("TANDEM_HTTP_ALLOW_PRIVATE", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


class SlowPlace:
    """A web server that answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Its port."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        self.is_asked.set()
        await self.may_answer.wait()
        body = b'{"answer": 42}'
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        writer.write(head.encode() + b"connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def a_worker(log: Path, *queues: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process; killed when it is still there at the end."""
    chosen = [each for queue in queues for each in ("--queue", queue)]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli", "worker", *chosen, env=os.environ, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_what_is_in_hand_is_finished_and_the_next_worker_goes_on(tmp_path: Path) -> None:
    place, log = SlowPlace(), tmp_path / "worker.log"

    async def stops() -> bool:
        return "worker stops" in log.read_text(encoding="utf-8")

    application = await Application.connect(connected_settings())
    async with place.listening() as port:
        await application.definitions.upload(OPERATIONS, [SourceText("slow.yaml", FLOW.format(port=port))])
        await application.definitions.publish(OPERATIONS, ("flow", "shop", "slow", "1.0.0"))
        run = await application.runs.start(OPERATIONS, "shop", "slow", version="1.0.0")
        handle = application.client.get_workflow_handle(run.id)
        async with a_worker(log) as process:
            async with asyncio.timeout(60):
                await place.is_asked.wait()
            process.send_signal(signal.SIGTERM)
            await eventually(stops, 20)
            place.may_answer.set()
            assert await asyncio.wait_for(process.wait(), 30) == 0
        done = counts(await history(handle))
        assert (done["ACTIVITY_TASK_STARTED"], done["ACTIVITY_TASK_COMPLETED"]) == (1, 1)
        async with a_worker(tmp_path / "next.log", "flows"):
            assert await asyncio.wait_for(handle.result(), 60) == {"answer": 42}
    assert place.asked == 1
    await application.close()


async def test_a_queue_that_nobody_knows_is_refused_with_those_there_are(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    async with a_worker(log, "platform.nowhere") as process:
        assert await asyncio.wait_for(process.wait(), 60) == 1
    told = log.read_text(encoding="utf-8")
    assert "没有任务队列 platform.nowhere" in told
    assert "There is no task queue platform.nowhere; there are flows, inbox, settlement, payouts, " in told
    assert "Traceback" not in told
