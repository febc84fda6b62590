"""What people do around buying: chat, scan, look, fill a cart, take a coupon, reach a stage of life."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Literal

from domain.canonical.keys import IdentityKey, key
from domain.canonical.orders import Buyer, OrderLine
from domain.canonical.origin import Origin
from domain.money import HOME_CURRENCY, AmountMinor

CouponState = Literal["taken", "used", "expired", "returned"]


class Interaction(Origin):
    """Base: something that a person did. `buyer` names them; in WeCom chats `external_userid` does."""

    buyer: Buyer = Buyer()
    external_userid: str | None = None
    corp: str | None = None

    def identity_keys(self) -> Iterable[IdentityKey | None]:
        yield from self.buyer.identity_keys_within(self)
        yield key("external_userid", self.external_userid, self.corp or self.account_id)


class ChatData(Interaction):
    """A message between a customer and a shop. text: personal, kept encrypted; null for pictures and the like."""

    message_id: str
    direction: Literal["in", "out"]
    userid: str | None = None
    form: Literal["text", "image", "voice", "video", "file", "card", "other"] = "text"
    text: str | None = None


class ScanData(Interaction):
    """A channel code was scanned."""

    scan_id: str
    code: str
    place: str | None = None


class VisitData(Interaction):
    """Something a person did on a site, in an app or a live room. name: `page_view`, `search`, `live_enter` …"""

    visit_id: str
    name: str
    item_id: str | None = None
    category: str | None = None
    channel: str | None = None
    attributes: dict[str, str | int | bool] = {}


class CartData(Interaction):
    """A cart, or an order that nobody has paid. state: `open`, `ordered`, `cleared`."""

    cart_id: str
    state: Literal["open", "ordered", "cleared"] = "open"
    currency: str = HOME_CURRENCY
    lines: tuple[OrderLine, ...] = ()
    total_minor: AmountMinor | None = None


class CouponData(Interaction):
    """A coupon in one person's hands. source: where they took it (`live`, `chat`, `shop`).

    code: what they type in to spend it, where the platform tells one; whoever has it can, so it is kept encrypted.
    """

    coupon_id: str
    code: str | None = None
    batch_id: str
    state: CouponState
    source: str | None = None
    currency: str = HOME_CURRENCY
    value_minor: AmountMinor | None = None
    threshold_minor: AmountMinor | None = None
    order_id: str | None = None
    expires_on: date | None = None


class LifeEventData(Interaction):
    """A stage of life that matters for what a person needs. name: `pregnancy`, `birth`, `birthday`, `new_pet`, `move` …

    due_on: the day it is about (an expected birth, a birthday).
    """

    event_id: str
    name: str
    due_on: date | None = None
    attributes: dict[str, Any] = {}
