"""A WeChat Store: orders and refunds by number, lists by next_key, callbacks.

Source: developers.weixin.qq.com, the store's order, delivery and after-sale interfaces, as read in public SDKs [S].
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator import trade
from simulator.entities import Coupon, Goods, Order, Push, Refund, RefundStatus
from simulator.happenings import Happening, What
from simulator.platforms.articles import articles
from simulator.platforms.base import Json
from simulator.platforms.categories import TOP, categories_of, number_of
from simulator.platforms.wechat import Call, ErrCode, WechatPlatform, answer
from simulator.platforms.wechat_store import render
from simulator.platforms.wechat_store.running_low import EVENT as LOW_EVENT
from simulator.platforms.wechat_store.running_low import RunningLow, low
from simulator.world import World

UNVERIFIED = (
    "the error codes 10020051 to 10020055",
    "that getaftersalelist takes begin_update_time and end_update_time, at most 24 hours apart",
    "order_scene's numbers: 2 live, 3 short video",
)
LONGEST_WINDOW = timedelta(days=7)
LONGEST_REFUND_WINDOW = timedelta(hours=24)
ORDER_EVENTS = {
    What.ORDER_CREATED: "channels_ec_order_new",
    What.ORDER_PAID: "channels_ec_order_pay",
    What.ORDER_SHIPPED: "channels_ec_order_deliver",
    What.ORDER_COMPLETED: "channels_ec_order_confirm",
    What.ORDER_CLOSED: "channels_ec_order_cancel",
}
REFUND_EVENT = "channels_ec_aftersale_update"
COUPON_EVENTS = {
    What.COUPON_TAKEN: ("channels_ec_coupon_receive", "receive_info", "receive_time"),
    What.COUPON_USED: ("channels_ec_user_coupon_use", "use_info", "use_time"),
    What.COUPON_EXPIRED: ("channels_ec_user_coupon_expire", "user_coupon_info", "expire_time"),
}
"""The callback, and where it keeps its fields: received [O], used and expired by public SDKs [S]."""


def list_orders(call: Call) -> Json:
    """channels/ec/order/list/get: numbers by time of change, windows of up to 7 days."""
    span = call.params.get("update_time_range")
    start, end = _window(span if isinstance(span, dict) else {}, "start_time", "end_time", LONGEST_WINDOW)
    rows = call.world.orders.between("updated", start, end, shop=call.shop.id)
    size = call.params.get("page_size", 10)
    if not isinstance(size, int) or not 1 <= size <= 100:
        raise ErrCode(10020051, "page_size")
    shown, more = _page([(row.updated_at, row.id) for row in rows], call, size)
    return answer(order_id_list=[number for _at, number in shown], **more)


def get_order(call: Call) -> Json:
    """channels/ec/order/get."""
    return answer(order=render.order(call, _order_row(call)))


def send_delivery(call: Call) -> Json:
    """channels/ec/order/delivery/send: an order goes out once."""
    row, parcels = _order_row(call), call.params.get("delivery_list")
    if not isinstance(parcels, list) or len(parcels) != 1 or not isinstance(parcels[0], dict):
        raise ErrCode(10020051, "delivery_list")
    products = parcels[0].get("product_infos")
    if not isinstance(products, list) or len(products) != len(row.lines):
        raise ErrCode(10020051, "product_infos")
    waybill = str(parcels[0].get("waybill_id") or "")
    subjects = {"tid": row.id, "waybill": waybill}
    try:
        trade.ship(call.world, row, waybill)
    except trade.TradeRefusal:
        call.record("shipped", subjects, code=10020053)
        raise ErrCode(10020053) from None
    call.record("shipped", subjects)
    return answer()


def list_refunds(call: Call) -> Json:
    """channels/ec/aftersale/getaftersalelist: numbers by time of change, windows of up to 24 hours."""
    start, end = _window(call.params, "begin_update_time", "end_update_time", LONGEST_REFUND_WINDOW)
    rows = call.world.refunds.between("modified", start, end, shop=call.shop.id)
    shown, more = _page([(row.modified_at, row.id) for row in rows], call, 50)
    return answer(after_sale_order_id_list=[number for _at, number in shown], **more)


def get_refund(call: Call) -> Json:
    """channels/ec/aftersale/getaftersaleorder."""
    return answer(after_sale_order=render.refund(call, _refund_row(call)))


def accept_refund(call: Call) -> Json:
    """channels/ec/aftersale/acceptapply: the money goes back, or the goods may come back first."""
    row = _refund_row(call)
    returning = row.returns_goods and row.status is RefundStatus.REQUESTED
    kind = "return_agreed" if returning else "refund_agreed"
    try:
        step = trade.agree_return if returning else trade.pay_back
        after = step(call.world, row, row.version)
    except trade.TradeRefusal:
        call.record(kind, _subjects(row), code=10020055)
        raise ErrCode(10020055) from None
    call.record(kind, _subjects(row), amount_minor=None if returning else after.amount_minor)
    return answer()


def reject_refund(call: Call) -> Json:
    """channels/ec/aftersale/rejectapply."""
    row = _refund_row(call)
    try:
        trade.refuse(call.world, row, row.version, str(call.params.get("reject_reason") or ""))
    except trade.TradeRefusal:
        call.record("refund_refused", _subjects(row), code=10020055)
        raise ErrCode(10020055) from None
    call.record("refund_refused", _subjects(row))
    return answer()


def list_products(call: Call) -> Json:
    """channels/ec/product/list/get: numbers of articles, up to 30 a page."""
    size = call.params.get("page_size", 10)
    if not isinstance(size, int) or not 1 <= size <= 30:
        raise ErrCode(10020051, "page_size")
    found = [rows[0].item_id for rows in articles(call.world, call.shop)]
    behind = [number for number in found if number > str(call.params.get("next_key") or "")]
    shown = behind[:size]
    following = shown[-1] if len(behind) > size else ""
    return answer(product_ids=[int(number) for number in shown], total_num=len(found), next_key=following)


def get_product(call: Call) -> Json:
    """channels/ec/product/get: an article with its variants."""
    wanted = str(call.params.get("product_id"))
    rows = next((rows for rows in articles(call.world, call.shop) if rows[0].item_id == wanted), None)
    if rows is None:
        raise ErrCode(10020052)
    return answer(product=render.article(rows))


def all_categories(call: Call) -> Json:
    """channels/ec/category/all: every category with what it takes to sell there."""
    known = {number_of(TOP): TOP, **categories_of(call.world, call.shop)}
    cats = [
        {"cat": {"cat_id": str(number), "f_cat_id": "0" if name == TOP else str(number_of(TOP)), "name": name}}
        for number, name in known.items()
    ]
    return answer(cats=[{"cat_and_qua": cats}])


class WechatStore(WechatPlatform):
    """The platform; what its API does is pushed as well."""

    name = "wechat_store"
    shows = frozenset({"openid", "unionid"})
    apis = {
        "channels/ec/order/list/get": ("POST", list_orders),
        "channels/ec/order/get": ("POST", get_order),
        "channels/ec/order/delivery/send": ("POST", send_delivery),
        "channels/ec/aftersale/getaftersalelist": ("POST", list_refunds),
        "channels/ec/aftersale/getaftersaleorder": ("POST", get_refund),
        "channels/ec/aftersale/acceptapply": ("POST", accept_refund),
        "channels/ec/aftersale/rejectapply": ("POST", reject_refund),
        "channels/ec/product/list/get": ("POST", list_products),
        "channels/ec/product/get": ("POST", get_product),
        "channels/ec/category/all": ("GET", all_categories),
    }

    def __init__(self, world: World) -> None:
        super().__init__(world)
        world.seeder(self._be_new)

    def _be_new(self) -> None:
        self.running_low = RunningLow()

    def pushes_for(self, happening: Happening) -> list[Push]:
        """What happens to orders, refunds and coupons, and that goods run low."""
        row = happening.row
        if isinstance(row, Order) and happening.what in ORDER_EVENTS:
            return [self._order_push(happening.account, ORDER_EVENTS[happening.what], row, happening.at)]
        if isinstance(row, Refund):
            return [self._refund_push(happening.account, row, happening.at)]
        if isinstance(row, Goods) and self.running_low.crosses(row):
            sender = "o_wechat_team"
            return [self._at(self.callback(happening.account, LOW_EVENT, sender, low(row)), happening.at)]
        if isinstance(row, Coupon) and happening.what in COUPON_EVENTS:
            return [self._coupon_push(happening.account, happening.what, row, happening.at)]
        return []

    def event(self, account: str, event: str, subjects: Mapping[str, str]) -> Push:
        """A callback about an order (tid) or a refund (refund_id)."""
        order = self.world.orders.get(subjects.get("tid", ""))
        refund = self.world.refunds.get(subjects.get("refund_id", ""))
        known = {*ORDER_EVENTS.values(), "channels_ec_order_settle"}
        if event in known and order is not None and order.shop == account:
            return self._order_push(account, event, order, self.world.clock.now())
        if event == REFUND_EVENT and refund is not None and refund.shop == account:
            return self._refund_push(account, refund, self.world.clock.now())
        raise LookupError(f"no callback {event!r} about {dict(subjects)} of {account}")

    def _order_push(self, account: str, event: str, row: Order, at: datetime) -> Push:
        info: Json = {"order_id": int(row.id) if row.id.isdigit() else row.id}
        if event == "channels_ec_order_pay":
            info["pay_time"] = render.seconds(row.paid_at or at)
        if event == "channels_ec_order_deliver":
            info["finish_delivery"] = 1
        if event == "channels_ec_order_confirm":
            info["confirm_type"] = 1
        if event == "channels_ec_order_cancel":
            info["cancel_type"] = 2 if row.refunded_minor else 1
        if event == "channels_ec_order_settle":
            info["settle_time"] = render.seconds(at)
        return self._at(self.callback(account, event, self._buyer(row), {"order_info": info}), at)

    def _coupon_push(self, account: str, what: What, row: Coupon, at: datetime) -> Push:
        event, within, moment = COUPON_EVENTS[what]
        info: Json = {"coupon_id": row.batch, "user_coupon_id": row.id, moment: str(render.seconds(at))}
        if row.order_id:
            info["order_id"] = row.order_id
        buyer = self.world.buyers.get(row.buyer)
        return self._at(self.callback(account, event, buyer.openid if buyer else "", {within: info}), at)

    def _refund_push(self, account: str, row: Refund, at: datetime) -> Push:
        info = {"status": render.REFUND_WORDS[row.status], "after_sale_order_id": row.id, "order_id": row.tid}
        order = self.world.orders.get(row.tid)
        sender = self._buyer(order) if order is not None else ""
        push = self.callback(account, REFUND_EVENT, sender, {"finder_shop_aftersale_status_update": info})
        return self._at(push, at)

    def _buyer(self, row: Order) -> str:
        return self.who(row)[1].openid


def _order_row(call: Call) -> Order:
    row = call.world.orders.get(call.text("order_id"))
    if row is None or row.shop != call.shop.id:
        raise ErrCode(10020052)
    return row


def _refund_row(call: Call) -> Refund:
    row = call.world.refunds.get(call.text("after_sale_order_id"))
    if row is None or row.shop != call.shop.id:
        raise ErrCode(10020054)
    return row


def _subjects(row: Refund) -> dict[str, str]:
    return {"refund_id": row.id, "tid": row.tid}


def _window(source: Mapping[str, Any], start: str, end: str, longest: timedelta) -> tuple[datetime, datetime]:
    first, last = source.get(start), source.get(end)
    if not isinstance(first, int) or not isinstance(last, int) or last < first:
        raise ErrCode(10020051, "time range")
    if last - first > longest.total_seconds():
        raise ErrCode(10020051, f"time range is longer than {longest}")
    # Whole seconds, both ends included.
    return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last + 1, UTC) - timedelta(microseconds=1)


def _page(rows: list[tuple[datetime, str]], call: Call, size: int) -> tuple[list[tuple[datetime, str]], dict[str, Any]]:
    """The rows behind next_key, which names the last row shown."""
    given = call.params.get("next_key")
    if given:
        try:
            at, number = json.loads(base64.urlsafe_b64decode(str(given)))
            last = (datetime.fromisoformat(at), str(number))
        except (ValueError, TypeError):
            raise ErrCode(10020051, "next_key") from None
        rows = [row for row in rows if row > last]
    shown = rows[:size]
    key = ""
    if shown:
        key = base64.urlsafe_b64encode(json.dumps([shown[-1][0].isoformat(), shown[-1][1]]).encode()).decode()
    return shown, {"next_key": key, "has_more": len(rows) > size}
