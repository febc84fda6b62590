"""Youzan's refunds and orders as Tandem's, for answers and pushes alike."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import structlog

from connectors.reading import (
    china_time,
    fen,
    mapping,
    merchant_code,
    optional_fen,
    optional_mapping,
    optional_text,
    pieces,
    state_of,
    text,
    whole_number,
)
from connectors.shop_records import Parcel
from domain.canonical import Buyer, Delivery, OrderLine, OrderStatus, RefundStatus
from domain.catalog.youzan import GetRefundOutput, GetTradeOutput, ReturnParcel
from domain.problems import ValidationProblem

log = structlog.get_logger(__name__)

Told = TypeVar("Told")
_WITHDRAWN = "CLOSED"
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    "WAIT_SELLER_AGREE": "requested",
    "WAIT_BUYER_RETURN_GOODS": "awaiting_return",
    "WAIT_SELLER_CONFIRM_GOODS": "returned",
    "SELLER_REFUSE_BUYER": "refused",
    "SELLER_REFUSE_BUYER_RETURN_GOODS": "return_refused",
    _WITHDRAWN: "closed",
    "SUCCESS": "refunded",
    # The platform steps in, or the shop sends something else or back: documents differ [S].
    "CUSTOMER_SERVICE_IN": "unknown",
    "SELLER_RETURN_GOODS": "unknown",
}
# Goods for goods: what the buyer wants by `demand`, and kinds by `refund_type` [S]. That rows of lists tell the `type`
# that lists are asked for, or anything of these, is in no document at hand [U], see `lacks_kind`.
EXCHANGES: Mapping[str, frozenset[str]] = {
    "demand": frozenset({"3"}),
    "refund_type": frozenset({"EXCHANGE_GOODS"}),
    "type": frozenset({"4", "5"}),
}
_KINDS = frozenset({"REFUND_ONLY", "REFUND_AND_RETURN", *EXCHANGES["refund_type"]})
"""Other words of `refund_type` say who asked for it."""
ORDER_STATUSES: Mapping[str, OrderStatus] = {
    "TRADE_NO_CREATE_PAY": "unpaid",
    "WAIT_BUYER_PAY": "unpaid",
    "WAIT_PAY_RETURN": "unpaid",
    "TRADE_PAID": "paid",
    "WAIT_CONFIRM": "paid",
    "WAIT_GROUP": "paid",
    "WAIT_SELLER_SEND_GOODS": "paid",
    "WAIT_BUYER_CONFIRM_GOODS": "shipped",
    "TRADE_BUYER_SIGNED": "completed",
    "TRADE_SUCCESS": "completed",
    "TRADE_CLOSED": "closed",
    "TRADE_CLOSED_BY_USER": "closed",
}


def read_refund(data: Mapping[str, Any]) -> GetRefundOutput:
    """`data` of youzan.trade.refund.get."""
    status = state_of(REFUND_STATUSES, data, "status", "unknown")
    return GetRefundOutput(
        refund_id=text(data, "refund_id"),
        order_id=text(data, "tid"),
        status="closed" if is_exchange(data, status) else status,
        amount_minor=fen(data, "refund_fee"),
        reason=optional_text(data, "desc"),
        returns_goods=data.get("return_goods") is True,
        parcel=read_parcel(data),
        version=whole_number(data, "version"),
        created_at=china_time(data, "created"),
        updated_at=china_time(data, "modified"),
    )


def is_exchange(data: Mapping[str, Any], status: RefundStatus) -> bool:
    """Whether goods go to the buyer once more, and no money; withdrawn, it is closed like any refund. data: of a
    refund, of a row or of a push. status: what the platform says of it."""
    return status != "closed" and any(str(data.get(field)) in kinds for field, kinds in EXCHANGES.items())


def lacks_kind(row: Any) -> str | None:
    """The number of a refund whose row of a list does not tell whether it is an exchange; None for any other, and for
    one that is closed either way."""
    said = optional_mapping(row)
    tells = said.get("refund_type") in _KINDS or any(said.get(field) is not None for field in ("demand", "type"))
    if tells or said.get("status") == _WITHDRAWN:
        return None
    return str(said["refund_id"]) if said.get("refund_id") else None


def read_parcel(data: Mapping[str, Any]) -> ReturnParcel | None:
    """What the buyer of a refund sent back; None while that is nothing."""
    logistics = optional_mapping(data.get("logistics"))
    waybill = optional_text(logistics, "logistics_no", limit=64)
    if waybill is None:
        return None
    return ReturnParcel(waybill=waybill, company_code=optional_text(logistics, "company_code", limit=64))


def read_order(data: Mapping[str, Any]) -> GetTradeOutput:
    """`data` of youzan.trade.get, which is the message of full trade pushes and a row of the list too."""
    order = mapping(data.get("full_order_info"), "full_order_info")
    info = mapping(order.get("order_info"), "order_info")
    payment = optional_mapping(order.get("pay_info"))
    promotion = optional_mapping(data.get("order_promotion"))
    lines = order.get("orders")
    status = state_of(ORDER_STATUSES, info, "status", "unknown")
    return GetTradeOutput(
        order_id=text(info, "tid"),
        status=status,
        paid_minor=fen(payment, "payment"),
        postage_minor=optional_fen(payment, "post_fee") or 0,
        # Of the whole order, in yuan; what its articles were reduced by is in their totals already [S].
        discount_minor=_unless_unclear(lambda: optional_fen(promotion, "order_discount_fee"), None),
        lines=tuple(read_line(mapping(line, "orders")) for line in (lines if isinstance(lines, list) else ())),
        buyer=read_buyer(optional_mapping(order.get("buyer_info"))),
        delivery=read_delivery(optional_mapping(order.get("address_info"))),
        waybills=tuple(dict.fromkeys(parcel.waybill for parcel in sent_parcels(data))),
        coupon_ids=_unless_unclear(lambda: _coupons(promotion), tuple[str, ...]()),
        created_at=china_time(info, "created"),
        paid_at=china_time(info, "pay_time"),
        shipped_at=_unless_unclear(lambda: china_time(info, "consign_time"), None),
        # Whether the time is one of success where a trade was closed is in no document at hand [U].
        completed_at=china_time(info, "success_time") if status == "completed" else None,
        updated_at=china_time(info, "update_time"),
    )


def sent_parcels(data: Mapping[str, Any]) -> list[Parcel]:
    """What went to the buyer of an order; goods that need no carrier, or are fetched, have no waybill."""
    return _unless_unclear(lambda: _sent_parcels(data), [])


def _unless_unclear(read: Callable[[], Told], unclear: Told) -> Told:
    """What something says that no money depends on: an order whose parcels are told in an unknown way is an order."""
    try:
        return read()
    except ValidationProblem as problem:
        log.warning("a detail of an order cannot be read", reason=str(problem))
        return unclear


def _sent_parcels(data: Mapping[str, Any]) -> list[Parcel]:
    found = []
    for delivery in _rows(data.get("delivery_order")):
        articles = delivery.get("oids")
        # A list of numbers, or of objects with one each: documents differ [S].
        told = [each if isinstance(each, Mapping) else {"oid": each} for each in _listed(articles)]
        for parcel in _rows(delivery.get("dists")):
            express = optional_mapping(parcel.get("express_info"))
            if (waybill := optional_text(express, "express_no", limit=64)) is not None:
                lines = tuple(number for each in told if (number := optional_text(each, "oid", limit=64)))
                found.append(Parcel(waybill, china_time(parcel, "create_time"), line_ids=lines))
    return found


def _coupons(promotion: Mapping[str, Any]) -> tuple[str, ...]:
    """The coupons among what made an order cheaper; other promotions leave `coupon_id` empty [S]. That it is the
    number by which pushes tell of a coupon is unverified [U]."""
    found = (optional_text(row, "coupon_id", limit=128) for row in _rows(promotion.get("order")))
    return tuple(dict.fromkeys(number for number in found if number))


def _rows(told: Any) -> list[Mapping[str, Any]]:
    return [each for each in _listed(told) if isinstance(each, Mapping)]


def _listed(told: Any) -> list[Any]:
    """A list; the documents show one of a kind without a list around it."""
    return told if isinstance(told, list) else [told]


def read_line(line: Mapping[str, Any]) -> OrderLine:
    """One article of an order."""
    return OrderLine(
        line_id=text(line, "oid"),
        item_id=optional_text(line, "item_id", limit=64),
        sku_id=optional_text(line, "sku_id", limit=64),
        title=text(line, "title", limit=512),
        sku=sku_name(optional_text(line, "sku_properties_name")),
        merchant_code=merchant_code(line, "outer_sku_id", "outer_item_id"),
        quantity=pieces(line, "num"),
        price_minor=fen(line, "price"),
        total_minor=fen(line, "total_fee"),
    )


def read_buyer(buyer: Mapping[str, Any]) -> Buyer:
    """The buyer's identities; the phone stays ciphertext. The unionid is asked for separately."""
    return Buyer(
        buyer_id=optional_text(buyer, "yz_open_id", limit=64),
        openid=optional_text(buyer, "outer_user_id", limit=64),
        phone_ciphertext=optional_text(buyer, "buyer_phone"),
    )


def read_delivery(address: Mapping[str, Any]) -> Delivery | None:
    """Where the goods go, personal data as ciphertext; None when there is no address."""
    if not address:
        return None
    return Delivery(
        province=optional_text(address, "delivery_province", limit=64),
        city=optional_text(address, "delivery_city", limit=64),
        name_ciphertext=optional_text(address, "receiver_name"),
        phone_ciphertext=optional_text(address, "receiver_tel"),
        address_ciphertext=optional_text(address, "delivery_address"),
    )


@lru_cache(maxsize=4_096)
def sku_name(properties: str | None) -> str | None:
    """What a variant is called: `[{"k": "颜色", "v": "驼色"}]` as `驼色`; text that is no such list stays as it is."""
    if properties is None:
        return None
    try:
        pairs = json.loads(properties)
    except (ValueError, RecursionError):
        return properties
    if not isinstance(pairs, list):
        return properties
    return " ".join(str(pair["v"]) for pair in pairs if isinstance(pair, dict) and pair.get("v")) or None
