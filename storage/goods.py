"""Goods of every shop, and how many of each can be sold."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Index, Text, func, literal, or_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, col, select

from domain.goods_stock import WAREHOUSE_PLATFORM
from storage.accounts import AccountRow
from storage.tables import Table, gap_versions, instant, tie
from storage.unit_of_work import Repository


class GoodsRow(Table, table=True):
    """One variant of an article (`sku_id` is empty for the article as a whole)."""

    __tablename__ = "goods"
    __table_args__ = (Index("ix_goods_video_ids", "video_ids", postgresql_using="gin"),)
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

    async def of_items(self, account_id: str, item_ids: Collection[str]) -> Sequence[GoodsRow]:
        """The articles as a whole, when they were told, and their variants."""
        statement = select(GoodsRow).where(col(GoodsRow.account_id) == account_id, _is_any(GoodsRow.item_id, item_ids))
        return list(await self.session.scalars(statement))

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

    async def stock_of_items(self, account_id: str, item_ids: Collection[str]) -> Sequence[StockRow]:
        """What the shop itself told of the articles' stock."""
        statement = select(StockRow).where(col(StockRow.account_id) == account_id, _is_any(StockRow.item_id, item_ids))
        return list(await self.session.scalars(statement))

    async def stock_of_codes(self, codes: Collection[str], shop_id: str) -> Sequence[StockRow]:
        """What connected warehouses of the shop's unit, or of one above it, told of articles with these codes."""
        unit = select(AccountRow.unit_path).where(col(AccountRow.id) == shop_id).scalar_subquery()
        speaks = (
            col(AccountRow.id) != shop_id,
            col(AccountRow.platform) == WAREHOUSE_PLATFORM,
            col(AccountRow.active),
            func.starts_with(func.coalesce(unit, literal("/")), col(AccountRow.unit_path)),
        )
        statement = (
            select(StockRow)
            .join(AccountRow, col(AccountRow.id) == col(StockRow.account_id))
            .where(*speaks, or_(_is_any(StockRow.item_id, codes), _is_any(StockRow.sku_id, codes)))
        )
        return list(await self.session.scalars(statement))


def _is_any(column: str, values: Collection[str]) -> ColumnElement[bool]:
    """One parameter, however many values: the statement stays the same."""
    return col(column) == func.any(list(values))
