"""Keeps the processes of one Tandem running, and leaves none behind.

Stages start one after another, the processes of a stage together; they stop in the order given, each with time to
finish. A process that ends by itself is started again, after a pause that doubles; one that keeps failing is given up,
and everything stops with it unless Tandem is of use without it.
"""

import asyncio
import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.problems import ProblemError, Text
from runtime.child import ChildProcess
from runtime.managed_process import KILL, ManagedProcess
from runtime.processes import ProcessIdentity, end

_LEDGER_NAME = "children.json"
_TELL_EVERY_S = 5.0

Say = Callable[[Text], None]


@dataclass(frozen=True)
class RestartPolicy:
    """How often a process may fail before it is given up.

    first_pause_s doubles with each failure in a row, up to `longest_pause_s`; past `limit` of them the process is given
    up. One that served for `steady_s` has got over it: the next failure is the first of a new row. A process that does
    not answer for `hung_after_s` is ended and counts as failed.
    """

    first_pause_s: float = 0.5
    longest_pause_s: float = 15.0
    limit: int = 6
    steady_s: float = 5.0
    check_every_s: float = 10.0
    hung_after_s: float = 120.0


@dataclass(frozen=True)
class Supervised:
    """A process under supervision. `essential`: everything stops when it is given up."""

    process: ManagedProcess
    essential: bool = True


class Supervisor:
    """Starts, watches, restarts and stops processes; one for each data folder, under its lock.

    :param data_dir: where it notes which processes are its own, for the next start after a crash of this one.
    :param say: shows a sentence to the person at the terminal.
    """

    def __init__(self, data_dir: Path, say: Say, policy: RestartPolicy | None = None) -> None:
        self._ledger = data_dir / _LEDGER_NAME
        self._say = say
        self._policy = policy or RestartPolicy()
        self._running: list[Supervised] = []
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._given_up: asyncio.Future[ManagedProcess] = asyncio.get_running_loop().create_future()

    @property
    def running(self) -> Sequence[ManagedProcess]:
        """What was started, in the order of starting."""
        return [supervised.process for supervised in self._running]

    async def end_leftovers(self) -> None:
        """End the children of a supervisor that was killed; the embedded servers end theirs themselves."""
        left = leftovers(self._ledger.parent)
        if not left:
            return
        numbers = ", ".join(str(identity.pid) for identity in left)
        self._say(
            Text(f"正在结束上次遗留的进程：{numbers}", f"ending processes that an earlier run left behind: {numbers}")
        )
        await end(left, [(signal.SIGTERM, 20.0), (KILL, 5.0)])

    async def start(self, *stage: Supervised) -> None:
        """Start processes together; returns when all of them answer.

        :raises ProblemError: one did not start; those that did stay until `stop`.
        """
        if not stage:
            return
        starts = [asyncio.ensure_future(self._start(supervised)) for supervised in stage]
        try:
            await asyncio.wait(starts, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for start in starts:
                start.cancel()
            results = await asyncio.gather(*starts, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def _start(self, supervised: Supervised) -> None:
        process = supervised.process
        # Known before it answers: a stop in the middle of a start must reach it too.
        self._running.append(supervised)
        began = time.monotonic()
        await self._start_and_note(process, began)
        self._say(_took(process, Text("已就绪", "is ready"), began))
        self._watchers[process.name] = asyncio.create_task(self._watch(supervised), name=f"watch {process.name}")

    async def _start_and_note(self, process: ManagedProcess, began: float) -> None:
        """Start it, and write its number down before it answers: a crash of ours meanwhile must not lose it."""
        start = asyncio.ensure_future(process.start())
        told = began
        try:
            while not (await asyncio.wait([start], timeout=0.25))[0]:
                self._note_running()
                if time.monotonic() - told > _TELL_EVERY_S:
                    told = time.monotonic()
                    self._say(_took(process, Text("仍在启动", "still starts"), began))
            await start
        finally:
            start.cancel()
            await asyncio.wait([start])
            self._note_running()

    async def until_given_up(self) -> ManagedProcess:
        """The essential process that kept failing; waits for as long as all is well."""
        return await asyncio.shield(self._given_up)

    async def stop(self, order: Sequence[str] = ()) -> None:
        """Stop all: first those named, in this order, then the rest, the last started first."""
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        self._watchers.clear()
        rank = {name: place for place, name in enumerate(order)}
        latest_first = list(reversed(self._running))
        for supervised in sorted(latest_first, key=lambda item: rank.get(item.process.name, len(rank))):
            process = supervised.process
            if process.pid is not None:
                began = time.monotonic()
                await process.stop()
                self._say(_took(process, Text("已停止", "stopped"), began))
        self._running.clear()
        self._ledger.unlink(missing_ok=True)

    async def _watch(self, supervised: Supervised) -> None:
        process, policy = supervised.process, self._policy
        failures = 0
        while True:
            served_from = time.monotonic()
            why = await self._until_failed(process)
            failures = 1 if time.monotonic() - served_from > policy.steady_s else failures + 1
            if failures > policy.limit:
                self._give_up(supervised, why)
                return
            pause_s = min(policy.first_pause_s * 2 ** (failures - 1), policy.longest_pause_s)
            self._say(
                Text(
                    f"{process.name} 意外终止（{why.zh}），{pause_s:.1f} 秒后第 {failures}/{policy.limit} 次重启",
                    f"{process.name} failed ({why.en}); restart {failures} of {policy.limit} in {pause_s:.1f} s",
                )
            )
            await asyncio.sleep(pause_s)
            began = time.monotonic()
            try:
                await self._start_and_note(process, began)
            except (ProblemError, OSError):
                # What is left of the attempt ends here; its failure is counted in the next round.
                await process.stop()
            else:
                self._say(_took(process, Text("已恢复", "is back"), began))

    async def _until_failed(self, process: ManagedProcess) -> Text:
        """Why the process is of no use any more: it ended, or it does not answer and was ended."""
        policy = self._policy
        answered = time.monotonic()
        if process.pid is None:
            return Text("未能启动", "did not start")
        ended = asyncio.ensure_future(process.wait())
        try:
            while not (await asyncio.wait([ended], timeout=policy.check_every_s))[0]:
                if await process.healthy():
                    answered = time.monotonic()
                elif time.monotonic() - answered > policy.hung_after_s:
                    await process.stop()
                    return Text(f"{policy.hung_after_s:.0f} 秒无响应", f"no answer for {policy.hung_after_s:.0f} s")
            code = ended.result()
        finally:
            ended.cancel()
        if code < 0:
            return Text(f"信号 {-code}", f"signal {-code}")
        return Text(f"退出码 {code}", f"exit code {code}")

    def _give_up(self, supervised: Supervised, why: Text) -> None:
        process, policy = supervised.process, self._policy
        self._say(
            Text(
                f"{process.name} 连续失败超过 {policy.limit} 次（{why.zh}），不再重启。"
                f"日志：{process.log_file}\n{process.logged()}",
                f"{process.name} failed more than {policy.limit} times in a row ({why.en}) "
                f"and is not started again. Log: {process.log_file}",
            )
        )
        if supervised.essential and not self._given_up.done():
            self._given_up.set_result(process)

    def _note_running(self) -> None:
        children = [process for process in self.running if isinstance(process, ChildProcess)]
        identities = [identity for child in children if (identity := child.identity)]
        unfinished = self._ledger.with_suffix(".unfinished")
        unfinished.write_text(json.dumps([[identity.pid, identity.started_at] for identity in identities]))
        unfinished.replace(self._ledger)


def _took(process: ManagedProcess, what: Text, began: float) -> Text:
    seconds = time.monotonic() - began
    return Text(f"{process.name} {what.zh}（{seconds:.1f} 秒）", f"{process.name} {what.en} ({seconds:.1f} s)")


def leftovers(data_dir: Path) -> list[ProcessIdentity]:
    """The children of this folder's supervisor that live; after it was killed, those it left behind."""
    try:
        noted = json.loads((data_dir / _LEDGER_NAME).read_text())
        identities = [ProcessIdentity(int(pid), float(started_at)) for pid, started_at in noted]
    except (OSError, ValueError, TypeError):
        return []
    return [identity for identity in identities if identity.alive()]
