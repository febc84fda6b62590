"""Parts of a settlement: a heart that beats however long one takes, so that nobody else begins it meanwhile."""

import asyncio
import itertools
import time
from uuid import UUID, uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.settlement import SettlementActivities
from services.calculations import ALONE, BY_DOWNLINE, CalculationSteps
from services.settlement_runs import SettlementRunService
from storage.calculations import Part
from storage.engine import Database
from tests.connectors.harness import CONNECTORS
from workflows import messages


class SlowSteps(CalculationSteps):
    """Every part takes a while."""

    async def earn_alone(self, calculation: UUID, part: int) -> Part:
        await asyncio.sleep(3)
        return Part(part, "alone", 0, 0)

    async def earn_by_downline(self, calculation: UUID, part: int) -> Part:
        await asyncio.sleep(3)
        return Part(part, "by-downline", 0, 0)


class SlowRuns(SettlementRunService):
    """So does booking one."""

    async def book_part(self, run_id: UUID, calculation: UUID, part: int) -> int:
        await asyncio.sleep(3)
        return 7


@pytest.mark.parametrize("work", ["alone", "by-downline", 7])
async def test_a_slow_part_does_not_look_like_a_dead_worker(database: Database, work: str | int) -> None:
    steps = SlowSteps(database)
    settlement = SettlementActivities(steps, SlowRuns(database, steps, CONNECTORS))
    beats = [time.monotonic()]
    stage = ActivityEnvironment()
    told = []

    def beat(*details: object) -> None:
        beats.append(time.monotonic())
        told.append(details)

    stage.on_heartbeat = beat
    calculation = str(uuid4())
    done: str | int
    if work == 7:
        done = await stage.run(settlement.book_part, messages.BookingPart(str(uuid4()), calculation, 3))
    else:
        number = ALONE if work == "alone" else BY_DOWNLINE
        done = await stage.run(settlement.calculate_part, messages.CalculationPart(calculation, number, 3))
    beats.append(time.monotonic())
    assert done == work
    assert len(beats) >= 4
    assert max(later - earlier for earlier, later in itertools.pairwise(beats)) < 2, "ten seconds are let pass"
    at = {"book": calculation, "part": 3} if work == 7 else {"pass": 1 if work == "alone" else 2, "part": 3}
    assert all(details == (at,) for details in told), "whoever looks in Temporal sees which part it is"
