"""Erasure and runs: those about a person end and go, others lose what they mention and their histories."""

from services.erasure import ErasureService, ErasureWorker
from storage.engine import Database
from storage.runs import RunRow
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.house import House, a_flow, eventually
from tests.services.test_erasure import ADMIN, OTHER_PHONE, TELLS, WAITS, everything, house
from tests.services.test_profiles import PHONE, a_person

__all__ = ["house"]


async def test_an_open_run_is_ended_and_forgotten(house: House, database: Database, clock: SteppedClock) -> None:
    person = await a_person(database)
    await house.publish(a_flow("waits", WAITS))
    service = ErasureService(database)
    worker = ErasureWorker(database, house.orchestrator)
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "waits", {"phone": PHONE}, subject=f"customer:{person.customer}")
        await house.until(run.id, "waiting", "running")
        await service.erase(ADMIN, person.customer, "本人要求")

        async def done() -> bool:
            if not await worker.work():
                clock.advance(seconds=6)
            return (await service.show(ADMIN, person.customer)).state == "done"

        await eventually(done, seconds=60)
    assert await house.orchestrator.situation(run.id) is None
    assert PHONE not in await everything(database)


async def test_a_run_about_others_that_is_over_loses_its_history(
    house: House, database: Database, clock: SteppedClock
) -> None:
    person = await a_person(database)
    await house.publish(a_flow("tells", TELLS))
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "tells", {"day": "monday"}, subject="order:E999999")
        await house.until(run.id, "completed")
    async with UnitOfWork(database) as work:
        row = await work.session.get_one(RunRow, run.id)
        row.output = {"sent": [{"phone": PHONE}, {"phone": OTHER_PHONE}]}
    assert await house.orchestrator.situation(run.id) is not None
    service, worker = ErasureService(database), ErasureWorker(database, house.orchestrator)
    await service.erase(ADMIN, person.customer, "本人要求")

    async def done() -> bool:
        if not await worker.work():
            clock.advance(seconds=6)
        return (await service.show(ADMIN, person.customer)).state == "done"

    await eventually(done, seconds=60)
    assert await house.orchestrator.situation(run.id) is None
    async with UnitOfWork(database) as work:
        row = await work.session.get_one(RunRow, run.id)
        assert (row.phase, row.output) == ("completed", {"sent": [{"phone": OTHER_PHONE}]})
