"""Orders and refunds whose platform tells only how they are now: how new a state is, and the event it makes.

An order goes through its stages once and never back. So the stage counts before the time: a short message of a stage is
older than the whole record of it, whatever the clocks of the platform's parts say, and newer than every earlier stage.
"""

from collections.abc import Mapping
from datetime import datetime

from connectors.accounts import Account
from connectors.reading import not_from_the_future
from connectors.telling import tell_order, tell_refund
from connectors.webhooks import Verified
from domain.canonical import OrderData, OrderStatus, RefundData
from domain.catalog.shop_calls import OrderOutput, RefundOutput
from domain.events import Event

_STAGES: Mapping[OrderStatus, int] = {"unknown": 0, "unpaid": 1, "paid": 2, "shipped": 3, "completed": 4, "closed": 5}
_STAGE = 10**13
_NOT_IN_EVENTS = {"updated_at", "waybills"}
_NOT_IN_REFUND_EVENTS = {"updated_at", "return_waybill", "created_at"}


def order_version(status: OrderStatus, changed_at: datetime | None) -> int:
    """The stage, then the milliseconds of the change; without them the oldest of its stage."""
    return _STAGES[status] * _STAGE + moment_version(changed_at)


def moment_version(changed_at: datetime | None) -> int:
    """The milliseconds of the change, for things whose states come in any order: a refund may be refused and asked for
    again."""
    return int(changed_at.timestamp() * 1000) if changed_at else 0


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


def refund_event(refund: RefundOutput, record: Verified, account: Account, *, field: str) -> Event:
    """The event of a whole refund."""
    data = RefundData(
        **refund.model_dump(exclude=_NOT_IN_REFUND_EVENTS),
        platform=account.platform,
        account=account.slug,
        version=moment_version(refund.updated_at),
        occurred_at=not_from_the_future(refund.updated_at, record.received_at, field),
    )
    return tell_refund(data, record, account)
