"""Rows of reports: page after page in a total order, or all of them as the server sends them, and their sums."""

import base64
import binascii
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, Subquery, cast, func, literal, select, text, tuple_

from domain.settlement.reports import Kind, Report
from domain.storable import is_storable
from storage.paging import Page, PageRequest, wrong_cursor
from storage.payees import PayeeRow
from storage.recordsets import table_of
from storage.report_balances import BALANCES
from storage.report_cuts import CUTS, by_level, cut_by
from storage.report_earnings import EARNINGS
from storage.report_frames import ReportFrame
from storage.report_fx import exchange_differences
from storage.report_lines import Counts
from storage.report_payouts import CONTROL, PAYOUTS
from storage.report_texts import rows_of
from storage.unit_of_work import Repository

NAME, NUMBER = "payee_name", "payee_number"
"""Beside the column `payee`: what the payee is called, and which row is theirs."""
_PAYEES = table_of(PayeeRow)
_STATEMENTS: Mapping[str, str] = {**EARNINGS, **BALANCES, **PAYOUTS, **CONTROL}
_AT_ONCE = 2_000
_LONGEST_CURSOR = 1_024
_LONGEST_READING = "SET LOCAL statement_timeout = '600s'"
Values = Mapping[str, Any]


class Total(NamedTuple):
    """Of a currency: how many rows, and the sum of the column that ties."""

    currency: str
    rows: int
    amount: int


class ReportRows(Repository):
    """The rows of a report of a frame. counts: how components count lines, where it is cut by them.

    A row is its columns by name; of a payee `payee` is the code, `NAME` the name in clear, and `NUMBER` their row's.
    """

    async def page(self, report: Report, frame: ReportFrame, counts: Counts, page: PageRequest) -> Page[Values]:
        """Some rows. Raises ValidationProblem for a cursor that is none of this report's."""
        source = _source(report, frame, counts)
        keys = _keys(report, source)
        statement = _shown(report, source).order_by(*keys)
        if page.cursor is not None:
            values = _read_cursor(report, page.cursor)
            typed = [literal(value, key.type) for value, key in zip(values, keys, strict=True)]
            statement = statement.where(tuple_(*keys) > tuple_(*typed))
        rows = (await self.session.execute(statement.limit(page.size + 1))).mappings().all()
        shown = rows[: page.size]
        more = _cursor(report, shown[-1]) if len(rows) > page.size else None
        return Page([_row(report, each) for each in shown], more)

    async def stream(self, report: Report, frame: ReportFrame, counts: Counts) -> AsyncIterator[Values]:
        """All rows, some thousand at a time, as they stood when the unit of work first read."""
        source = _source(report, frame, counts)
        statement = _shown(report, source).order_by(*_keys(report, source))
        found = await self.session.stream(statement, execution_options={"yield_per": _AT_ONCE})
        async for each in found.mappings():
            yield _row(report, each)

    async def totals(self, report: Report, frame: ReportFrame, counts: Counts) -> Sequence[Total]:
        """How many rows there are, and what they come to, by currency."""
        source = _source(report, frame, counts)
        has_currency = "currency" in source.c
        currency = source.c.currency if has_currency else literal("")
        amount = cast(func.coalesce(func.sum(source.c[report.tie.column]), 0), BigInteger)
        statement = select(currency, func.count(), amount)
        if has_currency:
            statement = statement.group_by(currency).order_by(currency)
        return [Total(*row) for row in await self.session.execute(statement)]

    async def read_as_of_now(self) -> None:
        """Let everything that this unit of work reads stand as it does now; to be called first."""
        await self.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        await self.read_at_length()

    async def read_at_length(self) -> None:
        """Let what this unit of work reads take as long as a report of a large merchant does."""
        await self.session.execute(text(_LONGEST_READING))


def _source(report: Report, frame: ReportFrame, counts: Counts) -> Subquery:
    if report.name in CUTS:
        return cut_by(report.name, frame, counts)
    if report.name == "levels":
        return by_level(frame)
    if report.name == "fx":
        return exchange_differences(frame, counts)
    types = {each.name: each.kind for each in report.columns}
    return rows_of(_STATEMENTS[report.name], frame.values, types)


def _keys(report: Report, source: Subquery) -> list[ColumnElement[Any]]:
    """What rows are ordered by; what has no day comes last."""
    days = {each.name for each in report.columns if each.kind == "day"}
    return [func.coalesce(source.c[name], date.max) if name in days else source.c[name] for name in report.key]


def _shown(report: Report, source: Subquery) -> Select[Any]:
    columns = [source.c[each.name] for each in report.columns]
    if not report.is_of_payees:
        return select(*columns)
    payees = _PAYEES
    statement = select(*columns, payees.c.code.label("payee_code"), payees.c.name.label(NAME))
    return statement.select_from(source.outerjoin(payees, payees.c.id == source.c.payee))


def _row(report: Report, found: Mapping[Any, Any]) -> dict[str, Any]:
    row = {each.name: found[each.name] for each in report.columns}
    if not report.is_of_payees:
        return row
    return {**row, "payee": found["payee_code"], NAME: found[NAME], NUMBER: found["payee"]}


def _cursor(report: Report, row: Mapping[Any, Any]) -> str:
    values = [_written(row[name]) for name in report.key]
    return base64.urlsafe_b64encode(json.dumps([report.name, *values]).encode()).decode().rstrip("=")


def _written(value: Any) -> Any:
    """A key's value; of the columns of keys only days may have none."""
    return date.max.isoformat() if value is None else value.isoformat() if isinstance(value, date) else value


def _read_cursor(report: Report, cursor: str) -> list[Any]:
    kinds = {each.name: each.kind for each in report.columns}
    try:
        name, *values = json.loads(base64.urlsafe_b64decode(cursor[:_LONGEST_CURSOR] + "=" * (-len(cursor) % 4)))
        keys = report.key if name == report.name else (name,)
        return [_value(value, kinds[key]) for key, value in zip(keys, values, strict=True)]
    except (ValueError, TypeError, LookupError, binascii.Error, RecursionError):
        raise wrong_cursor() from None


def _value(value: Any, kind: Kind) -> Any:
    match value, kind:
        case str(), "day":
            return date.fromisoformat(value)
        case str(), "text" | "rate" if is_storable(value):
            return value
        case int(), _ if kind not in ("day", "text", "rate") and not isinstance(value, bool) and abs(value) < 2**63:
            return value
    raise ValueError("nothing that a row of this report holds")
