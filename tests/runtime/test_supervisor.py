import asyncio
import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.problems import Text, UnavailableProblem
from runtime.child import ChildProcess
from runtime.processes import ProcessIdentity, wait_until_gone
from runtime.supervisor import RestartPolicy, Supervised, Supervisor

QUICK = RestartPolicy(
    first_pause_s=0.01, longest_pause_s=0.05, limit=3, steady_s=5, check_every_s=0.1, hung_after_s=0.5
)
SERVE = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
DRAIN = (
    "import pathlib, signal, sys, time\n"
    "def end(*_): time.sleep(0.3); pathlib.Path(sys.argv[1] + '.drained').touch(); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end); pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
)
STUBBORN = (
    "import pathlib, signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "pathlib.Path(sys.argv[1] + '.pid').write_text(str(grandchild.pid))\n"
    "pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
)


class House:
    """A supervisor in a folder of its own, and what it said."""

    def __init__(self, folder: Path, policy: RestartPolicy = QUICK) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.supervisor = Supervisor(folder, self.hear, policy)

    def hear(self, text: Text) -> None:
        self.said.append(text.en)

    def child(self, name: str, program: str, *, drain_s: float = 5.0, start_timeout_s: float = 20.0) -> ChildProcess:
        ready = self.folder / f"{name}.ready"

        async def check(_: ChildProcess) -> bool:
            return ready.exists()

        return ChildProcess(
            name,
            [str(ready)],
            program=[sys.executable, "-c", program],
            environment={},
            log_file=self.folder / f"{name}.log",
            check=check,
            drain_s=drain_s,
            start_timeout_s=start_timeout_s,
        )

    async def heard(self, part: str, timeout_s: float = 20.0, times: int = 1) -> None:
        deadline = time.monotonic() + timeout_s
        while sum(part in sentence for sentence in self.said) < times:
            assert time.monotonic() < deadline, f"never said {part!r}: {self.said}"
            await asyncio.sleep(0.02)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    await house.supervisor.stop()


async def test_starts_and_stops_in_the_order_asked_for_and_leaves_nothing(house: House) -> None:
    children = [house.child(name, DRAIN) for name in ("api", "worker", "simulator")]
    await house.supervisor.start(*(Supervised(child) for child in children))
    identities = [child.identity for child in children]
    house.said.clear()
    await house.supervisor.stop(["worker", "api"])
    assert [sentence.split()[0] for sentence in house.said] == ["worker", "api", "simulator"]
    assert all((house.folder / f"{child.name}.ready.drained").exists() for child in children), (
        "each may finish its work"
    )
    assert not any(identity.alive() for identity in identities if identity)
    assert not (house.folder / "children.json").exists()


async def test_a_stop_in_the_moment_of_an_answer_is_not_lost(house: House) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()
    child = house.child("worker", SERVE)
    await house.supervisor.start(Supervised(child))

    async def slow(_: ChildProcess) -> bool:
        asked.set()
        return await answer.wait()

    child._check = slow
    await asyncio.wait_for(asked.wait(), 10)
    # Scheduled in this order, the stop falls between the end of the check and the watcher's next step.
    answer.set()
    stopping = asyncio.ensure_future(house.supervisor.stop())
    assert (await asyncio.wait([stopping], timeout=10))[0], "the stop was lost"
    assert child.pid is None


async def test_a_killed_child_is_started_again(house: House) -> None:
    child = house.child("worker", SERVE)
    await house.supervisor.start(Supervised(child))
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await house.heard("worker is back")
    assert child.pid not in {None, first}
    assert any("signal 9" in sentence for sentence in house.said)


async def test_one_that_recovers_each_time_is_never_given_up(tmp_path: Path) -> None:
    house = House(tmp_path, dataclasses.replace(QUICK, steady_s=0.2))
    child = house.child("worker", SERVE)
    await house.supervisor.start(Supervised(child))
    for kills in range(1, QUICK.limit + 3):
        await asyncio.sleep(0.3)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        await house.heard("worker is back", times=kills)
    await house.supervisor.stop()
    assert not any("not started again" in sentence for sentence in house.said)


async def test_a_child_that_keeps_failing_is_given_up_with_its_log(house: House) -> None:
    program = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(0.5); sys.exit(3)"
    child = house.child("worker", program)
    await house.supervisor.start(Supervised(child))
    given_up = await asyncio.wait_for(house.supervisor.until_given_up(), 30)
    assert given_up is child
    await house.heard("exit code 3")
    assert sum("restart" in sentence for sentence in house.said) == QUICK.limit


async def test_one_that_is_not_essential_does_not_end_the_rest(house: House) -> None:
    program = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(0.3); sys.exit(1)"
    worker = house.child("worker", SERVE)
    await house.supervisor.start(Supervised(worker), Supervised(house.child("simulator", program), essential=False))
    await house.heard("simulator failed more than")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(house.supervisor.until_given_up(), 0.3)
    assert worker.pid is not None


async def test_a_child_that_does_not_answer_is_replaced(house: House) -> None:
    child = house.child("worker", SERVE, drain_s=1)
    await house.supervisor.start(Supervised(child))
    first = child.pid
    (house.folder / "worker.ready").unlink()
    await house.heard("no answer")
    await house.heard("worker is back")
    assert child.pid != first


async def test_a_child_that_never_gets_ready_is_refused_with_its_log(house: House) -> None:
    child = house.child("api", "import time; print('port is taken', flush=True); time.sleep(600)", start_timeout_s=1)
    with pytest.raises(UnavailableProblem, match="port is taken"):
        await house.supervisor.start(Supervised(child))
    await house.supervisor.stop()
    assert child.pid is None


async def test_a_child_that_ignores_the_request_is_killed_with_what_it_started(house: House) -> None:
    child = house.child("worker", STUBBORN, drain_s=0.5)
    await house.supervisor.start(Supervised(child))
    identity = child.identity
    grandchild = ProcessIdentity.of(int((house.folder / "worker.ready.pid").read_text()))
    await house.supervisor.stop()
    assert identity is not None
    assert grandchild is not None
    assert not identity.alive()
    assert await wait_until_gone([grandchild], 5)


async def test_children_of_a_killed_supervisor_are_ended_by_the_next(house: House) -> None:
    orphan = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(600)")
    identity = ProcessIdentity.of(orphan.pid)
    assert identity is not None
    another = os.getpid()
    # The second entry's number now belongs to somebody else, who must not be touched.
    (house.folder / "children.json").write_text(json.dumps([[identity.pid, identity.started_at], [another, 1.0]]))
    await house.supervisor.end_leftovers()
    assert await asyncio.wait_for(orphan.wait(), 5) == -signal.SIGTERM
