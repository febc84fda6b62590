"""A Pinduoduo shop's articles, with the variants' codes and stock.

Source: open.pinduoduo.com, pdd.goods.list.get (page_size ≤ 100), as read in public SDKs [S].
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.goods_lists import Article, Variant, article_events, goods_record, pull_goods
from connectors.listed_rows import listed_rows
from connectors.payloads import parse_json_object
from connectors.pinduoduo.gateway import PLATFORM, PinduoduoGateway
from connectors.pulling import Cursor, PulledPage
from connectors.reading import merchant_code, objects, optional_text, text, whole_number
from connectors.webhooks import Verified
from domain.events import Event

GOODS_KIND = "goods"
_PAGE_SIZE = 100


async def pull(gateway: PinduoduoGateway, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.goods_lists.pull_goods`."""

    async def read(place: Cursor, asked_at: datetime) -> PulledPage:
        page = whole_number(place, "page", 1)
        params = {"page": str(page), "page_size": str(_PAGE_SIZE)}
        found = await gateway.call("pdd.goods.list.get", params, "goods_list_get_response")
        records = [goods_record(GOODS_KIND, row, asked_at) for row in listed_rows(found, "goods_list", PLATFORM)]
        more = page * _PAGE_SIZE < whole_number(found, "total_count", 0) and bool(records)
        return PulledPage(records, {"page": page + 1}, more=more)

    return await pull_goods(cursor, until, gateway.now(), read)


def goods_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of an article."""
    return article_events(_article(parse_json_object(record.payload)), record, account)


def _article(row: Mapping[str, Any]) -> Article:
    variants = tuple(map(_variant, objects(row, "sku_list")))
    return Article(
        item_id=text(row, "goods_id"),
        title=text(row, "goods_name", limit=512),
        on_sale=str(row.get("is_onsale", 1)) == "1",
        available=whole_number(row, "goods_quantity") if row.get("goods_quantity") is not None else None,
        merchant_code=next((code for each in objects(row, "sku_list") if (code := _article_code(each))), None),
        variants=variants,
    )


def _article_code(sku: Mapping[str, Any]) -> str | None:
    """The article's code, which its variants carry."""
    return merchant_code(sku, "outer_goods_id")


def _variant(row: Mapping[str, Any]) -> Variant:
    return Variant(
        sku_id=text(row, "sku_id"),
        name=optional_text(row, "spec") or "",
        on_sale=str(row.get("is_sku_onsale", 1)) == "1",
        merchant_code=merchant_code(row, "outer_id"),
        available=whole_number(row, "sku_quantity") if row.get("sku_quantity") is not None else None,
    )
