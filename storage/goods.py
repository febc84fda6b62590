"""Goods of every shop, and how many of each can be sold."""

from datetime import datetime

from sqlalchemy import BigInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from storage.tables import Table, instant


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
    stock_version: int = Field(default=0, sa_type=BigInteger)
    recorded_at: datetime = instant()
