"""A Taobao shop's articles, on sale and put away, with the variants' codes and stock.

Source: open.taobao.com, taobao.items.onsale.get and taobao.items.inventory.get (page_size ≤ 200), taobao.item.skus.get
(≤ 40 articles), taobao.itemcats.get, second-hand [S].
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from connectors.accounts import Account
from connectors.category_names import CategoryNames
from connectors.goods_lists import Article, Variant, article_events, goods_record, pull_lists
from connectors.listed_rows import listed_rows
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage
from connectors.readable_streams import ON_SALE, PUT_AWAY, Try, reading, try_one
from connectors.reading import (
    merchant_code,
    objects,
    optional_fen,
    optional_mapping,
    optional_text,
    optional_whole_number,
    text,
    whole_number,
)
from connectors.taobao.gateway import PLATFORM, TaobaoGateway
from connectors.taobao.records import sku_name
from connectors.webhooks import Verified
from domain.events import Event
from domain.problems import Text

GOODS_KIND = "goods"
_ON_SALE, _PUT_AWAY = "taobao.items.onsale.get", "taobao.items.inventory.get"
_ITEM_FIELDS = "num_iid,title,cid,price,num,outer_id,modified"
_SKU_FIELDS = "sku_id,num_iid,outer_id,quantity,price,properties_name,status"
_PAGE_SIZE = 100
_MOST_ITEMS = 40
_NAMES = CategoryNames()


async def pull(gateway: TaobaoGateway, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.goods_lists.pull_lists`."""

    async def read(listing: str, page: int, asked_at: datetime) -> tuple[list[Verified], int]:
        params = {"fields": _ITEM_FIELDS, "page_no": str(page), "page_size": str(_PAGE_SIZE)}
        found = await gateway.call(listing, params)
        rows = listed_rows(optional_mapping(found.get("items")), "item", PLATFORM)
        skus, names = await _skus(gateway, rows), await _names(gateway, rows)
        records = []
        for row in rows:
            seen = {"item": row, "on_sale": listing == _ON_SALE, "skus": skus.get(_number(row), [])}
            named = names.get(_number(row, "cid"))
            records.append(goods_record(GOODS_KIND, {**seen, **({"category": named} if named else {})}, asked_at))
        return records, whole_number(found, "total_results", 0)

    lists = (partial(read, listing) for listing in (_ON_SALE, _PUT_AWAY))
    return await pull_lists(cursor, until, gateway.now(), _PAGE_SIZE, *lists)


def tries(gateway: TaobaoGateway) -> tuple[Try, ...]:
    """One article of either list, with its variants, for a connection test."""

    async def skus(number: str) -> None:
        await gateway.call("taobao.item.skus.get", {"fields": _SKU_FIELDS, "num_iids": number})

    async def read(listing: str, called: Text) -> None:
        with reading(called):
            found = await gateway.call(listing, {"fields": _ITEM_FIELDS, "page_no": "1", "page_size": "1"})
        rows = listed_rows(optional_mapping(found.get("items")), "item", PLATFORM)
        await try_one([number for row in rows if (number := _number(row))], skus)

    return partial(read, _ON_SALE, ON_SALE), partial(read, _PUT_AWAY, PUT_AWAY)


def goods_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of an article."""
    body = parse_json_object(record.payload)
    item = optional_mapping(body.get("item"))
    article = Article(
        item_id=text(item, "num_iid"),
        title=text(item, "title", limit=512),
        category=optional_text(body, "category", limit=64) or optional_text(item, "cid", limit=64),
        price_minor=optional_fen(item, "price"),
        on_sale=body.get("on_sale") is not False,
        merchant_code=merchant_code(item, "outer_id"),
        available=optional_whole_number(item, "num"),
        variants=tuple(map(_variant, objects(body, "skus"))),
    )
    return article_events(article, record, account)


def _variant(row: Mapping[str, Any]) -> Variant:
    return Variant(
        sku_id=text(row, "sku_id"),
        name=sku_name(optional_text(row, "properties_name", limit=4096)) or "",
        price_minor=optional_fen(row, "price"),
        on_sale=row.get("status", "normal") == "normal",
        merchant_code=merchant_code(row, "outer_id"),
        available=optional_whole_number(row, "quantity"),
    )


async def _skus(gateway: TaobaoGateway, rows: Sequence[Any]) -> dict[str, list[Any]]:
    """The variants of articles, by the article's number."""
    numbers = [number for row in rows if (number := _number(row))]
    by_item: dict[str, list[Any]] = {}
    for place in range(0, len(numbers), _MOST_ITEMS):
        asked = ",".join(numbers[place : place + _MOST_ITEMS])
        found = await gateway.call("taobao.item.skus.get", {"fields": _SKU_FIELDS, "num_iids": asked})
        for row in listed_rows(optional_mapping(found.get("skus")), "sku", PLATFORM):
            by_item.setdefault(_number(row), []).append(row)
    return by_item


async def _names(gateway: TaobaoGateway, rows: Sequence[Any]) -> Mapping[str, str]:
    """The names of the articles' categories, by number."""

    async def ask(numbers: Collection[str]) -> Mapping[str, str]:
        params = {"fields": "cid,name", "cids": ",".join(numbers)}
        found = await gateway.call("taobao.itemcats.get", params)
        told = listed_rows(optional_mapping(found.get("item_cats")), "item_cat", PLATFORM)
        return {_number(row, "cid"): str(row["name"]) for row in told if isinstance(row, Mapping) and row.get("name")}

    numbers = {number for row in rows if (number := _number(row, "cid"))}
    return await _NAMES.of(PLATFORM, sorted(numbers), ask, gateway.now())


def _number(row: Any, field: str = "num_iid") -> str:
    """The article's number, or its category's; empty for what is no row of an article."""
    number = row.get(field) if isinstance(row, Mapping) else None
    return str(number) if isinstance(number, str | int) and not isinstance(number, bool) else ""
