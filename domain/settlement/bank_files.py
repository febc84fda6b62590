"""The file that a bank is handed: one row for each payout, and a digest that tells whether it is still the same.

What people wrote (names, banks) is made harmless first: no spreadsheet takes it for a formula, and no row breaks in it.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from domain.ids import canonical_json
from domain.imports import Row, Table
from domain.imports.cells import cell_text
from domain.money import major_from_minor, minor_from_major
from domain.problems import ProblemError, Text, ValidationProblem

FileFormat = Literal["csv", "xlsx"]
COLUMNS: tuple[tuple[str, str], ...] = (
    ("付款编号", "number"),
    ("收款人姓名", "payee"),
    ("收款账号", "account"),
    ("开户行", "bank"),
    ("金额(元)", "amount"),
    ("币种", "currency"),
    ("摘要", "memo"),
)
HEADING = tuple(f"{zh} {en}" for zh, en in COLUMNS)
AMOUNT_AT = [en for _, en in COLUMNS].index("amount")
MOST_IN_A_FILE = 300_000
_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_TURNS_TEXT_AROUND = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


class BankLine(NamedTuple):
    """A row of the file, for a payout. memo: what the payee's bank shows them."""

    number: str
    payee: str
    account: str
    bank: str
    amount_minor: int
    currency: str
    memo: str


class FileSummary(NamedTuple):
    """What a file comes to. digest: of its rows, the same in every format."""

    payouts: int
    total_minor: int
    digest: str


def harmless(text: str) -> str:
    """A text for one cell: on one line, without what cannot be seen, and no formula."""
    plain = "".join(" " if unicodedata.category(each) in ("Cc", "Zl", "Zp") else each for each in text)
    plain = " ".join("".join(each for each in plain if each not in _TURNS_TEXT_AROUND).split())
    return f"'{plain}" if plain.startswith(_FORMULA_STARTS) else plain


def bank_line(number: str, payee: str, account: str, bank: str, money: tuple[int, str], memo: str) -> BankLine:
    """The row of a payout, its texts made harmless. money: minor units and their currency."""
    return BankLine(number, harmless(payee), harmless(account), harmless(bank), *money, harmless(memo))


def cells(line: BankLine) -> tuple[str, ...]:
    """What stands in a row, in the order of the columns."""
    amount = major_from_minor(line.amount_minor, line.currency)
    return (line.number, line.payee, line.account, line.bank, amount, line.currency, line.memo)


class Summing:
    """Adds up the rows of a file, one after the other, in their order."""

    def __init__(self) -> None:
        self._payouts = 0
        self._total = 0
        self._digest = hashlib.sha256()

    def add(self, line: BankLine) -> None:
        """Count one more row."""
        self._payouts += 1
        self._total += line.amount_minor
        self._digest.update(canonical_json(list(cells(line))) + b"\n")

    def summary(self) -> FileSummary:
        """What was added by now."""
        return FileSummary(self._payouts, self._total, f"sha256:{self._digest.hexdigest()}")


def summary_of(lines: Iterable[BankLine]) -> FileSummary:
    """What these rows come to."""
    summing = Summing()
    for line in lines:
        summing.add(line)
    return summing.summary()


def read_lines(table: Table) -> Iterator[BankLine]:
    """The rows of such a file that somebody hands back, to compare its digest with the one it had.

    :raises ValidationProblem: other columns, or a row that no longer is one; it names the line.
    """
    if table.columns != HEADING:
        zh, en = "、".join(HEADING), ", ".join(HEADING)
        raise ValidationProblem(
            Text(f"不是付款文件：列应为 {zh}", f"This is no file of payouts: its columns are {en}"), errors=[]
        )
    for row in table.rows:
        yield _line_of(row)


def _line_of(row: Row) -> BankLine:
    try:
        texts = [cell_text(each) or "" for each in row.cells] + [""] * (len(COLUMNS) - len(row.cells))
        if row.fault is None and not any(texts[len(COLUMNS) :]):
            number, payee, account, bank, amount, currency, memo = texts[: len(COLUMNS)]
            return BankLine(number, payee, account, bank, minor_from_major(amount, currency), currency, memo)
    except (ValueError, ProblemError):
        pass
    raise ValidationProblem(
        Text(f"第 {row.line} 行已不是付款文件的一行", f"Line {row.line} was changed: it is no row of such a file"),
        errors=[],
        line=row.line,
    )
