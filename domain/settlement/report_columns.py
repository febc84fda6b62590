"""Columns that reports share, under the names that they have in every report."""

from domain.problems import Text
from domain.settlement.reports import FILTERS, Column, Filter, Group, Report, Tie

GROUP_LEADER = "group-leader"
"""The role of payees whose performance has a report of its own."""
PAYEE = Column("payee", "payee", Text("收款人", "Payee"))
ROLE = Column("role", "text", Text("角色", "Role"))
SCHEME = Column("scheme", "text", Text("方案", "Scheme"))
COMPONENT = Column("component", "text", Text("收入项", "Component"))
TITLE = Column("title", "text", Text("名称", "Title"))
CURRENCY = Column("currency", "text", Text("币种", "Currency"))
PERIOD = Column("period_start", "day", Text("所属账期", "Of the period from"))
PAYEES = Column("payees", "count", Text("收款人数", "Payees"))
MEASURED = Column("measured", "text", Text("计量", "Measured"))
BASE = Column("base", "measure", Text("基数", "Base"))
AMOUNT = Column("amount", "money", Text("金额", "Amount"))
EARNED = Column("earned", "money", Text("收入", "Earned"))
SOLD = Column("sold", "money", Text("归属业绩", "Sold"))
OPENING = Column("opening", "money", Text("期初", "Opening"))
CLOSING = Column("closing", "money", Text("期末", "Closing"))
RAIL = Column("rail", "text", Text("通道", "Rail"))
STATE = Column("state", "text", Text("状态", "State"))
REASON = Column("reason", "text", Text("原因", "Reason"))
BATCH = Column("batch", "count", Text("批次", "Batch"))
COUNT = Column("count", "count", Text("笔数", "Count"))
PAID = Column("paid", "money", Text("已付", "Paid"))


def money(name: str, zh: str, en: str) -> Column:
    """An amount."""
    return Column(name, "money", Text(zh, en))


def words(name: str, zh: str, en: str) -> Column:
    """A text."""
    return Column(name, "text", Text(zh, en))


def day(name: str, zh: str, en: str) -> Column:
    """A Shanghai day."""
    return Column(name, "day", Text(zh, en))


def at(name: str, zh: str, en: str) -> Column:
    """An instant."""
    return Column(name, "instant", Text(zh, en))


def count(name: str, zh: str, en: str) -> Column:
    """A number of things."""
    return Column(name, "count", Text(zh, en))


def measure(name: str, zh: str, en: str) -> Column:
    """What a component counts."""
    return Column(name, "measure", Text(zh, en))


def rate(name: str, zh: str, en: str) -> Column:
    """What a unit of another currency is worth."""
    return Column(name, "rate", Text(zh, en))


def report(
    name: str,
    zh: str,
    en: str,
    group: Group,
    columns: tuple[Column, ...],
    key: tuple[str, ...],
    tie: Tie,
    filters: tuple[Filter, ...] = FILTERS,
) -> Report:
    """One kind of report."""
    return Report(name, Text(zh, en), group, columns, key, tie, filters)


PAYEES_ACCOUNTS = ("payable", "held", "receivable", "paying")
RAIL_ACCOUNTS = ("wechat-pay", "profit-sharing", "bank")
PAID_OUT = ("payout-paid", "payout-bounced", "payout-overpaid")
EARNINGS = ("commission", "adjustment", "clawback")

EARNED_IN_JOURNAL = Text("分录：计入成本的净额", "journal: net of what was booked as cost")


def earned_tie(column: str = "amount") -> Tie:
    """All that was earned: what the commission account was debited by, net."""
    return Tie(column, EARNED_IN_JOURNAL, ("commission",), EARNINGS, -1)


def some_earned_tie(column: str = "amount") -> Tie:
    """Some components: what is booked in all, less what the other components come to by themselves."""
    said = Text("分录：计入成本的净额，减去其余各项", "journal: net cost, less all other components")
    return Tie(column, said, ("commission",), EARNINGS, -1, rest=True)


def paid_tie(column: str = "paid") -> Tie:
    """What left by a rail, less what a bank sent back."""
    return Tie(column, Text("分录：付出", "journal: paid out"), RAIL_ACCOUNTS, PAID_OUT)


def ended_tie(column: str = "paid") -> Tie:
    """What payouts that ended on the frame's days paid, whichever period it is booked in."""
    said = Text("分录：这些天结束的付款所付出", "journal: paid out by payouts that ended on these days")
    return Tie(column, said, RAIL_ACCOUNTS, PAID_OUT, ended=True)


def taken_tie(column: str = "taken") -> Tie:
    """What was taken out of balances for payouts, and did not come back."""
    said = Text("分录：预留减退回", "journal: reserved, less what came back")
    return Tie(column, said, ("paying",), ("payout-reserved", "payout-returned"))


def closing_tie(account: str, said: Text, column: str = "closing", *, sign: int = 1) -> Tie:
    """What an account holds at the end."""
    return Tie(column, said, (account,), sign=sign, moment="closing")
