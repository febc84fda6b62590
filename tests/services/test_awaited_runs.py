"""A run that begins late, because its order was told in part at first, knows what was told of the order meanwhile."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from connectors.telling import tell_refund
from connectors.webhooks import Verified
from domain.canonical import RefundData
from domain.events import Event
from domain.runs import RunSummary
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Arrival, Intake
from storage.awaited_orders import PATIENCE
from storage.encryption import Keyring
from storage.engine import Database
from storage.paging import PageRequest
from storage.runs import RunFilter
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.house import ADMIN, House, a_flow, eventually
from tests.services.test_awaited_orders import ANY_SHOP, CONNECTORS, an_order

# As `definitions/operations/erp-loop.yaml` cancels what the buyer wants the money back for.
SHIPS = a_flow(
    "ships",
    "- wait:\n    listen: {to: {one: {with: {type: tandem.refund.created}}}}\n    timeout: {after: P1D}\n"
    "- keep:\n    set: {cancelled: '${ .[0].order_id }'}",
    head="schedule:\n  on:\n    one: {with: {type: tandem.order.paid}}\n",
)


@pytest.fixture
async def at_a_peak(database_url: str, temporal: Client) -> AsyncIterator[tuple[House, SteppedClock]]:
    """A house a quarter of an hour ago."""
    clock = SteppedClock()
    clock.advance(minutes=-15)
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8, clock=clock)
    house = House(database, temporal)
    await house.publish(SHIPS)
    yield house, clock
    await house.close()
    await database.close()


async def hears(house: House, *events: Event) -> None:
    async with UnitOfWork(house.database) as work:
        await Intake(IdentityService()).take_in(work, [Arrival.of(event, work.now) for event in events])
    await dispatch(house)


async def dispatch(house: House) -> None:
    while (await house.dispatcher.drain()).dispatched:
        pass


def a_refund(order: str, at: datetime) -> Event:
    data = RefundData(
        platform="pinduoduo", account="shop", version=1, occurred_at=at, refund_id="r1", order_id=order,
        status="requested", amount_minor=9900,
    )  # fmt: skip
    return tell_refund(data, Verified("refund", b"", "", at), ANY_SHOP)


async def the_run(house: House) -> RunSummary:
    async def found() -> RunSummary | None:
        runs = (await house.runs.search(ADMIN, RunFilter(name="ships"), PageRequest())).items
        assert len(runs) <= 1
        return runs[0] if runs else None

    return await eventually(found)


# Runs are named after events, and all tests share one Temporal.
@pytest.mark.parametrize(("order", "told_whole"), [("peak-1", True), ("peak-2", False)])
async def test_a_refund_between_the_push_and_the_whole_order_reaches_the_run(
    at_a_peak: tuple[House, SteppedClock], order: str, told_whole: bool
) -> None:
    house, clock = at_a_peak
    began = clock.now
    await hears(house, an_order("paid", order, at=began))
    clock.advance(minutes=1)
    await hears(house, a_refund(order, clock.now))
    clock.advance(minutes=4)
    assert not (await house.runs.search(ADMIN, RunFilter(name="ships"), PageRequest())).items
    if told_whole:
        await hears(house, an_order("paid", order, at=began, whole=True))
    else:
        clock.now = max(began + PATIENCE + timedelta(seconds=1), datetime.now(UTC))
        await InboxService(house.database, CONNECTORS, Intake(IdentityService())).drain()
        await dispatch(house)
    async with house.worker():
        run = await house.until((await the_run(house)).id, "completed")
    assert run.output == {"cancelled": order}


async def test_a_run_still_hears_nothing_of_what_came_before_the_push(at_a_peak: tuple[House, SteppedClock]) -> None:
    house, clock = at_a_peak
    await hears(house, a_refund("peak-3", clock.now))
    clock.advance(minutes=1)
    await hears(house, an_order("paid", "peak-3", at=clock.now))
    clock.advance(minutes=4)
    await hears(house, an_order("paid", "peak-3", at=clock.now, whole=True))
    async with house.worker():
        run = await house.until((await the_run(house)).id, "waiting")
    assert run.phase == "waiting"
