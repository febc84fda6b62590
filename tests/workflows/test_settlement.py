"""A calculation on a real server: by several workers, some of which die, it comes to the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from uuid import UUID

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.settlement import SettlementActivities
from domain.access import Role
from domain.problems import AuthorizationProblem, NotFoundProblem
from services.calculations import CalculationSteps, Wanted
from services.exchange_rates import Rate
from services.orchestrator import Orchestrator
from services.settlement_runs import SettlementRunService
from services.settlement_views import CalculationView, SettlementViews
from services.settlements import SettlementService
from storage.calculations import Part
from storage.engine import Database
from tests.actors import an_actor
from tests.connectors.harness import CONNECTORS
from tests.services.house import eventually
from tests.services.test_calculations import MAY, Office, office
from tests.services.test_selling import an_order
from tests.settlements import settlements_of
from workflows import messages
from workflows.settlement import BookingWorkflow, CalculationWorkflow, SettlementRunWorkflow

__all__ = ["office"]
QIAN = an_actor("qian", Role.FINANCE)


class Clumsy(CalculationSteps):
    """Dies in the midst of every third part, after it was written, and says nothing of it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.done = 0

    async def earn_alone(self, calculation: UUID, part: int) -> Part:
        found = await super().earn_alone(calculation, part)
        self.done += 1
        if self.done % 3 == 0:
            raise ApplicationError("the process died")
        return found


@asynccontextmanager
async def working(temporal: Client, office: Office, steps: CalculationSteps | None = None) -> AsyncIterator[None]:
    steps = steps or office.steps
    async with Worker(
        temporal,
        task_queue=messages.SETTLEMENT_QUEUE,
        workflows=[CalculationWorkflow, SettlementRunWorkflow, BookingWorkflow],
        activities=SettlementActivities(steps, SettlementRunService(office.database, steps, CONNECTORS)).all,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=4,
    ):
        yield


def service(office: Office, temporal: Client) -> SettlementService:
    return settlements_of(office.database, Orchestrator(temporal))


async def computed(office: Office, asked: CalculationView) -> CalculationView:
    views = SettlementViews(office.database)

    async def over() -> bool:
        return (await views.show(QIAN, asked.row.id)).row.state in ("computed", "failed")

    await eventually(over, seconds=60)
    return await views.show(QIAN, asked.row.id)


async def test_a_calculation_survives_what_happens_to_its_parts(office: Office, temporal: Client) -> None:
    for number in range(1, 7):
        await office.told(an_order(f"E{number}", channel=f"P{number}"))
    expected = await office.digest(await office.preview())
    settlements = service(office, temporal)
    asked = await settlements.calculate(QIAN, Wanted("promoters", MAY, "preview"))
    assert (asked.done, asked.of) == (0, 32)
    async with working(temporal, office, Clumsy(office.database)):
        found = await computed(office, asked)
    assert (found.row.state, found.row.digest, found.done) == ("computed", expected, 32)
    assert {each.component: (each.payees, each.amount_minor) for each in found.components} == {
        "sales": (6, 9_000),
        "deals": (6, 222),
        "city": (2, 2_160),
    }
    assert found.row.total_minor == 11_382
    assert (found.highest[0].payee, found.highest[0].amount_minor) == ("P1", 1_537)


async def test_what_was_asked_for_while_temporal_was_away_begins_later(office: Office, temporal: Client) -> None:
    await office.told(an_order(channel="P1"))
    asked = await office.steps.ask(QIAN, UUID(int=7), Wanted("promoters", MAY, "preview"))
    settlements = service(office, temporal)
    assert await settlements.sweep() == 0, "somebody may be beginning it just now"
    office.clock.advance(seconds=31)
    assert await settlements.sweep() == 1
    async with working(temporal, office):
        assert (await computed(office, CalculationView(asked, 0, 0))).row.state == "computed"
    assert await settlements.sweep() == 0


async def test_a_calculation_that_cannot_be_done_says_why(office: Office, temporal: Client) -> None:
    await office.scheme("1.0.1", text=FOREIGN)
    await office.told(an_order(channel="P1", currency="USD"))
    await office.rates.set(QIAN, [Rate("USD", date(2026, 5, 3), "7.1")])
    await office.settle()
    settlements = service(office, temporal)
    async with working(temporal, office):
        found = await computed(office, await settlements.calculate(QIAN, Wanted("promoters", MAY, "preview")))
    assert found.row.state == "failed"
    assert found.row.problem is not None
    assert "USD" in found.row.problem["message"]["zh"]


FOREIGN = """
scheme:
  name: promoters
  version: {version}
  title: 跨境
  cycle: month
  counts: paid
  from: 2026-01-01
  earns: [{{ name: fx, title: 汇差, of: fx-difference, rate: '100%' }}]
"""


async def test_a_sum_is_explained_down_to_order_lines(office: Office, temporal: Client) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P3"))
    await office.note("visits", {"P1": 2})
    calculation = await office.preview()
    views = SettlementViews(office.database)
    alone = await views.explain(QIAN, calculation, "P1")
    assert alone.amount_minor == 1_500 + 37 + 300
    sales, deals, visits = alone.earnings
    assert (sales.base, sales.amount_minor, sales.rule.zh) == (
        "300.00",
        1_500,
        "实付减退款，分段计算：0.00 起 5%，1000.00 起 8.25%；适用角色 promoter",
    )
    assert [(each.order_id, each.line_id, each.counted) for each in sales.lines] == [
        ("E1", "1", "200.00"),
        ("E1", "2", "100.00"),
    ]
    assert (deals.base, [each.counted for each in deals.lines]) == ("1", ["1"])
    assert (visits.base, visits.lines) == ("2", [])
    (city,) = (await views.explain(QIAN, calculation, "C1")).earnings
    assert (city.base, city.amount_minor) == ("30.00", 720)
    assert [(each.payee, each.amount_minor) for each in city.below] == [("P1", 1_500), ("P3", 1_500)]
    with pytest.raises(NotFoundProblem):
        await views.explain(QIAN, calculation, "nobody")
    with pytest.raises(AuthorizationProblem):
        await service(office, temporal).calculate(an_actor("wu", Role.APPROVER), Wanted("promoters", MAY, "preview"))


async def test_a_repeat_is_computed_beside_the_original(office: Office, temporal: Client) -> None:
    await office.told(an_order(channel="P1"))
    original = await office.preview()
    settlements = service(office, temporal)
    asked = await settlements.repeat(QIAN, original)
    assert (asked.row.state, asked.row.repeats) == ("frozen", original)
    async with working(temporal, office, Clumsy(office.database)):
        found = await computed(office, asked)
    assert found.repeat is not None
    assert (found.repeat.of, found.repeat.same, found.row.digest) == (original, True, await office.digest(original))


async def test_calculations_at_once_do_not_mix(office: Office, temporal: Client) -> None:
    await office.told(an_order(channel="P1"))
    settlements = service(office, temporal)
    async with working(temporal, office):
        asked = [await settlements.calculate(QIAN, Wanted("promoters", MAY, "preview")) for _ in range(3)]
        found = await asyncio.gather(*(computed(office, each) for each in asked))
    assert len({each.row.digest for each in found}) == 1
    assert len({each.row.id for each in found}) == 3


async def test_a_settlement_is_computed_approved_and_booked(office: Office, temporal: Client) -> None:
    for number in range(1, 7):
        await office.told(an_order(f"E{number}", channel=f"P{number}"))
    settlements, runs = service(office, temporal), SettlementRunService(office.database, office.steps, CONNECTORS)
    wu = an_actor("wu", Role.APPROVER)

    async def stands_at(run: UUID, state: str) -> bool:
        return (await runs.show(QIAN, run)).run.state == state

    async with working(temporal, office, Clumsy(office.database)):
        asked = await settlements.settle(QIAN, "promoters", MAY)
        await eventually(lambda: stands_at(asked.run.id, "computed"), seconds=60)
        await settlements.decide(wu, asked.run.id, approve=True)
        await eventually(lambda: stands_at(asked.run.id, "booked"), seconds=60)
    found = await runs.show(QIAN, asked.run.id)
    assert (found.run.booked_minor, found.transfers, found.parts_booked) == (11_382, 8, 16)
