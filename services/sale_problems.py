"""Why an order that counts has no sales, or not all of them, and what to do."""

from collections.abc import Mapping

from domain.problems import Text
from storage.left_out import REFUND_AMOUNT

NO_RATE = "no-rate"
NO_LINES = "no-lines"
REFUND_CURRENCY = "refund-currency"
PROBLEMS: Mapping[str, Text] = {
    NO_RATE: Text(
        "订单币种在付款日没有汇率，请补录汇率",
        "There is no rate of the order's currency on the day it was paid: add one",
    ),
    NO_LINES: Text("订单没有商品行", "The order has no lines"),
    REFUND_CURRENCY: Text(
        "退款的币种与订单不同，扣不了，订单停在原来的金额：请核对这笔退款",
        "A refund is in another currency than its order and cannot be taken off, so the order stays as it was: look at "
        "the refund",
    ),
    REFUND_AMOUNT: Text(
        "退款已付而金额未知，还没有扣：请核对平台的退款列表（比对该店的退款流）",
        "A refund was paid, and nobody said how much, so it is not taken off yet: see the platform's list of refunds "
        "(compare the shop's stream of them)",
    ),
}
"""Why an order that counts has no sales, or lacks a refund in them."""
