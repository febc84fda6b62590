"""Orders whose platform tells no category: their lines have that of the shop's goods, and tags go by it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain.events import Event
from services.category_filling import CategoryFilling
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.tagging import Tagging
from storage.article_categories import ArticleCategories
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.test_tagging import SHIPPED, publish, rule

SHOP = {"platform": "pinduoduo", "account": "shop"}


def bought(order_id: str, at: datetime, buyer: str = "B1", version: int = 1, **line: Any) -> tuple[str, Any, Any]:
    article = {"line_id": "1", "item_id": "i1", "title": "粮", "quantity": 1, "price_minor": 100, "total_minor": 100}
    data = {
        "order_id": order_id,
        "status": "paid",
        "paid_minor": 100,
        "paid_at": at.isoformat(),
        "version": version,
        "buyer": {"buyer_id": buyer},
        "lines": [{**article, **line}],
    }
    return "order.paid", at, data


def sold(category: str | None, version: int = 1, **more: Any) -> tuple[str, Any, Any]:
    return "goods.updated", None, {"item_id": "i1", "title": "粮", "category": category, "version": version, **more}


async def take_in(database: Database, *told: tuple[str, Any, Any]) -> None:
    async with UnitOfWork(database) as work:
        arrivals = [
            Arrival.of(
                Event(
                    id=f"{name}-{data.get('order_id')}-{data['version']}",
                    source="/shop",
                    type=f"tandem.{name}",
                    time=at or work.now,
                    data={**SHOP, **data},
                ),
                work.now,
            )
            for name, at, data in told
        ]
        await Intake(IdentityService(), Tagging(database)).take_in(work, arrivals)


async def follow(database: Database, limit: int = 2_000) -> int:
    """Until all lines follow; how many rounds it took."""
    rounds = 0
    filling = CategoryFilling(database, Tagging(database))
    while True:
        async with UnitOfWork(database) as work:
            if not await ArticleCategories(work).any_behind():
                return rounds
        rounds += 1
        await filling.fill(limit)


async def categories(database: Database) -> dict[str, str | None]:
    async with UnitOfWork(database) as work:
        rows = await work.session.execute(
            text("SELECT order_id, category FROM orders JOIN order_lines ON order_key = orders.id")
        )
        return {row.order_id: row.category for row in rows}


async def tags(database: Database) -> list[str]:
    async with UnitOfWork(database) as work:
        held = text("SELECT tag FROM customer_tags WHERE held ORDER BY tag")
        return list(await work.session.scalars(held))


async def written_to(database: Database) -> list[str]:
    """The orders of those for whom something starts."""
    async with UnitOfWork(database) as work:
        gained = text(
            "SELECT order_id FROM events JOIN event_outbox USING (seq) "
            "JOIN identities ON 'customer:' || customer_id = ANY(subjects) JOIN orders ON identity_id = identities.id "
            "WHERE type = 'tandem.customer.tag-gained' ORDER BY order_id"
        )
        return list(await work.session.scalars(gained))


async def test_a_line_has_the_category_of_its_article_however_the_two_come(
    database: Database, clock: SteppedClock
) -> None:
    await take_in(database, sold("猫粮"))
    await take_in(database, bought("after", clock.now))
    assert await categories(database) == {"after": "猫粮"}, "at once"
    await take_in(database, bought("other", clock.now, item_id="i2"), sold("狗粮", item_id="i2"))
    assert (await categories(database))["other"] == "狗粮", "in one batch"
    await take_in(database, bought("before", clock.now, item_id="i3"))
    await take_in(database, sold("咖啡", item_id="i3"))
    await follow(database)
    assert (await categories(database))["before"] == "咖啡"


async def test_visits_and_carts_go_by_the_category_of_their_article(database: Database, clock: SteppedClock) -> None:
    await publish(
        database,
        rule("all: [ { visits: { where: { category: 猫粮 }, within: P30D } } ]", name="looked", tag="看过猫粮"),
        rule("all: [ { carts: { where: { category: 猫粮, state: open } } } ]", name="put", tag="加购猫粮"),
        rule("all: [ { carts: { where: { category: 狗粮 } } } ]", name="dogs", tag="加购狗粮"),
    )
    buyer = {"buyer_id": "B1"}
    line = {"line_id": "1", "title": "粮", "quantity": 1, "price_minor": 100, "total_minor": 100}

    def visit(number: int, **more: Any) -> tuple[str, Any, Any]:
        told = {"visit_id": f"v{number}", "name": "page_view", "version": number, "buyer": buyer, **more}
        return "visit.made", clock.now, told

    def cart(number: int, item_id: str, category: str | None = None) -> tuple[str, Any, Any]:
        lines = [{**line, "item_id": item_id, "category": category}]
        return "cart.updated", clock.now, {"cart_id": f"c{number}", "version": number, "buyer": buyer, "lines": lines}

    await take_in(database, sold("猫粮"), visit(1, item_id="other"), cart(2, "dog", "狗粮"))
    assert await tags(database) == ["加购狗粮"], "what the page says counts while the goods say nothing"
    await take_in(database, visit(3, item_id="i1"), cart(4, "i1", "50012345"))
    assert await tags(database) == ["加购狗粮", "加购猫粮", "看过猫粮"]
    await take_in(database, sold("狗粮", version=5), visit(6), cart(7, "other"))
    assert await tags(database) == ["加购狗粮"], "another category counts from the next visit and cart on"


async def test_what_an_order_says_counts_while_the_goods_say_nothing(database: Database, clock: SteppedClock) -> None:
    await take_in(database, bought("E1", clock.now, category="50012345"), sold(None))
    await follow(database)
    assert await categories(database) == {"E1": "50012345"}
    await take_in(database, sold("猫粮", version=2))
    await follow(database)
    await take_in(database, bought("E1", clock.now, version=2, category="50012345"))
    assert await categories(database) == {"E1": "猫粮"}


async def test_another_category_of_an_article_takes_all_its_lines_along_and_nobody_elses(
    database: Database, clock: SteppedClock
) -> None:
    await take_in(database, sold("宠物"), bought("E1", clock.now), bought("E2", clock.now, buyer="B2"))
    elsewhere = {"account": "other-shop", "order_id": "E3"}
    name, at, data = bought("E3", clock.now)
    await take_in(database, (name, at, {**data, **elsewhere}))
    await take_in(database, sold("猫粮", version=2))
    await take_in(database, sold("宠物", version=1))
    await follow(database)
    assert await categories(database) == {"E1": "猫粮", "E2": "猫粮", "E3": None}


async def test_an_article_in_very_many_orders_is_followed_some_at_a_time(
    database: Database, clock: SteppedClock
) -> None:
    await take_in(database, *(bought(f"E{number:03}", clock.now, f"B{number}") for number in range(50)))
    await take_in(database, sold("猫粮"), sold("猫粮", item_id="i9"))
    assert await follow(database, limit=20) >= 3
    assert set((await categories(database)).values()) == {"猫粮"}


async def test_whoever_is_known_to_have_run_out_only_now_is_tagged_and_not_written_to(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, *SHIPPED, rule("all: [ { order_lines: { where: { category: 猫粮 } } } ]", tag="养猫"))
    await take_in(
        database,
        *(bought(f"E{days}", clock.now - timedelta(days=days), version=days) for days in (62, 41, 33)),
        bought("now", clock.now, buyer="B2", version=99),
    )
    assert await tags(database) == ["高价值"]
    await take_in(database, sold("猫粮"))
    await follow(database)
    assert await tags(database) == ["养猫", "养猫", "断粮", "高价值"]
    assert await written_to(database) == ["now"]


async def test_lines_that_are_being_written_while_the_article_comes_follow_as_well(
    database: Database, clock: SteppedClock
) -> None:
    name, at, data = bought("E1", clock.now)
    event = Event(id="E1", source="/shop", type=f"tandem.{name}", time=at, data={**SHOP, **data})
    async with UnitOfWork(database) as work:
        await Intake(IdentityService(), Tagging(database)).take_in(work, [Arrival.of(event, at)])
        # The batch with the order is not over yet, and saw no article.
        await take_in(database, sold("猫粮"))
        filling = CategoryFilling(database, Tagging(database))
        for _ in range(3):
            assert await filling.fill()
    await follow(database)
    assert await categories(database) == {"E1": "猫粮"}
