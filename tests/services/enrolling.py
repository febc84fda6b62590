"""What tests take in: orders, tags of customers, and the flows that wait for them."""

from uuid import UUID

from sqlalchemy import text

from domain.canonical import Buyer, OrderData
from domain.canonical.announcing import announce
from domain.canonical.origin import Origin
from domain.events import Event
from domain.runs import RunSummary
from services.identities import IdentityService
from services.intake import Arrival, Intake
from storage.paging import PageRequest
from storage.runs import RunFilter
from storage.unit_of_work import UnitOfWork
from tests.services.house import ADMIN, House

FLOW = """
document:
  dsl: '1.0.3'
  namespace: shop
  name: NAME
  version: '1.0.0'
  metadata: { enrolment: ENROLMENT }
schedule: { on: { one: { with: { type: TYPE } } } }
do:
  - rest: { wait: P1D }
"""


def a_flow(name: str, enrolment: str, kind: str = "shop.tagged") -> str:
    return FLOW.replace("NAME", name).replace("ENROLMENT", enrolment).replace("TYPE", kind)


def an_order(version: int, buyer: Buyer, number: str = "E1", shop: str = "youzan/flagship") -> OrderData:
    platform, account = shop.split("/")
    return OrderData(
        platform=platform,
        account=account,
        version=version,
        order_id=number,
        status="paid",
        paid_minor=1,
        buyer=buyer,
    )


async def take_in(house: House, *records: Origin) -> None:
    """A drained batch of records, and the dispatch of what follows."""
    async with UnitOfWork(house.database) as work:
        now = work.now
        arrivals = [Arrival.of(announce(record, now), now) for record in records]
        await Intake(IdentityService()).take_in(work, arrivals)
    while (await house.dispatcher.drain()).dispatched:
        pass


async def runs(house: House, name: str) -> list[RunSummary]:
    return list((await house.runs.search(ADMIN, RunFilter(name=name), PageRequest())).items)


async def customer_of(house: House, value: str) -> UUID:
    async with UnitOfWork(house.database) as work:
        rows = await work.session.execute(text("SELECT id FROM customers WHERE merged_into IS NULL ORDER BY id"))
        found = [UUID(str(row.id)) for row in rows]
    assert len(found) > int(value)
    return found[int(value)]


def tagged(identity: str, customer: UUID) -> Event:
    # Runs are named after events, and the server is shared with other tests.
    subject = f"customer:{customer}"
    return Event(id=f"{identity}-{customer}", source="/test", type="shop.tagged", subject=subject, data={})
