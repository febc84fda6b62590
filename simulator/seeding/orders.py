"""What people bought before the simulator started, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.entities import Buyer, Coupon, Goods, Order, OrderStatus
from simulator.seeding.lines import line_of
from simulator.seeding.numbers import order_number
from simulator.seeding.refunds import seed_refund
from simulator.seeding.seasons import Seasons
from simulator.seeding.shops import SHOP_NUMBERS, SHOPS, ShopSeed

if TYPE_CHECKING:
    from simulator.world import World

TURNS = (0, 0, 0, 0, 1, 1, 1, 1, 2, 2)
"""How many orders a buyer has in a shop of each kind, drawn evenly; meals are bought more often."""
LOYAL = 0.08
"""How many buyers buy a replenished article again and again."""
REPLENISHED = {"奶粉": 30, "纸尿裤": 25, "宠物食品": 40, "面膜": 45, "茶叶": 60}
"""Days that an article of a category lasts."""
LOYAL_TURNS = 8
NEVER_PAID, WITH_COUPON, IN_GROUP, BY_INFLUENCER, MEMBERS = 0.05, 0.12, 0.3, 0.6, 0.15
MEALS = frozenset({"meituan", "eleme"})
UNPAID_LIFE = timedelta(minutes=30)
SECOND = timedelta(seconds=1)


class _Wish(NamedTuple):
    """An order to be: when, of what, and in which group."""

    at: datetime
    goods: tuple[Goods, ...]
    group_id: str = ""
    parent_id: str = ""


def seed_orders(world: World) -> None:
    """Orders of each buyer in each shop of the platform, with their refunds and the coupons spent on them."""
    seasons = Seasons(world.epoch - timedelta(days=365 * world.settings.years), world.epoch)
    for shop in SHOPS:
        if shop.articles:
            _Till(world, shop, seasons).sell()


class _Till:
    """Sells in one shop."""

    def __init__(self, world: World, shop: ShopSeed, seasons: Seasons) -> None:
        self._world = world
        self._shop = shop
        self._seasons = seasons
        self._goods = world.goods.having(shop=shop.slug)
        self._meals = shop.platform in MEALS
        self._sold = SHOP_NUMBERS[shop.slug] * 10**7

    def sell(self) -> None:
        buyers = self._world.buyers.having(platform=self._shop.platform)
        for number, buyer in enumerate(buyers):
            pick = Random(f"{self._world.settings.seed}:history:{self._shop.slug}:{number}")
            neighbour = buyers[(number + 1) % len(buyers)]
            for wish in self._wishes(pick, buyer):
                order = self._order(pick, buyer, wish)
                if self._shop.platform == "pinduoduo" and pick.random() < IN_GROUP and wish.at < self._world.epoch:
                    order = self._world.orders.seed(order.replaced(group_id=f"G{order.id[-12:]}"))
                    if neighbour.customer_id != buyer.customer_id and neighbour.joined_at < wish.at:
                        joined = min(wish.at + timedelta(minutes=pick.randint(1, 600)), self._world.epoch)
                        self._order(pick, neighbour, _Wish(joined, wish.goods, order.group_id, order.id))

    def _wishes(self, pick: Random, buyer: Buyer) -> Iterator[_Wish]:
        turns = pick.choice(TURNS) * (2 if self._meals else 1)
        for _ in range(turns):
            count = pick.choice((1, 1, 1, 2, 3))
            chosen = tuple(pick.choice(self._goods) for _ in range(count))
            yield _Wish(self._seasons.draw(pick, buyer.joined_at, self._meals), chosen)
        lasting = [goods for goods in self._goods if goods.category in REPLENISHED]
        if lasting and pick.random() < LOYAL:
            goods = pick.choice(lasting)
            at = self._seasons.draw(pick, buyer.joined_at)
            for _ in range(pick.randint(2, LOYAL_TURNS)):
                yield _Wish(at, (goods,))
                at += timedelta(days=REPLENISHED[goods.category] * pick.uniform(0.8, 1.2))
                if at > self._world.epoch:
                    return

    def _order(self, pick: Random, buyer: Buyer, wish: _Wish) -> Order:
        world, shop, at = self._world, self._shop, wish.at
        self._sold += 1
        tid = order_number(at, self._sold, shop.platform)
        lines = tuple(line_of(goods, tid, place, pick.choice((1, 1, 1, 2))) for place, goods in enumerate(wish.goods))
        goods_minor = sum(line.amount_minor for line in lines)
        moments = self._moments(pick, at)
        coupon = (
            self._coupon(pick, buyer, tid, at, goods_minor) if moments["paid_at"] and shop.platform != "jd" else None
        )
        customer = world.customers.get(buyer.customer_id)
        phone = buyer.phone
        if customer is not None and customer.phone_changed_at is not None:
            phone = customer.former_phone if at < customer.phone_changed_at else customer.phone
        order = Order(
            id=tid,
            shop=shop.slug,
            customer_id=buyer.customer_id,
            buyer=buyer.id,
            lines=lines,
            postage_minor=pick.choice((0, 0, 300 if self._meals else 800)),
            discount_minor=coupon.value_minor if coupon else 0,
            created_at=at,
            waybill=f"7{self._sold:012d}" if moments["shipped_at"] and not self._meals else None,
            phone=phone,
            group_id=wish.group_id,
            parent_id=wish.parent_id,
            coupon_ids=(coupon.id,) if coupon else (),
            **moments,
            **self._circumstances(pick, buyer, wish.goods[0]),
        )
        world.orders.seed(order)
        return seed_refund(world, pick, order, self._sold)

    def _moments(self, pick: Random, at: datetime) -> dict[str, Any]:
        """How far the order is by now, and when it got there."""
        epoch = self._world.epoch
        if pick.random() < NEVER_PAID:
            over = at + UNPAID_LIFE
            closed = over <= epoch
            status = OrderStatus.CLOSED if closed else OrderStatus.UNPAID
            finished = over if closed else None
            return _steps(status, at, finished or at, finished=finished)
        paid = at + timedelta(seconds=pick.randint(10, 900))
        if self._meals:
            shipped = paid + timedelta(minutes=pick.randint(8, 25))
            finished = shipped + timedelta(minutes=pick.randint(10, 40))
        else:
            shipped = paid + timedelta(seconds=pick.randint(4 * 3600, 40 * 3600))
            finished = shipped + timedelta(seconds=pick.randint(4 * 86_400, 12 * 86_400))
        if paid > epoch:
            return _steps(OrderStatus.UNPAID, at, at)
        if shipped > epoch:
            return _steps(OrderStatus.PAID, at, paid, paid)
        if finished > epoch:
            return _steps(OrderStatus.SHIPPED, at, shipped, paid, shipped)
        return _steps(OrderStatus.COMPLETED, at, finished, paid, shipped, finished)

    def _coupon(self, pick: Random, buyer: Buyer, tid: str, at: datetime, goods_minor: int) -> Coupon | None:
        if pick.random() >= WITH_COUPON or goods_minor < 2000:
            return None
        taken = max(at - timedelta(seconds=pick.randint(60, 5 * 86_400)), buyer.joined_at)
        value = min(pick.choice((500, 1000, 2000)), goods_minor // 3)
        return self._world.coupons.seed(
            Coupon(
                id=f"cp{self._sold:012d}",
                shop=self._shop.slug,
                customer_id=buyer.customer_id,
                buyer=buyer.id,
                batch=f"{self._shop.slug}-{value}",
                source=pick.choice(("live", "chat", "shop")),
                value_minor=value,
                threshold_minor=value * 3,
                state="used",
                taken_at=taken,
                updated_at=at,
                expires_at=taken + timedelta(days=30),
                order_id=tid,
            )
        )

    def _circumstances(self, pick: Random, buyer: Buyer, goods: Goods) -> dict[str, Any]:
        """What only some platforms tell: who showed the goods, the buyer's grade, where the meal was eaten."""
        match self._shop.platform:
            case "douyin" if pick.random() < BY_INFLUENCER:
                return {
                    "channel": pick.choice(("live", "short_video")),
                    "influencer_id": f"inf{pick.randint(1, 12):04d}",
                    "video_id": pick.choice(goods.video_ids),
                }
            case "taobao" if int(self._world.token("88VIP", buyer.id)[:2], 16) < 256 * MEMBERS:
                return {"membership": "88VIP"}
            case "meituan" | "eleme":
                return {"dining": pick.choice(("takeaway", "takeaway", "takeaway", "dine_in"))}
            case _:
                return {}


def _steps(
    status: OrderStatus,
    created: datetime,
    updated: datetime,
    paid: datetime | None = None,
    shipped: datetime | None = None,
    finished: datetime | None = None,
) -> dict[str, Any]:
    return {
        "status": status,
        "updated_at": max(updated, created),
        "paid_at": paid,
        "shipped_at": shipped,
        "finished_at": finished,
    }
