"""People who buy, chat, scan, follow and look around because an operator says so."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from simulator import friendships, interactions, trade
from simulator.admin.bodies import Body
from simulator.entities import Order, OrderStatus, dump
from simulator.platforms.base import Json
from simulator.seeding import OFFICIAL_ACCOUNT
from simulator.world import World

STEPS = {"pay": trade.pay, "ship": trade.ship, "complete": trade.complete, "close": trade.close}
PATHS: dict[OrderStatus, tuple[str, ...]] = {
    OrderStatus.UNPAID: (),
    OrderStatus.PAID: ("pay",),
    OrderStatus.SHIPPED: ("pay", "ship"),
    OrderStatus.COMPLETED: ("pay", "ship", "complete"),
    OrderStatus.CLOSED: ("close",),
}
Day = Annotated[float, Field(gt=0, le=366)]


class NewOrder(Body):
    """An order to place and to take as far as `status`; every step is pushed. beside: further variants in it."""

    shop: str
    customer_id: str | None = None
    sku_id: str | None = None
    count: int = Field(default=1, ge=1, le=100)
    beside: tuple[str, ...] = Field(default=(), max_length=20)
    status: OrderStatus = OrderStatus.PAID
    channel: str = ""
    influencer_id: str = ""
    video_id: str = ""
    parent_id: str = ""
    group_id: str = ""
    dining: Literal["", "takeaway", "dine_in"] = ""


class Step(Body):
    """A step of an order; a waybill when it is shipped."""

    step: Literal["pay", "ship", "complete", "close"]
    waybill: str = ""


class RefundWish(Body):
    """A refund of an order that exists, of all of it unless an amount is said."""

    amount_minor: int | None = Field(default=None, ge=1)
    reason: str | None = Field(default=None, max_length=200)
    returns_goods: bool = True


class Stock(Body):
    """How many pieces of a variant can be sold now."""

    shop: str
    sku_id: str
    stock: int = Field(ge=0, le=10**9)


class Doing(Body):
    """Something that a person does beside buying; which of the values count follows from `does`."""

    customer_id: str
    does: Literal[
        "chat",
        "write",
        "befriend",
        "unfriend",
        "note",
        "tag",
        "untag",
        "follow",
        "unfollow",
        "scan",
        "take_coupon",
        "fill_cart",
        "visit",
    ]
    text: str = Field(default="", max_length=2000)
    direction: Literal["in", "out"] = "in"
    account: str = OFFICIAL_ACCOUNT
    code: str = ""
    place: str = ""
    shop: str = ""
    source: Literal["live", "chat", "shop"] = "shop"
    value_minor: int = Field(default=1000, ge=1)
    days: Day = 7
    sku_ids: list[str] = Field(default_factory=list, max_length=50)
    name: str = "page_view"
    item_id: str = ""
    category: str = ""
    known: bool = True
    userid: str = ""
    by: Literal["customer", "staff"] = "customer"
    phone: str = Field(default="", max_length=20)
    tag: str = Field(default="", max_length=30)
    group: str = Field(default="", max_length=30)


class DroppedTag(Body):
    """A corp tag that an administrator deletes."""

    tag: str
    group: str


class Spending(Body):
    """A coupon used on an order, or run out when there is none; a cart ordered, or emptied when there is none."""

    order_id: str = ""


def add_shopping_routes(router: APIRouter, world: World) -> None:
    """/orders, /stock, /doings, /coupons and /carts."""
    _add_order_routes(router, world)

    @router.post("/doings", status_code=201)
    async def do(wanted: Doing) -> Json:
        """A person chats, writes, scans, follows, takes a coupon, fills a cart or looks around."""
        return _do(world, wanted)

    @router.post("/corp-tags/drop")
    async def drop(wanted: DroppedTag) -> Json:
        """An administrator of the corp deletes a tag."""
        return dump(friendships.drop_tag(world, wanted.tag, wanted.group))

    @router.post("/coupons/{coupon_id}/spend")
    async def spend(coupon_id: str, spending: Spending) -> Json:
        """A coupon is used or runs out."""
        return interactions.spend_coupon(world, coupon_id, spending.order_id).dump()

    @router.post("/carts/{cart_id}/end")
    async def end(cart_id: str, spending: Spending) -> Json:
        """What is in a cart is ordered, or taken out."""
        return interactions.end_cart(world, cart_id, spending.order_id).dump()


def _add_order_routes(router: APIRouter, world: World) -> None:
    def known(order_id: str) -> Order:
        order = world.orders.get(order_id)
        if order is None:
            raise LookupError(f"no order {order_id!r}")
        return order

    @router.post("/orders", status_code=201)
    async def place(wanted: NewOrder) -> Json:
        """Places an order and takes it as far as wanted."""
        order = trade.place_order(world, **wanted.model_dump(exclude={"status"}))
        for step in PATHS[wanted.status]:
            order = STEPS[step](world, order)
        return _shown(world, order)

    @router.get("/orders/{order_id}")
    async def show(order_id: str) -> Json:
        """One order as the world knows it."""
        return _shown(world, known(order_id))

    @router.post("/orders/{order_id}/steps")
    async def move(order_id: str, wanted: Step) -> Json:
        """Takes an order one step on."""
        order = known(order_id)
        if wanted.step == "ship":
            return _shown(world, trade.ship(world, order, wanted.waybill))
        return _shown(world, STEPS[wanted.step](world, order))

    @router.post("/orders/{order_id}/refunds", status_code=201)
    async def give_back(order_id: str, wanted: RefundWish) -> Json:
        """The buyer of an order asks for money back."""
        return trade.request_refund(world, known(order_id), **wanted.model_dump()).dump()

    @router.put("/stock")
    async def put_stock(wanted: Stock) -> Json:
        """So many pieces can be sold now."""
        goods = world.goods.get(f"{wanted.shop}/{wanted.sku_id}")
        if goods is None:
            raise LookupError(f"no goods {wanted.sku_id!r} in {wanted.shop}")
        return trade.set_stock(world, goods, wanted.stock).dump()

    @router.get("/goods")
    async def goods(shop: str) -> Json:
        """What a shop sells."""
        return {"goods": [row.dump() for row in world.goods.having(shop=shop)]}


def _do(world: World, wanted: Doing) -> Json:
    who = wanted.customer_id
    match wanted.does:
        case "chat":
            return interactions.chat(world, who, wanted.text, wanted.direction).dump()
        case "write":
            return interactions.write(world, who, wanted.account, wanted.text).dump()
        case "befriend":
            return friendships.befriend(world, who, wanted.code, wanted.userid).dump()
        case "unfriend":
            return friendships.unfriend(world, who, wanted.userid, wanted.by).dump()
        case "note":
            return friendships.note(world, who, wanted.phone, wanted.userid).dump()
        case "tag" | "untag":
            on = wanted.does == "tag"
            return friendships.tag(world, who, wanted.tag, wanted.group, wanted.userid, on=on).dump()
        case "follow" | "unfollow":
            following = wanted.does == "follow"
            return interactions.follow(world, who, wanted.account, wanted.code, following).dump()
        case "scan":
            return interactions.scan(world, who, wanted.account, wanted.code, wanted.place).dump()
        case "take_coupon":
            more: dict[str, Any] = wanted.model_dump(include={"value_minor", "source", "days"})
            return interactions.take_coupon(world, who, wanted.shop, **more).dump()
        case "fill_cart":
            return interactions.fill_cart(world, who, wanted.shop, tuple(wanted.sku_ids)).dump()
        case "visit":
            more = wanted.model_dump(include={"name", "item_id", "category", "known"})
            return interactions.visit(world, who, **more).dump()


def _shown(world: World, order: Order) -> Json:
    return {**order.dump(), "platform": world.platform_of(order.shop), "paid_minor": order.paid_minor}
