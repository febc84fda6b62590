"""A day's bill of a platform: its lines, and what makes one that cannot be believed.

A bill is taken as a whole or not at all. What is wrong is told by row and column, never with what stands in a cell.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from domain.imports import RowError
from domain.money import major_from_minor
from domain.problems import Text, ValidationProblem
from domain.settlement.days import FIRST_DAY, LAST_DAY

BillKind = Literal["trade", "funds"]
"""trade: what was bought and sent back, with what it cost; funds: what moved on the account, payouts among it."""
LineKind = Literal["payment", "refund", "fee", "transfer", "share", "coupon", "points", "other"]
LINE_KINDS: tuple[LineKind, ...] = ("payment", "refund", "fee", "transfer", "share", "coupon", "points", "other")
DISCOUNTS: frozenset[LineKind] = frozenset({"coupon", "points"})
Direction = Literal["in", "out"]

SHANGHAI = ZoneInfo("Asia/Shanghai")
MOST_ERRORS = 50


class BillLine(NamedTuple):
    """One movement. line: of the file, from 1. channel_number: the platform's; number: ours, as the platform was told
    it. amount_minor: never below nothing, `direction` says which way. fee_minor: what it cost, below nothing when it
    was given back."""

    line: int
    kind: LineKind
    direction: Direction
    amount_minor: int
    at: datetime
    number: str | None = None
    channel_number: str | None = None
    fee_minor: int = 0


class DayBill(NamedTuple):
    """A bill that was read. digest: None for a day on which the platform says that nothing happened. whole: it tells of
    all that moved, on whichever account of the merchant."""

    lines: Sequence[BillLine]
    digest: str | None
    whole: bool


class BillSums(NamedTuple):
    """What a bill comes to, by its own rows. Fees stand in lines of their own, or beside payments."""

    rows: int
    in_minor: int
    out_minor: int
    fee_minor: int


class Told(NamedTuple):
    """What a platform says that a bill comes to, beside the bill; None where it does not say."""

    rows: int | None = None
    in_minor: int | None = None
    out_minor: int | None = None
    fee_minor: int | None = None


def day_of(at: datetime) -> date:
    """The Shanghai day of an instant."""
    return at.astimezone(SHANGHAI).date()


def is_of_this_age(at: datetime) -> bool:
    """Whether an instant can be reckoned with: it has a Shanghai day that settlement knows."""
    return FIRST_DAY.year <= at.year <= LAST_DAY.year and FIRST_DAY <= day_of(at) <= LAST_DAY


def sums_of(lines: Sequence[BillLine]) -> BillSums:
    """Rows of the file, each once: a coupon that stands in the row of its payment is no movement of its own."""
    rows = {each.line for each in lines if each.kind not in DISCOUNTS}
    moved = [each for each in lines if each.kind not in DISCOUNTS or each.line not in rows]
    came = sum(each.amount_minor for each in moved if each.direction == "in")
    went = sum(each.amount_minor for each in moved if each.direction == "out")
    fees = sum(each.fee_minor + _fee(each) for each in moved)
    return BillSums(len({each.line for each in lines}), came, went, fees)


def check_sums(sums: BillSums, told: Told) -> None:
    """Raises ValidationProblem when a bill does not come to what the platform says."""
    names = {
        "rows": ("行数", "rows"),
        "in_minor": ("收入", "coming in"),
        "out_minor": ("支出", "going out"),
        "fee_minor": ("手续费", "fees"),
    }
    for field, (zh, en) in names.items():
        said, found = getattr(told, field), getattr(sums, field)
        if said is not None and said != found:
            shown = (str(said), str(found)) if field == "rows" else (major_from_minor(said), major_from_minor(found))
            raise ValidationProblem(
                Text(
                    f"账单{zh}合计应为 {shown[0]}，各行合计为 {shown[1]}；整份账单未导入",
                    f"The bill should come to {shown[0]} {en}, and its rows to {shown[1]}; nothing of it was taken",
                ),
                errors=[],
            )


def check_day(lines: Sequence[BillLine], day: date, column: str) -> None:
    """Raises ValidationProblem with the rows of other days. column: the title that times stand under."""
    reason = Text(f"不在账单日 {day} 内", f"this is not on the bill's day {day}")
    wrong = [
        RowError(each.line, column, reason) for each in lines if not is_of_this_age(each.at) or day_of(each.at) != day
    ]
    if wrong:
        raise unbelievable(wrong)


def unbelievable(errors: Sequence[RowError]) -> ValidationProblem:
    """A bill that is refused as a whole, with the places."""
    first = errors[0]
    zh = f"账单第 {first.line} 行“{first.column or '整行'}”：{first.reason.zh}；共 {len(errors)} 处，整份账单未导入"
    en = f"Row {first.line} of the bill, “{first.column or 'all of it'}”: {first.reason.en}; {len(errors)} in all; "
    return ValidationProblem(
        Text(zh, en + "nothing of it was taken"),
        errors=[
            {"line": each.line, "column": each.column, "message": each.reason.as_dict()}
            for each in errors[:MOST_ERRORS]
        ],
    )


def _fee(line: BillLine) -> int:
    if line.kind != "fee":
        return 0
    return line.amount_minor if line.direction == "out" else -line.amount_minor
