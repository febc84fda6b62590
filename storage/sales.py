"""Sales: what payees sold, one row for each line that begins to count, and one for each difference afterwards.

Rows are never changed. They are cut by the month of their day, and within it by `part`, a hash of the payee.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Identity, Index, SmallInteger, UniqueConstraint, select, text
from sqlmodel import Field, col

from domain.settlement.attribution import Basis
from domain.settlement.selling import WORD_FIELDS, Amounts, Sale, SaleKey
from storage.bulk import fetch
from storage.locks import lock, lock_shared
from storage.tables import Table
from storage.unit_of_work import Repository

PARTS = 16
"""Into how many pieces a month's sales are cut; fixed, because rows are never moved."""
BASES: Mapping[Basis, int] = {"paid": 1, "completed": 2}
_BASIS_OF = {number: basis for basis, number in BASES.items()}
_LOCK = "sales"


class SaleWordRow(Table, table=True):
    """A text that sales are filtered by, and the number that stands for it."""

    __tablename__ = "sale_words"
    number: int = Field(primary_key=True, sa_column_args=[Identity(always=True)])
    field: str
    word: str

    __table_args__ = (UniqueConstraint("field", "word"),)


class SaleRow(Table, table=True):
    """One row of `sales`, which has no key: `seq` orders them. Words are numbers of `SaleWordRow`. is_first: NULL while
    nobody knows whose the order is. paid_day: when the order was paid, where that was not on `day`; NULL, too, of what
    began to count before it was kept."""

    __tablename__ = "sales"
    seq: int = Field(sa_type=BigInteger, sa_column_args=[Identity(always=True)], nullable=False)
    order_key: int = Field(sa_type=BigInteger)
    order_minor: int = Field(sa_type=BigInteger)
    paid_minor: int = Field(sa_type=BigInteger)
    kept_minor: int = Field(sa_type=BigInteger)
    foreign_minor: int = Field(sa_type=BigInteger)
    payee: int
    day: date
    platform: int
    shop: int
    channel: int
    influencer: int
    category: int
    article: int
    currency: int
    quantity: int
    orders: int = Field(sa_type=SmallInteger)
    basis: int = Field(sa_type=SmallInteger)
    part: int = Field(sa_type=SmallInteger)
    is_first: bool | None = None
    is_bonded: bool
    line_id: str
    paid_day: date | None = None

    # No row is ever loaded as an object; the mapper wants a key all the same.
    __mapper_args__: ClassVar[dict[str, Any]] = {"primary_key": ["seq"]}
    __table_args__ = (
        Index("ix_sales_order_key", "order_key"),
        Index("ix_sales_day_seq", "day", "seq"),
        {"postgresql_partition_by": "RANGE (day)"},
    )


def part_of(payee: int) -> int:
    """The piece of a month that a payee's sales are in: Knuth's multiplicative hash of its number."""
    return (payee * 2_654_435_761 % 2**32) * PARTS >> 32


class Sales(Repository):
    """Adding, and how far there are any."""

    async def add(self, sales: Sequence[Sale]) -> None:
        """Add rows; what freezes meanwhile waits for this unit of work."""
        if not sales:
            return
        await lock_shared(self.work, _LOCK)
        await self._open_months({each.of.day.replace(day=1) for each in sales})
        numbers = await self.numbers({word for each in sales for word in zip(WORD_FIELDS, each.of.words, strict=True)})
        rows = [
            (
                BASES[of.basis],
                of.day,
                of.payee,
                of.order_key,
                of.line_id,
                of.order_minor,
                *(numbers[word] for word in zip(WORD_FIELDS, of.words, strict=True)),
                of.is_first,
                of.is_bonded,
                of.paid_day,
                *amounts,
                part_of(of.payee),
            )
            for of, amounts in sales
        ]
        values = {name: list(each) for name, each in zip(_COLUMNS, zip(*rows, strict=True), strict=True)}
        await fetch(self.work, _ADD, values)

    async def told(self, orders: Collection[int], days: Collection[date], payees: Collection[int]) -> list[Sale]:
        """What the sales of these orders come to: their differences added up, without those that are nothing.

        days, payees: all that the orders ever had sales of.
        """
        values = {"orders": list(orders), "days": list(days), "parts": sorted({part_of(each) for each in payees})}
        rows = await fetch(self.work, _TOLD, values)
        if not rows:
            return []
        words = await self._words({number for row in rows for number in row[_WORDS_AT]})
        found = []
        for row in rows:
            basis, day, payee, order_key, line_id, order_minor = row[: _WORDS_AT.start]
            is_first, is_bonded, paid_day = row[_WORDS_AT.stop : _AMOUNTS_AT]
            texts = tuple(words[number] for number in row[_WORDS_AT])
            of = (_BASIS_OF[basis], day, payee, order_key, line_id, order_minor, texts, is_first, is_bonded, paid_day)
            found.append(Sale(SaleKey(*of), Amounts(*row[_AMOUNTS_AT:])))
        return found

    async def bonded(
        self, orders: Collection[int], days: Collection[date], payees: Collection[int]
    ) -> Mapping[tuple[int, str], bool | None]:
        """By order and line, whether it was told to ship from a bonded warehouse, also where nothing is left of it;
        None where its category was never known. days, payees: as of `told`."""
        values = {"orders": list(orders), "days": list(days), "parts": sorted({part_of(each) for each in payees})}
        return {(order, line): found for order, line, found in await fetch(self.work, _BONDED, values)}

    async def begun(
        self, orders: Collection[int], days: Collection[date], payees: Collection[int]
    ) -> Mapping[int, Mapping[Basis, bool]]:
        """By order, in which ways it ever counted, and whether the day of payment was kept with its sales, also where
        nothing is left of them. days, payees: as of `told`."""
        values = {"orders": list(orders), "days": list(days), "parts": sorted({part_of(each) for each in payees})}
        found: dict[int, dict[Basis, bool]] = defaultdict(dict)
        for order, basis, is_kept in await fetch(self.work, _BEGUN, values):
            found[order][_BASIS_OF[basis]] = is_kept
        return found

    async def watermark(self) -> int:
        """A number that no row is above and that none up to is still under way; nobody adds until this unit of work
        ends. It is the sequence's, for all pieces would have to be gone through for the last row's."""
        await lock(self.work, _LOCK)
        return int(await self.session.scalar(text(_LAST)) or 0)

    async def currencies(self) -> set[str]:
        """The currencies beside the merchant's own in which anything was ever sold."""
        row = SaleWordRow
        statement = select(col(row.word)).where(col(row.field) == "currency", col(row.word) != "")
        return set(await self.session.scalars(statement))

    async def numbers(
        self, words: Collection[tuple[str, str]], *, known_only: bool = False
    ) -> dict[tuple[str, str], int]:
        """The numbers of words by field and word; new ones are made, unless only known ones are asked for."""
        fields, texts = [field for field, _ in words], [word for _, word in words]
        if not known_only:
            await fetch(self.work, _NEW_WORDS, {"fields": fields, "words": texts})
        found = await fetch(self.work, _WORDS, {"fields": fields, "words": texts})
        return {(field, word): number for field, word, number in found}

    async def _words(self, numbers: Collection[int]) -> dict[int, str]:
        return dict(await fetch(self.work, _WORDS_OF, {"numbers": list(numbers)}))

    async def _open_months(self, months: Collection[date]) -> None:
        """Make the pieces of these months, where they are missing."""
        known = set(await self.session.scalars(text(_MONTHS)))
        for month in sorted(months):
            if f"sales_{month:%Y_%m}" not in known:
                await self.session.execute(text("SELECT open_sales_month(:month)"), {"month": month})


_OF = (
    "basis",
    "day",
    "payee",
    "order_key",
    "line_id",
    "order_minor",
    *WORD_FIELDS,
    "is_first",
    "is_bonded",
    "paid_day",
)
_COLUMNS = (*_OF, *Amounts._fields, "part")
_WORDS_AT = slice(_OF.index(WORD_FIELDS[0]), _OF.index(WORD_FIELDS[0]) + len(WORD_FIELDS))
_AMOUNTS_AT = len(_OF)
_LAST = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM sales_seq_seq"
_MONTHS = "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'sales'::regclass"
_NEW_WORDS = """
    INSERT INTO sale_words (field, word)
    SELECT DISTINCT field, word FROM unnest(%(fields)b::text[], %(words)b::text[]) AS t(field, word)
    ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""
_WORDS = """
    SELECT field, word, number FROM sale_words
    JOIN unnest(%(fields)b::text[], %(words)b::text[]) AS t(field, word) USING (field, word)
"""
_WORDS_OF = "SELECT number, word FROM sale_words WHERE number = ANY(%(numbers)b::integer[])"
_ADD = """
    INSERT INTO sales (
        basis, day, payee, order_key, line_id, order_minor, platform, shop, channel, influencer, category, article,
        currency, is_first, is_bonded, paid_day, paid_minor, kept_minor, foreign_minor, quantity, orders, part
    )
    SELECT * FROM unnest(
        %(basis)b::smallint[], %(day)b::date[], %(payee)b::integer[], %(order_key)b::bigint[], %(line_id)b::text[],
        %(order_minor)b::bigint[], %(platform)b::integer[], %(shop)b::integer[], %(channel)b::integer[],
        %(influencer)b::integer[], %(category)b::integer[], %(article)b::integer[], %(currency)b::integer[],
        %(is_first)b::boolean[], %(is_bonded)b::boolean[], %(paid_day)b::date[], %(paid_minor)b::bigint[],
        %(kept_minor)b::bigint[], %(foreign_minor)b::bigint[], %(quantity)b::integer[], %(orders)b::smallint[],
        %(part)b::smallint[]
    )
"""
_BONDED = """
    SELECT DISTINCT ON (order_key, line_id) order_key, line_id, CASE WHEN known THEN is_bonded END
    FROM (
        SELECT order_key, line_id, is_bonded, seq, is_bonded OR category IS DISTINCT FROM (
            SELECT number FROM sale_words WHERE field = 'category' AND word = ''
        ) AS known
        FROM sales
        WHERE order_key = ANY(%(orders)b::bigint[]) AND day = ANY(%(days)b::date[])
            AND part = ANY(%(parts)b::smallint[]) AND (quantity > 0 OR paid_minor > 0 OR kept_minor > 0)
    ) AS begun
    ORDER BY order_key, line_id, known DESC, seq DESC
"""
_BEGUN = """
    SELECT order_key, basis, bool_or(paid_day IS NOT NULL) FROM sales
    WHERE order_key = ANY(%(orders)b::bigint[]) AND day = ANY(%(days)b::date[]) AND part = ANY(%(parts)b::smallint[])
    GROUP BY 1, 2
"""
_TOLD = """
    SELECT basis, day, payee, order_key, line_id, order_minor, platform, shop, channel, influencer, category, article,
        currency, is_first, is_bonded, paid_day, sum(paid_minor)::bigint AS paid_minor,
        sum(kept_minor)::bigint AS kept_minor, sum(foreign_minor)::bigint AS foreign_minor,
        sum(quantity)::integer AS quantity, sum(orders)::integer AS orders
    FROM sales
    WHERE order_key = ANY(%(orders)b::bigint[]) AND day = ANY(%(days)b::date[]) AND part = ANY(%(parts)b::smallint[])
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
    HAVING (sum(paid_minor), sum(kept_minor), sum(foreign_minor), sum(quantity), sum(orders)) <> (0, 0, 0, 0, 0)
"""
