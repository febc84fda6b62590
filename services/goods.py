"""Goods as their shops told them last."""

from domain.catalog.goods import GoodsCheckArguments, GoodsCheckOutput
from storage.engine import Database
from storage.goods import Goods
from storage.unit_of_work import UnitOfWork


class GoodsService:
    """Answers about goods, at the moment of asking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, request: GoodsCheckArguments) -> GoodsCheckOutput:
        """Whether the article, or the one variant that is named, can be sold now.

        An article without a named variant can be sold while one of its variants can.
        """
        async with UnitOfWork(self._database) as work:
            rows = await Goods(work).of_item(f"{request.platform}/{request.account}", request.item_id)
        variants = {row.sku_id: row for row in rows}
        whole = variants.pop("", None)
        if request.sku_id is not None:
            variants = {name: row for name, row in variants.items() if name == request.sku_id}
            if not variants:
                return GoodsCheckOutput(known=False, sellable=False)
        elif not variants and whole is None:
            return GoodsCheckOutput(known=False, sellable=False)
        is_listed = whole is None or whole.on_sale
        offered = [row for row in variants.values() if row.on_sale] if is_listed else []
        on_sale = bool(offered) if variants else is_listed
        told = [row.available for row in offered if row.available is not None]
        available = sum(told) if told and len(told) == len(offered) else None
        if not variants and whole is not None:
            available = whole.available
        sellable = on_sale and (available is None or available > 0)
        return GoodsCheckOutput(known=True, sellable=sellable, on_sale=on_sale, available=available)
