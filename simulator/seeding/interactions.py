"""What people did beside buying: coupons they kept, chats, scans, carts, visits."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from simulator.entities import Buyer, Cart, Chat, Coupon, Customer, Scan, Visit
from simulator.seeding.seasons import Seasons
from simulator.seeding.shops import CORP, OFFICIAL_ACCOUNT, SHOP_NUMBERS, SHOPS, SITE

if TYPE_CHECKING:
    from simulator.world import World

KEPT_COUPON, CART, CHATTY, SCANNER = 0.15, 0.08, 0.4, 0.2
CODES = ("counter-1", "counter-2", "parcel-card", "menu-poster", "live-room")
PLACES = ("杭州西湖店", "上海徐汇店", "包裹卡", "抖音直播间")
SHOWN = ("demo-apparel", "demo-beauty", "demo-taobao")
"""Shops whose goods the site shows."""
TALKS = (
    ("这件大衣有M码吗？", "有的，今天下单明天发货。"),
    ("有没有优惠券可以领？", "给您发一张满减券，七天内有效。"),
    ("孕晚期可以用这款面霜吗？", "这款不含视黄醇，孕期可以使用。"),
    ("预产期下个月，待产包怎么选？", "建议选26件套，我把清单发您。"),
    ("我家猫不爱吃鸡肉味", "可以试试鱼肉味，小包装先试吃。"),
    ("快递到哪里了？", "今天下午派送，请保持电话畅通。"),
    ("奶粉快喝完了", "3段六罐装今天有活动，我帮您留两箱。"),
)


def seed_interactions(world: World) -> None:
    """All of it, person by person."""
    seasons = Seasons(world.epoch - timedelta(days=365 * world.settings.years), world.epoch)
    for shop in SHOPS:
        if shop.articles:
            for number, buyer in enumerate(world.buyers.having(platform=shop.platform)):
                pick = Random(f"{world.settings.seed}:interactions:{shop.slug}:{number}")
                if pick.random() < KEPT_COUPON:
                    _coupon(world, pick, seasons, shop.slug, buyer, number)
                if pick.random() < CART:
                    _cart(world, pick, seasons, shop.slug, buyer, number)
    for number, customer in enumerate(world.customers):
        pick = Random(f"{world.settings.seed}:person:{number}")
        contact = world.contacts.get(customer.external_userid or "")
        if contact is not None and pick.random() < CHATTY:
            _talk(world, pick, seasons, customer, contact.userid, contact.created_at, number)
        if pick.random() < SCANNER:
            _scan(world, pick, seasons, customer, number)
        if customer.device:
            for turn in range(pick.randint(1, 3)):
                _visit(world, pick, seasons, customer, number * 10 + turn)


def _coupon(world: World, pick: Random, seasons: Seasons, shop: str, buyer: Buyer, number: int) -> None:
    """A coupon that was never used: expired by now, or still good."""
    taken = seasons.draw(pick, buyer.joined_at)
    expires = taken + timedelta(days=pick.choice((7, 15, 30)))
    over = expires <= world.epoch
    value = pick.choice((500, 1000, 2000))
    world.coupons.seed(
        Coupon(
            id=f"ck{SHOP_NUMBERS[shop]:02d}{number:010d}",
            shop=shop,
            customer_id=buyer.customer_id,
            buyer=buyer.id,
            batch=f"{shop}-{value}",
            source=pick.choice(("live", "chat", "shop")),
            value_minor=value,
            threshold_minor=value * 3,
            state="expired" if over else "taken",
            taken_at=taken,
            updated_at=expires if over else taken,
            expires_at=expires,
        )
    )


def _cart(world: World, pick: Random, seasons: Seasons, shop: str, buyer: Buyer, number: int) -> None:
    goods = world.goods.having(shop=shop)
    chosen = pick.sample(goods, pick.randint(1, min(3, len(goods))))
    at = seasons.draw(pick, buyer.joined_at)
    world.carts.seed(
        Cart(
            id=f"ca{SHOP_NUMBERS[shop]:02d}{number:010d}",
            shop=shop,
            customer_id=buyer.customer_id,
            buyer=buyer.id,
            sku_ids=tuple(row.sku_id for row in chosen),
            total_minor=sum(row.price_minor for row in chosen),
            state=pick.choice(("open", "open", "cleared")),
            created_at=at,
            updated_at=at,
        )
    )


def _talk(
    world: World, pick: Random, seasons: Seasons, customer: Customer, userid: str, since: datetime, number: int
) -> None:
    for turn in range(pick.randint(1, 2)):
        at = seasons.draw(pick, since)
        for place, (direction, text) in enumerate(zip(("in", "out"), pick.choice(TALKS), strict=True)):
            world.chats.seed(
                Chat(
                    id=f"ch{number:08d}{turn}{place}",
                    account=CORP,
                    customer_id=customer.id,
                    userid=userid,
                    direction=direction,
                    form="text",
                    text=text,
                    sent_at=min(at + timedelta(seconds=90 * place), world.epoch),
                )
            )


def _scan(world: World, pick: Random, seasons: Seasons, customer: Customer, number: int) -> None:
    follower = world.followers.get(world.openid(customer, OFFICIAL_ACCOUNT))
    if follower is None:
        return
    world.scans.seed(
        Scan(
            id=f"sc{number:010d}",
            account=OFFICIAL_ACCOUNT,
            customer_id=customer.id,
            code=pick.choice(CODES),
            place=pick.choice(PLACES),
            scanned_at=seasons.draw(pick, follower.followed_at),
        )
    )


def _visit(world: World, pick: Random, seasons: Seasons, customer: Customer, number: int) -> None:
    goods = pick.choice(world.goods.having(shop=pick.choice(SHOWN)))
    world.visits.seed(
        Visit(
            id=f"vi{number:011d}",
            account=SITE,
            customer_id=customer.id,
            device=customer.device,
            name=pick.choice(("page_view", "page_view", "search", "live_enter")),
            item_id=goods.item_id,
            category=goods.category,
            known=pick.random() < 0.5,
            at=seasons.draw(pick, world.epoch - timedelta(days=365 * world.settings.years)),
        )
    )
