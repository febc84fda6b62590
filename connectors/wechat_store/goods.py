"""A WeChat Store's articles, with the variants' codes and stock.

Source: developers.weixin.qq.com, channels/ec/product/list/get (page_size ≤ 30), channels/ec/product/get and
channels/ec/category/all, as read in public SDKs [S].
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from connectors.accounts import Account
from connectors.category_names import CategoryNames, named_within
from connectors.goods_lists import AT_ONCE, Article, Variant, article_events, goods_record, pull_goods
from connectors.listed_rows import listed_rows
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage
from connectors.readable_streams import GOODS_AND_STOCK, reading, try_one
from connectors.reading import (
    mapping,
    merchant_code,
    objects,
    optional_mapping,
    optional_minor,
    optional_text,
    optional_whole_number,
    text,
    whole_number,
)
from connectors.single_reads import Row, read_each, unread_record
from connectors.webhooks import Verified
from connectors.wechat.api import WechatApi
from domain.events import Event
from domain.problems import ProblemError

GOODS_KIND = "goods"
_PAGE_SIZE = 30
_ONLINE, _LISTED = 1, 5
_NAMES = CategoryNames()
_NAME = "tandem_category"
"""Ours, beside the platform's fields of an article."""


async def pull(api: WechatApi, platform: str, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.goods_lists.pull_goods`."""

    async def read(place: Cursor, asked_at: datetime) -> PulledPage:
        asked = {"page_size": _PAGE_SIZE, **({"next_key": place["next_key"]} if place.get("next_key") else {})}
        answer = await api.read("channels/ec/product/list/get", asked)

        numbers = [str(each) for each in listed_rows(answer, "product_ids", platform)]
        products = await read_each(numbers, partial(_whole, api), at_once=AT_ONCE)
        names = await _names(api, platform, list(products.values()))
        found = [
            unread_record(GOODS_KIND, number, each, asked_at)
            if isinstance(each, ProblemError)
            else goods_record(GOODS_KIND, _named(each, names), asked_at)
            for number, each in products.items()
            if each is not None
        ]
        following = answer.get("next_key")
        more = bool(numbers) and following not in (None, "", place.get("next_key"))
        return PulledPage(found, {"next_key": following}, more=more)

    return await pull_goods(cursor, until, api.now(), read)


async def try_reading(api: WechatApi, platform: str) -> None:
    """Ask for one article with its variants, for a connection test. Raises as `connectors.readable_streams.reading`."""
    with reading(GOODS_AND_STOCK):
        answer = await api.read("channels/ec/product/list/get", {"page_size": 1})
    await try_one([str(each) for each in listed_rows(answer, "product_ids", platform)], partial(_whole, api))


async def _whole(api: WechatApi, number: str) -> Row:
    found = await api.read("channels/ec/product/get", {"product_id": number, "data_type": _ONLINE})
    return optional_mapping(found.get("product"))


def goods_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of an article."""
    product = mapping(parse_json_object(record.payload), "product")
    article = Article(
        item_id=text(product, "product_id"),
        title=text(product, "title", limit=512),
        category=optional_text(product, _NAME, limit=64) or _category_of(product) or None,
        price_minor=optional_minor(product, "min_price"),
        on_sale=whole_number(product, "status", _LISTED) == _LISTED,
        merchant_code=merchant_code(product, "spu_code", "out_product_id"),
        variants=tuple(map(_variant, objects(product, "skus"))),
    )
    return article_events(article, record, account)


async def _names(api: WechatApi, platform: str, products: Sequence[Any]) -> Mapping[str, str]:
    """The names of the articles' categories, by number."""

    async def ask(_numbers: Collection[str]) -> Mapping[str, str]:
        return named_within(await api.get("channels/ec/category/all", {}), "cat_id", "name")

    numbers = {number for each in products if (number := _category_of(each))}
    return await _NAMES.of(platform, sorted(numbers), ask, api.now())


def _category_of(product: Any) -> str:
    """The finest category: they are listed from the coarsest on."""
    found = product.get("cats_v2") or product.get("cats") if isinstance(product, Mapping) else None
    finest = found[-1] if isinstance(found, list) and found else None
    return str(finest.get("cat_id") or "") if isinstance(finest, Mapping) else ""


def _named(product: Any, names: Mapping[str, str]) -> Any:
    name = names.get(_category_of(product))
    return {**product, _NAME: name} if name else product


def _variant(row: Mapping[str, Any]) -> Variant:
    names = (optional_text(each, "attr_value", limit=64) for each in objects(row, "sku_attrs"))
    return Variant(
        sku_id=text(row, "sku_id"),
        name=" ".join(name for name in names if name),
        price_minor=optional_minor(row, "sale_price"),
        on_sale=whole_number(row, "status", _LISTED) == _LISTED,
        merchant_code=merchant_code(row, "sku_code", "out_sku_id"),
        available=optional_whole_number(row, "stock_num"),
    )
