"""Every kind of report."""

from collections.abc import Mapping

from domain.problems import Text
from domain.settlement.report_columns import (
    AMOUNT,
    BASE,
    COMPONENT,
    CURRENCY,
    EARNED,
    MEASURED,
    PAYEE,
    PAYEES,
    PERIOD,
    ROLE,
    SCHEME,
    SOLD,
    TITLE,
    count,
    day,
    earned_tie,
    measure,
    money,
    rate,
    report,
    some_earned_tie,
    words,
)
from domain.settlement.report_kinds_booked import BALANCES, CONTROL, PAYOUTS
from domain.settlement.reports import Column, Report

_OF_PAYEES = (PAYEE, ROLE, SCHEME, COMPONENT, TITLE, PERIOD, MEASURED, BASE, CURRENCY, AMOUNT)
_BY_COMPONENT = ("payee", "scheme", "component", "period_start", "currency")


def _some(name: str, zh: str, en: str, *more: Column) -> Report:
    """Payees by component, of some components only."""
    columns = (*_OF_PAYEES[:-2], *more, CURRENCY, AMOUNT)
    return report(name, zh, en, "earnings", columns, _BY_COMPONENT, some_earned_tie())


def _cut(name: str, zh: str, en: str, *by: Column) -> Report:
    """What was sold and earned, cut by what order lines say."""
    columns = (*by, CURRENCY, PAYEES, SOLD, EARNED)
    return report(name, zh, en, "lines", columns, (*(each.name for each in by), "currency"), earned_tie("earned"))


_SHOP = words("shop", "店铺", "Shop")
_EARNINGS = (
    report(
        "payees",
        "收款人收入",
        "Earned by payee",
        "earnings",
        (
            PAYEE,
            SCHEME,
            CURRENCY,
            money("commission", "本期收入", "Commission"),
            money("late", "往期调整", "Of earlier periods"),
            EARNED,
        ),
        ("payee", "scheme", "currency"),
        earned_tie("earned"),
    ),
    report(
        "components",
        "按收入项",
        "By component",
        "earnings",
        (SCHEME, COMPONENT, TITLE, words("sort", "类别", "Kind"), CURRENCY, PAYEES, AMOUNT),
        ("scheme", "component", "currency"),
        earned_tie(),
    ),
    report(
        "levels",
        "按层级",
        "By level",
        "earnings",
        (SCHEME, words("level", "层级", "Level"), CURRENCY, PAYEES, AMOUNT),
        ("scheme", "level", "currency"),
        earned_tie(),
    ),
    report(
        "roles",
        "按角色",
        "By role",
        "earnings",
        (SCHEME, ROLE, CURRENCY, PAYEES, AMOUNT),
        ("scheme", "role", "currency"),
        earned_tie(),
    ),
    _some("group-leaders", "团长绩效", "Group leaders' performance", count("score", "考核分", "Score")),
    _some(
        "tier-distance",
        "档位距离",
        "How far to the next tier",
        measure("mark", "已达档位", "Reached"),
        measure("next_mark", "下一档", "Next"),
        measure("missing", "还差", "Missing"),
    ),
    _some("step-bonuses", "阶梯奖励", "Step bonuses"),
    _some("overrides", "层级返利", "Overrides"),
    _some("deeds", "到店、评价、预约与固定服务费", "Visits, reviews, bookings, fixed fees"),
    _some("bounds", "保底与封顶", "Floors and caps of sums"),
    report(
        "fx",
        "汇兑差额",
        "Exchange differences",
        "earnings",
        (
            *_OF_PAYEES[:-4],
            words("foreign_currency", "外币", "Other currency"),
            day("rate_day", "下单汇率日", "Day of the order's rate"),
            rate("order_rate", "下单汇率", "The order's rate"),
            Column("foreign", "abroad", Text("外币金额", "In the other currency")),
            measure("at_order", "按下单汇率", "At the order's rate"),
            rate("settlement_rate", "结算汇率", "Rate at settlement"),
            *_OF_PAYEES[-4:],
        ),
        (*_BY_COMPONENT, "foreign_currency", "rate_day", "settlement_rate"),
        some_earned_tie(),
    ),
    _some("fees", "扣款与仓储费", "Deductions and fees"),
    report(
        "comparison",
        "与上期比较",
        "Compared with before",
        "earnings",
        (
            SCHEME,
            COMPONENT,
            TITLE,
            CURRENCY,
            money("before", "上期", "Before"),
            AMOUNT,
            money("change", "变化", "Change"),
        ),
        ("scheme", "component", "currency"),
        earned_tie(),
    ),
)
_LINES = (
    _cut("platforms", "按平台", "By platform", words("platform", "平台", "Platform")),
    _cut("channels", "按渠道", "By channel", words("channel", "渠道", "Channel")),
    _cut("shops", "按店铺", "By shop", _SHOP),
    _cut("goods", "按商品", "By article", _SHOP, words("article", "商品", "Article")),
    _cut("categories", "按品类", "By category", words("category", "品类", "Category")),
    _cut("influencers", "按达人", "By influencer", words("influencer", "达人", "Influencer")),
    _cut("stores", "按门店", "By store", words("store", "门店", "Store")),
    _cut("orders", "按订单", "By order", words("order", "订单", "Order")),
)
REPORTS: Mapping[str, Report] = {each.name: each for each in (*_EARNINGS, *_LINES, *BALANCES, *PAYOUTS, *CONTROL)}
"""By name, in the order in which they are listed."""
