"""What a WeChat Store's callbacks and lists say.

Source: developers.weixin.qq.com, the store's event list [O]; the fields within, second-hand [S].
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from connectors.accounts import Account
from connectors.payloads import parse_json_object
from connectors.reading import mapping, not_from_the_future, optional_mapping, optional_text, state_of, text, unix_time
from connectors.shop_records import changed_at, dated_order_event, dated_refund_event
from connectors.telling import tell_order, tell_parcel, tell_refund, version_of
from connectors.webhooks import Verified
from connectors.wechat.callbacks import created_at, read_fields
from connectors.wechat_store.coupons import COUPON_STEPS, coupon_event
from connectors.wechat_store.records import REFUND_STATUSES, is_exchange, read_order, read_refund
from connectors.wechat_store.running_low import RUNNING_LOW, running_low_event
from domain.canonical import Buyer, OrderData, OrderStatus, RefundData, ShipmentData
from domain.catalog.shop_calls import OrderOutput
from domain.events import Event

ORDER = "ec/order/get"
REFUND = "ec/aftersale/getaftersaleorder"


class _Step(NamedTuple):
    event: str
    status: OrderStatus
    moment: str | None


ORDER_STEPS: Mapping[str, _Step] = {
    "channels_ec_order_new": _Step("created", "unpaid", None),
    "channels_ec_order_pay": _Step("paid", "paid", "pay_time"),
    "channels_ec_order_deliver": _Step("shipped", "shipped", None),
    "channels_ec_order_confirm": _Step("completed", "completed", None),
    "channels_ec_order_settle": _Step("updated", "completed", "settle_time"),
    "channels_ec_order_cancel": _Step("closed", "closed", None),
}
REFUND_STEP = "channels_ec_aftersale_update"


def uses_push(kind: str) -> bool:
    """Whether a callback of this kind becomes an event."""
    return kind in ORDER_STEPS or kind in (REFUND_STEP, RUNNING_LOW) or kind in COUPON_STEPS


def store_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of a callback or of a record that was read; none for kinds Tandem has no use for."""
    if record.kind == ORDER:
        return list(_listed_order(parse_json_object(record.payload), record, account))
    if record.kind == REFUND:
        return [_listed_refund(parse_json_object(record.payload), record, account)]
    if record.kind in ORDER_STEPS:
        return [_order_step(ORDER_STEPS[record.kind], read_fields(record.payload), record, account)]
    if record.kind == REFUND_STEP:
        return [_refund_step(read_fields(record.payload), record, account)]
    if record.kind in COUPON_STEPS:
        return [coupon_event(record, account)]
    if record.kind == RUNNING_LOW:
        return [running_low_event(record, account)]
    return []


def _order_step(step: _Step, fields: Mapping[str, str], record: Verified, account: Account) -> Event:
    told = created_at(fields, record.received_at)
    event, status = step.event, step.status
    if record.kind == "channels_ec_order_deliver" and fields.get("order_info.finish_delivery", "1") == "0":
        event, status = "updated", "paid"
    moment = _moment(fields, step.moment, record) or told
    data = OrderData(
        platform=account.platform,
        account=account.slug,
        version=version_of(moment, status, full=False),
        occurred_at=moment,
        order_id=text(fields, "order_info.order_id"),
        status=status,
        created_at=moment if event == "created" else None,
        paid_at=moment if event == "paid" else None,
        shipped_at=moment if event == "shipped" else None,
        completed_at=moment if event == "completed" else None,
        told_in_part=True,
    )
    return tell_order(data, record, account, step=event)


def _listed_order(order: Mapping[str, Any], record: Verified, account: Account) -> Iterator[Event]:
    read = read_order(order)
    yield dated_order_event(read, record, account, field="update_time", says_who_sold=True)
    happened = changed_at(read.updated_at, record, "update_time")
    yield from _parcels(order, read, happened, record, account)


def _parcels(
    order: Mapping[str, Any], read: OrderOutput, happened: datetime, record: Verified, account: Account
) -> Iterator[Event]:
    delivery = optional_mapping(optional_mapping(order.get("order_detail")).get("delivery_info"))
    for row in delivery.get("delivery_product_info") or ():
        parcel = mapping(row, "delivery_product_info")
        waybill = optional_text(parcel, "waybill_id", limit=64)
        if waybill is None:
            continue
        sent = unix_time(parcel, "delivery_time") or happened
        shipment = ShipmentData(
            platform=account.platform,
            account=account.slug,
            version=version_of(sent, "shipped", full=True),
            occurred_at=sent,
            order_id=read.order_id,
            waybill=waybill,
            company=optional_text(parcel, "delivery_name", limit=64) or optional_text(parcel, "delivery_id", limit=64),
            state="shipped",
        )
        yield tell_parcel(shipment, record, account)


def _refund_step(fields: Mapping[str, str], record: Verified, account: Account) -> Event:
    told = created_at(fields, record.received_at)
    # Where a callback keeps these fields differs between documents [U].
    inner = next((name for name in _REFUND_PARENTS if f"{name}.after_sale_order_id" in fields), _REFUND_PARENTS[0])
    status = state_of(REFUND_STATUSES, fields, f"{inner}.status", "unknown")
    data = RefundData(
        platform=account.platform,
        account=account.slug,
        version=version_of(told, status, full=False),
        occurred_at=told,
        refund_id=text(fields, f"{inner}.after_sale_order_id"),
        order_id=text(fields, f"{inner}.order_id"),
        status=status,
    )
    return tell_refund(data, record, account, is_exchange=is_exchange({"status": fields.get(f"{inner}.status")}))


_REFUND_PARENTS = ("finder_shop_aftersale_status_update", "aftersale_info")


def _listed_refund(row: Mapping[str, Any], record: Verified, account: Account) -> Event:
    buyer = Buyer(openid=optional_text(row, "openid", limit=64), unionid=optional_text(row, "unionid", limit=64))
    return dated_refund_event(
        read_refund(row), record, account, field="update_time", buyer=buyer, is_exchange=is_exchange(row)
    )


def _moment(fields: Mapping[str, str], field: str | None, record: Verified) -> datetime | None:
    if field is None:
        return None
    return not_from_the_future(unix_time(fields, f"order_info.{field}"), record.received_at, field)
