"""Keyset paging in one place: page after page in a stable order, however many rows come in between.

A cursor holds the sort values of the last row seen. It is opaque to clients and checked on the way in; it grants
nothing, because data scope is a condition of the query itself.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, Select, SmallInteger, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlmodel import col

from domain.problems import Text, ValidationProblem
from domain.storable import is_storable
from storage.tables import Table

LARGEST_PAGE = 200
_LONGEST_CURSOR = 1024

Row = TypeVar("Row", bound=Table)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many items, and after which cursor. Raises ValidationProblem for a size out of bounds."""

    size: int = 50
    cursor: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.size <= LARGEST_PAGE:
            raise ValidationProblem(
                Text(f"每页条数应在 1 到 {LARGEST_PAGE} 之间", f"The page size must be 1 to {LARGEST_PAGE}"),
                size=self.size,
            )


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items and the cursor of the next page, None on the last."""

    items: Sequence[Item]
    next_cursor: str | None = None


@dataclass(frozen=True)
class Order:
    """A stable order of a table: columns of a unique combination, none of them NULL, all in one direction.

    name: part of the cursor, so that a cursor of one list is refused by another.
    """

    name: str
    columns: tuple[Any, ...]
    descending: bool = True

    def cursor_of(self, row: Table) -> str:
        """The cursor that continues after this row."""
        values = [_to_json(getattr(row, column.key)) for column in self.columns]
        return base64.urlsafe_b64encode(json.dumps([self.name, *values]).encode()).decode().rstrip("=")

    def values_of(self, cursor: str) -> list[Any]:
        """The sort values in a cursor; raises ValidationProblem when it is none of this list's."""
        try:
            return self._parse(cursor)
        except (ValueError, TypeError, binascii.Error, ArithmeticError, RecursionError):
            raise wrong_cursor() from None

    def _parse(self, cursor: str) -> list[Any]:
        if len(cursor) > _LONGEST_CURSOR:
            raise ValueError("too long")
        name, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if name != self.name:
            raise ValueError("another list's cursor")
        return [_from_json(value, column) for value, column in zip(values, self.columns, strict=True)]


@dataclass(frozen=True)
class Keys:
    """The order of a list that is no table's: by values of these kinds, texts or whole numbers, of a unique
    combination, all ascending. name: part of the cursor, as in `Order`."""

    name: str
    kinds: tuple[type[int] | type[str], ...]

    def cursor_of(self, values: Sequence[int | str]) -> str:
        """The cursor that continues after these."""
        return base64.urlsafe_b64encode(json.dumps([self.name, *values]).encode()).decode().rstrip("=")

    def values_of(self, page: PageRequest) -> list[Any]:
        """The sort values in the cursor of a page, or None for each on the first one; raises ValidationProblem when it
        is none of this list's."""
        if page.cursor is None:
            return [None] * len(self.kinds)
        try:
            return self._parse(page.cursor)
        except (ValueError, TypeError, binascii.Error, RecursionError):
            raise wrong_cursor() from None

    def page_of(
        self, rows: Sequence[Item], page: PageRequest, values: Callable[[Item], Sequence[int | str]]
    ) -> Page[Item]:
        """The page, of one row more than it holds where there are more."""
        shown = rows[: page.size]
        return Page(shown, self.cursor_of(values(shown[-1])) if len(rows) > page.size else None)

    def _parse(self, cursor: str) -> list[Any]:
        if len(cursor) > _LONGEST_CURSOR:
            raise ValueError("too long")
        values: list[Any]
        name, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if name != self.name or [type(each) for each in values] != list(self.kinds):
            raise ValueError("another list's cursor")
        for each in values:
            if is_storable(each) if isinstance(each, str) else abs(each) < 1 << 63:
                continue
            raise ValueError("a value that no row holds")
        return values


def wrong_cursor() -> ValidationProblem:
    """A cursor is none of the list's that got it."""
    return ValidationProblem(
        Text(
            "分页游标无效：请原样使用上一页返回的 next_cursor，或去掉它从第一页开始",
            "The page cursor is not valid: use the next_cursor of the previous page as it is, or leave it "
            "out to start with the first page",
        )
    )


async def paginate(
    session: AsyncSession,
    statement: Select[Row],
    order: Order,
    page: PageRequest,
    convert: Callable[[Row], Item],
) -> Page[Item]:
    """One page of a filtered statement that selects one table's rows."""
    columns = [col(column) for column in order.columns]
    if page.cursor is not None:
        values = order.values_of(page.cursor)
        position = tuple_(*columns)
        statement = statement.where(position < tuple_(*values) if order.descending else position > tuple_(*values))
    statement = statement.order_by(*(column.desc() if order.descending else column.asc() for column in columns))
    rows = (await session.scalars(statement.limit(page.size + 1))).all()
    shown = rows[: page.size]
    return Page(
        items=[convert(row) for row in shown],
        next_cursor=order.cursor_of(shown[-1]) if len(rows) > page.size else None,
    )


def _to_json(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, (UUID, Decimal)) else value


def _from_json(value: Any, column: InstrumentedAttribute[Any]) -> Any:
    kind = column.class_.model_fields[column.key].annotation
    if kind is datetime:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is None:
            raise ValueError("an instant without a zone")
        return instant
    if kind is date:
        return date.fromisoformat(value)
    if kind in (UUID, Decimal):
        return kind(str(value))
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of {kind}")
    if kind is str and not is_storable(value):
        raise ValueError("a text that no row holds")
    if kind is int and not -(1 << _bits(column)) <= value < 1 << _bits(column):
        raise ValueError("a number that no row holds")
    return value


def _bits(column: InstrumentedAttribute[Any]) -> int:
    """How large a number the column holds, without its sign."""
    return 63 if isinstance(column.type, BigInteger) else 15 if isinstance(column.type, SmallInteger) else 31
