"""All that is stored, and what frames are: their periods, and which calculations count in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

Row = SimpleNamespace
SHANGHAI = ZoneInfo("Asia/Shanghai")
TABLES = (
    *("payees", "payee_facts", "sales", "sale_words", "orders", "exchange_rates", "attributions", "sale_corrections"),
    *("settlement_periods", "settlement_runs", "settlement_run_calculations", "settlement_calculations"),
    *("settlement_members", "settlement_earnings", "settlement_approvals", "settlement_releases"),
    *("ledger_accounts", "transfers", "payouts", "payout_batches", "payout_omissions", "payout_approvals"),
    *("breaks",),
)
RAILS = ("wechat-pay", "profit-sharing", "bank")
PAID_OUT = ("payout-paid", "payout-bounced", "payout-overpaid")
_LEFT_OUT: Mapping[str, tuple[str, ...]] = {"payees": ("name", "details"), "orders": ("buyer", "receiver")}
"""What is encrypted."""


class Books:
    """The tables, by name, in the order of their first column."""

    def __init__(self, tables: Mapping[str, Sequence[Row]], now: datetime) -> None:
        self._tables = tables
        self.today = shanghai(now)
        self.codes: Mapping[int, str] = {each.id: each.code for each in self["payees"]}
        self.ids: Mapping[str, int] = {code: number for number, code in self.codes.items()}
        self.words: Mapping[int, str] = {each.number: each.word for each in self["sale_words"]}
        self.periods = _by(self["settlement_periods"], "id")
        self.calculations = _by(self["settlement_calculations"], "id")
        self.orders = _by(self["orders"], "id")
        self.accounts = _by(self["ledger_accounts"], "id")
        self.batches = _by(self["payout_batches"], "id")
        self.payouts = _by(self["payouts"], "number")
        self.members = {
            calculation: {each.payee: each for each in self["settlement_members"] if each.calculation == calculation}
            for calculation in self.calculations
        }
        self.earnings = {
            calculation: [each for each in self["settlement_earnings"] if each.calculation == calculation]
            for calculation in self.calculations
        }

    def __getitem__(self, name: str) -> Sequence[Row]:
        return self._tables[name]


async def read_books(url: str, now: datetime) -> Books:
    """Everything, as it stands. now: of the clock that the reports go by."""
    tables: dict[str, Sequence[Row]] = {}
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
        for name in TABLES:
            found = await connection.execute(f"SELECT * FROM {name} ORDER BY 1".encode())
            rows: list[dict[str, Any]] = await found.fetchall()
            left_out = _LEFT_OUT.get(name, ())
            tables[name] = [Row(**{key: value for key, value in row.items() if key not in left_out}) for row in rows]
    return Books(tables, now)


@dataclass(frozen=True)
class Frame:
    """Days `[start, end)`, of one scheme or of all, for one payee or for all. before: with which day the span before
    begins."""

    start: date
    end: date
    before: date
    scheme: str | None = None
    payee: int | None = None

    def inside(self, books: Books) -> set[int]:
        """Periods that end in it."""
        return self._ending(books, self.start, self.end)

    def earlier(self, books: Books) -> set[int]:
        """Periods that ended before."""
        return self._ending(books, date.min, self.start)

    def span_before(self, books: Books) -> set[int]:
        """Periods that ended in the span before."""
        return self._ending(books, self.before, self.start)

    def of_scheme(self, books: Books) -> set[int]:
        """All periods that there are."""
        return self._ending(books, date.min, date.max)

    def has(self, payee: int | None) -> bool:
        """Whether it is for somebody."""
        return self.payee is None or payee == self.payee

    def _ending(self, books: Books, after: date, upto: date) -> set[int]:
        periods = books["settlement_periods"]
        return {each.id for each in periods if self.scheme in (None, each.scheme) and after < each.end <= upto}


@dataclass(frozen=True)
class Change:
    """What settlements of a frame made of a period: the calculation that holds, in place of the one that held. late:
    of a period that was closed before."""

    origin: Row
    late: bool
    now: Row
    before: Row | None

    @property
    def sides(self) -> Sequence[tuple[int, Row]]:
        return [(1, self.now)] + ([(-1, self.before)] if self.before is not None else [])


def changes_of(books: Books, inside: set[int]) -> Sequence[Change]:
    """One for each period, and another one for what came late of it, by going through the runs in their order."""
    found: dict[tuple[int, bool], Change] = {}
    for run in sorted(books["settlement_runs"], key=lambda each: each.number):
        if run.state != "booked" or run.period not in inside:
            continue
        for each in books["settlement_run_calculations"]:
            if each.run == run.id:
                key = (each.origin, each.origin != run.period)
                now = books.calculations[each.calculation]
                first = books.calculations.get(each.before) if each.before else None
                before = found[key].before if key in found else first
                found[key] = Change(books.periods[each.origin], key[1], now, before)
    return list(found.values())


def left_by_rail(books: Books, transfer: Row) -> int:
    """What a transfer moved out of the house; below nothing for what came back."""
    sides = ((transfer.credit, transfer.amount_minor), (transfer.debit, -transfer.amount_minor))
    return sum(amount for account, amount in sides if books.accounts[account].kind in RAILS)


def shanghai(at: datetime) -> date:
    """The day that it is in Shanghai then."""
    return at.astimezone(SHANGHAI).date()


def months_of(number: int) -> tuple[date, date, date]:
    """A month of 2026: the month before, its first day, the month after."""
    first = date(2026, number, 1)
    return (first - timedelta(days=1)).replace(day=1), first, (first + timedelta(days=31)).replace(day=1)


def _by(rows: Sequence[Row], name: str) -> Mapping[Any, Row]:
    return {getattr(each, name): each for each in rows}
