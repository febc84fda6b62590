"""What happens in the world, told to whoever pushes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from simulator.entities import Row


class What(StrEnum):
    """Kinds of happenings."""

    ORDER_CREATED = "order.created"
    ORDER_PAID = "order.paid"
    ORDER_SHIPPED = "order.shipped"
    ORDER_COMPLETED = "order.completed"
    ORDER_CLOSED = "order.closed"
    REFUND_REQUESTED = "refund.requested"
    REFUND_RETURN_AGREED = "refund.return_agreed"
    REFUND_RETURNED = "refund.returned"
    REFUND_REFUSED = "refund.refused"
    REFUND_CLOSED = "refund.closed"
    REFUND_REFUNDED = "refund.refunded"
    CONTACT_ADDED = "contact.added"
    CONTACT_REMOVED = "contact.removed"
    CONTACT_DROPPED = "contact.dropped"
    CONTACT_EDITED = "contact.edited"
    CORP_TAG_REMOVED = "corp_tag.removed"
    FOLLOWED = "follower.added"
    UNFOLLOWED = "follower.removed"
    SCANNED = "scan"
    CHATTED = "chat"
    COUPON_TAKEN = "coupon.taken"
    COUPON_USED = "coupon.used"
    COUPON_EXPIRED = "coupon.expired"
    CART_FILLED = "cart.filled"
    CART_ENDED = "cart.ended"
    VISITED = "visit"
    STOCK_CHANGED = "stock.changed"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something happened to a row of an account's.

    row: as it was at that moment, which for replayed history is not what the world holds now. at: the moment.
    """

    what: What
    account: str
    row: Row
    at: datetime


Listener = Callable[[Happening], object]


class Bulletin:
    """Tells listeners what happens, unless the world is being quiet."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._silent = 0

    def listen(self, listener: Listener) -> None:
        """Tells `listener` from now on."""
        self._listeners.append(listener)

    def tell(self, happening: Happening) -> None:
        """Tells everybody."""
        if self._silent == 0:
            for listener in self._listeners:
                listener(happening)

    @contextmanager
    def quiet(self, wanted: bool = True) -> Iterator[None]:
        """Nobody is told of what happens inside."""
        self._silent += wanted
        try:
            yield
        finally:
            self._silent -= wanted
