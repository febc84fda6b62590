"""Tags that come along, where nothing else asks for them."""

from datetime import timedelta

from services.tagging import Tagging
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.people import order
from tests.services.test_tagging import SHIPPED, happens, publish, somebody


async def test_who_is_about_to_run_out_is_tagged_until_the_day_is_over(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)

    async def carries() -> bool:
        await Tagging(database).check_due()
        async with UnitOfWork(database) as work:
            return "即将断粮" in await CustomerTags(work).carried(customer)

    # Every ten days, so that 9 to 11 days after the last time it is about due.
    bought = [order(f"E{days}", clock.now - timedelta(days=days), category="猫粮") for days in (20, 10, 0)]
    await happens(database, customer, identity, *bought)
    seen = [await carries()]
    for days in (8, 1, 2):
        clock.advance(days=days)
        seen.append(await carries())
    assert seen == [False, False, True, False]


async def test_who_had_money_back_three_times_in_90_days_is_tagged(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    refunds = [
        (
            "refund.succeeded",
            clock.now - timedelta(days=days),
            {"refund_id": f"R{days}", "order_id": f"E{days}", "status": "refunded", "amount_minor": 100},
        )
        for days in (1, 2, 80)
    ]
    assert "+频繁退款" not in await happens(database, customer, identity, *refunds[:2])
    assert "+频繁退款" in await happens(database, customer, identity, refunds[2])
    clock.advance(days=11)
    await Tagging(database).check_due()
    async with UnitOfWork(database) as work:
        assert "频繁退款" not in await CustomerTags(work).carried(customer)
