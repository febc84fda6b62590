"""What a report is: columns, a total order of its rows, and the sum that has to be in the journal as well.

A report is of a *frame*: the periods, of one scheme or of all, that end within a span of days. Every period ends in one
frame of each length, so frames of a length follow one another without a gap: what one closes with the next opens with.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, NamedTuple

from domain.problems import Text
from domain.settlement.days import require_day
from domain.settlement.periods import period_of
from domain.settlement.scheme import CYCLES, Cycle

Kind = Literal["payee", "money", "measure", "abroad", "count", "text", "day", "instant", "rate"]
"""payee: the number of one, shown as code and name. money: minor units of the row's currency. measure: what a component
was counted by, in `exact.WEIGHT`; money where the row's `measured` says so. abroad: the same in minor units of the
row's `foreign_currency`. rate: a decimal, written out."""
Filter = Literal["scheme", "payee"]
FILTERS: tuple[Filter, ...] = ("scheme", "payee")
Span = Cycle | Literal["quarter", "year"]
SPANS: tuple[Span, ...] = (*CYCLES, "quarter", "year")
Group = Literal["earnings", "lines", "balances", "payouts", "control"]
_FILTER_WORDS: Mapping[Filter, Text] = {"scheme": Text("方案", "scheme"), "payee": Text("收款人", "payee")}
GROUPS: Mapping[Group, Text] = {
    "earnings": Text("收入", "What was earned"),
    "lines": Text("按订单行拆分", "Cut by order lines"),
    "balances": Text("余额", "Balances"),
    "payouts": Text("付款", "Payouts"),
    "control": Text("核对", "Control"),
}
Moment = Literal["moved", "opening", "closing", "now"]
"""moved: by transfers of the frame; opening, closing: all before it, and it as well; now: all that there are."""


class Column(NamedTuple):
    """One column. name: in JSON, and in the statement that gives the rows."""

    name: str
    kind: Kind
    title: Text


class Tie(NamedTuple):
    """What the sum of a column has to be: credits less debits of accounts by kinds of transfers (any, when there are
    none), times `sign`.

    less: without what the journal cannot tell apart: `rest` is what the other components earned, added up by itself.
    turnover: all transfers, whatever their accounts. logged: nothing that is booked, but counted in the audit log.
    left_over: nothing that is booked, but what bills and books have left over. ended: not transfers of the frame's
    periods, but those of payouts that ended on its days.
    """

    column: str
    said: Text
    accounts: tuple[str, ...] = ()
    transfers: tuple[str, ...] = ()
    sign: int = 1
    moment: Moment = "moved"
    rest: bool = False
    turnover: bool = False
    logged: str | None = None
    left_over: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """One kind of report. key: names of columns that no two rows share, and that rows are ordered by. filters: what it
    can be narrowed by."""

    name: str
    title: Text
    group: Group
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    tie: Tie
    filters: tuple[Filter, ...] = FILTERS

    def refusal(self, filters: Collection[Filter]) -> Text | None:
        """Why it cannot be narrowed by one of these; None when it can by all of them."""
        if not (other := [each for each in FILTERS if each in filters and each not in self.filters]):
            return None
        zh, en = _FILTER_WORDS[other[0]]
        return Text(
            f"报表 {self.name} 不能按{zh}筛选：它的行不属于某个{zh}。请去掉 {other[0]}",
            f"The report {self.name} cannot be narrowed by {en}: its rows are no {en}'s. Leave {other[0]} out",
        )

    @property
    def is_of_payees(self) -> bool:
        """Whether each row is one payee's."""
        return any(each.kind == "payee" for each in self.columns)


class Days(NamedTuple):
    """Shanghai days `[start, end)`."""

    start: date
    end: date


def days_of(span: Span, day: date) -> Days:
    """The span that a day is in. Raises ValidationProblem for a day that is none of this age."""
    require_day(day)
    match span:
        case "quarter":
            start = date(day.year, day.month - (day.month - 1) % 3, 1)
            return Days(start, (start + timedelta(days=100)).replace(day=1))
        case "year":
            return Days(date(day.year, 1, 1), date(day.year + 1, 1, 1))
        case _:
            return Days(*period_of(span, day))


def days_before(span: Span, days: Days) -> Days:
    """The span that ends where one begins."""
    return days_of(span, days.start - timedelta(days=1))
