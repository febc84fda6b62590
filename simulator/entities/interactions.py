"""What people do around buying: coupons, chats, scans, carts, visits."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import AwareDatetime

from simulator.entities.row import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon(Row):
    """A coupon in one person's hands. source: `live`, `chat` or `shop`. state: `taken`, `used` or `expired`."""

    shop: str
    customer_id: str
    buyer: str
    batch: str
    source: str
    value_minor: int
    threshold_minor: int
    state: str
    taken_at: AwareDatetime
    updated_at: AwareDatetime
    expires_at: AwareDatetime
    order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat(Row):
    """A message between a customer and an employee. direction: `in` from the customer, `out` to them."""

    account: str
    customer_id: str
    userid: str
    direction: str
    form: str
    text: str
    sent_at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Row):
    """A channel code that somebody scanned. account: the public account or corp whose code it is."""

    account: str
    customer_id: str
    code: str
    place: str
    scanned_at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cart(Row):
    """Goods put into a cart. state: `open`, `ordered` or `cleared`."""

    shop: str
    customer_id: str
    buyer: str
    sku_ids: tuple[str, ...]
    total_minor: int
    state: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit(Row):
    """Something done on the merchant's site or in a live room. name: `page_view`, `search`, `live_enter`.

    known: whether the visitor had signed in, so that the site knows the phone beside the device.
    """

    account: str
    customer_id: str
    device: str
    name: str
    item_id: str
    category: str
    known: bool
    at: AwareDatetime
