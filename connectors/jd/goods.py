"""A JD shop's variants (SKUs), with their codes and stock; a row each, articles have none of their own.

Source: jingdong.sku.read.searchSkuList, jingdong.category.read.findById, their fields as read in public SDKs [S]; that
`stockNum` is what can be sold is unverified [U].
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.category_names import CategoryNames
from connectors.goods_lists import Variant, goods_record, pull_lists, read_texts, variant_events
from connectors.jd.gateway import PLATFORM, JdGateway
from connectors.listed_rows import listed_rows
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage
from connectors.readable_streams import GOODS_AND_STOCK, reading
from connectors.reading import merchant_code, optional_fen, optional_text, optional_whole_number, text, whole_number
from connectors.single_reads import Row
from connectors.webhooks import Verified
from domain.events import Event

GOODS_KIND = "goods"
_FIELDS = "wareId,skuId,skuName,status,jdPrice,outerId,stockNum,categoryId,modified"
_PAGE_SIZE = 50
_ON_SALE = "1"
_NAMES = CategoryNames()
_NAME = "tandem_category"
"""Ours, beside the platform's fields of a row."""


async def pull(gateway: JdGateway, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.goods_lists.pull_lists`."""

    async def read(page: int, asked_at: datetime) -> tuple[list[Verified], int]:
        params = {"field": _FIELDS, "pageNo": page, "pageSize": _PAGE_SIZE}
        found = await gateway.call("jingdong.sku.read.searchSkuList", params, "page")
        rows = listed_rows(found, "data", PLATFORM)
        names = await _names(gateway, rows)
        records = [goods_record(GOODS_KIND, _named(row, names), asked_at) for row in rows]
        return records, whole_number(found, "totalItem", 0)

    return await pull_lists(cursor, until, gateway.now(), _PAGE_SIZE, read)


async def try_reading(gateway: JdGateway) -> None:
    """Ask for one variant, for a connection test. Raises as `connectors.readable_streams.reading`."""
    with reading(GOODS_AND_STOCK):
        await gateway.call("jingdong.sku.read.searchSkuList", {"field": _FIELDS, "pageNo": 1, "pageSize": 1}, "page")


def goods_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of a variant."""
    row: Mapping[str, Any] = parse_json_object(record.payload)
    variant = Variant(
        sku_id=text(row, "skuId"),
        name=text(row, "skuName", limit=512),
        price_minor=optional_fen(row, "jdPrice"),
        on_sale=str(row.get("status", _ON_SALE)) == _ON_SALE,
        merchant_code=merchant_code(row, "outerId"),
        available=optional_whole_number(row, "stockNum"),
    )
    category = optional_text(row, _NAME, limit=64) or optional_text(row, "categoryId", limit=64)
    return variant_events(text(row, "wareId"), variant, category, record, account)


async def _names(gateway: JdGateway, rows: Sequence[Any]) -> Mapping[str, str]:
    """The names of the variants' categories, by number."""

    async def category(number: str) -> Row:
        asked = {"cid": int(number), "field": "id,name"}
        return await gateway.call("jingdong.category.read.findById", asked, "category")

    async def ask(numbers: Collection[str]) -> Mapping[str, str]:
        return await read_texts(list(numbers), category, "name")

    numbers = {number for row in rows if (number := _category_of(row)).isdigit()}
    return await _NAMES.of(PLATFORM, sorted(numbers), ask, gateway.now())


def _named(row: Any, names: Mapping[str, str]) -> Any:
    name = names.get(_category_of(row))
    return {**row, _NAME: name} if name else row


def _category_of(row: Any) -> str:
    return str(row.get("categoryId", "")) if isinstance(row, Mapping) else ""
