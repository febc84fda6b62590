"""The things of the simulated world, as rows that can be written down and read back.

Money is integer minor units (fen); instants are UTC. How a platform shows them on its wire is the
platform module's business.
"""

from simulator.entities.accounts import App, Corp, Counter, Shop, Staff, Target, Token
from simulator.entities.interactions import Cart, Chat, Coupon, Scan, Visit
from simulator.entities.people import Buyer, Contact, Customer, Follower, GroupMessage, Recipient, Tag, TagGroup
from simulator.entities.pushes import Push, PushState
from simulator.entities.row import Row, dump, load
from simulator.entities.trade import (
    Goods,
    Order,
    OrderLine,
    OrderStatus,
    Parcel,
    Refund,
    RefundStatus,
    Waybill,
)

__all__ = [
    "App",
    "Buyer",
    "Cart",
    "Chat",
    "Contact",
    "Corp",
    "Counter",
    "Coupon",
    "Customer",
    "Follower",
    "Goods",
    "GroupMessage",
    "Order",
    "OrderLine",
    "OrderStatus",
    "Parcel",
    "Push",
    "PushState",
    "Recipient",
    "Refund",
    "RefundStatus",
    "Row",
    "Scan",
    "Shop",
    "Staff",
    "Tag",
    "TagGroup",
    "Target",
    "Token",
    "Visit",
    "Waybill",
    "dump",
    "load",
]
