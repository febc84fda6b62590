import asyncio
import os
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from domain.problems import ConfigurationProblem, ConflictProblem
from runtime.embedded import EmbeddedTemporal
from runtime.embedded.temporal import temporal_program
from runtime.ports import free_port
from runtime.processes import processes_with_argument, wait_until_gone
from runtime.search_attributes import missing_search_attributes


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path / "temporal"
    left = processes_with_argument("temporal", str(tmp_path / "temporal" / "temporal.db"))
    assert await wait_until_gone(left, 5), [process.command() for process in left]


async def start_a_run(client: Client) -> None:
    await client.start_workflow("nobody-serves-this", id="kept", task_queue="none")


async def test_search_attributes_are_known_when_it_is_ready(temporal: Client) -> None:
    assert await missing_search_attributes(temporal) == []


async def test_goes_on_with_its_runs_after_kill_9(folder: Path) -> None:
    async with EmbeddedTemporal(folder) as server:
        address = server.address
        await start_a_run(await server.client())
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        assert not await server.healthy()
        await server.start()
        assert server.address == address, "clients find it where it was"
        description = await (await server.client()).get_workflow_handle("kept").describe()
        assert description.status is not None
        assert description.status.name == "RUNNING"


async def test_takes_over_from_a_server_whose_parent_was_killed(folder: Path) -> None:
    port = free_port()
    forgotten = EmbeddedTemporal(folder, port=port)
    await forgotten.start()
    await start_a_run(await forgotten.client())
    async with EmbeddedTemporal(folder, port=port) as server:
        assert await asyncio.wait_for(forgotten.wait(), 5) == 0
        await (await server.client()).get_workflow_handle("kept").describe()


async def test_a_taken_port_is_refused_with_who_and_what_to_do(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(ConflictProblem) as refusal:
            await EmbeddedTemporal(folder, port=port).start()
    assert f"Port {port}" in str(refusal.value)
    assert f"process {os.getpid()}" in str(refusal.value)
    assert "TANDEM_TEMPORAL_PORT" in str(refusal.value)


async def test_a_port_that_was_taken_meanwhile_is_exchanged_for_another(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the server says when another process takes its port between its own check and its listening.
    crash = tmp_path / "crash"
    trace = [f"goroutine {number} [running]" for number in range(40)]
    crash.write_text("\n".join(["listen tcp 127.0.0.1:34215: bind: address already in use", *trace]))
    starts = tmp_path / "starts"
    program = tmp_path / "program"
    program.write_text(
        f"""#!/bin/sh
        if [ "$1" = server ]; then
            echo "$*" >> {starts}
            [ $(wc -l < {starts}) = 1 ] && cat {crash} && exit 2
        fi
        exec {temporal_program()} "$@"
        """
    )
    program.chmod(0o700)
    monkeypatch.setattr("runtime.embedded.temporal.temporal_program", lambda: program)
    async with EmbeddedTemporal(folder) as server:
        await start_a_run(await server.client())
        first, second = starts.read_text().splitlines()
        assert f"--port {server.port} " in second
        assert f"--port {server.port} " not in first


async def test_a_file_of_an_interrupted_first_start_is_set_aside(folder: Path) -> None:
    folder.mkdir()
    with sqlite3.connect(folder / "temporal.db") as half:
        half.execute("CREATE TABLE executions (shard_id INTEGER)")
    half.close()
    async with EmbeddedTemporal(folder) as server:
        await start_a_run(await server.client())
    assert len(list(folder.glob("temporal.half-initialised-*.db"))) == 1


async def test_a_file_of_another_version_with_the_same_tables_is_used(folder: Path) -> None:
    async with EmbeddedTemporal(folder) as server:
        await start_a_run(await server.client())
    server.file.record("an older version")
    async with EmbeddedTemporal(folder) as server:
        await (await server.client()).get_workflow_handle("kept").describe()
    assert server.file.recorded_version() != "an older version"


async def test_a_file_with_other_tables_is_refused_and_left_alone(folder: Path) -> None:
    async with EmbeddedTemporal(folder) as server:
        await start_a_run(await server.client())
    server.file.record("an older version")
    with sqlite3.connect(server.file.path) as older:
        older.execute("ALTER TABLE executions DROP COLUMN db_record_version")
    older.close()
    with pytest.raises(ConfigurationProblem, match="an older version"):
        await EmbeddedTemporal(folder).start()
    assert server.file.path.exists()
    assert not (folder / "probe").exists()


async def test_a_damaged_file_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "temporal.db").write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationProblem, match="damaged"):
        await EmbeddedTemporal(folder).start()
