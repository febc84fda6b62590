"""Taobao's trades and refunds as Tandem's, for answers, messages and pulled records alike.

Personal data comes masked (`王**`) with the OAID, the platform's cipher of the whole receiver; the masked texts are
dropped and the OAID is kept. Numbers are taken as they come: some shops get theirs encrypted.
"""

from collections.abc import Mapping
from typing import Any

from connectors.reading import (
    china_time,
    fen,
    merchant_code,
    objects,
    optional_fen,
    optional_mapping,
    optional_text,
    pieces,
    state_of,
    text,
)
from connectors.shop_records import Parcel
from domain.canonical import LONGEST_ORDER_ID, Buyer, Delivery, OrderLine, OrderStatus, RefundStatus
from domain.catalog.shop_calls import OrderOutput, RefundOutput

TRADE_FIELDS = (
    "tid,status,payment,post_fee,discount_fee,total_fee,created,pay_time,consign_time,end_time,modified,buyer_nick,"
    "buyer_open_uid,oaid,receiver_state,receiver_city,trade_attr,close_reason,promotion_details,orders"
)
REFUND_FIELDS = (
    "refund_id,tid,oid,status,refund_fee,reason,has_good_return,sid,company_name,created,modified,refund_version,"
    "refund_phase,buyer_open_uid"
)
ORDER_STATUSES: Mapping[str, OrderStatus] = {
    "TRADE_NO_CREATE_PAY": "unpaid",
    "WAIT_BUYER_PAY": "unpaid",
    "PAY_PENDING": "unpaid",
    "WAIT_PRE_AUTH_CONFIRM": "unpaid",
    "WAIT_SELLER_SEND_GOODS": "paid",
    "SELLER_CONSIGNED_PART": "paid",
    "PAID_FORBID_CONSIGN": "paid",
    "WAIT_BUYER_CONFIRM_GOODS": "shipped",
    "TRADE_BUYER_SIGNED": "completed",
    "TRADE_FINISHED": "completed",
    "TRADE_CLOSED": "closed",
    "TRADE_CLOSED_BY_TAOBAO": "closed",
}
# Exchanged or sent once more: no money goes back, so as a refund it is closed. The platform's spelling [S].
_EXCHANGES: Mapping[str, RefundStatus] = {
    "WAIT_BUYER_CONFIRM_REDO_SEND_GOODS": "closed",
    "WAIT_SELLER_CONSIGN_GOODS": "closed",
    "WAIT_SELLER_CONSIGN_GOOGDS": "closed",
    "EXCHANGE_WAIT_BUYER_CONFIRM_GOODS": "closed",
    "WAIT_BUYER_CONFIRM_EXCHANGE_SELLER_SEND_GOODS": "closed",
}
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    **_EXCHANGES,
    "WAIT_SELLER_AGREE": "requested",
    "WAIT_BUYER_RETURN_GOODS": "awaiting_return",
    "WAIT_SELLER_CONFIRM_GOODS": "returned",
    "SELLER_REFUSE_BUYER": "refused",
    "CLOSED": "closed",
    "SUCCESS": "refunded",
    "WAIT_SELLER_CONFIRM_RETURN_ADDRESS": "awaiting_return",
    # An exchange becomes a refund, postage is disputed: how the refund stands, these do not say [S].
    "EXCHANGE_TRANSFORM_TO_REFUND": "unknown",
    "POST_FEE_DISPUTE_WAIT_ACTIVATE": "unknown",
}
# How a trade says that its buyer is an 88VIP member is in no document at hand [U].
MEMBERSHIP_ATTRIBUTE = "vip88"
MEMBERSHIP = "88VIP"


def read_trade(trade: Mapping[str, Any]) -> OrderOutput:
    """`trade` of taobao.trade.fullinfo.get and of the increments."""
    lines = objects(optional_mapping(trade.get("orders")), "order")
    promotions = objects(optional_mapping(trade.get("promotion_details")), "promotion_detail")
    return OrderOutput(
        order_id=text(trade, "tid", limit=LONGEST_ORDER_ID),
        status=state_of(ORDER_STATUSES, trade, "status", "unknown"),
        paid_minor=fen(trade, "payment"),
        postage_minor=optional_fen(trade, "post_fee"),
        discount_minor=optional_fen(trade, "discount_fee"),
        lines=tuple(map(_line, lines)),
        buyer=read_buyer(trade),
        delivery=_delivery(trade),
        waybills=tuple(parcel.waybill for parcel in read_parcels(trade)),
        coupon_ids=tuple(number for each in promotions if (number := optional_text(each, "promotion_id", limit=128))),
        membership=_membership(trade),
        created_at=china_time(trade, "created"),
        paid_at=china_time(trade, "pay_time"),
        shipped_at=china_time(trade, "consign_time"),
        completed_at=_completed_at(trade),
        updated_at=china_time(trade, "modified"),
        close_reason=optional_text(trade, "close_reason"),
    )


def read_parcels(trade: Mapping[str, Any]) -> list[Parcel]:
    """The parcels of a trade, each by its articles, which may have gone at different times."""
    articles: dict[str, list[Mapping[str, Any]]] = {}
    for line in objects(optional_mapping(trade.get("orders")), "order"):
        if (waybill := optional_text(line, "invoice_no", limit=64)) is not None:
            articles.setdefault(waybill, []).append(line)
    return [
        Parcel(
            waybill,
            min((at for line in lines if (at := china_time(line, "consign_time"))), default=None),
            optional_text(lines[0], "logistics_company", limit=64),
            tuple(text(line, "oid", limit=LONGEST_ORDER_ID) for line in lines),
        )
        for waybill, lines in articles.items()
    ]


def read_refund(refund: Mapping[str, Any]) -> RefundOutput:
    """`refund` of taobao.refund.get and of refunds.receive.get."""
    line = optional_text(refund, "oid", limit=LONGEST_ORDER_ID)
    parcel = optional_text(refund, "sid", limit=64)
    status = state_of(REFUND_STATUSES, refund, "status", "unknown")
    return RefundOutput(
        refund_id=text(refund, "refund_id"),
        order_id=text(refund, "tid", limit=LONGEST_ORDER_ID),
        # One word for both refusals: with a parcel on its way back, it is the goods that were refused.
        status="return_refused" if status == "refused" and parcel else status,
        amount_minor=fen(refund, "refund_fee"),
        reason=optional_text(refund, "reason"),
        returns_goods=refund["has_good_return"] if isinstance(refund.get("has_good_return"), bool) else None,
        return_waybill=parcel,
        line_ids=(line,) if line else (),
        created_at=china_time(refund, "created"),
        updated_at=china_time(refund, "modified"),
    )


def is_exchange(refund: Mapping[str, Any]) -> bool:
    """Whether goods go to the buyer once more, and no money."""
    return optional_text(refund, "status") in _EXCHANGES


def read_buyer(source: Mapping[str, Any]) -> Buyer:
    """The buyer: their open id within this application is the only name that stays the same."""
    return Buyer(
        buyer_id=optional_text(source, "buyer_open_uid", limit=128),
        nickname=optional_text(source, "buyer_nick", limit=128),
    )


def _line(line: Mapping[str, Any]) -> OrderLine:
    return OrderLine(
        line_id=text(line, "oid", limit=LONGEST_ORDER_ID),
        item_id=optional_text(line, "num_iid", limit=64),
        sku_id=optional_text(line, "sku_id", limit=64),
        title=text(line, "title", limit=512),
        sku=sku_name(optional_text(line, "sku_properties_name")),
        merchant_code=merchant_code(line, "outer_sku_id", "outer_iid"),
        category=optional_text(line, "cid", limit=64),
        quantity=pieces(line, "num"),
        price_minor=fen(line, "price"),
        total_minor=fen(line, "total_fee"),
    )


def sku_name(properties: str | None) -> str | None:
    """What a variant is called: `颜色:驼色;尺码:M` as `驼色 M`."""
    if properties is None:
        return None
    return " ".join(part.rpartition(":")[2] for part in properties.split(";") if part) or None


def _delivery(trade: Mapping[str, Any]) -> Delivery | None:
    known = Delivery(
        province=optional_text(trade, "receiver_state", limit=64),
        city=optional_text(trade, "receiver_city", limit=64),
        receiver_ciphertext=optional_text(trade, "oaid"),
    )
    return known if known != Delivery() else None


def _membership(trade: Mapping[str, Any]) -> str | None:
    """From `trade_attr`, which is JSON within JSON."""
    value = optional_text(trade, "trade_attr", limit=8192)
    if value is None or f'"{MEMBERSHIP_ATTRIBUTE}"' not in value:
        return None
    return MEMBERSHIP if f'"{MEMBERSHIP_ATTRIBUTE}":"1"' in value.replace(" ", "") else None


def _completed_at(trade: Mapping[str, Any]) -> Any:
    """`end_time` ends closed trades too."""
    return china_time(trade, "end_time") if ORDER_STATUSES.get(str(trade.get("status"))) == "completed" else None
