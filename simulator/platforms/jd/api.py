"""JD's interfaces, as far as POP shops need them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator import trade
from simulator.entities import Goods, Order, OrderStatus, Refund, RefundStatus
from simulator.platforms.articles import code_of
from simulator.platforms.categories import categories_of, number_of
from simulator.platforms.signed_gateway import Call, china_time, local, masked, only, page_of, whole_second, yuan

if TYPE_CHECKING:
    from simulator.platforms.jd import Jd

Json = dict[str, Any]

WINDOW = timedelta(days=31)
SIZE_LIMIT = 100
AFTERSALE_SIZE_LIMIT = 50
STATES = {
    OrderStatus.UNPAID: "NOT_PAY",
    OrderStatus.PAID: "WAIT_SELLER_STOCK_OUT",
    OrderStatus.SHIPPED: "WAIT_GOODS_RECEIVE_CONFIRM",
    OrderStatus.COMPLETED: "FINISHED_L",
    OrderStatus.CLOSED: "TRADE_CANCELED",
}
REFUND_STATES = {
    RefundStatus.REQUESTED: 0,
    RefundStatus.AWAITING_RETURN: 0,
    RefundStatus.RETURNED: 0,
    RefundStatus.REFUSED: 2,
    RefundStatus.RETURN_REFUSED: 2,
    RefundStatus.REFUNDED: 3,
    RefundStatus.CLOSED: 11,
}


SERVICE_STATES = {
    RefundStatus.REQUESTED: 10001,
    RefundStatus.AWAITING_RETURN: 10005,
    RefundStatus.RETURNED: 10007,
    RefundStatus.REFUSED: 10004,
    RefundStatus.RETURN_REFUSED: 10004,
    RefundStatus.REFUNDED: 10010,
    RefundStatus.CLOSED: 10011,
}


class ApiError(Exception):
    """A refusal within an answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


Handler = Callable[["Jd", Call], Json]


def vender_info(_platform: Jd, call: Call) -> Json:
    """Who the shop is."""
    return {"vender_id": call.shop.number, "shop_name": call.shop.name}


def order_search(platform: Jd, call: Call) -> Json:
    """Orders by creation (dateType 1) or last change, oldest first; `order_state` must be said."""
    start, end = _window(platform, call, "start_date", "end_date")
    states = {state for state in call.params.get("order_state", "").split(",") if state}
    if not states:
        raise ApiError(10100002, "order_state不能为空")
    moment = "created" if call.params.get("dateType") == "1" else "updated"
    found = call.world.orders.between(moment, start, end, shop=call.shop.id)
    rows = [order for order in found if STATES[order.status] in states]
    page, size = _paging(call, "page", "page_size")
    asked = _fields(call)
    shown = [only(_order(platform, order), asked) for order in rows[(page - 1) * size : page * size]]
    return {"apiResult": {"success": True, "numberCode": 0}, "orderInfoList": shown, "orderTotal": len(rows)}


def order_get(platform: Jd, call: Call) -> Json:
    """One order."""
    order = _find_order(call, call.params.get("order_id", ""))
    return {"apiResult": {"success": True, "numberCode": 0}, "orderInfo": only(_order(platform, order), _fields(call))}


def shipment(_platform: Jd, call: Call) -> Json:
    """Ships an order."""
    order = _find_order(call, call.params.get("orderId", ""))
    waybill = call.params.get("logiNo", "")
    if not waybill or not call.params.get("logiCoprId"):
        raise ApiError(10100002, "logiCoprId、logiNo不能为空")
    subjects = {"tid": order.id, "order_id": order.id}
    if order.status is not OrderStatus.PAID:
        _record(call, "shipped", subjects, code=10400001)
        raise ApiError(10400001, "订单状态不允许出库")
    trade.ship(call.world, order, waybill)
    _record(call, "shipped", {**subjects, "waybill": waybill})
    return {"success": True, "errorCode": "", "chineseErrCode": "", "englishErrCode": ""}


def refund_list(platform: Jd, call: Call) -> Json:
    """Refund applications by number, or by the time of the request or of the decision."""
    page, size = _paging(call, "pageIndex", "pageSize")
    if numbers := call.params.get("ids"):
        found = [call.world.refunds.get(number) for number in numbers.split(",")]
        rows = [row for row in found if row is not None and row.shop == call.shop.id]
    else:
        by_check = "checkTimeStart" in call.params
        name = "checkTime" if by_check else "applyTime"
        start, end = _window(platform, call, f"{name}Start", f"{name}End")
        listed = call.world.refunds.between("modified" if by_check else "created", start, end, shop=call.shop.id)
        # Goods that come back were shipped: those are service orders.
        rows = [row for row in listed if not row.returns_goods]
        if by_check:
            rows = [row for row in rows if REFUND_STATES[row.status] != 0]
    return {
        "success": True,
        "result": page_of([_refund(platform, row) for row in rows], page, size),
        "totalCount": len(rows),
    }


def aftersale_list(platform: Jd, call: Call) -> Json:
    """Service orders, which are of goods that come back, by the time of the request or of the shop's consent."""
    page, size = _paging(call, "pageNumber", "pageSize")
    if size > AFTERSALE_SIZE_LIMIT:
        raise ApiError(10100002, "每页大小1-50")
    if "approveTimeBegin" in call.params:
        start, end = _window(platform, call, "approveTimeBegin", "approveTimeEnd", timedelta(days=10))
        found = [row for row in call.world.refunds.having(shop=call.shop.id) if _is_within(row.agreed_at, start, end)]
    else:
        start, end = _window(platform, call, "applyTimeBegin", "applyTimeEnd", timedelta(days=7))
        found = call.world.refunds.between("created", start, end, shop=call.shop.id)
    rows = sorted((row for row in found if row.returns_goods), key=lambda row: (row.created_at, row.id))
    return {
        "success": True,
        "code": "00000",
        "totalCount": len(rows),
        "pageNumber": page,
        "pageSize": size,
        "data": page_of([_aftersale(platform, row) for row in rows], page, size),
    }


def service_list(platform: Jd, call: Call) -> Json:
    """Service orders by their last change, each as it stands."""
    page, size = _paging(call, "pageNumber", "pageSize")
    if size > AFTERSALE_SIZE_LIMIT:
        raise ApiError(10100002, "每页大小1-50")
    if call.params.get("buId") != str(call.shop.number) or not call.params.get("operatePin"):
        raise ApiError(10100002, "buId、operatePin不正确")
    start, end = _window(platform, call, "updateTimeBegin", "updateTimeEnd")
    found = call.world.refunds.between("modified", start, end, shop=call.shop.id)
    rows = [row for row in found if row.returns_goods]
    return {
        "success": True,
        "code": "00000",
        "totalCount": len(rows),
        "pageNumber": page,
        "pageSize": size,
        "data": page_of([_service(row) for row in rows], page, size),
    }


def sku_list(_platform: Jd, call: Call) -> Json:
    """The shop's variants, a row each."""
    page, size = _paging(call, "pageNo", "pageSize")
    found = call.world.goods.having(shop=call.shop.id)
    asked = call.params.get("field", "")
    shown = page_of([only(_sku(row), asked) for row in found], page, size)
    return {"data": shown, "totalItem": len(found), "pageNo": page, "pageSize": size}


def category_find(_platform: Jd, call: Call) -> Json:
    """The name of one category."""
    number = str(call.params.get("cid", ""))
    name = categories_of(call.world, call.shop).get(int(number) if number.isdigit() else 0)
    return {"id": int(number), "name": name} if name else {}


def refund_reply(_platform: Jd, call: Call) -> Json:
    """The shop agrees (1) or refuses (2)."""
    row = call.world.refunds.get(call.params.get("id", ""))
    if row is None or row.shop != call.shop.id:
        raise ApiError(10500001, "退款申请不存在")
    agrees = call.params.get("status") == "1"
    kind = "refund_agreed" if agrees else "refund_refused"
    subjects = {"refund_id": row.id, "tid": row.tid}
    try:
        if agrees:
            trade.pay_back(call.world, row, row.version)
        else:
            trade.refuse(call.world, row, row.version, call.params.get("remark", ""))
    except trade.TradeRefusal as refusal:
        _record(call, kind, subjects, code=10500002)
        raise ApiError(10500002, "退款申请已处理") from refusal
    _record(call, kind, subjects, amount_minor=row.amount_minor if agrees else None)
    return {"success": True}


APIS: dict[str, tuple[Handler, str]] = {
    "jingdong.seller.vender.info.get": (vender_info, "vender_info_result"),
    "jingdong.pop.order.enSearch": (order_search, "searchorderinfo_result"),
    "jingdong.pop.order.get": (order_get, "orderDetailInfo"),
    "jingdong.pop.order.shipment": (shipment, "sopjosshipment_result"),
    "jingdong.pop.afs.soa.refundapply.queryPageList": (refund_list, "queryResult"),
    "jingdong.asc.serviceAndRefund.view": (aftersale_list, "pageResult"),
    "jingdong.asc.sync.list": (service_list, "pageResult"),
    "jingdong.sku.read.searchSkuList": (sku_list, "page"),
    "jingdong.category.read.findById": (category_find, "category"),
    "jingdong.pop.afs.refundapply.replyRefund": (refund_reply, "replyResult"),
}


def _order(platform: Jd, order: Order) -> Json:
    customer, buyer = platform.who(order)
    cipher = platform.world.token("cipher", order.shop, customer.id)
    ended = order.finished_at or (order.updated_at if order.status is OrderStatus.CLOSED else None)
    return {
        "orderId": order.id,
        "parentOrderId": order.parent_id or "0",
        "venderId": str(platform.shop(order.shop).number),
        "orderState": STATES[order.status],
        "orderStateRemark": order.status.value,
        "orderTotalPrice": yuan(order.goods_minor + order.postage_minor),
        "orderPayment": yuan(order.paid_minor),
        "freightPrice": yuan(order.postage_minor),
        "sellerDiscount": yuan(order.discount_minor),
        "orderStartTime": local(order.created_at),
        "paymentConfirmTime": local(order.paid_at),
        "orderEndTime": local(ended),
        "modified": local(order.updated_at),
        "open_id_buyer": buyer.buyer_id,
        "pin": masked(buyer.nickname),
        "waybill": order.waybill or "",
        "couponDetailList": [{"orderId": order.id, "couponType": each} for each in order.coupon_ids],
        "consigneeInfo": {
            "fullname": f"{cipher[:24]}==",
            "mobile": f"{cipher[24:48]}==",
            "fullAddress": f"{cipher[8:40]}==",
            "province": customer.province,
            "city": customer.city,
        },
        "itemInfoList": [
            {
                "skuId": line.sku_id,
                "wareId": line.item_id,
                "outerSkuId": code_of(platform.world, order.shop, line.sku_id),
                "skuName": f"{line.title} {line.sku}",
                "jdPrice": yuan(line.price_minor),
                "itemTotal": str(line.count),
            }
            for line in order.lines
        ],
    }


def _sku(row: Goods) -> Json:
    return {
        "wareId": int(row.item_id),
        "skuId": int(row.sku_id),
        "skuName": f"{row.title} {row.sku}",
        "status": 1 if row.on_sale else 2,
        "jdPrice": yuan(row.price_minor),
        "outerId": row.code,
        "stockNum": row.stock,
        "categoryId": number_of(row.category),
        "modified": local(row.updated_at),
    }


def _refund(platform: Jd, row: Refund) -> Json:
    order = platform.world.orders.get(row.tid)
    decided = REFUND_STATES[row.status] != 0
    return {
        "id": row.id,
        "orderId": row.tid,
        "buyerId": platform.who(order)[1].buyer_id if order else "",
        "applyTime": local(row.created_at),
        "checkTime": local(row.modified_at) if decided else "",
        "applyRefundSum": row.amount_minor,
        "status": REFUND_STATES[row.status],
        "reason": row.reason_text,
    }


def _aftersale(platform: Jd, row: Refund) -> Json:
    order = platform.world.orders.get(row.tid)
    sku = next((line.sku_id for line in order.lines if line.oid == row.oid), "") if order else ""
    is_paid = row.status is RefundStatus.REFUNDED
    return {
        "afsRefundId": int(row.id) if is_paid else None,
        "refoundAmount": yuan(row.amount_minor) if is_paid else None,
        "completeTime": local(row.modified_at) if is_paid else None,
        "status": 13 if is_paid else 0,
        "sameOrderServiceBill": {
            "serviceId": int(row.id),
            "orderId": row.tid,
            "wareId": sku,
            "afsApplyTime": local(row.created_at),
            "approveDate": local(row.agreed_at) or None,
            "questionDesc": row.reason_text,
        },
    }


def _service(row: Refund) -> Json:
    return {
        "serviceId": int(row.id),
        "orderId": row.tid,
        "customerExpect": 10,
        "serviceStatus": SERVICE_STATES[row.status],
        "applyTime": local(row.created_at),
        "updateDate": local(row.modified_at),
    }


def _is_within(at: datetime | None, start: datetime, end: datetime) -> bool:
    return at is not None and start <= at <= end


def _find_order(call: Call, number: str) -> Order:
    order = call.world.orders.get(number)
    if order is None or order.shop != call.shop.id:
        raise ApiError(10300001, "订单不存在")
    return order


def _fields(call: Call) -> str:
    asked = call.params.get("optional_fields", "")
    if not asked:
        raise ApiError(10100002, "optional_fields不能为空")
    return asked


def _window(
    platform: Jd, call: Call, start_name: str, end_name: str, widest: timedelta | None = None
) -> tuple[datetime, datetime]:
    start, end = china_time(call.params.get(start_name, "")), china_time(call.params.get(end_name, ""))
    if start is None or end is None or start > end or end - start > (widest or WINDOW):
        raise ApiError(10100002, "时间范围不正确，跨度不能超过一个月")
    return start, min(whole_second(end), platform.visible_until())


def _paging(call: Call, page_name: str, size_name: str) -> tuple[int, int]:
    page, size = call.params.get(page_name, "1"), call.params.get(size_name, "20")
    if not page.isdigit() or not size.isdigit() or int(page) < 1 or not 1 <= int(size) <= SIZE_LIMIT:
        raise ApiError(10100002, "分页参数不正确")
    return int(page), int(size)


def _record(call: Call, kind: str, subjects: dict[str, str], *, code: int = 0, amount_minor: int | None = None) -> None:
    call.world.ledger.record(
        kind, "jd", call.shop.id, request=call.params, subjects=subjects, code=code, amount_minor=amount_minor
    )
