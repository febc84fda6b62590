"""A bill that somebody exported from a platform's console, read by a mapping of its columns.

kind: trade
columns:
  number: 商户订单号              # ours: of the order, the refund or the payout
  channel_number: 支付流水号
  kind: 业务类型
  amount: 金额                    # or `in` and `out`, two columns
  direction: 收支                 # without it: by the sign, else by the kind
  fee: 服务费
  at: 入账时间
  currency: 币种
kinds: {交易: payment, 退款: refund, 服务费: fee, 优惠券: coupon, 积分: points}
directions: {收入: in, 支出: out}
until: 合计                       # rows from the one that begins so are no lines
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.dsl.findings import Finding, did_you_mean
from domain.dsl.source import decode_source, read_source
from domain.imports import Row, RowError, Table
from domain.imports.cells import Form, cell_text, cell_value, printed
from domain.imports.mapping import ImportMapping
from domain.problems import Text, ValidationProblem
from domain.settlement.bills import (
    MOST_ERRORS,
    SHANGHAI,
    BillKind,
    BillLine,
    Direction,
    LineKind,
    check_day,
    unbelievable,
)
from domain.validation_texts import explain

Column = Literal["number", "channel_number", "kind", "amount", "in", "out", "direction", "fee", "at", "currency"]
Title = Annotated[str, Field(min_length=1, max_length=200)]
MOST_LINES = 500_000
_OURS: Mapping[LineKind, Direction] = {
    "payment": "in",
    "refund": "out",
    "fee": "out",
    "transfer": "out",
    "share": "out",
    "coupon": "out",
    "points": "out",
    "other": "in",
}
_YUAN = frozenset({"CNY", "RMB", "人民币", "元"})
_LONGEST_NUMBER = 128


class BillColumns(BaseModel):
    """Which column holds what, and what its words mean.

    every: the kind of all lines, where no column says it. fees: whether a fee is written as what it costs, or as what
    it changes, below nothing for a cost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: BillKind = "trade"
    columns: Mapping[Column, Title]
    kinds: Mapping[Title, LineKind] = Field(default={}, max_length=200)
    every: LineKind | None = None
    directions: Mapping[Title, Direction] = Field(default={"收入": "in", "支出": "out"}, max_length=20)
    fees: Literal["cost", "change"] = "cost"
    until: str | None = Field(default=None, min_length=1, max_length=100)
    header: int = Field(default=1, ge=1, le=100)
    sheet: str | None = Field(default=None, max_length=100)
    encoding: Literal["auto", "utf-8", "gb18030", "utf-16"] = "auto"
    delimiter: Literal["auto", ",", ";", "\t", "|"] = "auto"

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if "at" not in self.columns:
            raise ValueError("columns 需要 at（时间） · columns need `at`, the time")
        if ("amount" in self.columns) == ("in" in self.columns or "out" in self.columns):
            raise ValueError("columns 需要 amount，或 in 与 out · columns need either `amount`, or `in` and `out`")
        if ("kind" in self.columns) == (self.every is not None):
            raise ValueError("columns.kind 与 every 二选一 · either columns.kind or `every` is needed")
        if "kind" in self.columns and not self.kinds:
            raise ValueError("kinds 应写明业务类型的含义 · `kinds` has to say what the words of the kind mean")
        return self

    @property
    def layout(self) -> ImportMapping:
        """How the file itself is read."""
        return ImportMapping(
            record="bill",
            fields={},
            header=self.header,
            sheet=self.sheet,
            encoding=self.encoding,
            delimiter=self.delimiter,
        )


def parse_columns(raw: bytes, name: str) -> BillColumns:
    """The mapping in a YAML text; raises ValidationProblem with line, column and reason."""
    text = decode_source(raw)
    source = None if isinstance(text, Finding) else read_source(text)
    findings = [text] if isinstance(text, Finding) else list(source.findings if source else ())
    if source is None or findings or len(source.documents) != 1:
        one = Text("列映射应只有一个 YAML 文档", "a mapping is one YAML document")
        raise _refused(name, findings or [Finding("mapping", "error", 1, 1, "", one)])
    document = source.documents[0]
    try:
        return BillColumns.model_validate(document.data)
    except ValidationError as error:
        wrong = [
            document.finding("mapping", "error", "".join(f"/{part}" for part in item["loc"]), explain(item))
            for item in error.errors(include_url=False)[:20]
        ]
        raise _refused(name, wrong) from None


def read_bill_table(table: Table, columns: BillColumns, day: date) -> list[BillLine]:
    """The lines of a bill of one day, in yuan.

    :raises ValidationProblem: a column is missing or shifted, a cell is no value of its column, another currency,
        another day, too many rows; `errors` lists line, column and reason. Nothing of such a bill is given back.
    """
    reader = _Reader(table.columns, columns)
    lines: list[BillLine] = []
    errors: list[RowError] = []
    for row in _rows(table, columns.until):
        found = reader.line(row)
        if isinstance(found, BillLine):
            lines.append(found)
        else:
            errors += found
        if len(errors) >= MOST_ERRORS:
            break
        if len(lines) > MOST_LINES:
            raise ValidationProblem(
                Text(f"账单超过 {MOST_LINES} 行，请分店铺导出", f"The bill has more than {MOST_LINES} rows"), errors=[]
            )
    if errors:
        raise unbelievable(errors)
    check_day(lines, day, columns.columns["at"])
    return lines


def _rows(table: Table, until: str | None) -> Iterator[Row]:
    for row in table.rows:
        first = next((str(cell).strip() for cell in row.cells if cell is not None and str(cell).strip()), "")
        if until is not None and first.startswith(until):
            return
        if row.fault is not None or first:
            yield row


class _Reader:
    """Rows of one table by its mapping."""

    def __init__(self, titles: tuple[str, ...], columns: BillColumns) -> None:
        self._columns = columns
        self._width = len(titles)
        self._places: dict[Column, int] = {}
        for field, title in columns.columns.items():
            if titles.count(title) != 1:
                near = did_you_mean(title, titles)
                raise ValidationProblem(
                    Text(
                        f"账单应有且只有一列“{title}”（{field}）。{near.zh}",
                        f"The bill needs exactly one column “{title}” (`{field}`).{near.en}",
                    ),
                    errors=[],
                )
            self._places[field] = titles.index(title)

    def line(self, row: Row) -> BillLine | list[RowError]:
        """The line, or what is wrong with its row. A mapped cell that is not there is no empty one."""
        if row.fault is not None:
            return [RowError(row.line, "", row.fault)]
        if any(cell is not None and str(cell).strip() for cell in row.cells[self._width :]):
            shifted = Text("单元格比列标题多，各列可能已错位", "there are more cells than titles: columns are shifted")
            return [RowError(row.line, "", shifted)]
        if missing := [field for field, place in self._places.items() if place >= len(row.cells)]:
            first = min(missing, key=self._places.__getitem__)
            short = Text("这一行缺少这一列，文件可能不完整", "the row ends before it: perhaps the file is cut short")
            return [RowError(row.line, self._columns.columns[first], short)]
        errors: list[RowError] = []

        def value(field: Column, form: Form = "text") -> Any:
            place = self._places.get(field)
            if place is None:
                return None
            try:
                return _plain(row.cells[place], form)
            except ValueError as error:
                errors.append(RowError(row.line, self._columns.columns[field], error.args[0]))
                return None

        def wrong(field: Column, zh: str, en: str) -> None:
            errors.append(RowError(row.line, self._columns.columns.get(field, field), Text(zh, en)))

        at, currency = value("at", "time"), value("currency")
        if currency is not None and currency not in _YUAN:
            wrong("currency", "不是人民币，请按币种分别对账", "this is not CNY")
        kind = self._kind(value("kind"), wrong)
        signed = self._signed(value, wrong)
        direction = self._direction(value("direction"), signed, kind, wrong)
        number, channel, fee = value("number"), value("channel_number"), value("fee", "yuan")
        for field, found in (("number", number), ("channel_number", channel)):
            if found is not None and len(found) > _LONGEST_NUMBER:
                wrong("number" if field == "number" else "channel_number", "单号过长", "this number is too long")
        if at is None and not any(each.column == self._columns.columns["at"] for each in errors):
            wrong("at", "缺少时间", "there is no time")
        if errors or signed is None or kind is None:
            return errors
        instant = datetime.fromisoformat(at)
        cost = (fee or 0) if self._columns.fees == "cost" else -(fee or 0)
        return BillLine(row.line, kind, direction, abs(signed), instant, number, channel, cost)

    def _kind(self, word: str | None, wrong: Any) -> LineKind | None:
        if self._columns.every is not None:
            return self._columns.every
        kind = self._columns.kinds.get(word or "")
        if kind is None:
            wrong("kind", "kinds 中没有这种业务类型，或列已错位", "`kinds` has no such word, or columns are shifted")
        return kind

    def _signed(self, value: Any, wrong: Any) -> int | None:
        """The amount, below nothing where it stands so, or in the column of what went out."""
        if "amount" in self._places:
            amount: int | None = value("amount", "yuan")
            if amount is None:
                wrong("amount", "缺少金额", "there is no amount")
            return amount
        came, went = value("in", "yuan") or 0, value("out", "yuan") or 0
        if came and went:
            wrong("out", "同一行既有收入又有支出", "one row both came in and went out")
        return int(came) if came else -abs(int(went))

    def _direction(self, word: str | None, signed: int | None, kind: LineKind | None, wrong: Any) -> Direction:
        if "direction" in self._places:
            direction = self._columns.directions.get(word or "")
            if direction is None:
                wrong("direction", "directions 中没有这个词，或列已错位", "`directions` has no such word")
            return direction or "in"
        if "amount" not in self._places or (signed or 0) < 0:
            return "in" if (signed or 0) > 0 else "out"
        return _OURS[kind or "other"]


def _plain(cell: Any, form: Form) -> Any:
    """A cell as platforms export it: behind a back-quote or a tab, so that spreadsheets leave it alone."""
    if isinstance(cell, str):
        cell = cell.strip().removeprefix("`").strip()
    if form == "yuan":
        text = cell_text(cell)
        # Some write fees with more digits than fen; what is cut off has to be nothing.
        cell = re.sub(r"(\.\d\d)0+$", r"\1", text) if text is not None else None
    value = cell_value(cell, form, SHANGHAI)
    return printed(value) if form == "text" else value


def _refused(name: str, findings: list[Finding]) -> ValidationProblem:
    first = findings[0]
    place = f"{name}:{first.line}:{first.column}"
    return ValidationProblem(
        Text(f"{place} {first.message.zh}", f"{place} {first.message.en}"),
        errors=[],
        findings=[finding.as_dict(name) for finding in findings],
    )
