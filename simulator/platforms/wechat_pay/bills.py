"""A day's bills as the platform writes them: CSV, values behind a back-quote, sums at the end.

What was traded follows from the orders of the merchant's WeChat Store, the money that moved also from transfers
and what was shared. Each account of a merchant has a fund bill of its own: transfers are in that of the account that
pays them, everything else moves on the basic account.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from simulator.entities import Order, Refund
from simulator.platforms.wechat_pay.transfers import Transfer
from simulator.seeding import CHINA
from simulator.world import World

TRADE = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
TRADE_SUMS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
FUNDS = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
FUND_SUMS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
RATE_BPS = 60
VOUCHER_MINOR, VOUCHER_FROM_MINOR = 500, 2_000
"""What WeChat's own voucher pays of an order, from which amount on; the merchant gets the whole of it."""
SHOP = "demo-wechat-store"
HANDED_OUT = frozenset({"text/plain", "application/gzip"})
"""The media types of files, which are not signed."""


def handed_out(bill: str, *, packed: bool) -> tuple[bytes, str]:
    """A bill as it is downloaded, and its media type."""
    if packed:
        return gzip.compress(bill.encode(), mtime=0), "application/gzip"
    return bill.encode(), "text/plain"


def trade_bill(world: World, mch_id: str, app_id: str, day: date) -> str | None:
    """The trade bill of a day in China; None when nothing was traded."""
    orders, refunds = _traded(world, day)
    if not orders and not refunds:
        return None
    rows = [_paid(world, order, mch_id, app_id) for order in orders]
    rows += [_refunded(refund, mch_id, app_id) for refund in refunds]
    paid, back = sum(order.paid_minor for order in orders), sum(refund.amount_minor for refund in refunds)
    fees = sum(_fee(order.paid_minor) for order in orders) - sum(_fee(refund.amount_minor) for refund in refunds)
    sums = (str(len(rows)), _yuan(paid), _yuan(back), _yuan(0), _fine(fees), _yuan(paid), _yuan(back))
    return _written(TRADE, rows, TRADE_SUMS, sums)


def fund_bill(
    world: World,
    account: str,
    day: date,
    transfers: Sequence[Transfer],
    shared: Sequence[tuple[datetime, str, str, int]],
) -> str | None:
    """The fund-flow bill of an account of a day; None when nothing moved."""
    start, end = _span(day)
    paid_out = [row for row in transfers if row.state == "SUCCESS" and start <= row.updated_at < end]
    paid_out = [row for row in paid_out if row.paid_from == account]
    orders, refunds = _traded(world, day) if account == "BASIC" else ([], [])
    shared = shared if account == "BASIC" else ()
    moves = [(order.paid_at or start, f"42{order.id}", order.id, "交易", "收入", order.paid_minor) for order in orders]
    moves += [(row.succeeded_at or start, f"50{row.id}", row.id, "退款", "支出", row.amount_minor) for row in refunds]
    moves += [
        (row.updated_at, row.transfer_bill_no, row.out_bill_no, "转账", "支出", row.amount_minor) for row in paid_out
    ]
    moves += [
        (at, number, voucher, "分账", "支出", amount) for at, number, voucher, amount in shared if start <= at < end
    ]
    if not moves:
        return None
    moves.sort()
    rows = [
        (_local(at), number, number, name, name, direction, _yuan(amount), _yuan(0), "system", "", voucher)
        for at, number, voucher, name, direction, amount in moves
    ]
    came = [amount for *_, direction, amount in moves if direction == "收入"]
    went = [amount for *_, direction, amount in moves if direction == "支出"]
    sums = (str(len(rows)), str(len(came)), _yuan(sum(came)), str(len(went)), _yuan(sum(went)))
    return _written(FUNDS, rows, FUND_SUMS, sums)


def _traded(world: World, day: date) -> tuple[list[Order], list[Refund]]:
    start, end = _span(day)
    orders = world.orders.between("paid", start, end - timedelta(microseconds=1), shop=SHOP)
    refunds = [
        row
        for row in world.refunds.having(shop=SHOP)
        if row.succeeded_at is not None and start <= row.succeeded_at < end
    ]
    return orders, refunds


def _span(day: date) -> tuple[datetime, datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    return start, start + timedelta(days=1)


def _paid(world: World, order: Order, mch_id: str, app_id: str) -> tuple[str, ...]:
    amount = order.paid_minor
    voucher = VOUCHER_MINOR if amount >= VOUCHER_FROM_MINOR else 0
    head = (_local(order.paid_at or order.created_at), app_id, mch_id, "0", "", f"42{order.id}", order.id)
    buyer = world.buyers.get(order.buyer)
    sold = (buyer.openid if buyer else "", "JSAPI", "SUCCESS", "OTHERS", "CNY", _yuan(amount), _yuan(voucher))
    back = ("0", "0", _yuan(0), _yuan(0), "", "", order.lines[0].title.replace(",", " "), "")
    return (*head, *sold, *back, _fine(_fee(amount)), "0.60%", _yuan(amount), _yuan(0), "")


def _refunded(refund: Refund, mch_id: str, app_id: str) -> tuple[str, ...]:
    amount = refund.amount_minor
    head = (_local(refund.succeeded_at or refund.modified_at), app_id, mch_id, "0", "", f"42{refund.tid}", refund.tid)
    sold = ("", "JSAPI", "REFUND", "OTHERS", "CNY", _yuan(0), _yuan(0))
    back = (f"50{refund.id}", refund.id, _yuan(amount), _yuan(0), "ORIGINAL", "SUCCESS", "", "")
    return (*head, *sold, *back, _fine(-_fee(amount)), "0.60%", _yuan(0), _yuan(amount), "")


def _written(heading: str, rows: Sequence[tuple[str, ...]], sums_heading: str, sums: tuple[str, ...]) -> str:
    lines = [heading, *(_quoted(row) for row in rows), sums_heading, _quoted(sums)]
    return "\ufeff" + "\r\n".join(lines) + "\r\n"


def _quoted(values: Sequence[str]) -> str:
    return ",".join(f"`{value}" for value in values)


def _fee(amount_minor: int) -> int:
    return (amount_minor * RATE_BPS + 5_000) // 10_000


def _yuan(amount_minor: int) -> str:
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{abs(amount_minor) // 100}.{abs(amount_minor) % 100:02d}"


def _fine(amount_minor: int) -> str:
    """Fees have five digits."""
    return _yuan(amount_minor) + "000"


def _local(at: datetime) -> str:
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
