"""A Pinduoduo shop's articles, with the variants' codes and stock.

The list leaves out what kind of goods an article is; its detail has the number, and the shop's own tree of categories
the name.

Source: open.pinduoduo.com, pdd.goods.list.get (page_size ≤ 100), pdd.goods.detail.get, pdd.goods.authorization.cats, as
read in public SDKs [S].
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.category_names import CategoryNames
from connectors.goods_lists import Article, Variant, article_events, goods_record, pull_lists, read_texts
from connectors.listed_rows import listed_rows
from connectors.payloads import parse_json_object
from connectors.pinduoduo.gateway import PLATFORM, PinduoduoGateway
from connectors.pulling import Cursor, PulledPage
from connectors.readable_streams import GOODS_AND_STOCK, reading
from connectors.reading import merchant_code, objects, optional_text, optional_whole_number, text, whole_number
from connectors.single_reads import Row
from connectors.webhooks import Verified
from domain.events import Event

GOODS_KIND = "goods"
_PAGE_SIZE = 100
_MOST_BRANCHES = 300
"""How many times the tree of categories is asked for: a shop sells in a few branches of it."""
_NUMBERS, _NAMES = CategoryNames(), CategoryNames()
_NAME = "tandem_category"
"""Ours, beside the platform's fields of an article."""


async def pull(gateway: PinduoduoGateway, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.goods_lists.pull_lists`."""

    async def read(page: int, asked_at: datetime) -> tuple[list[Verified], int]:
        params = {"page": str(page), "page_size": str(_PAGE_SIZE)}
        found = await gateway.call("pdd.goods.list.get", params, "goods_list_get_response")
        rows = listed_rows(found, "goods_list", PLATFORM)
        categories = await _categories(gateway, rows)
        records = [goods_record(GOODS_KIND, _named(row, categories), asked_at) for row in rows]
        return records, whole_number(found, "total_count", 0)

    return await pull_lists(cursor, until, gateway.now(), _PAGE_SIZE, read)


async def try_reading(gateway: PinduoduoGateway) -> None:
    """Ask for one article, for a connection test. Raises as `connectors.readable_streams.reading`."""
    with reading(GOODS_AND_STOCK):
        await gateway.call("pdd.goods.list.get", {"page": "1", "page_size": "1"}, "goods_list_get_response")


def goods_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of an article."""
    return article_events(_article(parse_json_object(record.payload)), record, account)


def _article(row: Mapping[str, Any]) -> Article:
    variants = tuple(map(_variant, objects(row, "sku_list")))
    return Article(
        item_id=text(row, "goods_id"),
        title=text(row, "goods_name", limit=512),
        category=optional_text(row, _NAME, limit=64),
        on_sale=str(row.get("is_onsale", 1)) == "1",
        available=optional_whole_number(row, "goods_quantity"),
        merchant_code=next((code for each in objects(row, "sku_list") if (code := _article_code(each))), None),
        variants=variants,
    )


async def _categories(gateway: PinduoduoGateway, rows: Sequence[Any]) -> Mapping[str, str]:
    """The names of the articles' categories, else their numbers, by article."""

    async def detail(article: str) -> Row:
        return await gateway.call("pdd.goods.detail.get", {"goods_id": article}, "goods_detail_get_response")

    async def ask_numbers(articles: Collection[str]) -> Mapping[str, str]:
        return await read_texts(list(articles), detail, "cat_id")

    async def ask_names(wanted: Collection[str]) -> Mapping[str, str]:
        return await _tree(gateway, wanted)

    now = gateway.now()
    articles = [number for row in rows if (number := _number(row))]
    numbers = await _NUMBERS.of(PLATFORM, articles, ask_numbers, now)
    names = await _NAMES.of(f"{PLATFORM}/{gateway.shop}", sorted(set(numbers.values())), ask_names, now)
    return {article: names.get(number, number) for article, number in numbers.items()}


async def _tree(gateway: PinduoduoGateway, wanted: Collection[str]) -> Mapping[str, str]:
    """Names of the categories that the shop may sell in, from the top on until all that are wanted were met."""
    names: dict[str, str] = {}
    branches = ["0"]
    for _ in range(_MOST_BRANCHES):
        if not branches or names.keys() >= set(wanted):
            break
        parent = branches.pop(0)
        found = await gateway.call(
            "pdd.goods.authorization.cats", {"parent_cat_id": parent}, "goods_auth_cats_get_response"
        )
        for row in objects(found, "goods_cats_list"):
            number = text(row, "cat_id", limit=64)
            names[number] = optional_text(row, "cat_name", limit=64) or ""
            if row.get("leaf") is not True:
                branches.append(number)
    return names


def _number(row: Any) -> str:
    number = row.get("goods_id") if isinstance(row, Mapping) else None
    return str(number) if isinstance(number, str | int) and not isinstance(number, bool) else ""


def _named(row: Any, categories: Mapping[str, str]) -> Any:
    name = categories.get(_number(row))
    return {**row, _NAME: name} if name else row


def _article_code(sku: Mapping[str, Any]) -> str | None:
    """The article's code, which its variants carry."""
    return merchant_code(sku, "outer_goods_id")


def _variant(row: Mapping[str, Any]) -> Variant:
    return Variant(
        sku_id=text(row, "sku_id"),
        name=optional_text(row, "spec") or "",
        on_sale=str(row.get("is_sku_onsale", 1)) == "1",
        merchant_code=merchant_code(row, "outer_id"),
        available=optional_whole_number(row, "sku_quantity"),
    )
