"""Goods and how many of them are left."""

from domain.canonical.origin import Origin
from domain.money import AmountMinor


class GoodsData(Origin):
    """An article of a shop, or one of its variants. category: the shop's own word for the kind of goods.

    merchant_code: what the merchant's own systems call it, by which their stock is found (`domain.goods_stock`).
    """

    item_id: str
    sku_id: str | None = None
    title: str
    category: str | None = None
    price_minor: AmountMinor | None = None
    on_sale: bool = True
    merchant_code: str | None = None
    video_ids: tuple[str, ...] = ()


class StockData(Origin):
    """How many pieces can be sold now, in one warehouse or altogether; zero or less is out of stock.

    Without `sku_id`: of the article, whatever variant. Of an ERP both are its own codes.
    """

    item_id: str
    sku_id: str | None = None
    warehouse: str | None = None
    available: int
