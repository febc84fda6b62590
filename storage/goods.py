"""Goods of every shop, and how many of each can be sold."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Index,
    Text,
    and_,
    func,
    literal,
    literal_column,
    or_,
    text,
    tuple_,
)
from sqlalchemy import select as sa_select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlmodel import Field, col, select

from domain.goods_stock import WAREHOUSE_PLATFORM
from storage.accounts import AccountRow
from storage.tables import Table, gap_versions, instant, tie
from storage.unit_of_work import Repository

ArticleName = tuple[str, str]
"""A shop's account and the number of an article in it."""
MOST_ALIKE = 200
"""How many articles with the codes of others are told."""

_CODE = "coalesce(nullif(merchant_code, ''), nullif(sku_id, ''), item_id)"
"""What the merchant's systems call it: what has no code goes by the shop's own number."""


class GoodsRow(Table, table=True):
    """One variant of an article (`sku_id` is empty for the article as a whole)."""

    __tablename__ = "goods"
    __table_args__ = (
        Index("ix_goods_video_ids", "video_ids", postgresql_using="gin"),
        Index("ix_goods_code", text(_CODE)),
    )
    account_id: str = Field(primary_key=True)
    item_id: str = Field(primary_key=True)
    sku_id: str = Field(primary_key=True, default="")
    title: str = ""
    category: str | None = None
    price_minor: int | None = Field(default=None, sa_type=BigInteger)
    on_sale: bool = True
    merchant_code: str | None = None
    video_ids: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    version: int = Field(default=0, sa_type=BigInteger)
    version_tie: int = tie()
    gap_versions: dict[str, Any] | None = gap_versions()
    recorded_at: datetime = instant()


class StockRow(Table, table=True):
    """How many pieces of a variant are in one warehouse, as one account told last.

    sku_id is empty for the article as a whole, warehouse for all warehouses together.
    """

    __tablename__ = "stock"
    account_id: str = Field(primary_key=True)
    item_id: str = Field(primary_key=True, index=True)
    sku_id: str = Field(primary_key=True, default="", index=True)
    warehouse: str = Field(primary_key=True, default="")
    available: int = Field(sa_type=BigInteger)
    version: int = Field(default=0, sa_type=BigInteger)
    version_tie: int = tie()
    recorded_at: datetime = instant()


class Goods(Repository):
    """Goods by article."""

    async def of_items(self, articles: Collection[ArticleName]) -> Sequence[GoodsRow]:
        """The articles as a whole, when they were told, and their variants."""
        return list(await self.session.scalars(select(GoodsRow).where(_is_of(GoodsRow, articles))))

    async def alike(self, articles: Collection[ArticleName]) -> set[ArticleName]:
        """The articles, and those of every shop with a variant to which the merchant gave the code of one of theirs."""
        codes = {row.merchant_code for row in await self.of_items(articles) if row.merchant_code}
        if not codes:
            return set(articles)
        row = GoodsRow
        statement = (
            select(col(row.account_id), col(row.item_id))
            .where(literal_column(_CODE) == func.any(sorted(codes)), col(row.merchant_code) != "")
            .order_by(col(row.account_id), col(row.item_id))
            .distinct()
            .limit(MOST_ALIKE)
        )
        found = await self.session.execute(statement)
        return {*articles, *((account, item) for account, item in found)}

    async def of_video(self, account_id: str, video_id: str, limit: int) -> Sequence[GoodsRow]:
        """The articles of a shop that a video shows, in the order of their numbers."""
        statement = (
            select(GoodsRow)
            .where(col(GoodsRow.account_id) == account_id, col(GoodsRow.video_ids).contains([video_id]))
            .where(col(GoodsRow.sku_id) == "")
            .order_by(col(GoodsRow.item_id))
            .limit(limit)
        )
        return list(await self.session.scalars(statement))

    async def stock_of_items(self, articles: Collection[ArticleName]) -> Sequence[StockRow]:
        """What the shops themselves told of the articles' stock."""
        return list(await self.session.scalars(select(StockRow).where(_is_of(StockRow, articles))))

    async def stock_of_codes(self, codes: Collection[str], shop_ids: Collection[str]) -> Sequence[tuple[str, StockRow]]:
        """What connected warehouses of each shop's unit, or of one above it, told of articles with these codes."""
        shops = func.unnest(_texts(shop_ids)).table_valued("id", name="shops").render_derived()
        shop, warehouse = aliased(AccountRow), aliased(AccountRow)
        statement = (
            select(shops.c.id, StockRow)
            .select_from(StockRow)
            .join(warehouse, col(warehouse.id) == col(StockRow.account_id))
            .join(shops, shops.c.id != col(warehouse.id))
            .outerjoin(shop, col(shop.id) == shops.c.id)
            .where(*_speaks(warehouse, shop), or_(_is_any(StockRow.item_id, codes), _is_any(StockRow.sku_id, codes)))
        )
        return [(shop_id, row) for shop_id, row in (await self.session.execute(statement)).all()]

    async def with_codes(self, told: Collection[tuple[str, str]]) -> Sequence[tuple[str, str, GoodsRow]]:
        """The goods of connected shops that warehouses speak of. told: warehouse and code; so is the answer, with each
        of the goods."""
        accounts, codes = [account for account, _ in told], [code for _, code in told]
        words = (
            func.unnest(_texts(accounts), _texts(codes))
            .table_valued("account_id", "code", name="words")
            .render_derived()
        )
        shop, warehouse = aliased(AccountRow), aliased(AccountRow)
        statement = (
            select(words.c.account_id, words.c.code, GoodsRow)
            .select_from(words)
            .join(warehouse, col(warehouse.id) == words.c.account_id)
            .join(GoodsRow, literal_column(_CODE) == words.c.code)
            .join(shop, and_(col(shop.id) == col(GoodsRow.account_id), col(shop.id) != col(warehouse.id)))
            .where(*_speaks(warehouse, shop), col(shop.active))
        )
        return [(account, code, row) for account, code, row in (await self.session.execute(statement)).all()]


def _speaks(warehouse: type[AccountRow], shop: type[AccountRow]) -> tuple[ColumnElement[bool], ...]:
    """Whether the account is a warehouse whose word counts for the shop."""
    unit = func.coalesce(col(shop.unit_path), literal("/"))
    return (
        col(warehouse.platform) == WAREHOUSE_PLATFORM,
        col(warehouse.active).is_(True),
        func.starts_with(unit, col(warehouse.unit_path)).is_(True),
    )


def _texts(values: Iterable[str]) -> ColumnElement[Any]:
    return literal(list(values), ARRAY(Text))


def _is_of(table: type[GoodsRow] | type[StockRow], articles: Collection[ArticleName]) -> ColumnElement[bool]:
    """Two parameters, however many articles."""
    names = func.unnest(_texts(account for account, _ in articles), _texts(item for _, item in articles))
    wanted = names.table_valued("account_id", "item_id", name="wanted").render_derived()
    return tuple_(col(table.account_id), col(table.item_id)).in_(sa_select(wanted.c.account_id, wanted.c.item_id))


def _is_any(column: str, values: Collection[str]) -> ColumnElement[bool]:
    """One parameter, however many values: the statement stays the same."""
    return col(column) == func.any(list(values))
