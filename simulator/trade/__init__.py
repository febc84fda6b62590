"""What happens to orders, refunds and parcels in the world, whatever platform shows them."""

from simulator.trade.orders import change_stock, close, complete, pay, place_order, set_stock, ship
from simulator.trade.parcels import EXPRESS, has_arrived, trace
from simulator.trade.refunds import (
    Stage,
    agree_return,
    open_refund,
    pay_back,
    refuse,
    request_refund,
    send_back,
    withdraw,
)
from simulator.trade.refusal import STALE_STATUS, STALE_VERSION, TradeRefusal

__all__ = [
    "EXPRESS",
    "STALE_STATUS",
    "STALE_VERSION",
    "Stage",
    "TradeRefusal",
    "agree_return",
    "change_stock",
    "close",
    "complete",
    "has_arrived",
    "open_refund",
    "pay",
    "pay_back",
    "place_order",
    "refuse",
    "request_refund",
    "send_back",
    "set_stock",
    "ship",
    "trace",
    "withdraw",
]
