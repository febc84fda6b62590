"""Sales: what payees sold, one row for each line that begins to count, and one for each difference afterwards.

Rows are never changed. They are cut by the month of their day, and within it by `part`, a hash of the payee.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Literal

from sqlalchemy import BigInteger, Identity, SmallInteger, UniqueConstraint, text
from sqlmodel import Field

from storage.bulk import fetch
from storage.locks import lock, lock_shared
from storage.tables import Table
from storage.unit_of_work import Repository

PARTS = 16
"""Into how many pieces a month's sales are cut; fixed, because rows are never moved."""
WORD_FIELDS = ("platform", "shop", "channel", "influencer", "category", "article")
Basis = Literal["paid", "completed"]
BASES: Mapping[Basis, int] = {"paid": 1, "completed": 2}
_LOCK = "sales"


class SaleWordRow(Table, table=True):
    """A text that sales are filtered by, and the number that stands for it."""

    __tablename__ = "sale_words"
    number: int = Field(primary_key=True, sa_column_args=[Identity(always=True)])
    field: str
    word: str

    __table_args__ = (UniqueConstraint("field", "word"),)


class SaleRow(Table, table=True):
    """One row of `sales`, which has no key: `seq` orders them. Words are numbers of `SaleWordRow`."""

    __tablename__ = "sales"
    seq: int = Field(sa_type=BigInteger, sa_column_args=[Identity(always=True)], nullable=False)
    order_key: int = Field(sa_type=BigInteger)
    order_minor: int = Field(sa_type=BigInteger)
    paid_minor: int = Field(sa_type=BigInteger)
    kept_minor: int = Field(sa_type=BigInteger)
    payee: int
    day: date
    platform: int
    shop: int
    channel: int
    influencer: int
    category: int
    article: int
    quantity: int
    orders: int = Field(sa_type=SmallInteger)
    basis: int = Field(sa_type=SmallInteger)
    part: int = Field(sa_type=SmallInteger)
    is_first: bool
    is_bonded: bool
    line_id: str

    # No row is ever loaded as an object; the mapper wants a key all the same.
    __mapper_args__: ClassVar[dict[str, Any]] = {"primary_key": ["seq"]}
    __table_args__ = ({"postgresql_partition_by": "RANGE (day)"},)


@dataclass(frozen=True, slots=True)
class Sale:
    """A line that begins to count for a payee, or the difference of one that does: amounts, pieces and orders are
    signed then.

    words: by field of `WORD_FIELDS`, empty where nothing is known. order_minor: of the whole order.
    """

    basis: Basis
    day: date
    payee: int
    order_key: int
    line_id: str
    order_minor: int
    paid_minor: int
    kept_minor: int
    quantity: int
    orders: int
    words: Mapping[str, str]
    is_first: bool = False
    is_bonded: bool = False


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
        await self._open_months({each.day.replace(day=1) for each in sales})
        numbers = await self.numbers({(name, each.words.get(name, "")) for each in sales for name in WORD_FIELDS})
        rows = [
            (
                each.order_key,
                each.order_minor,
                each.paid_minor,
                each.kept_minor,
                each.payee,
                each.day,
                *(numbers[name, each.words.get(name, "")] for name in WORD_FIELDS),
                each.quantity,
                each.orders,
                BASES[each.basis],
                part_of(each.payee),
                each.is_first,
                each.is_bonded,
                each.line_id,
            )
            for each in sales
        ]
        values = {name: list(each) for name, each in zip(_COLUMNS, zip(*rows, strict=True), strict=True)}
        await fetch(self.work, _ADD, values)

    async def watermark(self) -> int:
        """The number of the last row; no row up to it is still under way. Nobody adds until this unit of work ends."""
        await lock(self.work, _LOCK)
        return int(await self.session.scalar(text("SELECT coalesce(max(seq), 0) FROM sales")) or 0)

    async def numbers(
        self, words: Collection[tuple[str, str]], *, known_only: bool = False
    ) -> dict[tuple[str, str], int]:
        """The numbers of words by field and word; new ones are made, unless only known ones are asked for."""
        fields, texts = [field for field, _ in words], [word for _, word in words]
        if not known_only:
            await fetch(self.work, _NEW_WORDS, {"fields": fields, "words": texts})
        found = await fetch(self.work, _WORDS, {"fields": fields, "words": texts})
        return {(field, word): number for field, word, number in found}

    async def _open_months(self, months: Collection[date]) -> None:
        """Make the pieces of these months, where they are missing."""
        known = set(await self.session.scalars(text(_MONTHS)))
        for month in sorted(months):
            if f"sales_{month:%Y_%m}" not in known:
                await self.session.execute(text("SELECT open_sales_month(:month)"), {"month": month})


_COLUMNS = (
    "order_key",
    "order_minor",
    "paid_minor",
    "kept_minor",
    "payee",
    "day",
    *WORD_FIELDS,
    "quantity",
    "orders",
    "basis",
    "part",
    "is_first",
    "is_bonded",
    "line_id",
)
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
_ADD = """
    INSERT INTO sales (
        order_key, order_minor, paid_minor, kept_minor, payee, day, platform, shop, channel, influencer, category,
        article, quantity, orders, basis, part, is_first, is_bonded, line_id
    )
    SELECT * FROM unnest(
        %(order_key)b::bigint[], %(order_minor)b::bigint[], %(paid_minor)b::bigint[], %(kept_minor)b::bigint[],
        %(payee)b::integer[], %(day)b::date[], %(platform)b::integer[], %(shop)b::integer[], %(channel)b::integer[],
        %(influencer)b::integer[], %(category)b::integer[], %(article)b::integer[], %(quantity)b::integer[],
        %(orders)b::smallint[], %(basis)b::smallint[], %(part)b::smallint[], %(is_first)b::boolean[],
        %(is_bonded)b::boolean[], %(line_id)b::text[]
    )
"""
