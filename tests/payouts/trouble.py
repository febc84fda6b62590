"""What goes wrong during the drill beside the kills: faults of the rail, a worker that stands still, repeated parts."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any
from uuid import UUID

import psutil
from temporalio.exceptions import ApplicationError

from connectors.http import Link
from domain.problems import ProblemError
from domain.settlement.approvals import ApprovalPolicy
from domain.settlement.payouts import Rail
from services.calculations import CalculationSteps
from services.connections import Connections
from services.paying import Paying
from services.payout_planning import PARTS, PayoutPlanning
from services.payout_rails import PayoutRail
from services.settlement_runs import SettlementRunService
from services.wechat_pay_rail import WechatPayRail
from storage.engine import Database
from tests.chaos.house import House
from tests.connectors.harness import CONNECTORS

_TRANSFER, _ASK = "transfer-bills", "transfer-bills/out-bill-no"
_SILENT_S = 12.0
"""Longer than the connector waits for an answer."""
_HELD_S = 13.0
"""Longer than Temporal waits for a heartbeat: the parts in hand are given away, and gone on with late."""
_FORBIDDEN_FROM = 5_000
"""Payees of a drill that lasts longer than the ten minutes after which a merchant without permission asks again."""


def faults(payees: int) -> list[dict[str, Any]]:
    """Rules for the simulator: what WeChat Pay does beside what it should."""

    def rule(api: str, fault: str, probability: float, **more: object) -> dict[str, Any]:
        return {"match": {"platform": "wechat_pay", "api": api}, "fault": fault, "probability": probability, **more}

    rules = [
        rule(_TRANSFER, "timeout_after", 0.02, seconds=_SILENT_S),
        rule(_TRANSFER, "timeout_before", 0.02, seconds=_SILENT_S),
        rule(_TRANSFER, "5xx", 0.05),
        rule(_TRANSFER, "429", 0.03, seconds=1),
        rule(_TRANSFER, "busy", 0.04),
        rule(_TRANSFER, "quota", 0.03),
        rule(_TRANSFER, "concurrency", 0.02),
        rule(_TRANSFER, "slow", 0.03, seconds=3),
        rule(_ASK, "timeout_before", 0.01, seconds=_SILENT_S),
        rule(_ASK, "5xx", 0.05),
        rule(_ASK, "busy", 0.03),
        rule("*", "duplicate_push", 0.2, copies=1),
        rule("*", "reorder_push", 0.2, seconds=3),
    ]
    return rules + ([rule(_TRANSFER, "forbidden", 1.0, times=3)] if payees >= _FORBIDDEN_FROM else [])


class Stillness:
    """Holds the worker: its parts go to whoever asks next, and its own attempts commit late, or find they are late."""

    def __init__(self, house: House, seed: int) -> None:
        self.times = 0
        self._house = house
        self._pick = Random(f"still:{seed}")

    async def rounds(self) -> None:
        """Until cancelled; the worker always goes on."""
        while True:
            await asyncio.sleep(self._pick.uniform(15, 60))
            worker = self._house.find("worker")
            if worker is None:
                continue
            try:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGSTOP)
                    self.times += 1
                    await asyncio.sleep(_HELD_S)
            finally:
                with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                    if worker.alive():
                        os.kill(worker.pid, signal.SIGCONT)


class Repeats:
    """Does parts again that the house does, has done or is about to do, and dies over some of them.

    done: how often by step. refused: because it is too early or too late, or a server is away. surprises: anything
    else.
    """

    def __init__(self, database: Database, link: Link, policy: ApprovalPolicy, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.died = 0
        self.surprises: list[str] = []
        self.calculation: UUID | None = None
        self.run: UUID | None = None
        self.batch: UUID | None = None
        self._pick = Random(f"again:{seed}")
        self._steps = CalculationSteps(database)
        self._runs = SettlementRunService(database, self._steps, CONNECTORS, policy)
        self._planning = PayoutPlanning(database, policy)
        rails: Mapping[Rail, PayoutRail] = {"wechat-pay": WechatPayRail(Connections(database), link)}
        self._paying = Paying(database, rails, longest_pause_s=15)

    def forget(self) -> None:
        """Nothing is to be done again for now."""
        self.calculation = self.run = self.batch = None

    async def rounds(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._pick.uniform(0.2, 2.0))
            steps = self._possible()
            if steps:
                name = self._pick.choice(sorted(steps))
                await self._again(name, steps[name])

    async def _again(self, name: str, step: Callable[[], Awaitable[object]]) -> None:
        # Who pays dies over it every time: the house is to do most of it.
        dies = name == "pay" or self._pick.random() < 0.3
        life_s = self._pick.uniform(0.0, 0.7) if dies else 20.0
        try:
            async with asyncio.timeout(life_s):
                await step()
        except TimeoutError:
            self.died += 1
        except (ProblemError, ApplicationError):
            self.refused[name] += 1
        except Exception as error:
            self.surprises.append(f"{name} done again: {type(error).__name__}: {error}"[:400])
        else:
            self.done[name] += 1

    def _possible(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        part = self._pick.randrange(PARTS)
        found: dict[str, Callable[[], Awaitable[object]]] = {}
        if (calculation := self.calculation) is not None:
            found["freeze"] = lambda: self._steps.freeze(calculation)
            found["first pass"] = lambda: self._steps.earn_alone(calculation, part)
            found["second pass"] = lambda: self._steps.earn_by_downline(calculation, part)
            found["digest"] = lambda: self._steps.finish(calculation)
            if (run := self.run) is not None:
                found["book"] = lambda: self._runs.book_part(run, calculation, part)
        if (batch := self.batch) is not None:
            found["plan"] = lambda: self._planning.plan_part(batch, part)
            found["reserve"] = lambda: self._planning.reserve_part(batch, part)
            found["pay"] = lambda: self._pay(batch)
        return found

    async def _pay(self, batch: UUID) -> None:
        chunks: Sequence[tuple[int, int]] = await self._paying.chunks(batch)
        if chunks:
            await self._paying.pay_chunk(batch, *self._pick.choice(chunks))
