"""What every platform's records become, whatever platform they come from.

Amounts are integer minor units, instants UTC. A record names the people in it by identity keys, never by a customer:
which customer a key belongs to is decided by `domain.customers.identity`, and may change.
"""

from domain.canonical.consents import ConsentData
from domain.canonical.goods import GoodsData, StockData
from domain.canonical.interactions import (
    CartData,
    ChatData,
    CouponData,
    CouponState,
    LifeEventData,
    ScanData,
    VisitData,
)
from domain.canonical.keys import STRONG_KINDS, IdentityKey, KeyKind
from domain.canonical.orders import (
    LONGEST_ORDER_ID,
    Buyer,
    Delivery,
    OrderData,
    OrderLine,
    OrderStatus,
    ParcelState,
    RefundData,
    RefundStatus,
    ShipmentData,
)
from domain.canonical.origin import Origin, keys_of
from domain.canonical.payouts import PayoutData, PayoutState
from domain.canonical.people import ContactData, FollowerData, GroupData, MemberData, TagData

__all__ = [
    "LONGEST_ORDER_ID",
    "STRONG_KINDS",
    "Buyer",
    "CartData",
    "ChatData",
    "ConsentData",
    "ContactData",
    "CouponData",
    "CouponState",
    "Delivery",
    "FollowerData",
    "GoodsData",
    "GroupData",
    "IdentityKey",
    "KeyKind",
    "LifeEventData",
    "MemberData",
    "OrderData",
    "OrderLine",
    "OrderStatus",
    "Origin",
    "ParcelState",
    "PayoutData",
    "PayoutState",
    "RefundData",
    "RefundStatus",
    "ScanData",
    "ShipmentData",
    "StockData",
    "TagData",
    "VisitData",
    "keys_of",
]
