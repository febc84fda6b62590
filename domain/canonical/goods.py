"""Goods and how many of them are left."""

from domain.canonical.origin import Origin
from domain.money import AmountMinor


class GoodsData(Origin):
    """An article of a shop, or one of its variants. category: the shop's own word for the kind of goods."""

    item_id: str
    sku_id: str | None = None
    title: str
    category: str | None = None
    price_minor: AmountMinor | None = None
    on_sale: bool = True
    video_ids: tuple[str, ...] = ()


class StockData(Origin):
    """How many pieces can be sold now; zero or less is out of stock."""

    item_id: str
    sku_id: str | None = None
    warehouse: str | None = None
    available: int
