"""A Youzan shop's articles, on sale and put away, with the variants' codes and stock.

Source: youzan.items.onsale.get and youzan.items.inventory.get 3.0.0 (page_size ≤ 300), youzan.item.get 3.0.0,
youzan.itemcategories.get 3.0.0, as quoted by public notes and SDKs [S].
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from connectors.accounts import Account
from connectors.category_names import CategoryNames, named_within
from connectors.goods_lists import Article, Variant, article_events, each_at_once, goods_record, pull_lists
from connectors.listed_rows import listed_rows
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage
from connectors.reading import (
    merchant_code,
    objects,
    optional_mapping,
    optional_minor,
    optional_text,
    optional_whole_number,
    text,
    whole_number,
)
from connectors.webhooks import Verified
from connectors.youzan.gateway import PLATFORM, YouzanGateway
from connectors.youzan.records import sku_name
from domain.events import Event
from domain.problems import NotFoundProblem, ValidationProblem

GOODS_READ = "goods.read"
_ON_SALE, _PUT_AWAY = "youzan.items.onsale.get", "youzan.items.inventory.get"
_PAGE_SIZE = 100
_NAMES = CategoryNames()


async def pull(gateway: YouzanGateway, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.goods_lists.pull_lists`."""

    async def read(listing: str, page: int, asked_at: datetime) -> tuple[list[Verified], int]:
        found = await gateway.call(listing, "3.0.0", {"page_no": page, "page_size": _PAGE_SIZE})
        rows = listed_rows(found, "items", PLATFORM)
        names = await _names(gateway, rows)

        async def whole(row: Any) -> Verified:
            seen = {"item": row, "on_sale": listing == _ON_SALE, **await _with_variants(gateway, row)}
            named = names.get(_category_of(row))
            return goods_record(GOODS_READ, {**seen, **({"category": named} if named else {})}, asked_at)

        return await each_at_once(rows, whole), whole_number(found, "count", 0)

    lists = (partial(read, listing) for listing in (_ON_SALE, _PUT_AWAY))
    return await pull_lists(cursor, until, gateway.now(), _PAGE_SIZE, *lists)


def goods_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of an article."""
    body = parse_json_object(record.payload)
    item, on_sale = optional_mapping(body.get("item")), body.get("on_sale") is not False
    article = Article(
        item_id=text(item, "item_id"),
        title=text(item, "title", limit=512),
        category=optional_text(body, "category", limit=64) or optional_text(item, "cid", limit=64),
        price_minor=optional_minor(item, "price"),
        on_sale=on_sale,
        merchant_code=merchant_code(item, "item_no"),
        available=optional_whole_number(item, "quantity"),
        variants=tuple(map(_variant, objects(body, "skus"))),
    )
    return article_events(article, record, account)


def _variant(row: Mapping[str, Any]) -> Variant:
    return Variant(
        sku_id=text(row, "sku_id"),
        name=sku_name(optional_text(row, "properties_name_json", limit=4096)) or "",
        price_minor=optional_minor(row, "price"),
        merchant_code=merchant_code(row, "item_no", "sku_no"),
        available=optional_whole_number(row, "quantity"),
    )


async def _names(gateway: YouzanGateway, rows: Sequence[Any]) -> Mapping[str, str]:
    """The names of the articles' categories, by number."""

    async def ask(_numbers: Collection[str]) -> Mapping[str, str]:
        found = await gateway.call("youzan.itemcategories.get", "3.0.0", {})
        return named_within(found, "cid", "name")

    numbers = {number for row in rows if (number := _category_of(row))}
    return await _NAMES.of(f"{PLATFORM}/{gateway.settings.kdt_id}", sorted(numbers), ask, gateway.now())


def _category_of(row: Any) -> str:
    return str(row.get("cid") or "") if isinstance(row, Mapping) else ""


async def _with_variants(gateway: YouzanGateway, row: Any) -> Mapping[str, Any]:
    """`skus` of the article; nothing when it cannot be asked about."""
    number = row.get("item_id") if isinstance(row, Mapping) else None
    if not isinstance(number, int) or isinstance(number, bool):
        return {}
    try:
        found = await gateway.call("youzan.item.get", "3.0.0", {"item_id": number})
    except (NotFoundProblem, ValidationProblem):
        return {}
    return {"skus": optional_mapping(found.get("item")).get("skus") or []}
