"""From a canonical record to the event that tells of it: what it is called, and what it is about.

The event's id depends on the account, the name, the subject with what else tells its records apart (the variant, the
warehouse, a parcel's order) and the version, and on nothing else: the same change pushed, pulled and imported is one
event.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from domain.canonical import keys_of
from domain.canonical.consents import ConsentData
from domain.canonical.goods import GoodsData, StockData
from domain.canonical.interactions import (
    CartData,
    ChatData,
    CouponData,
    Interaction,
    LifeEventData,
    ScanData,
    VisitData,
)
from domain.canonical.orders import OrderData, RefundData, ShipmentData
from domain.canonical.origin import Origin
from domain.canonical.people import ContactData, FollowerData, MemberData
from domain.events import Event
from domain.ids import derived_id

ORDER_EVENTS: Mapping[str, str] = {
    "unpaid": "created",
    "paid": "paid",
    "shipped": "shipped",
    "completed": "completed",
    "closed": "closed",
    "unknown": "updated",
}
REFUND_EVENTS: Mapping[str, str] = {
    "requested": "created",
    "awaiting_return": "return_agreed",
    "returned": "returned",
    "refused": "refused",
    "return_refused": "refused",
    "refunded": "succeeded",
    "closed": "closed",
    "unknown": "updated",
}


class _About(NamedTuple):
    """parts: what else tells records of one subject and version apart."""

    name: str
    subject: str
    further: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


def announce(record: Origin, received_at: datetime, *, past: bool = False) -> Event:
    """The event of a canonical record.

    received_at: the event's time when the record does not say when it happened. past: the record is history that is
    only now told; orders and refunds are then announced as `updated`, so that nothing is set in motion for them.
    """
    about = _ABOUT[type(record)](record)
    name = about.name
    if past and name.startswith(("order.", "refund.")):
        name = f"{name.partition('.')[0]}.updated"
    source = f"/{record.account_id}"
    return Event(
        id=derived_id(source, name, about.subject, *about.parts, str(record.version)),
        source=source,
        type=f"tandem.{name}",
        subject=about.subject,
        time=record.occurred_at or received_at,
        datacontenttype="application/json",
        data=record.model_dump(mode="json"),
        tandemkeys=about.further,
    )


def announce_scan(contact: ContactData) -> Event | None:
    """The scan of the channel code that a contact came by; None when they came without one.

    The same whether the callback tells of it or the contact is read, as long as both know one time (the version).
    """
    if contact.state is None:
        return None
    source, member = f"/{contact.account_id}", contact.userid or ""
    scan = ScanData(
        platform=contact.platform,
        account=contact.account,
        version=contact.version,
        occurred_at=contact.occurred_at,
        external_userid=contact.external_userid,
        scan_id=derived_id(source, contact.external_userid, member, contact.state, str(contact.version)),
        code=contact.state,
    )
    subject = f"scan:{scan.account_id}/{scan.scan_id}"
    return Event(
        id=derived_id(source, "scan.made", subject),
        source=source,
        type="tandem.scan.made",
        subject=subject,
        time=scan.occurred_at,
        datacontenttype="application/json",
        data=scan.model_dump(mode="json"),
        tandemkeys=(*_buyer(scan), f"code:{scan.platform}/{scan.code}"),
    )


def _order(record: OrderData) -> _About:
    return _About(f"order.{ORDER_EVENTS[record.status]}", f"order:{record.order_id}", _buyer(record))


def _refund(record: RefundData) -> _About:
    further = (f"order:{record.order_id}", *_buyer(record))
    return _About(f"refund.{REFUND_EVENTS[record.status]}", f"refund:{record.refund_id}", further)


def _shipment(record: ShipmentData) -> _About:
    order = f"order:{record.order_id}"
    return _About("shipment.updated", f"shipment:{record.waybill}", (order,), (order,))


def _member(record: MemberData) -> _About:
    # A phone or an openid never stands in a subject: subjects are readable where events are routed.
    keys = keys_of(record)
    number = record.member_id or derived_id(*(keys[0] if keys else (record.account_id,)))
    return _About("member.updated", f"member:{record.account_id}/{number}", _buyer(record))


def _contact(record: ContactData) -> _About:
    return _About("contact.updated", f"customer:{record.platform}/{record.external_userid}")


def _follower(record: FollowerData) -> _About:
    name = "follower.subscribed" if record.following else "follower.unsubscribed"
    return _About(name, f"follower:{record.account_id}/{record.openid}")


def _stock(record: StockData) -> _About:
    parts = (*_sku(record), *((f"warehouse:{record.warehouse}",) if record.warehouse else ()))
    return _About("stock.changed", f"goods:{record.platform}/{record.item_id}", _sku(record), parts)


def _goods(record: GoodsData) -> _About:
    return _About("goods.updated", f"goods:{record.platform}/{record.item_id}", _sku(record), _sku(record))


def _sku(record: StockData | GoodsData) -> tuple[str, ...]:
    return (f"sku:{record.platform}/{record.sku_id}",) if record.sku_id else ()


def _interaction(name: str, thing: str, number: str) -> Callable[[Any], _About]:
    def about(record: Interaction) -> _About:
        return _About(name, f"{thing}:{record.account_id}/{getattr(record, number)}", _buyer(record))

    return about


def _coupon(record: CouponData) -> _About:
    return _About(f"coupon.{record.state}", f"coupon:{record.account_id}/{record.coupon_id}", _buyer(record))


def _consent(record: ConsentData) -> _About:
    return _About(f"consent.{record.state}", f"consent:{record.account_id}/{record.number}", _buyer(record))


def _buyer(record: Any) -> tuple[str, ...]:
    """Who it is about, by the number the platform or the account knows them by."""
    holder = record if isinstance(record, MemberData) else record.buyer
    within = holder.buyer_scope or record.buyers_within
    known = [(within, holder.buyer_id), (record.platform, getattr(record, "external_userid", None))]
    return tuple(f"customer:{scope}/{number}" for scope, number in known if number)


_ABOUT: Mapping[type[Origin], Callable[[Any], _About]] = {
    OrderData: _order,
    RefundData: _refund,
    ShipmentData: _shipment,
    MemberData: _member,
    ContactData: _contact,
    FollowerData: _follower,
    ChatData: _interaction("chat.message", "chat", "message_id"),
    ScanData: _interaction("scan.made", "scan", "scan_id"),
    VisitData: _interaction("visit.made", "visit", "visit_id"),
    CartData: _interaction("cart.updated", "cart", "cart_id"),
    CouponData: _coupon,
    LifeEventData: _interaction("life.event", "life", "event_id"),
    ConsentData: _consent,
    GoodsData: _goods,
    StockData: _stock,
}
