"""How every order and refund really stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simulator.entities import Order, Refund
from simulator.truth.page import Json, Page
from simulator.world import World


def orders(world: World, platform: str | None, account: str | None, after: int, limit: int) -> Page:
    """Orders in the order they came: number, status, amounts in fen, instants, the person and their account."""
    return _page(_of(world, platform, account, world.orders), after, limit, lambda row: _order(world, row))


def refunds(world: World, platform: str | None, account: str | None, after: int, limit: int) -> Page:
    """Refunds likewise."""
    return _page(_of(world, platform, account, world.refunds), after, limit, lambda row: _refund(world, row))


def summary(world: World) -> Json:
    """Per platform: how many orders and refunds, their sums in fen, and how many stand where."""
    told: dict[str, Json] = {}
    for order in world.orders:
        of = told.setdefault(world.platform_of(order.shop), _nothing())
        of["orders"] += 1
        of["paid_minor"] += order.paid_minor if order.paid_at else 0
        of["order_statuses"][order.status.value] = of["order_statuses"].get(order.status.value, 0) + 1
    for refund in world.refunds:
        of = told.setdefault(world.platform_of(refund.shop), _nothing())
        of["refunds"] += 1
        of["refunded_minor"] += refund.amount_minor if refund.succeeded_at else 0
        of["refund_statuses"][refund.status.value] = of["refund_statuses"].get(refund.status.value, 0) + 1
    people = {"persons": len(world.customers), "sharing": sum(1 for row in world.customers if row.household)}
    return {"platforms": told, **people}


def _nothing() -> Json:
    counts = {"orders": 0, "paid_minor": 0, "refunds": 0, "refunded_minor": 0}
    return {**counts, "order_statuses": {}, "refund_statuses": {}}


def _order(world: World, row: Order) -> Json:
    buyer = world.buyers.get(row.buyer)
    shown = row.dump()
    times = ("created_at", "paid_at", "shipped_at", "finished_at", "updated_at")
    return {
        "order_id": row.id,
        "platform": world.platform_of(row.shop),
        "account": row.shop,
        "status": row.status.value,
        "paid_minor": row.paid_minor,
        "was_paid": row.paid_at is not None,
        "goods_minor": row.goods_minor,
        "postage_minor": row.postage_minor,
        "discount_minor": row.discount_minor,
        "refunded_minor": row.refunded_minor,
        "pieces": sum(line.count for line in row.lines),
        "waybill": row.waybill,
        "person": row.customer_id,
        "buyer_id": buyer.buyer_id if buyer else None,
        **{name: shown[name] for name in times},
    }


def _refund(world: World, row: Refund) -> Json:
    shown = row.dump()
    return {
        "refund_id": row.id,
        "order_id": row.tid,
        "platform": world.platform_of(row.shop),
        "account": row.shop,
        "status": row.status.value,
        "amount_minor": row.amount_minor,
        "returns_goods": row.returns_goods,
        "person": row.customer_id,
        **{name: shown[name] for name in ("created_at", "modified_at", "succeeded_at")},
    }


def _of(world: World, platform: str | None, account: str | None, rows: Any) -> Iterable[Any]:
    """The rows of an account, of a platform's accounts, or all."""
    if account is not None:
        return [row for row in rows.having(shop=account) if platform in (None, world.platform_of(account))]
    if platform is not None:
        return [row for shop in world.shops.having(platform=platform) for row in rows.having(shop=shop.id)]
    return list(rows)


def _page(rows: Any, after: int, limit: int, show: Any) -> Page:
    shown = [show(row) for row in rows[after : after + limit]]
    return Page(len(rows), shown, after + limit if after + limit < len(rows) else None)
