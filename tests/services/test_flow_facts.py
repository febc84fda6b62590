"""A flow feeds settlement: every visit that it notes counts once, under its name."""

from sqlalchemy import text

from activities.binding import CallBinder
from activities.payees import payee_activities
from domain.access import Role
from domain.settlement.payees import NewPayee
from services.flow_facts import FlowFacts
from services.payees import PayeeRegister
from storage.unit_of_work import UnitOfWork
from tests.activities.test_binding import NoSecrets
from tests.actors import an_actor
from tests.services.house import ADMIN, House

QIAN = an_actor("qian", Role.FINANCE)
FLOW = """
document: { dsl: '1.0.3', namespace: stores, name: visits, version: '1.0.0' }
do:
  - each:
      for: { each: store, in: .stores }
      do:
        - note:
            call: payee.note_fact
            with: { payee: '${ $store }', name: visits, amount: 1, at: '2026-04-30T17:00:00Z' }
"""


async def test_each_round_of_a_loop_counts_under_the_flows_name(house: House) -> None:
    await PayeeRegister(house.database).put(
        QIAN, [NewPayee(code=code, name=code, role="store") for code in ("S1", "S2")]
    )
    await house.publish(FLOW)
    async with house.worker(*payee_activities(CallBinder(house.database, NoSecrets()), FlowFacts(house.database))):
        run = await house.runs.start(ADMIN, "stores", "visits", {"stores": ["S1", "S2", "S1"]})
        assert (await house.until(run.id, "completed", "failed")).phase == "completed"
    async with UnitOfWork(house.database) as work:
        statement = """
            SELECT y.code, count(*), min(f.day::text), min(f.noted_by) FROM payee_facts f
            JOIN payees y ON y.id = f.payee GROUP BY 1 ORDER BY 1
        """
        found = [tuple(row) for row in await work.session.execute(text(statement))]
    assert found == [("S1", 2, "2026-05-01", "flow:stores/visits"), ("S2", 1, "2026-05-01", "flow:stores/visits")]
