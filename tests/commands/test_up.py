"""`tandem up` as a newcomer meets it: the real program, in an empty folder."""

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from runtime.ports import free_ports

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60


class Terminal:
    """One `tandem up`, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.printed = ""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while chunk := await self.process.stdout.read(4096):
            self.printed += chunk.decode("utf-8", "replace")

    async def shows(self, pattern: str, timeout_s: float = START_TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not re.search(pattern, self.printed):
            assert time.monotonic() < deadline, self.printed
            assert self.process.returncode is None or re.search(pattern, self.printed), self.printed
            await asyncio.sleep(0.05)

    async def ends(self, number: int) -> int:
        self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)
        await self._reading
        return code


class Home:
    """An empty folder, ports of its own, and whatever runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / ".tandem"
        self.ports = dict(zip(("API", "SIMULATOR", "TEMPORAL", "TEMPORAL_UI"), free_ports(4), strict=True))
        bare = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
        ports = {f"TANDEM_{name}_PORT": str(port) for name, port in self.ports.items()}
        self.environment = bare | ports
        self.terminals: list[Terminal] = []

    async def up(self) -> Terminal:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli",
            "up",
            cwd=self.folder,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        terminal = Terminal(process)
        self.terminals.append(terminal)
        return terminal

    def processes(self) -> list[psutil.Process]:
        """Everything that was started from this folder, however far from its parent."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd", "status"]):
            if process.info["status"] == psutil.STATUS_ZOMBIE:
                continue
            places = [process.info["cwd"] or "", *(process.info["cmdline"] or [])]
            if any(str(self.folder) in place for place in places):
                found.append(process)
        return found

    def child(self, command: str) -> psutil.Process:
        (found,) = [process for process in self.processes() if process.cmdline()[1:4] == ["-m", "cli", command]]
        return found

    async def _ask(self, login: str, method: str, path: str, **more: Any) -> httpx.Response:
        people = json.loads((self.data / "secrets" / "demo_logins.json").read_text(encoding="utf-8"))
        (token,) = [person["token"] for person in people if person["login"] == login]
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
            url = f"http://127.0.0.1:{self.ports['API']}/api/v1{path}"
            return await client.request(method, url, headers=headers, **more)

    async def _first(self, login: str, path: str, wanted: Callable[[Any], bool]) -> Any:
        """The first item of a list, as soon as it is as wanted."""
        answer: Any = None
        for _ in range(300):
            answer = (await self._ask(login, "GET", path)).json()
            if answer.get("items") and wanted(answer["items"][0]):
                return answer["items"][0]
            await asyncio.sleep(0.2)
        raise AssertionError(answer)

    async def asks_a_refund(self) -> str:
        """A simulated customer asks a shop for money back, the shop pushes it, signed; the refund's number."""
        async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
            wish = {"shop": "demo-apparel", "amount_minor": 20000, "parcel": "signed"}
            made = await client.post(f"http://127.0.0.1:{self.ports['SIMULATOR']}/_sim/refunds", json=wish)
        return str(made.json()["refunds"][0]["id"])

    async def inspection(self, refund: str) -> str:
        """The human task of the refund's run, as soon as it waits for somebody."""
        found = await self._first("lin", f"/human-tasks?subject=refund:{refund}", lambda task: task["state"] == "ready")
        return str(found["id"])

    async def inspects(self, task: str) -> None:
        claimed = await self._ask("lin", "POST", f"/human-tasks/{task}/claim", headers={"If-Match": '"1"'})
        assert claimed.status_code == 200, claimed.text
        done = await self._ask(
            "lin",
            "POST",
            f"/human-tasks/{task}/complete",
            headers={"If-Match": '"2"'},
            json={"form": {"grade": "A"}},
        )
        assert done.status_code == 200, done.text

    async def refunded(self, refund: str) -> None:
        run = await self._first("ops", f"/runs?subject=refund:{refund}", lambda run: run["phase"] == "completed")
        answer = (await self._ask("ops", "GET", f"/runs/{run['id']}")).json()
        assert answer["output"]["result"] == "refunded"

    async def empty(self) -> None:
        deadline = time.monotonic() + 15
        while left := self.processes():
            assert time.monotonic() < deadline, [process.cmdline() for process in left]
            await asyncio.sleep(0.1)


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    with tempfile.TemporaryDirectory(prefix="tandem-up-") as folder:
        home = Home(Path(folder).resolve())
        yield home
        for terminal in home.terminals:
            if terminal.process.returncode is None:
                terminal.process.kill()
                await terminal.process.wait()
        for process in home.processes():
            process.kill()


def tokens(printed: str) -> list[str]:
    return re.findall(r"tandem_\S+", printed)


async def test_from_nothing_to_work_through_crashes_and_a_stop(home: Home) -> None:
    first = await home.up()
    await first.shows("Tandem is running")
    assert len(tokens(first.printed)) >= 7
    api = f"http://127.0.0.1:{home.ports['API']}"
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {tokens(first.printed)[0]}"}
        assert (await client.get(f"{api}/api/v1/definitions", headers=headers)).status_code == 200
        assert (await client.get(f"{api}/api/v1/definitions")).status_code == 401

    second = await home.up()
    assert await asyncio.wait_for(second.process.wait(), 60) == 1
    await second.shows(rf"process {first.process.pid}\)", 5)

    refund = await home.asks_a_refund()
    waiting = await home.inspection(refund)
    for command, name in (("worker", "worker"), ("api", "api")):
        home.child(command).kill()
        await first.shows(rf"{name} is back")
    postmaster = psutil.Process(int((home.data / "postgres" / "data" / "postmaster.pid").read_text().split()[0]))
    postmaster.kill()
    await first.shows("PostgreSQL is back")
    (temporal,) = [process for process in home.processes() if process.name() == "temporal"]
    temporal.kill()
    await first.shows("Temporal is back")
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        assert (await client.get(f"{api}/api/v1/definitions", headers=headers)).status_code == 200

    assert await first.ends(signal.SIGINT) == 0
    await home.empty()
    assert first.printed.partition("Traceback")[2] == ""

    third = await home.up()
    await third.shows("Tandem is running")
    assert tokens(third.printed) == tokens(first.printed), "the same people, let in by the same tokens"
    assert await home.inspection(refund) == waiting, "the same run waits for the same person"
    await home.inspects(waiting)
    await home.refunded(refund)
    assert await third.ends(signal.SIGTERM) == 0
    await home.empty()


async def test_asking_twice_does_not_wait_for_one_that_hangs(home: Home) -> None:
    terminal = await home.up()
    await terminal.shows("migrating the database")
    (temporal,) = [process for process in home.processes() if process.name() == "temporal"]
    temporal.suspend()
    terminal.process.send_signal(signal.SIGINT)
    await terminal.shows(r"Ctrl-C again ends it at once", 10)
    await asyncio.sleep(2)
    assert terminal.process.returncode is None, "it waits for the one that hangs"
    assert await terminal.ends(signal.SIGINT) == 0
    stopped = re.search(r"Temporal stopped \((\d+\.\d) s\)", terminal.printed)
    assert stopped is not None, terminal.printed
    assert float(stopped[1]) < 15, "it is given 20 s when nobody asks again"
    await home.empty()


async def test_a_stop_during_the_start_leaves_nothing(home: Home) -> None:
    terminal = await home.up()
    await terminal.shows("migrating the database")
    assert await terminal.ends(signal.SIGINT) == 0
    await home.empty()
    assert "Traceback" not in terminal.printed


@pytest.mark.parametrize("name", ["API", "SIMULATOR", "TEMPORAL", "TEMPORAL_UI"])
async def test_a_taken_port_is_refused_by_the_name_of_its_setting(home: Home, name: str) -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", home.ports[name]):
        terminal = await home.up()
        assert await asyncio.wait_for(terminal.process.wait(), START_TIMEOUT_S) == 1
        await terminal.shows(f"TANDEM_{name}_PORT", 5)
    assert "已被占用" in terminal.printed
    assert "Traceback" not in terminal.printed
    await home.empty()


async def test_what_a_crash_left_behind_is_repaired(home: Home) -> None:
    (home.data / "postgres" / "data" / "base" / "1").mkdir(parents=True)
    (home.data / "temporal").mkdir()
    (home.data / "temporal" / "temporal.db").touch()
    (home.data / "tandem.lock").write_text(json.dumps({"pid": 1, "started_at": 0.0}))
    first = await home.up()
    await first.shows("Tandem is running")
    # As if the machine had killed it: nobody tells the children.
    first.process.kill()
    await first.process.wait()
    assert home.child("api").is_running()

    second = await home.up()
    await second.shows("an earlier run left behind")
    await second.shows("Tandem is running")
    assert await second.ends(signal.SIGTERM) == 0
    await home.empty()
