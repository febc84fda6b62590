import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from domain.problems import ConfigurationProblem
from runtime.embedded import EmbeddedPostgres
from runtime.processes import processes_working_in, wait_until_gone


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """Under root the server runs as another account, which pytest shuts out of its own folders at every start."""
    with tempfile.TemporaryDirectory(prefix="tandem-") as directory:
        yield Path(directory)


@pytest.fixture
async def folder(server_folder: Path) -> AsyncIterator[Path]:
    yield server_folder / "postgres"
    left = processes_working_in("postgres", server_folder / "postgres" / "data")
    assert await wait_until_gone(left, 5), [process.command() for process in left]


def server(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, durable=False)


async def execute(postgres: EmbeddedPostgres, statement: bytes) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(postgres.url(), autocommit=True) as connection:
        cursor = await connection.execute(statement)
        return await cursor.fetchall() if cursor.description else []


async def test_goes_on_with_its_data_after_kill_9(folder: Path) -> None:
    async with EmbeddedPostgres(folder) as postgres:
        await execute(postgres, b"CREATE TABLE orders (number int)")
        await execute(postgres, b"INSERT INTO orders VALUES (42)")
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        await postgres.wait()
        assert not await postgres.healthy()
        await postgres.start()
        assert await postgres.healthy()
        assert await execute(postgres, b"SELECT number FROM orders") == [(42,)]


async def test_takes_over_from_a_server_whose_parent_was_killed(folder: Path) -> None:
    forgotten = server(folder)
    await forgotten.start()
    await execute(forgotten, b"CREATE TABLE kept AS SELECT 7 AS number")
    async with server(folder) as postgres:
        assert await forgotten.wait() == 0, "the old server was shut down properly, not killed"
        assert await execute(postgres, b"SELECT number FROM kept") == [(7,)]


async def test_an_interrupted_first_start_is_repaired(folder: Path) -> None:
    (folder / "data.unfinished" / "base").mkdir(parents=True)
    (folder / "data" / "base" / "1").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("18\n")
    async with server(folder) as postgres:
        assert await execute(postgres, b"SELECT 1") == [(1,)]
    assert len(list(folder.glob("data.half-initialised-*"))) == 1, "what was found is kept under another name"
    assert not (folder / "data.unfinished").exists()


async def test_damaged_data_is_left_alone_with_a_clear_refusal(folder: Path) -> None:
    async with server(folder):
        pass
    (folder / "data" / "global" / "pg_control").unlink()
    before = sorted(path.name for path in (folder / "data").iterdir())
    with pytest.raises(ConfigurationProblem, match="damaged"):
        await server(folder).start()
    assert sorted(path.name for path in (folder / "data").iterdir()) == before


async def test_data_of_another_version_is_refused(folder: Path) -> None:
    (folder / "data" / "global").mkdir(parents=True)
    (folder / "data" / "global" / "pg_control").touch()
    (folder / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ConfigurationProblem, match="PostgreSQL 16"):
        await server(folder).start()


@pytest.mark.parametrize("content", ["", "1\n/elsewhere\n", "not a number\n"], ids=["empty", "another's", "garbled"])
async def test_a_stale_pid_file_does_not_stop_it(folder: Path, content: str) -> None:
    async with server(folder):
        pass
    (folder / "data" / "postmaster.pid").write_text(content)
    async with server(folder) as postgres:
        assert await postgres.healthy()


async def test_a_path_too_long_for_a_socket_still_works(server_folder: Path) -> None:
    folder = server_folder / ("long" * 30) / "postgres"
    async with server(folder) as postgres:
        assert await postgres.healthy()
        socket_directory = postgres.socket_directory
    assert folder not in socket_directory.parents
    shutil.rmtree(socket_directory)
