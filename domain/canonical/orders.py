"""Orders, their refunds and their parcels."""

from collections.abc import Iterable
from typing import Literal

from pydantic import AwareDatetime

from domain.calls import Result
from domain.canonical.keys import IdentityKey, key
from domain.canonical.origin import Origin
from domain.money import AmountMinor

LONGEST_ORDER_ID = 160
"""The longest number of an order or of its line on any platform: Tmall gives out encrypted ones."""
RefundStatus = Literal[
    "requested", "awaiting_return", "returned", "refused", "return_refused", "closed", "refunded", "unknown"
]
OrderStatus = Literal["unpaid", "paid", "shipped", "completed", "closed", "unknown"]
ParcelState = Literal["shipped", "in_transit", "delivering", "signed", "returned", "lost", "unknown"]


class OrderLine(Result):
    """One article of an order; `price_minor` is one piece, `total_minor` what the line was sold for.

    category: the shop's own word for the kind of goods. merchant_code: what the merchant's systems call the variant.
    """

    line_id: str
    item_id: str | None = None
    sku_id: str | None = None
    title: str
    sku: str | None = None
    merchant_code: str | None = None
    category: str | None = None
    quantity: int
    price_minor: AmountMinor
    total_minor: AmountMinor


class Buyer(Result):
    """The buyer's identities; `*_ciphertext` can be read only where the platform allows it.

    phone: in clear, where the platform gives it or it was decrypted. openid_scope: the app that the openid belongs to,
    the account when not said. member_id: the merchant's own number, within `member_scope`, the account when not said.
    buyer_id: the number of whoever sold, within `buyer_scope`; when not said, within the platform where that numbers
    its buyers, else within the account. nickname: as the platform shows it, often masked.
    """

    buyer_id: str | None = None
    buyer_scope: str | None = None
    unionid: str | None = None
    openid: str | None = None
    openid_scope: str | None = None
    phone: str | None = None
    phone_ciphertext: str | None = None
    nickname: str | None = None
    device: str | None = None
    member_id: str | None = None
    member_scope: str | None = None

    def identity_keys_within(self, origin: Origin) -> Iterable[IdentityKey | None]:
        """What the buyer is known by; openids are an app's, buyer ids a platform's or an account's."""
        yield key("unionid", self.unionid)
        yield key("phone", self.phone)
        yield key("buyer", self.buyer_id, self.buyer_scope or origin.buyers_within)
        yield key("openid", self.openid, self.openid_scope or origin.account_id)
        yield key("member", self.member_id, self.member_scope or origin.account_id)
        yield key("device", self.device)


class Delivery(Result):
    """Where the goods went; personal data stays ciphertext.

    receiver_ciphertext: the platform's own cipher of the whole receiver (Taobao's OAID, Pinduoduo's address id).
    """

    province: str | None = None
    city: str | None = None
    name_ciphertext: str | None = None
    phone_ciphertext: str | None = None
    address_ciphertext: str | None = None
    receiver_ciphertext: str | None = None


class OrderData(Origin):
    """An order as the platform tells it; what a short push leaves out is null or empty.

    parent_order_id: the main order of a group or of a split one. group_id: the group-buy. channel: what brought the
    buyer (a channel code, `live`, `short_video`). influencer_id, video_id: who and what showed the goods.
    says_who_sold: these three are all there is to say, so that null is nobody, whoever was told before.
    told_in_part: it is a step alone, and the whole order can be read; its event waits for that.
    membership: the platform's own grade of the buyer (`88VIP`). coupon_ids: coupons spent on it. dining: for caterers,
    `takeaway` or `dine_in`.
    """

    order_id: str
    status: OrderStatus
    paid_minor: AmountMinor | None = None
    postage_minor: AmountMinor | None = None
    discount_minor: AmountMinor | None = None
    currency: str = "CNY"
    lines: tuple[OrderLine, ...] = ()
    buyer: Buyer = Buyer()
    delivery: Delivery | None = None
    created_at: AwareDatetime | None = None
    paid_at: AwareDatetime | None = None
    shipped_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    close_reason: str | None = None
    parent_order_id: str | None = None
    group_id: str | None = None
    channel: str | None = None
    influencer_id: str | None = None
    video_id: str | None = None
    says_who_sold: bool = False
    told_in_part: bool = False
    membership: str | None = None
    coupon_ids: tuple[str, ...] = ()
    dining: Literal["takeaway", "dine_in"] | None = None

    def identity_keys(self) -> Iterable[IdentityKey | None]:
        return self.buyer.identity_keys_within(self)


class RefundData(Origin):
    """A refund as the platform tells it; `amount_minor` is null in pushes that leave it out.

    currency: its order's when not said.
    """

    refund_id: str
    order_id: str
    status: RefundStatus
    amount_minor: AmountMinor | None = None
    currency: str | None = None
    reason: str | None = None
    returns_goods: bool | None = None
    line_ids: tuple[str, ...] = ()
    buyer: Buyer = Buyer()

    def identity_keys(self) -> Iterable[IdentityKey | None]:
        return self.buyer.identity_keys_within(self)


class ShipmentData(Origin):
    """A parcel to the buyer, and where it is.

    order_account: the account that its order is of (`douyin/flagship`), the parcel's own when not said: a warehouse
    tells the parcels of shops.
    """

    order_id: str
    order_account: str | None = None
    waybill: str
    company: str | None = None
    state: ParcelState = "unknown"
    line_ids: tuple[str, ...] = ()
