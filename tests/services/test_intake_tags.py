"""Tags within the drain's own transaction: what just happened starts something, a shop's past does not."""

from datetime import timedelta

from sqlalchemy import text

from domain.canonical import Buyer, OrderData
from domain.canonical.announcing import announce
from domain.events import Event
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.tagging import Tagging
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.test_tagging import SHIPPED, publish


async def test_what_happens_now_starts_something_and_a_past_that_is_read_does_not(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, *SHIPPED)

    def orders(buyer: str, days_ago: int) -> list[Arrival]:
        at = clock.now - timedelta(days=days_ago)
        return [
            Arrival.of(
                Event(
                    id=f"{buyer}-{number}",
                    source="/shop",
                    type="tandem.order.paid",
                    time=at,
                    data={
                        "platform": "youzan",
                        "account": "flagship",
                        "version": 1,
                        "order_id": f"{buyer}-{number}",
                        "status": "paid",
                        "paid_minor": 100,
                        "paid_at": at.isoformat(),
                        "buyer": {"buyer_id": buyer},
                    },
                ),
                clock.now,
            )
            for number in range(3)
        ]

    async with UnitOfWork(database) as work:
        intake = Intake(IdentityService(), Tagging(database))
        await intake.take_in(work, [*orders("B1", 0), *orders("B2", 300)])
    async with UnitOfWork(database) as work:
        gained = (
            "SELECT subjects[1] FROM events JOIN event_outbox USING (seq) WHERE type = 'tandem.customer.tag-gained'"
        )
        queued = list(await work.session.scalars(text(gained)))
        held = await work.session.scalar(text("SELECT count(*) FROM customer_tags WHERE held AND tag = '高价值'"))
        (buyer,) = await work.session.scalars(
            text(
                "SELECT customer_id FROM identities JOIN orders ON identity_id = identities.id WHERE order_id = 'B1-0'"
            )
        )
    assert queued == [f"customer:{buyer}"]
    assert held == 2


async def test_a_refund_that_names_nobody_moves_the_tags_of_whoever_ordered(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, *SHIPPED)
    intake = Intake(IdentityService(), Tagging(database))
    shop = {"platform": "youzan", "account": "flagship", "version": 1, "order_id": "E1"}
    bought = {**shop, "status": "paid", "paid_minor": 210_000, "paid_at": clock.now.isoformat()}
    back = {**shop, "refund_id": "R1", "status": "refunded", "amount_minor": 210_000}
    for name, data in (("order.paid", {**bought, "buyer": {"buyer_id": "B1"}}), ("refund.succeeded", back)):
        event = Event(id=name, source="/shop", type=f"tandem.{name}", time=clock.now, data=data)
        async with UnitOfWork(database) as work:
            await intake.take_in(work, [Arrival.of(event, clock.now)])
    async with UnitOfWork(database) as work:
        turns = (
            "SELECT type FROM events JOIN event_outbox USING (seq) WHERE type LIKE 'tandem.customer.tag-%' ORDER BY seq"
        )
        told = list(await work.session.scalars(text(turns)))
        held = await work.session.scalar(text("SELECT held FROM customer_tags WHERE tag = '大额消费'"))
    assert told == ["tandem.customer.tag-gained", "tandem.customer.tag-lost"]
    assert held is False


async def test_who_comes_apart_gains_nothing_by_what_was_known_before(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    intake = Intake(IdentityService(), Tagging(database))

    async def buys(number: int, buyer: Buyer) -> None:
        order = OrderData(
            platform="youzan",
            account="flagship",
            version=1,
            order_id=f"E{number}",
            status="paid",
            paid_minor=100,
            paid_at=clock.now,
            buyer=buyer,
        )
        async with UnitOfWork(database) as work:
            await intake.take_in(work, [Arrival.of(announce(order, clock.now), clock.now)])

    await buys(0, Buyer(unionid="U1", buyer_id="B1"))
    await buys(1, Buyer(buyer_id="B1", member_id="M1"))
    for number in (2, 3, 4):
        await buys(number, Buyer(member_id="M1"))
    # Of two people the account is nobody's, and what hung on it is by itself.
    await buys(5, Buyer(unionid="U2", buyer_id="B1"))
    holders = "SELECT DISTINCT customer_id FROM customer_tags WHERE held AND tag = '高价值'"
    gained = "SELECT DISTINCT subjects[1] FROM events JOIN event_outbox USING (seq) WHERE type LIKE '%tag-gained'"
    member = "SELECT customer_id FROM identities WHERE kind = 'member'"
    async with UnitOfWork(database) as work:
        (owner,) = await work.session.scalars(text(member))
        assert owner in list(await work.session.scalars(text(holders)))
        assert f"customer:{owner}" not in list(await work.session.scalars(text(gained)))
