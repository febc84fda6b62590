"""How the installation is: whether its servers answer, and how much work waits."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from services.orchestrator import Orchestrator
from storage.engine import Database
from storage.figures import Figures, FigureSet
from storage.unit_of_work import UnitOfWork

CHECK_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """Which of the servers behind us answer."""

    database: bool
    temporal: bool

    @property
    def ready(self) -> bool:
        return self.database and self.temporal


class Vitals:
    def __init__(self, database: Database, orchestrator: Orchestrator) -> None:
        self._database = database
        self._orchestrator = orchestrator

    async def readiness(self) -> Readiness:
        """Ask both at once; who does not answer in three seconds is away."""
        return Readiness(
            *await asyncio.gather(_in_time(self._database.healthy()), _in_time(self._orchestrator.healthy()))
        )

    async def figures(self) -> FigureSet:
        """Counts for monitoring. Raises UnavailableProblem when the database is away."""
        async with UnitOfWork(self._database) as work:
            return await Figures(work).collect()


async def _in_time(check: Awaitable[bool]) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check
    except TimeoutError:
        return False
