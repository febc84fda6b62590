"""Goods, orders, refunds and parcels, in no platform's words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import AwareDatetime

from simulator.entities.row import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods(Row):
    """One variant of an article; `id` is shop/sku_id. Ids are digits. stock: pieces that can be sold now.

    article_code, code: what the merchant's own systems call the article and the variant.
    """

    shop: str
    item_id: str
    sku_id: str
    title: str
    sku: str
    category: str
    price_minor: int
    stock: int
    updated_at: AwareDatetime
    on_sale: bool = True
    article_code: str = ""
    code: str = ""
    video_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One article of an order; `oid` is the line's number, ids are digits."""

    oid: str
    item_id: str
    sku_id: str
    title: str
    sku: str
    category: str
    count: int
    price_minor: int

    @property
    def amount_minor(self) -> int:
        """What the line costs."""
        return self.price_minor * self.count


class OrderStatus(StrEnum):
    """Where an order is; each platform module maps these to its own words."""

    UNPAID = "unpaid"
    PAID = "paid"
    SHIPPED = "shipped"
    COMPLETED = "completed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Row):
    """An order; `id` is its number, unique in the world.

    buyer: the id of the Buyer row (the account that bought). phone: the receiver's. parent_id: the main order of a
    split or group one. channel: `shop`, `live`, `short_video`, or a channel code. dining: for caterers, `takeaway` or
    `dine_in`. An order closed without having been paid has no paid_at.
    """

    shop: str
    customer_id: str
    buyer: str
    lines: tuple[OrderLine, ...]
    postage_minor: int = 0
    discount_minor: int = 0
    status: OrderStatus
    created_at: AwareDatetime
    updated_at: AwareDatetime
    paid_at: AwareDatetime | None = None
    shipped_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    refunded_minor: int = 0
    waybill: str | None = None
    phone: str = ""
    parent_id: str = ""
    group_id: str = ""
    channel: str = ""
    influencer_id: str = ""
    video_id: str = ""
    membership: str = ""
    coupon_ids: tuple[str, ...] = ()
    dining: str = ""

    @property
    def goods_minor(self) -> int:
        """What the articles cost."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def paid_minor(self) -> int:
        """What the buyer pays: articles and postage without the discount."""
        return self.goods_minor + self.postage_minor - self.discount_minor


class RefundStatus(StrEnum):
    """Where a refund is; each platform module maps these to its own words."""

    REQUESTED = "requested"
    AWAITING_RETURN = "awaiting_return"
    RETURNED = "returned"
    REFUSED = "refused"
    RETURN_REFUSED = "return_refused"
    CLOSED = "closed"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(Row):
    """A buyer's request for money back; `id` is its number, `version` its optimistic lock (ms, only grows).

    `tid` is the order's number, `oid` the line's. agreed_at: when the shop let the goods come back; returned_at:
    when the buyer had sent them.
    """

    shop: str
    tid: str
    oid: str
    customer_id: str
    amount_minor: int
    reason: int
    reason_text: str
    returns_goods: bool
    status: RefundStatus
    version: int
    created_at: AwareDatetime
    modified_at: AwareDatetime
    waybill: str | None = None
    agreed_at: AwareDatetime | None = None
    returned_at: AwareDatetime | None = None
    succeeded_at: AwareDatetime | None = None
    remark: str = ""


class Parcel(StrEnum):
    """What becomes of a parcel."""

    NORMAL = "normal"
    STUCK = "stuck"
    LOST = "lost"
    SIGNED = "signed"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waybill(Row):
    """A parcel; `id` is its number. Its trace follows from the time passed.

    refund_id: of a returned parcel; tid: of one to the buyer. Parcels that arrived before the simulator started have no
    row: the order's `waybill` is all that is left of them.
    """

    shop: str
    refund_id: str = ""
    tid: str = ""
    express_id: int
    express_name: str
    shipped_at: AwareDatetime
    transit_s: float
    fate: Parcel = Parcel.NORMAL
