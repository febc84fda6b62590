"""What Youzan's gateway offers under /api/{name}/{version}, and what each call does.

Source: doc.youzanyun.com as quoted by public notes and SDKs [S]; what no source confirms is in UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from simulator import trade
from simulator.entities import Buyer, Order, OrderStatus, Refund, RefundStatus
from simulator.platforms.youzan import goods, render, wire
from simulator.platforms.youzan.call import ApiError, Call, Handler, Json
from simulator.world import World

UNVERIFIED = frozenset(
    {
        "youzan.trade.refund.refuse/3.0.1",  # parameters known from 3.0.0; the newer version is assumed alike
        "youzan.trade.returngoods.agree/3.0.1",
        "auth/token",  # that its authority_id is the shop's kdt_id
        "youzan.logistics.goodsexpress.get/3.0.0",  # name and fields from old SDKs; stations' JSON is assumed
        "youzan.users.info.query/1.0.1",  # path to union_id within user_list is assumed
        "trade_refund_RefundSellerRefuse",  # the event of a plain refusal; its neighbours' names are documented
        "youzan.ump.coupon.consume.fetchlogs.get/3.0.2",  # that its people are named by yz_open_id
        "youzan.item.itemdetail.get/1.0.0",  # its marks are named as in youzan.item.common.update
        "youzan.cloud.secret.decrypt.single/1.0.0",
        "youzan.cloud.secret.decrypt.batch/1.0.0",
        "gateway 4301",  # the code for a missing permission, and for an address that is not on the shop's list
    }
)
"""[U]: calls and events whose name, version or fields no document at hand confirms."""

PAGE_LIMIT = 100
SIZE_LIMIT = 100
SEARCH_DEPTH = 3000


def trades_sold_get(call: Call) -> Json:
    """Orders of the shop, newest first by the time asked for; pages and sizes up to 100, windows to 3 months."""
    page, size = call.number("page_no", 1), call.number("page_size", 20)
    if size > SIZE_LIMIT or size < 1:
        raise ApiError(5000, "每页最多显示100条数据")
    if page > PAGE_LIMIT or page < 1:
        raise ApiError(5000, "查询页数超过100")
    orders, sorted_by = _orders(call)
    if status := call.params.get("status"):
        orders = [order for order in orders if render.ORDER_WORDS[order.status] == status]
    if tid := call.params.get("tid"):
        orders = [order for order in orders if order.id == tid]
    if yz_open_id := call.params.get("yz_open_id"):
        orders = [order for order in orders if order.buyer == f"youzan/{yz_open_id}"]
    orders.sort(key=lambda order: (sorted_by(order) or order.created_at, order.id), reverse=True)
    shown = orders[(page - 1) * size : page * size]
    return {
        "total_results": len(orders),
        "paginator": {
            "page": page,
            "page_size": size,
            "total_count": len(orders),
            "has_next": page * size < len(orders),
        },
        "full_order_info_list": [render.trade(call.world, call.shop, order) for order in shown],
    }


def trade_get(call: Call) -> Json:
    """One order. 5000 when it is not this shop's."""
    tid = call.text("tid")
    if not tid.startswith("E"):
        raise ApiError(106000004, "订单号非法")
    order = call.world.orders.get(tid)
    if order is None or order.shop != call.shop.id or not call.visible(order.created_at):
        raise ApiError(5000, "trade not found")
    return render.trade(call.world, call.shop, order)


def refund_get(call: Call) -> Json:
    """One refund, with the version that the next step needs."""
    return render.refund(call.world, call.shop, _refund(call))


def refund_search(call: Call) -> Json:
    """Refunds, latest change first; times are Unix seconds, page × size at most 3000."""
    page, size = call.number("page_no", 1), call.number("page_size", 20)
    if page > PAGE_LIMIT:
        raise ApiError(5000, "查询页数超过100")
    if page < 1 or size < 1:
        raise ApiError(53002, "page_size type error")
    if page * size > SEARCH_DEPTH:
        raise ApiError(5000, "超过ES搜索最大深度")
    rows = [row for row in call.world.refunds.having(shop=call.shop.id) if call.visible(row.created_at)]
    for prefix, moment in _REFUND_MOMENTS.items():
        if f"{prefix}_time_start" in call.params:
            start = datetime.fromtimestamp(call.number(f"{prefix}_time_start"), UTC)
            rows = [row for row in rows if moment(row) >= start]
        if f"{prefix}_time_end" in call.params:
            end = datetime.fromtimestamp(call.number(f"{prefix}_time_end"), UTC)
            rows = [row for row in rows if moment(row) <= end]
    for name, value in _REFUND_FILTERS.items():
        if wanted := call.params.get(name):
            rows = [row for row in rows if value(row) == wanted]
    rows.sort(key=lambda row: (row.modified_at, row.id), reverse=True)
    shown = rows[(page - 1) * size : page * size]
    return {"total": len(rows), "refunds": [render.refund_row(call.shop, row) for row in shown]}


def refund_agree(call: Call) -> Json:
    """Pays the money back, once: a repeat answers 102010002, an old version 103010039."""
    row = _refund(call, effect="refund_agreed")
    try:
        paid = trade.pay_back(call.world, row, _version(call))
    except trade.TradeRefusal as refusal:
        raise _attempt(call, "refund_agreed", row, refusal) from refusal
    _effect(call, "refund_agreed", paid)
    return {"is_success": True}


def refund_refuse(call: Call) -> Json:
    """Says no, with a remark the buyer reads."""
    row = _refund(call, effect="refund_refused")
    remark = call.text("remark")
    try:
        refused = trade.refuse(call.world, row, _version(call), remark)
    except trade.TradeRefusal as refusal:
        raise _attempt(call, "refund_refused", row, refusal) from refusal
    _effect(call, "refund_refused", refused)
    return {"is_success": True}


def returngoods_agree(call: Call) -> Json:
    """Lets the buyer send the goods back; the buyer then does."""
    row = _refund(call, effect="return_agreed")
    for name in ("address", "mobile", "name"):
        call.text(name)
    try:
        agreed = trade.agree_return(call.world, row, _version(call))
    except trade.TradeRefusal as refusal:
        raise _attempt(call, "return_agreed", row, refusal) from refusal
    _effect(call, "return_agreed", agreed)
    trade.send_back(call.world, agreed)
    return {"is_success": True}


def goodsexpress_get(call: Call) -> Json:
    """The stations of a parcel. `state`: 1 picked up, 0 on the way, 5 being delivered, 3 signed, 2 in trouble."""
    number = call.text("express_no")
    call.number("express_id")
    waybill = call.world.waybills.get(number)
    if waybill is None or waybill.shop != call.shop.id:
        return {"nu": number, "status": "0", "state": 0, "data": "[]", "message": "暂无物流信息"}
    return render.parcel(call.world, call.shop, waybill)


def express_get(_call: Call) -> Json:
    """The carriers and their numbers."""
    return {"allExpress": [{"id": number, "name": name, "display": 0} for number, name in trade.EXPRESS.items()]}


def online_confirm(call: Call) -> Json:
    """Ships an order: 102570007 when it was shipped before."""
    tid = call.text("tid")
    order = call.world.orders.get(tid)
    if order is None or order.shop != call.shop.id:
        raise ApiError(105000016, "订单不存在")
    number = "" if call.params.get("is_no_express") == 1 else call.text("out_sid")
    if order.status is not OrderStatus.PAID:
        code = 102570007 if order.shipped_at else 102570020
        call.record("shipped", {"tid": tid}, code=code)
        raise ApiError(code, "不能重复提交已发过货的商品" if order.shipped_at else "订单没有可发货的商品")
    trade.ship(call.world, order, number)
    call.record("shipped", {"tid": tid, "waybill": number})
    return {"is_success": True}


def users_info_query(call: Call) -> Json:
    """Who a buyer is in WeChat's words; by yz_open_id, mobile, weixin_union_id or weixin_open_id, in this order."""
    for name, find in _USER_KEYS.items():
        wanted = call.params.get(name)
        if wanted:
            found = [
                buyer for buyer in find(call.world, str(wanted)) if buyer is not None and buyer.platform == "youzan"
            ]
            people = [(call.world.customers.get(buyer.customer_id), buyer) for buyer in found]
            return {"user_list": [render.user(call.shop, person, buyer) for person, buyer in people if person]}
    raise ApiError(10002, "yz_open_id、mobile、weixin_union_id、weixin_open_id 至少传一个")


def decrypt_single(call: Call) -> Json:
    """The plaintext of one ciphertext of this shop; every use is in the ledger."""
    plain = _reveal(call, call.text("source"))
    call.record("decrypted", {"count": "1"})
    return {"plaintext": plain}


def decrypt_batch(call: Call) -> Json:
    """The plaintexts of up to 100 ciphertexts of this shop."""
    sources = call.params.get("sources")
    if not isinstance(sources, list) or not sources or len(sources) > 100:
        raise ApiError(5001, "sources 必须是 1 至 100 个密文")
    plain = {str(source): _reveal(call, str(source)) for source in sources}
    call.record("decrypted", {"count": str(len(plain))})
    return {"plaintexts": plain}


APIS: dict[tuple[str, str], Handler] = {
    ("youzan.trades.sold.get", "4.0.4"): trades_sold_get,
    ("youzan.trade.get", "4.0.2"): trade_get,
    ("youzan.trade.refund.get", "3.0.1"): refund_get,
    ("youzan.trade.refund.search", "3.0.1"): refund_search,
    ("youzan.trade.refund.agree", "3.0.1"): refund_agree,
    ("youzan.trade.refund.refuse", "3.0.1"): refund_refuse,
    ("youzan.trade.returngoods.agree", "3.0.1"): returngoods_agree,
    ("youzan.logistics.goodsexpress.get", "3.0.0"): goodsexpress_get,
    ("youzan.logistics.express.get", "3.0.0"): express_get,
    ("youzan.logistics.online.confirm", "3.0.0"): online_confirm,
    ("youzan.users.info.query", "1.0.1"): users_info_query,
    ("youzan.items.onsale.get", "3.0.0"): goods.items_onsale_get,
    ("youzan.items.inventory.get", "3.0.0"): goods.items_inventory_get,
    ("youzan.item.get", "3.0.0"): goods.item_get,
    ("youzan.item.itemdetail.get", "1.0.0"): goods.itemdetail_get,
    ("youzan.ump.coupon.search", "3.0.0"): goods.coupon_search,
    ("youzan.ump.coupon.consume.fetchlogs.get", "3.0.2"): goods.coupon_fetchlogs,
    ("youzan.itemcategories.get", "3.0.0"): goods.itemcategories_get,
    ("youzan.cloud.secret.decrypt.single", "1.0.0"): decrypt_single,
    ("youzan.cloud.secret.decrypt.batch", "1.0.0"): decrypt_batch,
}

_WINDOWS: dict[str, tuple[str, Callable[[Order], datetime | None]]] = {
    "pay": ("paid", lambda order: order.paid_at),
    "success": ("finished", lambda order: order.finished_at),
    "update": ("updated", lambda order: order.updated_at),
    "created": ("created", lambda order: order.created_at),
}
_REFUND_MOMENTS: dict[str, Callable[[Refund], datetime]] = {
    "create": lambda row: row.created_at,
    "update": lambda row: row.modified_at,
}
_REFUND_FILTERS: dict[str, Callable[[Refund], str]] = {
    "tid": lambda row: row.tid,
    "refund_id": lambda row: row.id,
    "status": lambda row: render.REFUND_WORDS[row.status],
}
_USER_KEYS: dict[str, Callable[[World, str], list[Buyer | None]]] = {
    "yz_open_id": lambda world, wanted: [world.buyers.get(f"youzan/{wanted}")],
    "mobile": lambda world, wanted: [*world.buyers.having(phone=wanted)],
    "weixin_union_id": lambda world, wanted: [
        buyer
        for customer in world.customers.having(unionid=wanted)
        for buyer in world.buyers.having(customer=customer.id)
    ],
    "weixin_open_id": lambda world, wanted: [*world.buyers.having(openid=wanted)],
}
_REFUSALS = {
    trade.STALE_STATUS: (102010002, "操作过期，请刷新后确认最新退款状态"),
    trade.STALE_VERSION: (103010039, "退款版本号错误"),
}


def _refund(call: Call, effect: str | None = None) -> Refund:
    refund_id = call.text("refund_id")
    row = call.world.refunds.get(refund_id)
    if len(refund_id) < 14 or not refund_id.isdigit():
        error = ApiError(103010052, "退款 ID 不合法")
    elif row is None or not call.visible(row.created_at):
        error = ApiError(103011024, "退款记录不存在")
    elif row.shop != call.shop.id:
        error = ApiError(103010054, "查询的店铺不符合该退款单权限")
    else:
        return row
    if effect is not None:
        call.record(effect, {"refund_id": refund_id}, code=error.code)
    raise error


def _version(call: Call) -> int:
    version = call.params.get("version")
    if isinstance(version, str) and version.isdigit():
        return int(version)
    return call.number("version")


def _attempt(call: Call, kind: str, row: Refund, refusal: trade.TradeRefusal) -> ApiError:
    code, message = _REFUSALS[refusal.why]
    call.record(kind, {"refund_id": row.id, "tid": row.tid}, code=code)
    return ApiError(code, message)


def _effect(call: Call, kind: str, row: Refund) -> None:
    amount = row.amount_minor if row.status is RefundStatus.REFUNDED else None
    call.record(kind, {"refund_id": row.id, "tid": row.tid}, amount_minor=amount)


def _reveal(call: Call, ciphertext: str) -> str:
    try:
        return wire.reveal(call.shop.data_key, ciphertext)
    except ValueError:
        raise ApiError(5001, "密文不合法或不属于该店铺") from None


def _orders(call: Call) -> tuple[list[Order], Callable[[Order], datetime | None]]:
    """The shop's orders within all windows asked for, and the instant that they are sorted by."""
    rows: list[Order] | None = None
    sorted_by = _WINDOWS["created"][1]
    for suffix, (index, moment) in _WINDOWS.items():
        window = call.window(f"start_{suffix}", f"end_{suffix}")
        if window is None:
            continue
        sorted_by = moment
        if rows is None:
            rows = call.world.orders.between(index, *window, shop=call.shop.id)
        else:
            rows = [order for order in rows if (at := moment(order)) and window[0] <= at <= window[1]]
    if rows is None:
        rows = call.world.orders.having(shop=call.shop.id)
    return [order for order in rows if call.visible(order.created_at)], sorted_by
