"""`payee.note_fact` on the real database: noted once for its step, under the flow's name, and paid by."""

from typing import Any

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.binding import CallBinder
from activities.payees import payee_activities
from domain.catalog.payees import NOTE_FACT
from services.flow_facts import FlowFacts
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.activities.test_binding import NoSecrets
from tests.services.test_calculations import Office, office
from workflows.messages import CallEnvelope

__all__ = ["office"]
RUN, STEP = "tandem/stores/visits/1", "/do/0/note"


async def does(database: Database, *, key: str = f"{RUN}{STEP}", run: str = RUN, **more: Any) -> Any:
    """One attempt of the call."""
    (perform,) = payee_activities(CallBinder(database, NoSecrets()), FlowFacts(database))
    arguments = {"payee": "P1", "name": "visits", "amount": 1, "day": "2026-05-01", **more}
    told = {name: value for name, value in arguments.items() if value is not None}
    return await ActivityEnvironment().run(perform, CallEnvelope(NOTE_FACT.name, told, key, run, STEP, ""))


async def noted(database: Database) -> list[tuple[Any, ...]]:
    async with UnitOfWork(database) as work:
        statement = "SELECT name, day::text, amount, key, noted_by FROM payee_facts ORDER BY seq"
        return [tuple(row) for row in await work.session.execute(text(statement))]


async def refused(database: Database, **more: Any) -> dict[str, Any]:
    with pytest.raises(ApplicationError) as found:
        await does(database, **more)
    assert found.value.non_retryable
    problem: dict[str, Any] = found.value.details[0]
    return problem


async def test_a_repeated_attempt_notes_nothing_more(office: Office) -> None:
    answer = await does(office.database)
    assert answer == {"day": "2026-05-01", "key": f"run:{RUN}{STEP}"}
    assert await does(office.database) == answer
    async with UnitOfWork(office.database) as work:
        # As if the worker had died between the fact and its record.
        await work.session.execute(text("UPDATE effects SET state = 'started', answer = NULL"))
    assert await does(office.database) == answer
    async with UnitOfWork(office.database) as work:
        # As if the record had been kept for its time, and a run were tried again long after.
        await work.session.execute(text("DELETE FROM effects"))
    assert await does(office.database) == answer
    assert await noted(office.database) == [("visits", "2026-05-01", 1, f"run:{RUN}{STEP}", f"flow:{RUN}")]
    async with UnitOfWork(office.database) as work:
        statement = "SELECT actor, target FROM audit_entries WHERE action = 'payee.facts'"
        assert [tuple(row) for row in await work.session.execute(text(statement))] == [("system:runs", "payee:P1")]


async def test_every_execution_of_a_task_counts_and_is_paid(office: Office) -> None:
    for number in range(3):
        await does(office.database, key=f"{RUN}{STEP}/{number}")
    await does(office.database, key=f"{RUN}{STEP}/taken-back", amount=-1)
    assert (await office.earned(await office.preview()))["P1"] == {"visits": 300}


async def test_what_has_a_key_of_its_own_is_noted_once_by_all_runs(office: Office) -> None:
    (perform,) = payee_activities(CallBinder(office.database, NoSecrets()), FlowFacts(office.database))
    told = {"payee": "P2", "name": "visits", "amount": 1, "day": "2026-05-01", "key": "visit-7"}
    for run in ("run-1", "run-2"):
        envelope = CallEnvelope(NOTE_FACT.name, told, f"{run}{STEP}", run, STEP, "")
        assert await ActivityEnvironment().run(perform, envelope) == {"day": "2026-05-01", "key": "visit-7"}
    assert await noted(office.database) == [("visits", "2026-05-01", 1, "visit-7", "flow:run-1")]
    other = CallEnvelope(NOTE_FACT.name, {**told, "amount": 2}, f"run-3{STEP}", "run-3", STEP, "")
    with pytest.raises(ApplicationError) as found:
        await ActivityEnvironment().run(perform, other)
    assert found.value.details[0]["noted"] == {"day": "2026-05-01", "amount": 1}


async def test_an_instant_is_of_its_shanghai_day(office: Office) -> None:
    answer = await does(office.database, day=None, at="2026-04-30T16:00:00Z")
    assert answer["day"] == "2026-05-01"


async def test_what_nobody_knows_is_refused(office: Office) -> None:
    assert (await refused(office.database, payee="P99"))["codes"] == ["P99"]
    unknown = await refused(office.database, key="2", name="visit")
    assert unknown["message"] == {
        "zh": "没有方案用到“visit”。是不是想写“visits”？可用：bookings, reviews, service, visits",
        "en": "No scheme goes by “visit”. Did you mean “visits”? There are: bookings, reviews, service, visits",
    }
    assert "day" in (await refused(office.database, key="3", day=None))["message"]["en"]
    assert "day" in (await refused(office.database, key="4", at="2026-05-01T00:00:00Z"))["message"]["en"]
    assert "2001" in (await refused(office.database, key="5", day=None, at="1999-05-01T00:00:00Z"))["message"]["en"]
    assert await noted(office.database) == []
    await does(office.database, key="6", name="service", amount=95)
    assert len(await noted(office.database)) == 1
