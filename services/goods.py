"""Goods as their shops, and the warehouses behind them, told last."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from domain.catalog.goods import (
    GoodsCheckArguments,
    GoodsCheckOutput,
    GoodsOfVideoArguments,
    GoodsOfVideoOutput,
    ShownGoods,
)
from domain.goods_stock import Voice, Word, codes_voice, least, total
from storage.engine import Database
from storage.goods import ArticleName, Goods, GoodsRow, StockRow
from storage.unit_of_work import UnitOfWork

MOST_SHOWN = 20
"""How many articles of one video are told."""


class GoodsService:
    """Answers about goods, at the moment of asking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, request: GoodsCheckArguments) -> GoodsCheckOutput:
        """Whether the article, or the one variant that is named, can be sold now.

        An article without a named variant can be sold while one of its variants can. What the shop says is out, or the
        warehouse that knows it by the merchant's code, is out.
        """
        return availability(await self._told(request), request.sku_id)

    async def of_video(self, request: GoodsOfVideoArguments) -> GoodsOfVideoOutput:
        """The articles that a video shows, those that can be sold first."""
        shop_id = f"{request.platform}/{request.account}"
        async with UnitOfWork(self._database) as work:
            rows = await Goods(work).of_video(shop_id, request.video_id, MOST_SHOWN)
        shown = []
        for row in rows:
            shop = {"platform": request.platform, "account": request.account, "item_id": row.item_id}
            state = await self.check(GoodsCheckArguments(**shop))
            told = {"title": row.title, "category": row.category, "price_minor": row.price_minor}
            shown.append(ShownGoods(**shop, **told, sellable=state.sellable))
        shown.sort(key=lambda each: not each.sellable)
        return GoodsOfVideoOutput(items=tuple(shown), sellable=any(each.sellable for each in shown))

    async def warehouses(self, request: GoodsCheckArguments) -> set[tuple[str, str]]:
        """The warehouses whose word on the article counts, by platform and account."""
        told = await self._told(request)
        accounts = (row.account_id.partition("/") for row in told.elsewhere)
        return {(platform, slug) for platform, _, slug in accounts}

    async def _told(self, request: GoodsCheckArguments) -> "Told":
        article = (f"{request.platform}/{request.account}", request.item_id)
        async with UnitOfWork(self._database) as work:
            return (await told_of(work, [article], request.sku_id))[article]


@dataclass(frozen=True, slots=True)
class Told:
    """An article's rows, its shop's word on stock, and that of warehouses on its codes.

    A code is the merchant's, else the shop's own number, by which shipping orders name what has none.
    """

    goods: Sequence[GoodsRow]
    stock: Sequence[StockRow]
    elsewhere: Sequence[StockRow]
    article_code: str
    variant_codes: Mapping[str, str]


async def told_of(
    work: UnitOfWork, articles: Collection[ArticleName], asked: str | None = None
) -> dict[ArticleName, Told]:
    """What was told of each article. asked: a variant that is asked about, though nobody told of it."""
    goods, stock = defaultdict[ArticleName, list[GoodsRow]](list), defaultdict[ArticleName, list[StockRow]](list)
    for row in await Goods(work).of_items(articles):
        goods[row.account_id, row.item_id].append(row)
    for word in await Goods(work).stock_of_items(articles):
        stock[word.account_id, word.item_id].append(word)
    codes = {each: _codes(each[1], goods[each], stock[each], asked) for each in articles}
    every = {code for article, variants in codes.values() for code in (article, *variants.values())}
    behind = defaultdict[tuple[str, str], dict[int, StockRow]](dict)
    for shop_id, word in await Goods(work).stock_of_codes(every, {account for account, _ in articles}):
        for code in {word.item_id, word.sku_id} & every:
            behind[shop_id, code][id(word)] = word
    told = {}
    for each, (article, variants) in codes.items():
        elsewhere: dict[int, StockRow] = {}
        for code in dict.fromkeys((article, *variants.values())):
            elsewhere |= behind.get((each[0], code), {})
        told[each] = Told(goods[each], stock[each], list(elsewhere.values()), article, variants)
    return told


def _codes(
    item_id: str, goods: Sequence[GoodsRow], stock: Sequence[StockRow], asked: str | None
) -> tuple[str, dict[str, str]]:
    """The code of the whole article, and that of each variant."""
    codes = {row.sku_id: row.merchant_code for row in goods}
    names = {*codes, *(row.sku_id for row in stock), asked or ""} - {""}
    return codes.get("") or item_id, {name: codes.get(name) or name for name in sorted(names)}


def availability(told: "Told", sku_id: str | None) -> GoodsCheckOutput:
    """Whether the article, or one variant of it, can be sold, from what was told of it."""
    variants = {row.sku_id: row for row in told.goods}
    whole = variants.pop("", None)
    shop = Voice(map(_word, told.stock))
    behind = [codes_voice(words, told.article_code, told.variant_codes) for words in _by_account(told.elsewhere)]
    is_listed = whole is None or whole.on_sale
    names = {*variants, *shop.skus}
    offered = {name for name in names if is_listed and (name not in variants or variants[name].on_sale)}
    if sku_id is not None:
        available = _of_variant(shop, behind, sku_id)
        is_known = sku_id in names or not is_listed or available == 0
        on_sale = sku_id in offered
    else:
        available = _of_article(shop, behind, offered) if offered or not names else None
        is_known = bool(told.goods or told.stock) or available is not None
        on_sale = bool(offered) if names else is_listed
    if not is_known:
        return GoodsCheckOutput(known=False, sellable=False)
    sellable = on_sale and (available is None or available > 0)
    return GoodsCheckOutput(known=True, sellable=sellable, on_sale=on_sale, available=available)


def _of_variant(shop: Voice, behind: Sequence[Voice], sku_id: str) -> int | None:
    return least((shop.of_variant(sku_id), total(voice.of_variant(sku_id) for voice in behind)))


def _of_article(shop: Voice, behind: Sequence[Voice], offered: set[str]) -> int | None:
    """The article's pieces: variant by variant what neither denies, and no more than either says of the whole."""
    each = [_of_variant(shop, behind, sku_id) for sku_id in offered]
    summed = total(each) if None not in each else None
    return least((summed, shop.of_article(offered), total(voice.of_article(offered) for voice in behind)))


def _by_account(rows: Sequence[StockRow]) -> list[list[Word]]:
    ordered = sorted(rows, key=lambda row: row.account_id)
    return [list(map(_word, rows)) for _, rows in groupby(ordered, key=lambda row: row.account_id)]


def _word(row: StockRow) -> Word:
    return Word(row.item_id, row.sku_id, row.warehouse, row.available, row.version)
