"""From a canonical record to the event that tells of it, the same whether it was pushed or read later.

What happens to a thing only once (an order is paid, a refund succeeds) has an id without a version: short pushes carry
other times than the full record that is read later, and both must be one event. What may happen often is told apart by
`parts`.
"""

from collections.abc import Mapping
from datetime import datetime

from connectors.accounts import Account
from connectors.webhooks import Verified
from domain.canonical import OrderData, Origin, RefundData, ShipmentData
from domain.events import Event
from domain.ids import derived_id

ORDER_EVENTS: Mapping[str, str] = {
    "unpaid": "created",
    "paid": "paid",
    "shipped": "shipped",
    "completed": "completed",
    "closed": "closed",
}
REFUND_EVENTS: Mapping[str, str] = {
    "requested": "created",
    "awaiting_return": "return_agreed",
    "returned": "returned",
    "refused": "refused",
    "return_refused": "refused",
    "closed": "closed",
    "refunded": "succeeded",
}
UPDATED = "updated"
_RANK: Mapping[str, int] = {
    "unpaid": 1,
    "paid": 2,
    "shipped": 3,
    "completed": 4,
    "closed": 5,
    "requested": 1,
    "awaiting_return": 2,
    "refused": 3,
    "returned": 4,
    "return_refused": 5,
    "refunded": 6,
}


def version_of(moment: datetime, status: str, *, full: bool) -> int:
    """A number that grows with every change, where the platform tells times in whole seconds and nothing else.

    Within a second the later state is the newer, and a whole record is newer than a short push of the same state.
    """
    return int(moment.timestamp()) * 100 + _RANK.get(status, 0) * 10 + (1 if full else 0)


def tell(
    name: str,
    subject: str,
    data: Origin,
    record: Verified,
    account: Account,
    *,
    keys: tuple[str, ...] = (),
    parts: tuple[str, ...] = (),
) -> Event:
    """The event `tandem.{name}` about `subject`; its time is the record's own, else when it was received."""
    return Event(
        id=derived_id(account.source, name, subject, *parts),
        source=account.source,
        type=f"tandem.{name}",
        subject=subject,
        time=data.occurred_at or record.received_at,
        datacontenttype="application/json",
        data=data.model_dump(mode="json"),
        tandemkeys=keys,
    )


def tell_order(data: OrderData, record: Verified, account: Account, *, step: str | None = None) -> Event:
    """The event of an order, named by its status unless `step` names it."""
    name = step or ORDER_EVENTS.get(data.status, UPDATED)
    buyer = data.buyer.buyer_id
    keys = (f"customer:{data.buyer.buyer_scope or data.buyers_within}/{buyer}",) if buyer else ()
    parts = (str(data.version),) if name == UPDATED else ()
    return tell(f"order.{name}", f"order:{data.order_id}", data, record, account, keys=keys, parts=parts)


def tell_refund(
    data: RefundData, record: Verified, account: Account, *, step: str | None = None, is_exchange: bool = False
) -> Event:
    """The event of a refund, named by its status unless `step` names it.

    An exchange is closed as a refund, and nobody waits for it any longer, yet it may become one: each telling has an id
    of its own, so that the end of that refund is told as well.
    """
    name = "closed" if is_exchange else step or REFUND_EVENTS.get(data.status, UPDATED)
    parts = (str(data.version),) if is_exchange or name == UPDATED else ()
    keys = (f"order:{data.order_id}",)
    return tell(f"refund.{name}", f"refund:{data.refund_id}", data, record, account, keys=keys, parts=parts)


def tell_parcel(data: ShipmentData, record: Verified, account: Account) -> Event:
    """The event of a parcel, once for each state of it."""
    keys, parts = (f"order:{data.order_id}",), (data.order_id, data.state)
    return tell("shipment.updated", f"shipment:{data.waybill}", data, record, account, keys=keys, parts=parts)
