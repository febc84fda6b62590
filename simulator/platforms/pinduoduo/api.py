"""Pinduoduo's interfaces, as far as shops need them. Those that settle refunds, and all sub-codes, are assumed [U]."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator import trade
from simulator.entities import Order, OrderStatus, Refund
from simulator.platforms.articles import articles
from simulator.platforms.categories import TOP, categories_of, number_of
from simulator.platforms.pinduoduo import render
from simulator.platforms.signed_gateway import Call, page_of, unix, whole_second
from simulator.platforms.youzan.wire import reveal

if TYPE_CHECKING:
    from simulator.platforms.pinduoduo import Pinduoduo

Json = dict[str, Any]

WINDOW = timedelta(minutes=30)
REACHES_BACK = timedelta(days=90)
SIZE_LIMIT = 100


class ApiError(Exception):
    """An `error_response`."""

    def __init__(self, code: int, message: str, sub_code: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.sub_code = sub_code


Handler = Callable[["Pinduoduo", Call], Json]


def mall_info(_platform: Pinduoduo, call: Call) -> Json:
    """Who the shop is."""
    return {"mall_id": call.shop.number, "mall_name": call.shop.name}


def orders_increment(platform: Pinduoduo, call: Call) -> Json:
    """Orders by the time of their last change, newest first; one that nobody paid does not exist for the shop."""
    _needs(call, "order_status", "refund_status", "is_lucky_flag")
    start, end = _window(platform, call)
    found = call.world.orders.between("updated", start, end, shop=call.shop.id)
    rows = [render.order(platform, order) for order in reversed(found) if order.paid_at is not None]
    return _listed(call, rows, "order_sn_list")


def order_get(platform: Pinduoduo, call: Call) -> Json:
    """One order."""
    return {"order_info": render.order(platform, _order(call))}


def refunds_increment(platform: Pinduoduo, call: Call) -> Json:
    """After-sale applications by the time of their last change, newest first; or all of one order, whenever it was."""
    _needs(call, "after_sales_status", "after_sales_type")
    start, end = _window(platform, call)
    if order := call.params.get("order_sn"):
        found = [row for row in call.world.refunds.having(tid=order) if row.shop == call.shop.id]
    else:
        found = call.world.refunds.between("modified", start, end, shop=call.shop.id)
    rows = [render.listed_refund(row, call.world.orders.get(row.tid)) for row in reversed(found)]
    return _listed(call, rows, "refund_list")


def refund_get(_platform: Pinduoduo, call: Call) -> Json:
    """One after-sale application."""
    return render.refund(_refund(call))


def refund_agree(_platform: Pinduoduo, call: Call) -> Json:
    """The shop agrees, and the money goes back."""
    row = _refund(call)
    subjects = {"refund_id": row.id, "tid": row.tid}
    try:
        trade.pay_back(call.world, row, row.version)
    except trade.TradeRefusal as refusal:
        _record(call, "refund_agreed", subjects, code=50001)
        raise ApiError(50001, "业务服务错误", "refund-status-error") from refusal
    _record(call, "refund_agreed", subjects, amount_minor=row.amount_minor)
    return {"is_success": True}


def refund_reject(_platform: Pinduoduo, call: Call) -> Json:
    """The shop refuses, with words the buyer reads."""
    row, remark = _refund(call), call.params.get("reject_desc", "")
    if not remark:
        raise ApiError(10001, "参数不能为空: reject_desc")
    subjects = {"refund_id": row.id, "tid": row.tid}
    try:
        trade.refuse(call.world, row, row.version, remark)
    except trade.TradeRefusal as refusal:
        _record(call, "refund_refused", subjects, code=50001)
        raise ApiError(50001, "业务服务错误", "refund-status-error") from refusal
    _record(call, "refund_refused", subjects)
    return {"is_success": True}


def online_send(_platform: Pinduoduo, call: Call) -> Json:
    """Ships an order."""
    order, waybill = _order(call), call.params.get("tracking_number", "")
    if not waybill or not call.params.get("logistics_id"):
        raise ApiError(10001, "参数不能为空: logistics_id, tracking_number")
    subjects = {"tid": order.id, "order_id": order.id}
    if order.status is not OrderStatus.PAID:
        _record(call, "shipped", subjects, code=50001)
        raise ApiError(50001, "业务服务错误", "order-status-error")
    trade.ship(call.world, order, waybill)
    _record(call, "shipped", {**subjects, "waybill": waybill})
    return {"is_success": True}


def goods_list(_platform: Pinduoduo, call: Call) -> Json:
    """Articles with their variants, pages of up to 100."""
    page, size = call.params.get("page", "1"), call.params.get("page_size", "100")
    if not page.isdigit() or not size.isdigit() or int(page) < 1 or not 1 <= int(size) <= SIZE_LIMIT:
        raise ApiError(10000, "参数错误: page, page_size")
    found = articles(call.world, call.shop)
    shown = page_of([render.goods(rows) for rows in found], int(page), int(size))
    return {"goods_list": shown, "total_count": len(found)}


def goods_detail(_platform: Pinduoduo, call: Call) -> Json:
    """One article with the number of its category."""
    wanted = call.params.get("goods_id", "")
    found = [rows for rows in articles(call.world, call.shop) if rows[0].item_id == wanted]
    if not found:
        raise ApiError(50001, "商品不存在", "50001")
    return {**render.goods(found[0]), "cat_id": number_of(found[0][0].category)}


def authorization_cats(_platform: Pinduoduo, call: Call) -> Json:
    """The categories below one that the shop may sell in; 0 is the top."""
    if call.params.get("parent_cat_id") == "0":
        return {"goods_cats_list": [{"cat_id": number_of(TOP), "cat_name": TOP, "leaf": False}]}
    known = categories_of(call.world, call.shop) if call.params.get("parent_cat_id") == str(number_of(TOP)) else {}
    rows = [{"cat_id": number, "cat_name": name, "leaf": True} for number, name in sorted(known.items())]
    return {"goods_cats_list": rows}


def decrypt_batch(platform: Pinduoduo, call: Call) -> Json:
    """Plain texts of this shop's ciphertexts; each use counts against the quota, and is in the ledger."""
    try:
        asked = json.loads(call.params.get("data_list", ""))
    except ValueError:
        asked = None
    if not isinstance(asked, list) or not asked or not all(isinstance(each, dict) for each in asked):
        raise ApiError(10000, "参数错误: data_list")
    refusal = platform.refuse_decryption(call.shop.id)
    if refusal is not None:
        _record(call, "decrypted", {}, code=refusal.code)
        raise refusal
    _record(call, "decrypted", {"count": str(len(asked))})
    return {"data_decrypt_list": [_decrypted(call, each) for each in asked]}


APIS: dict[str, tuple[Handler, str]] = {
    "pdd.mall.info.get": (mall_info, "mall_info_get_response"),
    "pdd.order.number.list.increment.get": (orders_increment, "order_sn_increment_get_response"),
    "pdd.order.information.get": (order_get, "order_info_get_response"),
    "pdd.refund.list.increment.get": (refunds_increment, "refund_increment_get_response"),
    "pdd.refund.information.get": (refund_get, "refund_information_get_response"),
    "pdd.refund.agree": (refund_agree, "refund_agree_response"),
    "pdd.refund.reject": (refund_reject, "refund_reject_response"),
    "pdd.logistics.online.send": (online_send, "logistics_online_send_response"),
    "pdd.goods.list.get": (goods_list, "goods_list_get_response"),
    "pdd.goods.detail.get": (goods_detail, "goods_detail_get_response"),
    "pdd.goods.authorization.cats": (authorization_cats, "goods_auth_cats_get_response"),
    "pdd.open.decrypt.batch": (decrypt_batch, "open_decrypt_batch_response"),
}


def _order(call: Call) -> Order:
    order = call.world.orders.get(call.params.get("order_sn", ""))
    if order is None or order.shop != call.shop.id or order.paid_at is None:
        raise ApiError(50001, "业务服务错误", "order-not-exist")
    return order


def _refund(call: Call) -> Refund:
    row = call.world.refunds.get(call.params.get("after_sales_id", ""))
    if row is None or row.shop != call.shop.id or call.params.get("order_sn", row.tid) != row.tid:
        raise ApiError(50001, "业务服务错误", "refund-not-exist")
    return row


def _needs(call: Call, *names: str) -> None:
    for name in names:
        if not call.params.get(name):
            raise ApiError(10001, f"参数不能为空: {name}")


def _window(platform: Pinduoduo, call: Call) -> tuple[datetime, datetime]:
    start, end = unix(call.params.get("start_updated_at", "")), unix(call.params.get("end_updated_at", ""))
    if start is None or end is None or start > end or end - start > WINDOW:
        raise ApiError(10000, "参数错误: 开始时间与结束时间间隔不能超过30分钟")
    if start < platform.now() - REACHES_BACK - timedelta(minutes=1):
        raise ApiError(10000, "参数错误: 只能查询最近90天")
    return start, min(whole_second(end), platform.visible_until())


def _listed(call: Call, rows: list[Json], name: str) -> Json:
    page, size = call.params.get("page", "1"), call.params.get("page_size", "100")
    if not page.isdigit() or not size.isdigit() or int(page) < 1 or not 1 <= int(size) <= SIZE_LIMIT:
        raise ApiError(10000, "参数错误: page, page_size")
    shown: Json = {name: page_of(rows, int(page), int(size))}
    if call.params.get("use_has_next") == "true":
        return {**shown, "has_next": int(page) * int(size) < len(rows)}
    return {**shown, "total_count": len(rows)}


def _decrypted(call: Call, asked: Json) -> Json:
    cipher = str(asked.get("encrypted_data", ""))
    try:
        plain, code = reveal(call.shop.data_key, cipher.removeprefix("~").removesuffix("~")), 0
    except ValueError:
        plain, code = "", 1
    return {
        "data_tag": asked.get("data_tag"),
        "encrypted_data": cipher,
        "decrypted_data": plain,
        "error_code": code,
        "error_msg": "" if code == 0 else "解密失败",
    }


def _record(call: Call, kind: str, subjects: dict[str, str], *, code: int = 0, amount_minor: int | None = None) -> None:
    call.world.ledger.record(
        kind, "pinduoduo", call.shop.id, request=call.params, subjects=subjects, code=code, amount_minor=amount_minor
    )
