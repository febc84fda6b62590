"""Douyin's interfaces: lists by time of change, details, shipping, after-sale.

Source: op.jinritemai.com, interface documents, as read in public SDKs [S].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from simulator import trade
from simulator.entities import Goods, Order, OrderStatus, Refund, RefundStatus, Shop
from simulator.platforms.base import Json, PlatformBase
from simulator.platforms.douyin import render
from simulator.seeding import CHINA
from simulator.world import World

UNVERIFIED = (
    "which sub_code the platform writes for which refusal",
    "that afterSale.List takes update_start_time and update_end_time",
    "afterSale.Operate's numbers: 101, 102, 111, 112, 201, 202",
    "that the token desk names the shop by shop_id",
    "where product.listV2 names an article's videos",
)
MOST_ROWS = 10_000
LONGEST_BACK = timedelta(days=90)
COMPANIES = {"shunfeng": 7, "yuantong": 2, "zhongtong": 4, "shentong": 1, "jd": 138}
AGREE_RETURN, REFUSE_RETURN, AGREE_RETURNED, REFUSE_RETURNED, AGREE_MONEY, REFUSE_MONEY = 101, 102, 111, 112, 201, 202


class ApiError(Exception):
    """A refusal: HTTP 200 with a code other than 10000."""

    def __init__(self, code: int, sub_code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.sub_code = sub_code
        self.message = message


@dataclass(frozen=True)
class Call:
    """One call: the shop of its token and its parameters."""

    platform: PlatformBase
    world: World
    shop: Shop
    params: Json

    def text(self, name: str) -> str:
        """A parameter that must be there, numbers as their digits."""
        value = self.params.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise ApiError(40004, "isv.parameter-invalid:1", f"{name} is needed")
        return str(value)

    def whole(self, name: str, default: int) -> int:
        """An integer parameter."""
        value = self.params.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ApiError(40004, "isv.parameter-invalid:2", f"{name} must be an integer")
        return value


Handler = Callable[[Call], Json]
Row = TypeVar("Row")


def search_orders(call: Call) -> Json:
    """order.searchList: by time of change or of creation, newest created first; pages from 0."""
    span, moment = _span(call, "update_time_start", "update_time_end"), "updated"
    if span is None:
        span, moment = _span(call, "create_time_start", "create_time_end"), "created"
    if span is None:
        raise ApiError(40004, "isv.parameter-invalid:3", "a time span is needed")
    rows = call.world.orders.between(moment, *span, shop=call.shop.id)
    rows.sort(key=lambda row: (row.created_at, row.id), reverse=True)
    page, size, shown = _page(call, rows, first=0)
    return {"page": page, "size": size, "total": len(rows), "shop_order_list": [_order(call, row) for row in shown]}


def order_detail(call: Call) -> Json:
    """order.orderDetail."""
    return {"shop_order_detail": _order(call, _order_row(call, "shop_order_id"))}


def add_logistics(call: Call) -> Json:
    """order.logisticsAdd: an order goes out once."""
    row, waybill = _order_row(call, "order_id"), call.text("logistics_code")
    company = COMPANIES.get(call.text("company_code"))
    if company is None:
        raise ApiError(40004, "isv.parameter-invalid:5", "company_code is not known")
    subjects = {"tid": row.id, "waybill": waybill}
    try:
        trade.ship(call.world, row, waybill, company)
    except trade.TradeRefusal:
        _record(call, "shipped", subjects, code=50002)
        raise ApiError(50002, "isv.business-failed:order-already-shipped", "订单已发货或不能发货") from None
    _record(call, "shipped", subjects)
    return {"order_id": row.id}


def list_refunds(call: Call) -> Json:
    """afterSale.List: one by its number, or by time of change; pages from 0."""
    if call.params.get("aftersale_id"):
        found = call.world.refunds.get(call.text("aftersale_id"))
        rows = [found] if found is not None and found.shop == call.shop.id else []
    else:
        span = _span(call, "update_start_time", "update_end_time")
        if span is None:
            raise ApiError(40004, "isv.parameter-invalid:3", "a time span is needed")
        rows = call.world.refunds.between("modified", *span, shop=call.shop.id)
        rows.sort(key=lambda row: (row.created_at, row.id), reverse=True)
    page, size, shown = _page(call, rows, first=0)
    more = (page + 1) * size < len(rows)
    items = [render.refund(call.world, row) for row in shown]
    return {"page": page, "size": size, "total": len(rows), "has_more": more, "items": items}


def operate_refund(call: Call) -> Json:
    """afterSale.Operate: one step of each refund named; the answer tells of each whether it was done."""
    operation, items = call.whole("type", 0), call.params.get("items")
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise ApiError(40004, "isv.parameter-invalid:4", "items is needed")
    return {"items": [_operate(call, operation, item) for item in items]}


def list_goods(call: Call) -> Json:
    """product.listV2: by time of change; pages from 1."""
    span = _span(call, "update_start_time", "update_end_time", longest=timedelta(days=5000))
    rows = call.world.goods.between("updated", *(span or (None, None)), shop=call.shop.id)
    articles: dict[str, list[Goods]] = {}
    for row in rows:
        articles.setdefault(row.item_id, []).append(row)
    page, size, shown = _page(call, list(articles.values()), first=1)
    return {"page": page, "size": size, "total": len(articles), "data": [render.goods(each) for each in shown]}


def product_detail(call: Call) -> Json:
    """product.detail: one article with its variants."""
    number = call.text("product_id")
    rows = [row for row in call.world.goods.having(shop=call.shop.id) if row.item_id == number]
    if not rows:
        raise ApiError(50002, "isv.business-failed:product-not-exist", "商品不存在")
    return render.product(rows)


def list_settled(call: Call) -> Json:
    """order.getSettleBillDetailV3: lines by the time they were settled; an index means something only with its time."""
    index, start = str(call.params.get("start_index") or ""), _local(call, "start_time")
    orders = call.world.orders.between("finished", start, _local(call, "end_time"), shop=call.shop.id)
    rows = [(row, line) for row in orders if row.status is OrderStatus.COMPLETED for line in row.lines]
    rows.sort(key=lambda pair: (int(pair[0].finished_at.timestamp()) if pair[0].finished_at else 0, pair[1].oid))
    if index:
        places = [
            place for place, (row, line) in enumerate(rows) if line.oid == index and _same(row.finished_at, start)
        ]
        if not places:
            raise ApiError(40004, "isv.parameter-invalid:9", "start_index does not belong to start_time")
        rows = rows[places[0] :]
    size = call.whole("size", 20)
    shown, rest = rows[:size], rows[size : size + 1]
    following = {}
    for row, line in rest:
        following = {"next_start_index": line.oid, "next_start_time": render.local(row.finished_at)}
    return {"is_end": 0 if rest else 1, "size": size, **following, "data": [render.settled(*pair) for pair in shown]}


APIS: dict[str, Handler] = {
    "order.searchList": search_orders,
    "order.orderDetail": order_detail,
    "order.logisticsAdd": add_logistics,
    "afterSale.List": list_refunds,
    "afterSale.Operate": operate_refund,
    "product.listV2": list_goods,
    "product.detail": product_detail,
    "order.getSettleBillDetailV3": list_settled,
}


def _operate(call: Call, operation: int, item: Json) -> Json:
    row = call.world.refunds.get(str(item.get("aftersale_id", "")))
    if row is None or row.shop != call.shop.id:
        raise ApiError(50002, "isv.business-failed:aftersale-not-exist", "售后单不存在")
    kind = {AGREE_RETURN: "return_agreed", AGREE_RETURNED: "refund_agreed", AGREE_MONEY: "refund_agreed"}.get(operation)
    kind = kind or "refund_refused"
    subjects = {"refund_id": row.id, "tid": row.tid}
    try:
        after = _step(call, operation, row, item)
    except trade.TradeRefusal:
        _record(call, kind, subjects, code=50002)
        return {"aftersale_id": row.id, "status_code": 50002, "status_msg": "售后状态已变更，请刷新后重试"}
    amount = after.amount_minor if after.status is RefundStatus.REFUNDED else None
    _record(call, kind, subjects, amount_minor=amount)
    return {"aftersale_id": row.id, "status_code": 0, "status_msg": ""}


def _step(call: Call, operation: int, row: Refund, item: Json) -> Refund:
    world, version = call.world, row.version
    if item.get("update_time") not in (None, int(row.modified_at.timestamp())):
        raise trade.TradeRefusal(trade.STALE_VERSION)
    if operation == AGREE_RETURN and row.returns_goods:
        return trade.agree_return(world, row, version)
    if operation == AGREE_RETURNED and row.status is RefundStatus.RETURNED:
        return trade.pay_back(world, row, version)
    if operation == AGREE_MONEY and not row.returns_goods:
        return trade.pay_back(world, row, version)
    if operation in (REFUSE_RETURN, REFUSE_RETURNED, REFUSE_MONEY):
        return trade.refuse(world, row, version, str(item.get("reason", "")))
    raise trade.TradeRefusal(trade.STALE_STATUS)


def _local(call: Call, name: str) -> datetime:
    try:
        return datetime.strptime(call.text(name), "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    except ValueError:
        raise ApiError(40004, "isv.parameter-invalid:10", f"{name} is no time") from None


def _same(at: datetime | None, second: datetime) -> bool:
    return at is not None and int(at.timestamp()) == int(second.timestamp())


def _order(call: Call, row: Order) -> Json:
    return render.order(call.world, call.shop, row, *call.platform.who(row))


def _order_row(call: Call, name: str) -> Order:
    row = call.world.orders.get(call.text(name))
    if row is None or row.shop != call.shop.id:
        raise ApiError(50002, "isv.business-failed:order-not-exist", "订单不存在")
    return row


def _span(call: Call, start: str, end: str, longest: timedelta = LONGEST_BACK) -> tuple[datetime, datetime] | None:
    if start not in call.params or end not in call.params:
        return None
    first, last = (datetime.fromtimestamp(call.whole(name, 0), UTC) for name in (start, end))
    if last < first or first < call.world.clock.now() - longest - timedelta(minutes=1):
        raise ApiError(40004, "isv.parameter-invalid:5", "the time span is empty or reaches back more than 90 days")
    # Whole seconds, both ends included.
    return first, last + timedelta(seconds=1) - timedelta(microseconds=1)


def _page(call: Call, rows: list[Row], *, first: int) -> tuple[int, int, list[Row]]:
    page, size = call.whole("page", first), call.whole("size", 10)
    if page < first or not 1 <= size <= 100 or (page - first) * size >= MOST_ROWS:
        raise ApiError(40004, "isv.parameter-invalid:6", "page and size: size ≤ 100, page × size ≤ 10,000")
    start = (page - first) * size
    return page, size, rows[start : start + size]


def _record(call: Call, kind: str, subjects: dict[str, str], *, code: int = 0, amount_minor: int | None = None) -> None:
    call.world.ledger.record(
        kind, "douyin", call.shop.id, request=call.params, subjects=subjects, code=code, amount_minor=amount_minor
    )
