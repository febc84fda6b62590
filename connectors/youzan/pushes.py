"""Youzan's pushes: is it from them, for us, and what does it say?

Newer pushes carry `Event-Sign` = md5(client_id + raw body + client_secret); older ones only a `sign` in the body,
md5(client_id + msg + client_secret). `msg` is URL-encoded JSON in `trade_*` pushes and an object in `youzan_trade_*`
ones. There is no timestamp, so a replay is caught by `dedupe_key`, not by a window. The older signature covers `msg`
alone, so such a push is believed only where the account's settings say so, and is known by what is signed of it.
Source: the platform's push documents, second-hand [S].
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from connectors.accounts import Account
from connectors.payloads import parse_json_object, percent_decoded
from connectors.reading import (
    FUTURE_TOLERANCE,
    anomaly,
    china_time,
    fen,
    mapping,
    not_from_the_future,
    optional_fen,
    optional_text,
    state_of,
    text,
    whole_number,
)
from connectors.shop_records import parcel_events
from connectors.webhooks import Refusal, Verified, WebhookRequest, read_or_keep
from connectors.youzan.coupons import COUPON_KIND, coupon_events
from connectors.youzan.pulling import PULLED_ORDER, PULLED_REFUND, order_version
from connectors.youzan.records import (
    ORDER_STATUSES,
    REFUND_STATUSES,
    is_exchange,
    read_order,
    read_refund,
    sent_parcels,
)
from connectors.youzan.settings import YouzanSettings
from domain.canonical import OrderData, OrderStatus, RefundData, RefundStatus
from domain.events import Event
from domain.ids import derived_id
from domain.problems import AuthenticationProblem, Text

# Versions of orders are the second of their last change, those of refunds its millisecond [S].
_OF_ORDERS, _OF_REFUNDS = 1, 1000


class _RefundKind(NamedTuple):
    event: str
    status: RefundStatus


class _OrderKind(NamedTuple):
    event: str
    status: OrderStatus


REFUND_KINDS: Mapping[str, _RefundKind] = {
    "trade_refund_BuyerCreated": _RefundKind("created", "requested"),
    "trade_refund_RefundSellerAgreeReturnGoods": _RefundKind("return_agreed", "awaiting_return"),
    "trade_refund_RefundBuyerReturnGoods": _RefundKind("returned", "returned"),
    "trade_refund_RefundSellerAgree": _RefundKind("succeeded", "refunded"),
    "trade_refund_RefundSuccess": _RefundKind("succeeded", "refunded"),
    "trade_refund_RefundSellerRefuse": _RefundKind("refused", "refused"),
    "trade_refund_RefundSellerRefuseBuyerReturnGoods": _RefundKind("refused", "return_refused"),
    "trade_refund_RefundClosed": _RefundKind("closed", "closed"),
    "trade_refund_RefundSellerCreated": _RefundKind("updated", "unknown"),
    "trade_refund_SysRefund": _RefundKind("updated", "unknown"),
    "youzan_trade_RefundCreated": _RefundKind("created", "requested"),
    "youzan_trade_RefundSellerAgree": _RefundKind("updated", "unknown"),
    "youzan_trade_RefundSuccess": _RefundKind("succeeded", "refunded"),
    "youzan_trade_RefundClosed": _RefundKind("closed", "closed"),
}
# TradePaid says that the money came, TradeBuyerPay that the shop may ship: a group-buy order lies between the two.
ORDER_KINDS: Mapping[str, _OrderKind] = {
    "trade_TradeCreate": _OrderKind("created", "unpaid"),
    "trade_TradePaid": _OrderKind("paid", "paid"),
    "trade_TradeBuyerPay": _OrderKind("updated", "paid"),
    "trade_TradePartlySellerShip": _OrderKind("updated", "paid"),
    "trade_TradeSellerShip": _OrderKind("shipped", "shipped"),
    "trade_TradeSuccess": _OrderKind("completed", "completed"),
    "trade_TradeClose": _OrderKind("closed", "closed"),
}


def event_sign(client_id: str, body: bytes, client_secret: str) -> str:
    """The `Event-Sign` header of a push."""
    return hashlib.md5(client_id.encode() + body + client_secret.encode(), usedforsecurity=False).hexdigest()


def body_sign(client_id: str, message: str, client_secret: str) -> str:
    """The `sign` within the body of older pushes, over `msg` as it travels."""
    return event_sign(client_id, message.encode(), client_secret)


def verify_push(request: WebhookRequest, account: Account) -> Verified:
    """The push, once it is known to be the platform's and this shop's."""
    settings = account.parse_settings(YouzanSettings)
    secret = settings.client_secret.get_secret_value()
    given = request.headers.get("event-sign")
    if given is not None:
        _check(given, event_sign(settings.client_id, request.body, secret))
        return read_or_keep(request, request.body, lambda kept: read_push(kept, account))
    body = parse_json_object(request.body)
    message, sign = body.get("msg"), body.get("sign")
    if not (isinstance(message, str) and isinstance(sign, str)):
        raise _not_theirs()
    _check(sign, body_sign(settings.client_id, message, secret))
    if not settings.accept_body_sign:
        raise _weakly_signed()
    # The signature covers `msg` alone, so what cannot be read of the rest may be anybody's: it is refused.
    kind = _kind_for(settings, body)
    return Verified(kind, request.body, derived_id(kind, message), request.received_at)


def read_push(kept: Verified, account: Account) -> Verified:
    """What a push says whose header signed all of it."""
    body = parse_json_object(kept.payload)
    kind = _kind_for(account.parse_settings(YouzanSettings), body)
    return Verified(kind, kept.payload, _dedupe_key(kind, body), kept.received_at)


def _kind_for(settings: YouzanSettings, body: Mapping[str, Any]) -> str:
    """The kind of a push for this shop; raises AuthenticationProblem for another's."""
    shops = {whole_number(body, field, 0) for field in ("kdt_id", "root_kdt_id")}
    if settings.kdt_id not in shops or body.get("client_id", settings.client_id) != settings.client_id:
        raise AuthenticationProblem(
            Text("推送属于其他店铺或应用", "The push belongs to another shop or application"),
            reason=Refusal.RECEIVER,
            retryable=False,
        )
    return text(body, "type", limit=128)


def uses_push(kind: str) -> bool:
    """Whether pushes of this kind become events."""
    return kind in REFUND_KINDS or kind in ORDER_KINDS or kind == COUPON_KIND


def push_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of a push or a pulled record; none for kinds Tandem has no use for and for test pushes."""
    if record.kind == PULLED_ORDER:
        return _pulled_order(parse_json_object(record.payload), record, account)
    if record.kind == PULLED_REFUND:
        return [_pulled_refund(parse_json_object(record.payload), record, account)]
    refund, order = REFUND_KINDS.get(record.kind), ORDER_KINDS.get(record.kind)
    if refund is None and order is None and record.kind != COUPON_KIND:
        return []
    body = parse_json_object(record.payload)
    if body.get("test") is True:
        return []
    message = _message(body.get("msg"))
    if refund is not None:
        return [_refund_event(refund, message, record, account)]
    if order is not None:
        return _order_events(order, message, whole_number(body, "version", 0), record, account)
    return coupon_events(body, message, record, account)


def _pulled_order(row: Mapping[str, Any], record: Verified, account: Account) -> list[Event]:
    """As the push of the same state: by their ids they are the same events."""
    info = mapping(mapping(row.get("full_order_info"), "full_order_info").get("order_info"), "order_info")
    status = state_of(ORDER_STATUSES, info, "status", "unknown")
    return _order_events(_OrderKind(_ORDER_CHANGES[status], status), row, order_version(info), record, account)


def _pulled_refund(row: Mapping[str, Any], record: Verified, account: Account) -> Event:
    refund = read_refund(row)
    exchange = is_exchange(row, state_of(REFUND_STATUSES, row, "status", "unknown"))
    data = RefundData(
        platform=account.platform,
        account=account.slug,
        version=_bounded_version(
            whole_number(row, "version"), refund.updated_at, record.received_at, a_second=_OF_REFUNDS
        ),
        occurred_at=not_from_the_future(refund.updated_at, record.received_at, "modified"),
        refund_id=refund.refund_id,
        order_id=refund.order_id,
        status=refund.status,
        amount_minor=refund.amount_minor,
        reason=refund.reason,
        returns_goods=refund.returns_goods,
        line_ids=(line,) if (line := optional_text(row, "oid", limit=64)) else (),
    )
    name = "closed" if exchange else _REFUND_CHANGES[refund.status]
    return _event(f"refund.{name}", f"refund:{data.refund_id}", (f"order:{data.order_id}",), data, record, account)


_ORDER_CHANGES: Mapping[OrderStatus, str] = {
    "unpaid": "created",
    "paid": "paid",
    "shipped": "shipped",
    "completed": "completed",
    "closed": "closed",
    "unknown": "updated",
}
_REFUND_CHANGES: Mapping[RefundStatus, str] = {
    "requested": "created",
    "awaiting_return": "return_agreed",
    "returned": "returned",
    "refused": "refused",
    "return_refused": "refused",
    "closed": "closed",
    "refunded": "succeeded",
    "unknown": "updated",
}


def _refund_event(kind: _RefundKind, message: Mapping[str, Any], record: Verified, account: Account) -> Event:
    happened = not_from_the_future(china_time(message, "update_time"), record.received_at, "update_time")
    lines = optional_text(message, "oids", limit=2048) or ""
    # Of an exchange, the platform pushes what it pushes of a refund: that it succeeded is no payment.
    exchange = is_exchange(message, kind.status)
    data = RefundData(
        platform=account.platform,
        account=account.slug,
        version=_bounded_version(whole_number(message, "version"), happened, record.received_at, a_second=_OF_REFUNDS),
        occurred_at=happened,
        refund_id=text(message, "refund_id"),
        order_id=text(message, "tid"),
        status="closed" if exchange else kind.status,
        amount_minor=optional_fen(message, "refunded_fee"),
        reason=optional_text(message, "refund_reason_desc"),
        returns_goods=_RETURNS_GOODS.get(str(message.get("refund_type"))),
        line_ids=tuple(line for line in lines.split(",") if line),
    )
    name = "closed" if exchange else kind.event
    return _event(f"refund.{name}", f"refund:{data.refund_id}", (f"order:{data.order_id}",), data, record, account)


def _order_events(
    kind: _OrderKind, message: Mapping[str, Any], version: int, record: Verified, account: Account
) -> list[Event]:
    """The order's, then those of its parcels."""
    parcels = list[Event]()
    if "full_order_info" in message:
        order = read_order(message)
        happened = order.updated_at
        data = OrderData(
            platform=account.platform,
            account=account.slug,
            version=_bounded_version(version, happened, record.received_at, a_second=_OF_ORDERS),
            occurred_at=not_from_the_future(happened, record.received_at, "update_time"),
            order_id=order.order_id,
            status=order.status if order.status != "unknown" else kind.status,
            paid_minor=order.paid_minor,
            postage_minor=order.postage_minor,
            discount_minor=order.discount_minor,
            lines=order.lines,
            buyer=order.buyer,
            delivery=order.delivery,
            coupon_ids=order.coupon_ids,
            created_at=order.created_at,
            paid_at=order.paid_at,
            shipped_at=order.shipped_at,
            completed_at=order.completed_at,
        )
        if order.waybills:
            parcels = parcel_events(sent_parcels(message), order, record, account, field="update_time")
    else:
        happened = china_time(message, "update_time")
        data = OrderData(
            platform=account.platform,
            account=account.slug,
            version=_bounded_version(version, happened, record.received_at, a_second=_OF_ORDERS),
            occurred_at=not_from_the_future(happened, record.received_at, "update_time"),
            order_id=text(message, "tid"),
            status=state_of(ORDER_STATUSES, message, "status", kind.status),
            paid_minor=fen(message, "payment") if message.get("payment") else None,
            close_reason=optional_text(message, "close_reason"),
        )
    buyer = data.buyer.buyer_id
    keys = (f"customer:{account.platform}/{buyer}",) if buyer else ()
    return [_event(f"order.{kind.event}", f"order:{data.order_id}", keys, data, record, account), *parcels]


def _bounded_version(told: int, changed: datetime | None, received_at: datetime, *, a_second: int) -> int:
    """How new a thing is, and none newer than itself knows of. Else a version from far ahead would hold what it came
    with for ever. a_second: how far versions count within one."""
    if changed is not None:
        return min(told, (int(changed.timestamp()) + 1) * a_second - 1)
    if told > int((received_at + FUTURE_TOLERANCE).timestamp()) * a_second:
        raise anomaly("version", Text("晚于收到的时间", "lies in the future"))
    return told


def _event(
    name: str,
    subject: str,
    keys: tuple[str, ...],
    data: RefundData | OrderData,
    record: Verified,
    account: Account,
) -> Event:
    # The older and the newer family of pushes tell the same change; by this id it is one event.
    return Event(
        id=derived_id(account.source, name, subject, str(data.version)),
        source=account.source,
        type=f"tandem.{name}",
        subject=subject,
        time=data.occurred_at or record.received_at,
        datacontenttype="application/json",
        data=data.model_dump(mode="json"),
        tandemkeys=keys,
    )


_RETURNS_GOODS = {"REFUND_AND_RETURN": True, "REFUND_ONLY": False}


def _message(message: Any) -> Mapping[str, Any]:
    if isinstance(message, str):
        return parse_json_object(percent_decoded(message))
    return mapping(message, "msg")


def _dedupe_key(kind: str, body: Mapping[str, Any]) -> str:
    """The push's number; for one without, what it says, leaving out what a further delivery changes."""
    number = optional_text(body, "msg_id", limit=128)
    if number is not None:
        return number
    return derived_id(kind, str(body.get("id")), str(body.get("version")), str(body.get("msg")))


def _check(given: str, expected: str) -> None:
    if not hmac.compare_digest(given.strip().lower().encode(), expected.encode()):
        raise _not_theirs()


def _not_theirs() -> AuthenticationProblem:
    return AuthenticationProblem(
        Text(
            "推送签名不正确，请核对账号设置中的 client_secret",
            "Wrong push signature; check client_secret in the account's settings",
        ),
        reason=Refusal.SIGNATURE,
        retryable=False,
    )


def _weakly_signed() -> AuthenticationProblem:
    return AuthenticationProblem(
        Text(
            "推送没有 Event-Sign 请求头；旧版签名只覆盖 msg，默认不接受。请在有赞云改用新版推送，"
            "或在账号设置中打开 accept_body_sign",
            "The push has no Event-Sign header. The older signature covers msg alone and is not believed by default: "
            "change to the newer pushes at Youzan, or turn accept_body_sign on in the account's settings",
        ),
        reason=Refusal.SIGNATURE,
        retryable=False,
    )
