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
from connectors.goods_lists import AT_ONCE, Article, Variant, article_events, goods_record, pull_lists
from connectors.listed_rows import listed_rows
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage
from connectors.readable_streams import ON_SALE, PUT_AWAY, Try, reading, try_one
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
from connectors.single_reads import Found, Row, read_each, unread_record
from connectors.webhooks import Verified
from connectors.youzan.gateway import PLATFORM, YouzanGateway
from connectors.youzan.records import sku_name
from domain.events import Event
from domain.problems import ProblemError, Text, ValidationProblem

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
        details = await _details(gateway, [number for row in rows if (number := _number(row))])
        records = []
        for row in rows:
            detail, named = details.get(_number(row)), names.get(_category_of(row))
            if isinstance(detail, ProblemError) and not isinstance(detail, ValidationProblem):
                records.append(unread_record(GOODS_READ, _number(row), detail, asked_at))
                continue
            seen = {"item": row, "on_sale": listing == _ON_SALE, **({"category": named} if named else {})}
            skus = {"skus": detail.get("skus") or []} if isinstance(detail, Mapping) else {}
            records.append(goods_record(GOODS_READ, {**seen, **skus}, asked_at))
        return records, whole_number(found, "count", 0)

    lists = (partial(read, listing) for listing in (_ON_SALE, _PUT_AWAY))
    return await pull_lists(cursor, until, gateway.now(), _PAGE_SIZE, *lists)


def tries(gateway: YouzanGateway) -> tuple[Try, ...]:
    """One article of either list, with its variants, for a connection test."""

    async def read(listing: str, called: Text) -> None:
        with reading(called):
            found = await gateway.call(listing, "3.0.0", {"page_no": 1, "page_size": 1})
        numbers = [_number(row) for row in listed_rows(found, "items", PLATFORM)]
        await try_one([number for number in numbers if number], partial(_detail, gateway))

    return partial(read, _ON_SALE, ON_SALE), partial(read, _PUT_AWAY, PUT_AWAY)


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


async def _details(gateway: YouzanGateway, numbers: Sequence[str]) -> Mapping[str, Found]:
    """The articles with their variants; one that is gone meanwhile may be none, or a wrong parameter."""

    return await read_each(numbers, partial(_detail, gateway), at_once=AT_ONCE)


async def _detail(gateway: YouzanGateway, number: str) -> Row:
    found = await gateway.call("youzan.item.get", "3.0.0", {"item_id": int(number)})
    return optional_mapping(found.get("item"))


def _number(row: Any) -> str:
    """The article's number; empty for what is no row of an article."""
    number = row.get("item_id") if isinstance(row, Mapping) else None
    return str(number) if isinstance(number, int) and not isinstance(number, bool) else ""
