"""Who pushes an order's number alone still has its run end when its customer, known later, is silenced."""

import asyncio

import pytest
from sqlalchemy import text

from domain.access import Role
from domain.canonical import Buyer, OrderData
from domain.canonical.announcing import announce
from domain.canonical.orders import OrderStatus
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.suppressions import SuppressionService
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.enrolling import customer_of, runs, take_in
from tests.services.house import House

UNPAID = """
document:
  dsl: '1.0.3'
  namespace: shop
  name: unpaid
  version: '1.0.0'
  metadata: { enrolment: { per: order } }
schedule: { on: { one: { with: { type: tandem.order.created } } } }
do:
  - journey:
      fork:
        compete: true
        branches:
          - remind: { wait: PT30M }
          - silenced:
              listen: { to: { one: { with: { type: tandem.customer.suppressed, data: '${ .item_id == null }' } } } }
              timeout: { after: P1D }
              output: { as: '{ result: "suppressed" }' }
"""
NOBODY, BUYER = Buyer(), Buyer(buyer_id="B1")


def an_order(buyer: Buyer, number: str, *, status: OrderStatus = "unpaid", shop: str = "flagship") -> OrderData:
    return OrderData(platform="youzan", account=shop, version=1, order_id=number, buyer=buyer, status=status)


async def dispatch(house: House) -> None:
    while (await house.dispatcher.drain()).dispatched:
        pass


async def take_in_only(house: House, order: OrderData) -> None:
    """A drained batch of one order, whose event waits."""
    async with UnitOfWork(house.database) as work:
        await Intake(IdentityService()).take_in(work, [Arrival.of(announce(order, work.now), work.now)])


async def silence(house: House) -> None:
    service = SuppressionService(house.database)
    supervisor = an_actor("zhou", Role.SUPERVISOR)
    await service.silence(supervisor, await customer_of(house, "0"), "客户来电")
    await dispatch(house)


async def subjects(house: House) -> dict[str | None, set[str]]:
    """What the runs are about, by their shop."""
    async with UnitOfWork(house.database) as work:
        rows = await work.session.execute(text("SELECT account_id, subjects FROM runs WHERE parent_id IS NULL"))
        return {account: set(found) for account, found in rows}


async def test_a_run_about_a_number_ends_when_its_customer_is_silenced(house: House) -> None:
    """The push has no buyer; the order is read later, in the same version, so that no event tells of it anew."""
    await house.publish(UNPAID)
    number = "late-owner"
    await take_in(house, an_order(NOBODY, number), an_order(NOBODY, number, shop="outlet"))
    [run] = [each for each in await runs(house, "unpaid") if each.account_id == "youzan/flagship"]
    async with house.worker():
        await house.until(run.id, "waiting")
        await take_in(house, an_order(BUYER, number))
        customer = str(await customer_of(house, "0"))
        assert await subjects(house) == {
            "youzan/flagship": {f"order:{number}", f"customer:{customer}"},
            "youzan/outlet": {f"order:{number}"},
        }, "another shop's order of the same number is another order"
        await silence(house)
        ended = await house.until(run.id, "completed")
        assert ended.output == {"result": "suppressed"}
        assert ended.customer == customer, "found in lists by their customer"


async def test_a_push_that_comes_after_its_order_was_read_starts_a_run_that_knows_the_customer(house: House) -> None:
    await house.publish(UNPAID)
    await take_in(house, an_order(BUYER, "read-before", status="unknown"))
    await take_in(house, an_order(NOBODY, "read-before"))
    [run] = await runs(house, "unpaid")
    async with house.worker():
        await house.until(run.id, "waiting")
        await silence(house)
        assert (await house.until(run.id, "completed")).output == {"result": "suppressed"}


@pytest.mark.parametrize("first", ["dispatch", "read"])
async def test_neither_of_two_at_the_same_moment_misses_the_other(house: House, first: str) -> None:
    """One starts the run while another learns whose the order is: whoever is second waits for the first."""
    await house.publish(UNPAID)
    for number in range(8):
        await take_in_only(house, an_order(NOBODY, f"race-{first}-{number}"))
        both = [dispatch(house), take_in_only(house, an_order(BUYER, f"race-{first}-{number}"))]
        await asyncio.gather(*(both if first == "dispatch" else both[::-1]))
    async with UnitOfWork(house.database) as work:
        unknown = "SELECT count(*) FILTER (WHERE customer IS NULL), count(*) FROM runs"
        assert tuple((await work.session.execute(text(unknown))).one()) == (0, 8)
