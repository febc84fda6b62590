"""Goods of every shop, and how many of each can be sold."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, col, select

from storage.tables import Table, gap_versions, instant, tie
from storage.unit_of_work import Repository


class GoodsRow(Table, table=True):
    """One variant of an article (`sku_id` is empty for the article as a whole).

    version guards title, price and sale; stock_version guards `available`, which is NULL when nobody told.
    """

    __tablename__ = "goods"
    account_id: str = Field(primary_key=True)
    item_id: str = Field(primary_key=True)
    sku_id: str = Field(primary_key=True, default="")
    title: str = ""
    category: str | None = None
    price_minor: int | None = Field(default=None, sa_type=BigInteger)
    on_sale: bool = True
    video_ids: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    available: int | None = Field(default=None, sa_type=BigInteger)
    version: int = Field(default=0, sa_type=BigInteger)
    version_tie: int = tie()
    stock_version: int = Field(default=0, sa_type=BigInteger)
    stock_version_tie: int = tie()
    gap_versions: dict[str, Any] | None = gap_versions()
    recorded_at: datetime = instant()


class Goods(Repository):
    """Goods by article."""

    async def of_item(self, account_id: str, item_id: str) -> Sequence[GoodsRow]:
        """The article as a whole, when it was told, and its variants."""
        statement = select(GoodsRow).where(col(GoodsRow.account_id) == account_id, col(GoodsRow.item_id) == item_id)
        return list(await self.session.scalars(statement))
