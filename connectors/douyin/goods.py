"""A Douyin shop's articles: the list of all, and of each the variants with their codes and stock.

Source: op.jinritemai.com, product.listV2 and product.detail, as read in public SDKs [S].
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from connectors.accounts import Account
from connectors.douyin.gateway import DouyinGateway
from connectors.douyin.pages import MOST_ROWS, PAGE_SIZE
from connectors.goods_lists import AT_ONCE, Article, Variant, article_events, goods_record, pull_goods
from connectors.page_windows import Window, WindowedReader
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.readable_streams import GOODS_AND_STOCK, reading, try_one
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
from domain.events import Event
from domain.problems import ProblemError

KIND = "product.detail"
GOODS_KINDS = (KIND, "product.listV2")
"""The list alone is what older releases put into the inbox."""
_EVER = timedelta(days=3_650)
_ALL = WindowedReader(Stream("goods", _EVER), _EVER, PAGE_SIZE, most=MOST_ROWS)
# Where an article names its videos is unverified [U].
_VIDEO_FIELDS = ("video_ids", "material_video_id")
_ON_SALE = "0"


async def pull(gateway: DouyinGateway, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.goods_lists.pull_goods`."""

    async def read(place: Cursor, asked_at: datetime) -> PulledPage:
        async def first_page(window: Window) -> tuple[int, list[Verified]]:
            found = await _list(gateway, window, 1)
            total = whole_number(found, "total", 0)
            # Of several pages this one is listed again, last, and its articles are asked about then.
            return total, await records(found) if total <= PAGE_SIZE else []

        async def page(window: Window, number: int) -> list[Verified]:
            return await records(await _list(gateway, window, number))

        async def records(found: Mapping[str, Any]) -> list[Verified]:
            data = found.get("data")
            rows = data if isinstance(data, list) else []
            details = await _details(gateway, [number for row in rows if (number := _number(row))])
            return [_record(row, details.get(_number(row)), asked_at) for row in rows]

        return await _ALL.pull(place, until.replace(microsecond=0), first_page, page)

    return await pull_goods(cursor, until, gateway.now(), read)


async def try_reading(gateway: DouyinGateway) -> None:
    """Ask for one article with its variants, for a connection test. Raises as `connectors.readable_streams.reading`."""
    now = gateway.now().replace(microsecond=0)
    with reading(GOODS_AND_STOCK):
        found = await _list(gateway, Window(now - _EVER, now), 1, size=1)
    rows = found.get("data")
    numbers = [number for row in (rows if isinstance(rows, list) else []) if (number := _number(row))]
    await try_one(numbers, partial(_detail, gateway))


def goods_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of an article."""
    return article_events(read_article(parse_json_object(record.payload)), record, account)


def read_article(item: Mapping[str, Any]) -> Article:
    """A row of product.listV2 with what product.detail adds: the article with the short videos that show it, so that an
    order's `video_id` leads to it and back. Raises ValidationProblem."""
    return Article(
        item_id=text(item, "product_id"),
        title=text(item, "name", limit=512),
        category=_category(optional_mapping(item.get("category_detail"))),
        price_minor=optional_minor(item, "discount_price") or optional_minor(item, "market_price"),
        on_sale=str(item.get("status", _ON_SALE)) == _ON_SALE,
        merchant_code=merchant_code(item, "outer_product_id"),
        video_ids=tuple(_videos(item)),
        variants=tuple(map(_variant, objects(item, "spec_prices"))),
    )


def _variant(row: Mapping[str, Any]) -> Variant:
    return Variant(
        sku_id=text(row, "sku_id"),
        price_minor=optional_minor(row, "price"),
        merchant_code=merchant_code(row, "code"),
        available=optional_whole_number(row, "stock_num"),
    )


async def _list(gateway: DouyinGateway, window: Window, page: int, size: int = PAGE_SIZE) -> Mapping[str, Any]:
    span = {"update_start_time": int(window.start.timestamp()), "update_end_time": int(window.end.timestamp())}
    return await gateway.call("product.listV2", {**span, "page": page, "size": size})


async def _details(gateway: DouyinGateway, numbers: Sequence[str]) -> Mapping[str, Found]:
    return await read_each(numbers, partial(_detail, gateway), at_once=AT_ONCE)


async def _detail(gateway: DouyinGateway, number: str) -> Row:
    return await gateway.call("product.detail", {"product_id": number, "show_draft": "false"})


def _record(row: Any, detail: Found, asked_at: datetime) -> Verified:
    """The row as it came when nothing can be asked about it: the inbox says what is wrong with it."""
    if isinstance(detail, ProblemError):
        return unread_record(KIND, _number(row), detail, asked_at)
    if detail is None:
        return goods_record(KIND, row, asked_at)
    more = {name: detail[name] for name in ("outer_product_id", "spec_prices") if name in detail}
    return goods_record(KIND, {**row, **more}, asked_at)


def _number(row: Any) -> str:
    """The article's number; empty for what is no row of an article."""
    number = row.get("product_id") if isinstance(row, Mapping) else None
    return str(number) if isinstance(number, str | int) and not isinstance(number, bool) else ""


def _category(detail: Mapping[str, Any]) -> str | None:
    """The finest category that has a name."""
    names = [optional_text(detail, f"{level}_cname", limit=64) for level in ("fourth", "third", "second", "first")]
    return next((name for name in names if name), None)


def _videos(item: Mapping[str, Any]) -> Iterator[str]:
    for field in _VIDEO_FIELDS:
        value = item.get(field)
        for number in value if isinstance(value, list) else [value]:
            if number not in (None, "", 0, "0") and isinstance(number, str | int) and not isinstance(number, bool):
                yield str(number)[:64]
