"""Orders and refunds whose platform tells only how they are now: how new a state is, and the event it makes.

An order goes through its stages once and never back. So the stage counts before the time: a short message of a stage is
older than the whole record of it, whatever the clocks of the platform's parts say, and newer than every earlier stage.
Where a platform's pushes and lists tell one and the same time in whole seconds, the time counts first (`dated_…`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

import structlog

from connectors.accounts import Account
from connectors.reading import not_from_the_future
from connectors.telling import tell_order, tell_parcel, tell_refund, version_of
from connectors.webhooks import Verified
from domain.canonical import Buyer, OrderData, OrderStatus, RefundData, RefundStatus, ShipmentData
from domain.catalog.shop_calls import OrderOutput, RefundOutput
from domain.events import Event

_STAGES: Mapping[OrderStatus, int] = {"unknown": 0, "unpaid": 1, "paid": 2, "shipped": 3, "completed": 4, "closed": 5}
_STAGE = 10**13
_NOT_IN_EVENTS = {"updated_at", "waybills"}
_NOT_IN_REFUND_EVENTS = {"updated_at", "return_waybill", "created_at", "currency"}
"""No platform names a currency with a refund: it is the order's."""


LONGEST_WAYBILL = 64
log = structlog.get_logger(__name__)


class Parcel(NamedTuple):
    """A parcel that an order was sent in. sent_at: the order's `shipped_at` where the parcel itself does not say."""

    waybill: str
    sent_at: datetime | None = None
    company: str | None = None
    line_ids: tuple[str, ...] = ()


class Sent(Protocol):
    """An order that tells its parcels."""

    @property
    def order_id(self) -> str: ...
    @property
    def status(self) -> OrderStatus: ...
    @property
    def created_at(self) -> datetime | None: ...
    @property
    def paid_at(self) -> datetime | None: ...
    @property
    def shipped_at(self) -> datetime | None: ...
    @property
    def updated_at(self) -> datetime | None: ...


def order_version(status: OrderStatus, changed_at: datetime | None) -> int:
    """The stage, then the milliseconds of the change; without them the oldest of its stage."""
    return _STAGES[status] * _STAGE + moment_version(changed_at)


def moment_version(changed_at: datetime | None) -> int:
    """The milliseconds of the change, for things that have no stages."""
    return int(changed_at.timestamp() * 1000) if changed_at else 0


def refund_version(status: RefundStatus, changed_at: datetime | None, *, full: bool) -> int:
    """The time before the state: a refund may be refused and asked for again. See `connectors.telling.version_of`."""
    return version_of(changed_at, status, full=full) if changed_at else 0


def order_event(order: OrderOutput, record: Verified, account: Account, *, field: str) -> Event:
    """The event of a whole order. field: the platform's name for the time of its last change, for a refusal."""
    data = OrderData(
        **order.model_dump(exclude=_NOT_IN_EVENTS),
        platform=account.platform,
        account=account.slug,
        version=order_version(order.status, order.updated_at),
        occurred_at=not_from_the_future(order.updated_at, record.received_at, field),
    )
    return tell_order(data, record, account)


def refund_event(
    refund: RefundOutput, record: Verified, account: Account, *, field: str, is_exchange: bool = False
) -> Event:
    """The event of a whole refund. is_exchange: see `connectors.telling.tell_refund`."""
    data = RefundData(
        **refund.model_dump(exclude=_NOT_IN_REFUND_EVENTS),
        platform=account.platform,
        account=account.slug,
        version=refund_version(refund.status, refund.updated_at, full=True),
        occurred_at=not_from_the_future(refund.updated_at, record.received_at, field),
    )
    return tell_refund(data, record, account, is_exchange=is_exchange)


def changed_at(told: datetime | None, record: Verified, field: str) -> datetime:
    """When a thing changed last; when it was received, where the platform leaves that out."""
    return not_from_the_future(told, record.received_at, field) or record.received_at


def dated_order_event(
    order: OrderOutput, record: Verified, account: Account, *, field: str, says_who_sold: bool = False
) -> Event:
    """The event of a whole order whose newness is its time, see `connectors.telling.version_of`. says_who_sold: see
    `OrderData`."""
    happened = changed_at(order.updated_at, record, field)
    data = OrderData(
        **order.model_dump(exclude=_NOT_IN_EVENTS),
        platform=account.platform,
        account=account.slug,
        version=version_of(happened, order.status, full=True),
        says_who_sold=says_who_sold,
        occurred_at=happened,
    )
    return tell_order(data, record, account)


def dated_refund_event(
    refund: RefundOutput,
    record: Verified,
    account: Account,
    *,
    field: str,
    buyer: Buyer | None = None,
    is_exchange: bool = False,
) -> Event:
    """The event of a whole refund whose newness is its time. is_exchange: see `connectors.telling.tell_refund`."""
    happened = changed_at(refund.updated_at, record, field)
    data = RefundData(
        **refund.model_dump(exclude=_NOT_IN_REFUND_EVENTS),
        platform=account.platform,
        account=account.slug,
        version=version_of(happened, refund.status, full=True),
        occurred_at=happened,
        buyer=buyer or Buyer(),
    )
    return tell_refund(data, record, account, is_exchange=is_exchange)


def parcel_events(
    parcels: Iterable[Parcel], order: Sent, record: Verified, account: Account, *, field: str
) -> list[Event]:
    """That each parcel was sent, however often its order is told. field: see `order_event`.

    It is as new as its sending, and where nobody tells that, no newer than the payment: so whatever a carrier says of
    it later stays, however late its order changes.
    """
    found = []
    for parcel in parcels:
        if len(parcel.waybill) > LONGEST_WAYBILL:
            log.warning("a waybill is too long to be one", order=order.order_id, length=len(parcel.waybill))
        else:
            found.append(_parcel_event(parcel, order, record, account, field))
    return found


def _parcel_event(parcel: Parcel, order: Sent, record: Verified, account: Account, field: str) -> Event:
    sent = parcel.sent_at or order.shipped_at
    if sent is None and order.status != "shipped":
        # It may have been sent weeks ago: nobody is told of it today.
        sent = order.paid_at or order.created_at
    data = ShipmentData(
        platform=account.platform,
        account=account.slug,
        version=moment_version(sent or order.paid_at or order.created_at),
        occurred_at=sent or changed_at(order.updated_at, record, field),
        order_id=order.order_id,
        waybill=parcel.waybill,
        company=parcel.company,
        state="shipped",
        line_ids=parcel.line_ids,
    )
    return tell_parcel(data, record, account)
