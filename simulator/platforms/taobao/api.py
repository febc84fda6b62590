"""Taobao's interfaces, as far as shops need them. Error sub-codes of refunds and shipping are assumed [U]."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator import trade
from simulator.entities import Order, OrderStatus, Refund
from simulator.platforms.articles import articles
from simulator.platforms.categories import categories_of
from simulator.platforms.signed_gateway import Call, china_time, only, page_of, whole_second
from simulator.platforms.taobao import render

if TYPE_CHECKING:
    from simulator.platforms.taobao import Taobao

Json = dict[str, Any]

WINDOW = timedelta(days=1)
SIZE_LIMIT = 100
REACHES_BACK = timedelta(days=92)


class ApiError(Exception):
    """An `error_response`."""

    def __init__(self, code: int, message: str, sub_code: str = "", sub_message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.sub_code = sub_code
        self.sub_message = sub_message


Handler = Callable[["Taobao", Call], Json]


def seller_get(_platform: Taobao, call: Call) -> Json:
    """Who the shop is."""
    return {"user": {"user_id": call.shop.number, "nick": call.shop.name}}


def trade_fullinfo_get(platform: Taobao, call: Call) -> Json:
    """One trade."""
    return {"trade": only(render.trade(platform, _order(call)), _fields(call))}


def trades_increment_get(platform: Taobao, call: Call) -> Json:
    """Trades by the time of their last change, newest first."""
    start, end = _window(platform, call)
    rows = call.world.orders.between("updated", start, end, shop=call.shop.id)
    shown = [render.trade(platform, order) for order in reversed(rows)]
    return _listed(call, shown, "trades", "trade")


def refunds_receive_get(platform: Taobao, call: Call) -> Json:
    """Refunds by the time of their last change, newest first."""
    start, end = _window(platform, call)
    rows = call.world.refunds.between("modified", start, end, shop=call.shop.id)
    shown = [render.refund(platform, row) for row in reversed(rows)]
    return _listed(call, shown, "refunds", "refund")


def refund_get(platform: Taobao, call: Call) -> Json:
    """One refund, with the version that the next step needs."""
    return {"refund": only(render.refund(platform, _refund(call)), _fields(call))}


def refunds_agree(_platform: Taobao, call: Call) -> Json:
    """Pays back what `refund_infos` names: id|amount in fen|version|phase."""
    parts = call.params.get("refund_infos", "").split("|")
    if len(parts) != 4 or not parts[1].isdigit() or not parts[2].isdigit():
        raise ApiError(15, "Remote service error", "isv.invalid-parameter", "refund_infos")
    row = _refund(call, parts[0])
    version = int(parts[2]) if row.amount_minor == int(parts[1]) else -1
    try:
        paid = trade.pay_back(call.world, row, version)
    except trade.TradeRefusal as refusal:
        raise _attempt(call, "refund_agreed", {"refund_id": row.id, "tid": row.tid}, refusal) from refusal
    _record(call, "refund_agreed", {"refund_id": row.id, "tid": row.tid}, amount_minor=paid.amount_minor)
    return {"succ": True, "results": {"refund_mapping_result": [{"refund_id": row.id, "succ": True, "message": ""}]}}


def refund_refuse(platform: Taobao, call: Call) -> Json:
    """Says no, with words the buyer reads."""
    row = _refund(call)
    version = call.params.get("refund_version", "")
    remark = call.params.get("refuse_message", "")
    if not version.isdigit() or not remark:
        raise ApiError(15, "Remote service error", "isv.invalid-parameter", "refund_version, refuse_message")
    try:
        refused = trade.refuse(call.world, row, int(version), remark)
    except trade.TradeRefusal as refusal:
        raise _attempt(call, "refund_refused", {"refund_id": row.id, "tid": row.tid}, refusal) from refusal
    _record(call, "refund_refused", {"refund_id": row.id, "tid": row.tid})
    return {"is_success": True, "refund": render.refund(platform, refused)}


def items_onsale(_platform: Taobao, call: Call) -> Json:
    """Articles on sale."""
    return _items(call, on_sale=True)


def items_inventory(_platform: Taobao, call: Call) -> Json:
    """Articles that were put away."""
    return _items(call, on_sale=False)


def item_skus(_platform: Taobao, call: Call) -> Json:
    """The variants of up to 40 articles."""
    wanted = call.params.get("num_iids", "").split(",")
    if not 1 <= len(wanted) <= 40:
        raise ApiError(41, "Invalid arguments:num_iids")
    rows = [row for row in call.world.goods.having(shop=call.shop.id) if row.item_id in wanted]
    return {"skus": {"sku": [only(render.sku(row), _fields(call)) for row in rows]}} if rows else {}


def itemcats_get(_platform: Taobao, call: Call) -> Json:
    """The names of categories; those that nobody knows are left out."""
    wanted = call.params.get("cids", "").split(",")
    known = categories_of(call.world, call.shop)
    rows = [{"cid": number, "name": name} for number, name in sorted(known.items()) if str(number) in wanted]
    return {"item_cats": {"item_cat": [only(row, _fields(call)) for row in rows]}} if rows else {}


def offline_send(_platform: Taobao, call: Call) -> Json:
    """Ships an order that was handed to a carrier."""
    order = _order(call)
    waybill = call.params.get("out_sid", "")
    if not waybill or not call.params.get("company_code"):
        raise ApiError(40, "Missing required arguments:out_sid, company_code")
    subjects = {"tid": order.id, "order_id": order.id}
    if order.status is not OrderStatus.PAID:
        refusal = trade.TradeRefusal("isv.trade-status-error")
        raise _attempt(call, "shipped", subjects, refusal) from None
    trade.ship(call.world, order, waybill)
    _record(call, "shipped", {**subjects, "waybill": waybill})
    return {"shipping": {"is_success": True}}


def messages_consume(platform: Taobao, call: Call) -> Json:
    """The oldest messages that nobody confirmed and that were not given out a moment ago."""
    quantity = call.params.get("quantity", "100")
    if not quantity.isdigit() or not 10 <= int(quantity) <= 200:
        raise ApiError(41, "Invalid arguments:quantity")
    found = platform.messages.take(call.shop.id, int(quantity), platform.wall())
    return {"messages": {"tmc_message": found}} if found else {}


def messages_confirm(platform: Taobao, call: Call) -> Json:
    """Messages that need not come again."""
    platform.messages.confirm(call.params.get("s_message_ids", "").split(","))
    return {"is_success": True}


OF_SHOPS: dict[str, Handler] = {
    "taobao.user.seller.get": seller_get,
    "taobao.trade.fullinfo.get": trade_fullinfo_get,
    "taobao.trades.sold.increment.get": trades_increment_get,
    "taobao.refunds.receive.get": refunds_receive_get,
    "taobao.refund.get": refund_get,
    "taobao.rp.refunds.agree": refunds_agree,
    "taobao.refund.refuse": refund_refuse,
    "taobao.items.onsale.get": items_onsale,
    "taobao.items.inventory.get": items_inventory,
    "taobao.item.skus.get": item_skus,
    "taobao.itemcats.get": itemcats_get,
    "taobao.logistics.offline.send": offline_send,
}
OF_APPLICATIONS: dict[str, Handler] = {
    "taobao.tmc.messages.consume": messages_consume,
    "taobao.tmc.messages.confirm": messages_confirm,
}
_REFUSALS = {
    trade.STALE_STATUS: "isv.refund-status-error",
    trade.STALE_VERSION: "isv.refund-version-error",
}


def _order(call: Call) -> Order:
    order = call.world.orders.get(call.params.get("tid", ""))
    if order is None:
        raise ApiError(15, "Remote service error", "isv.trade-not-exist", "交易不存在")
    if order.shop != call.shop.id:
        raise ApiError(15, "Remote service error", "isv.trade-isnot-yours", "不是本店铺的交易")
    return order


def _refund(call: Call, refund_id: str | None = None) -> Refund:
    row = call.world.refunds.get(refund_id or call.params.get("refund_id", ""))
    if row is None or row.shop != call.shop.id:
        raise ApiError(15, "Remote service error", "isv.refund-not-exist", "退款单不存在")
    return row


def _fields(call: Call) -> str:
    """What is to be told: nothing else is, and somebody who does not say so is refused."""
    asked = call.params.get("fields", "")
    if not asked:
        raise ApiError(40, "Missing required arguments:fields")
    return asked


def _window(platform: Taobao, call: Call) -> tuple[datetime, datetime]:
    start = china_time(call.params.get("start_modified", ""))
    end = china_time(call.params.get("end_modified", ""))
    if start is None or end is None or start > end:
        raise ApiError(41, "Invalid arguments:start_modified, end_modified")
    if end - start > WINDOW:
        raise ApiError(41, "Invalid arguments:时间跨度不能超过1天")
    if start < platform.now() - REACHES_BACK:
        raise ApiError(41, "Invalid arguments:只能查询三个月内的数据")
    return start, min(whole_second(end), platform.visible_until())


def _listed(call: Call, rows: list[Json], outer: str, inner: str) -> Json:
    page, size = call.params.get("page_no", "1"), call.params.get("page_size", "40")
    if not page.isdigit() or not size.isdigit() or not 1 <= int(size) <= SIZE_LIMIT or int(page) < 1:
        raise ApiError(41, "Invalid arguments:page_no, page_size")
    asked = _fields(call)
    shown: Json = {outer: {inner: [only(row, asked) for row in page_of(rows, int(page), int(size))]}}
    if call.params.get("use_has_next") == "true":
        return {**shown, "has_next": int(page) * int(size) < len(rows)}
    return {**shown, "total_results": len(rows)}


def _items(call: Call, *, on_sale: bool) -> Json:
    page, size = call.params.get("page_no", "1"), call.params.get("page_size", "40")
    if not page.isdigit() or not size.isdigit() or not 1 <= int(size) <= 200 or int(page) < 1:
        raise ApiError(41, "Invalid arguments:page_no, page_size")
    found = [rows for rows in articles(call.world, call.shop) if any(row.on_sale for row in rows) is on_sale]
    shown = page_of([only(render.item(rows), _fields(call)) for rows in found], int(page), int(size))
    return {**({"items": {"item": shown}} if shown else {}), "total_results": len(found)}


def _attempt(call: Call, kind: str, subjects: dict[str, str], refusal: trade.TradeRefusal) -> ApiError:
    _record(call, kind, subjects, code=15)
    return ApiError(15, "Remote service error", _REFUSALS.get(refusal.why, refusal.why), "状态已变化")


def _record(call: Call, kind: str, subjects: dict[str, str], *, code: int = 0, amount_minor: int | None = None) -> None:
    call.world.ledger.record(
        kind, "taobao", call.shop.id, request=call.params, subjects=subjects, code=code, amount_minor=amount_minor
    )
