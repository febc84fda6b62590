"""Payees from the rows of a table: one row is one payee, with who is above them and what they are known by.

Columns are known by their Chinese or English titles; the order does not matter, and most may be missing. Several keys
stand in one cell, with semicolons between them. What no cell says stays as it is; `-` takes away what is there.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from domain.imports import Row, RowError, Table
from domain.imports.cells import cell_value
from domain.imports.titles import places_of
from domain.organisation import HEADQUARTERS
from domain.problems import Text
from domain.settlement.payees import KeyChange, KeyKind, NewPayee, UplineChange
from domain.validation_texts import explain

_SHANGHAI = ZoneInfo("Asia/Shanghai")
_TITLES: Mapping[str, tuple[str, ...]] = {
    "code": ("编号", "code"),
    "name": ("姓名", "名称", "name"),
    "role": ("角色", "role"),
    "unit_path": ("组织", "unit"),
    "cycle": ("周期", "cycle"),
    "active": ("启用", "active"),
    "upline": ("上级", "upline"),
    "since": ("自", "since"),
    "channel": ("渠道", "channel"),
    "influencer": ("达人", "influencer"),
    "shop": ("店铺", "shop"),
    "unit": ("门店", "store"),
    "real_name": ("真实姓名", "real_name"),
    "openid": ("openid",),
    "merchant_receiver": ("分账商户号", "merchant_receiver"),
    "bank_account": ("银行账号", "bank_account"),
    "bank_name": ("开户行", "bank_name"),
}
_NEEDED = ("code", "name", "role")
_KEYS: tuple[KeyKind, ...] = ("channel", "influencer", "shop", "unit")
_NOTHING = "-"
_DETAILS = ("real_name", "openid", "merchant_receiver", "bank_account", "bank_name")
_BETWEEN = re.compile(r"[;；]")


class PayeeLine(NamedTuple):
    """One payee of a table, of whom those fields are set (`model_fields_set`) that the row says. upline: None where no
    cell says."""

    line: int
    payee: NewPayee
    upline: UplineChange | None
    keys: tuple[KeyChange, ...]


def read_payees(table: Table, today: date) -> Iterator[PayeeLine | list[RowError]]:
    """Each row as a payee, or what is wrong with it. today: from when on uplines and keys count that say nothing else.

    :raises ValidationProblem: a needed column is missing, or one is unknown.
    """
    places = places_of(table.columns, _TITLES, _NEEDED)
    lines: dict[str, int] = {}
    for row in table.rows:
        if row.fault is not None:
            yield [RowError(row.line, "", row.fault)]
        elif any(cell is not None and cell != "" for cell in row.cells):
            found = _read(row, places, table.columns, today)
            if isinstance(found, PayeeLine) and (first := lines.setdefault(found.payee.code, row.line)) != row.line:
                text = Text(f"与第 {first} 行是同一编号", f"the same code as in line {first}")
                found = [RowError(row.line, table.columns[places["code"]], text)]
            yield found


def _read(row: Row, places: Mapping[str, int], columns: tuple[str, ...], today: date) -> PayeeLine | list[RowError]:
    errors: list[RowError] = []

    def value(field: str, form: Any = "text") -> Any:
        place = places.get(field)
        if place is None or place >= len(row.cells):
            return None
        try:
            return cell_value(row.cells[place], form, _SHANGHAI)
        except ValueError as error:
            errors.append(RowError(row.line, columns[place], error.args[0]))
            return None

    since_text, active = value("since", "date"), value("active", "yes_no")
    since = date.fromisoformat(since_text) if since_text else today
    code, upline = value("code"), value("upline")
    told = {"code": code, "name": value("name"), "role": value("role")}
    for field, nothing in (("unit_path", HEADQUARTERS), ("cycle", None)):
        if (given := value(field)) is not None:
            told[field] = nothing if given == _NOTHING else given
    if active is not None:
        told["active"] = active
    details = {field: given for field in _DETAILS if (given := value(field)) is not None}
    told["details"] = {field: None if given == _NOTHING else given for field, given in details.items()}
    if since_text is not None:
        told["since"] = since_text
    keys = {(kind, each.strip()): None for kind in _KEYS for each in _BETWEEN.split(value(kind) or "") if each.strip()}
    for kind in [kind for kind, key in keys if key == _NOTHING]:
        text = Text("归属键不能在这里删除：请设截止日 until", "a key is not taken away here: give it a day `until`")
        errors.append(RowError(row.line, columns[places[kind]], text))
    if errors:
        return errors
    try:
        payee = NewPayee.model_validate(told)
        above = (
            UplineChange(code=payee.code, upline=None if upline == _NOTHING else upline, since=since)
            if upline is not None
            else None
        )
        held = tuple(KeyChange(code=payee.code, kind=kind, value=each, since=since) for kind, each in keys)
    except ValidationError as error:
        return [_error(row.line, each, places, columns) for each in error.errors(include_url=False)]
    return PayeeLine(row.line, payee, above, held)


def _error(line: int, found: Any, places: Mapping[str, int], columns: tuple[str, ...]) -> RowError:
    """At its column where there is one; never with what stands in the cell, which may be somebody's number."""
    field = str(found["loc"][-1]) if found["loc"] else ""
    place = places.get(field)
    return RowError(line, columns[place] if place is not None else field, explain(found))
