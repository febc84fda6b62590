"""JD's orders and refund applications as Tandem's. Receivers stay ciphertext."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.reading import (
    anomaly,
    china_time,
    fen,
    mapping,
    merchant_code,
    objects,
    optional_fen,
    optional_mapping,
    optional_text,
    pieces,
    state_of,
    text,
    whole_number,
)
from domain.canonical import Buyer, Delivery, OrderLine, OrderStatus, RefundStatus
from domain.catalog.shop_calls import OrderOutput, RefundOutput
from domain.problems import Text

ORDER_FIELDS = (
    "orderId,parentOrderId,orderState,orderPayment,freightPrice,sellerDiscount,orderStartTime,orderEndTime,modified,"
    "paymentConfirmTime,consigneeInfo,itemInfoList,couponDetailList,waybill,open_id_buyer,pin,orderStateRemark"
)
ORDER_STATUSES: Mapping[str, OrderStatus] = {
    "NOT_PAY": "unpaid",
    "WAIT_SELLER_STOCK_OUT": "paid",
    "WAIT_SELLER_DELIVERY": "paid",
    "POP_ORDER_PAUSE": "paid",
    "PAUSE": "paid",
    "SEND_TO_DISTRIBUTION_CENER": "shipped",
    "DISTRIBUTION_CENTER_RECEIVED": "shipped",
    "WAIT_GOODS_RECEIVE_CONFIRM": "shipped",
    "RECEIPTS_CONFIRM": "completed",
    "FINISHED_L": "completed",
    "TRADE_CANCELED": "closed",
    # Held while somebody asks for something, at whatever stage it is.
    "LOCKED": "unknown",
}
ALL_STATES = ",".join(ORDER_STATUSES)
"""What lists are asked for."""
# Told of orders, but in no document at hand a state that lists can be asked for [S].
_TOLD_STATUSES: Mapping[str, OrderStatus] = {
    **ORDER_STATUSES,
    "WAIT_SEND_CODE": "paid",
    "PARENT_TRADE_CANCELED": "closed",
    "DELIVERY_RETURN": "unknown",
    "TRADE_RETURNING": "unknown",
    "UN_KNOWN": "unknown",
}
# 1 is the shop's consent and 3 the platform's own: the shop has nothing more to do, the platform pays [U].
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    "0": "requested",
    "1": "refunded",
    "2": "refused",
    "3": "refunded",
    "4": "refused",
    "5": "refunded",
    "6": "refunded",
    "9": "refunded",
    "11": "closed",
    "18": "closed",
    # The parcel is being stopped, or somebody steps in: the refund stands where it did [S].
    "7": "unknown",
    "8": "unknown",
    "10": "unknown",
    "16": "unknown",
    "17": "unknown",
    "19": "unknown",
    "27": "unknown",
}


AFTERSALE_PREFIX = "afs-"
_AFTERSALE_STATUSES: Mapping[int, RefundStatus] = {13: "refunded", 14: "closed"}
RETURN = 10
"""What the customer wants of a service order: to give the goods back. Others are exchanges and repairs [S]."""
_SERVICE_STATUSES: Mapping[str, RefundStatus] = {
    "10000": "requested",
    "10001": "requested",
    "10002": "requested",
    "10012": "requested",
    "10013": "requested",
    "10005": "awaiting_return",
    "10006": "returned",
    "10007": "returned",
    "10009": "returned",
    "10004": "refused",
    "10011": "closed",
    # Finished: how, only the record of the money tells. Paying, being fetched, looked at or repaired: likewise.
    "10010": "unknown",
    "10041": "unknown",
    "1100": "unknown",
    "12000": "unknown",
    "13000": "unknown",
    "14000": "unknown",
}
"""States of service orders [S]."""
_BETWEEN_WAYBILLS = re.compile(r"[\s,;，；、]+")
_LAST_MILLISECOND = 4_102_444_800_000


def read_order(order: Mapping[str, Any]) -> OrderOutput:
    """`orderInfo` of pop.order.get and of the search."""
    parent = optional_text(order, "parentOrderId", limit=64)
    waybill = optional_text(order, "waybill", limit=512) or ""
    coupons = objects(order, "couponDetailList")
    status = state_of(_TOLD_STATUSES, order, "orderState", "unknown")
    return OrderOutput(
        order_id=text(order, "orderId"),
        status=status,
        paid_minor=fen(order, "orderPayment"),
        postage_minor=optional_fen(order, "freightPrice"),
        discount_minor=optional_fen(order, "sellerDiscount"),
        lines=_lines(objects(order, "itemInfoList")),
        buyer=Buyer(
            buyer_id=optional_text(order, "open_id_buyer", limit=128) or optional_text(order, "pin", limit=128)
        ),
        delivery=_delivery(optional_mapping(order.get("consigneeInfo"))),
        waybills=tuple(dict.fromkeys(number for number in _BETWEEN_WAYBILLS.split(waybill) if number)),
        coupon_ids=tuple(
            dict.fromkeys(kind for each in coupons if (kind := optional_text(each, "couponType", limit=128)))
        ),
        parent_order_id=parent if parent not in (None, "0") else None,
        created_at=china_time(order, "orderStartTime"),
        paid_at=china_time(order, "paymentConfirmTime"),
        completed_at=china_time(order, "orderEndTime") if status == "completed" else None,
        updated_at=china_time(order, "modified"),
        close_reason=optional_text(order, "orderStateRemark") if status == "closed" else None,
    )


def read_refund(row: Mapping[str, Any]) -> RefundOutput:
    """One refund application; its sum is in fen [U]. A request for goods not shipped yet, so nothing comes back."""
    amount = whole_number(row, "applyRefundSum")
    if amount < 0:
        raise anomaly("applyRefundSum", Text("不能为负", "must not be negative"))
    return RefundOutput(
        refund_id=text(row, "id"),
        order_id=text(row, "orderId"),
        status=state_of(REFUND_STATUSES, row, "status", "unknown"),
        amount_minor=amount,
        reason=optional_text(row, "reason"),
        returns_goods=False,
        created_at=china_time(row, "applyTime"),
        updated_at=china_time(row, "checkTime") or china_time(row, "applyTime"),
    )


def read_aftersale(row: Mapping[str, Any]) -> RefundOutput:
    """A service order of goods that come back, with its refund.

    Only that the money went back, or could not, is told; what the shop decided before, `read_service_order` tells. The
    sum is taken to be in yuan, and the service order's number to be another than any refund application's [U].
    """
    bill = mapping(row.get("sameOrderServiceBill"), "sameOrderServiceBill")
    status = _AFTERSALE_STATUSES.get(whole_number(row, "status", 0), "requested")
    changed = _moment(row, "completeTime") or _moment(bill, "approveDate") or _moment(bill, "afsApplyTime")
    article = optional_text(bill, "wareId", limit=64)
    return RefundOutput(
        refund_id=f"{AFTERSALE_PREFIX}{text(bill, 'serviceId')}",
        order_id=text(bill, "orderId"),
        status=status,
        amount_minor=optional_fen(row, "refoundAmount") or None,
        reason=optional_text(bill, "questionDesc"),
        returns_goods=True,
        # `wareId` is the sku here [S], as the lines of orders are called by.
        line_ids=(article,) if article else (),
        created_at=_moment(bill, "afsApplyTime"),
        updated_at=changed,
    )


def read_service_order(row: Mapping[str, Any]) -> RefundOutput | None:
    """How a service order stands, without its refund; None when no goods are given back for money."""
    if whole_number(row, "customerExpect", RETURN) != RETURN:
        return None
    return RefundOutput(
        refund_id=f"{AFTERSALE_PREFIX}{text(row, 'serviceId')}",
        order_id=text(row, "orderId"),
        status=state_of(_SERVICE_STATUSES, row, "serviceStatus", "unknown"),
        returns_goods=True,
        created_at=_moment(row, "applyTime"),
        updated_at=_moment(row, "updateDate") or _moment(row, "applyTime"),
    )


def _moment(source: Mapping[str, Any], field: str) -> datetime | None:
    """A time as text, or in milliseconds: both are seen [S]."""
    value = source.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 < value < _LAST_MILLISECOND:
            raise anomaly(field, Text("不是有效的时间", "is no valid time"))
        return datetime.fromtimestamp(value / 1000, UTC)
    return china_time(source, field)


def _lines(rows: list[Mapping[str, Any]]) -> tuple[OrderLine, ...]:
    """Articles; they have no number of their own, and one may come twice (bought and as a gift)."""
    seen: Counter[str] = Counter()
    lines = []
    for row in rows:
        sku = text(row, "skuId")
        seen[sku] += 1
        price, count = fen(row, "jdPrice"), pieces(row, "itemTotal")
        lines.append(
            OrderLine(
                line_id=sku if seen[sku] == 1 else f"{sku}-{seen[sku]}",
                item_id=optional_text(row, "wareId", limit=64),
                sku_id=sku,
                merchant_code=merchant_code(row, "outerSkuId"),
                title=text(row, "skuName", limit=512),
                quantity=count,
                price_minor=price,
                total_minor=price * count,
            )
        )
    return tuple(lines)


def _delivery(consignee: Mapping[str, Any]) -> Delivery | None:
    known = Delivery(
        province=optional_text(consignee, "province", limit=64),
        city=optional_text(consignee, "city", limit=64),
        name_ciphertext=optional_text(consignee, "fullname"),
        phone_ciphertext=optional_text(consignee, "mobile") or optional_text(consignee, "telephone"),
        address_ciphertext=optional_text(consignee, "fullAddress"),
    )
    return known if known != Delivery() else None
