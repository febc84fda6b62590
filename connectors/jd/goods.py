"""A JD shop's variants (SKUs), with their codes and stock; a row each, articles have none of their own.

Source: jingdong.sku.read.searchSkuList, its fields as read in public SDKs [S]; that `stockNum` is what can be sold is
unverified [U].
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.goods_lists import Variant, goods_record, pull_goods, variant_events
from connectors.jd.gateway import PLATFORM, JdGateway
from connectors.listed_rows import listed_rows
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage
from connectors.reading import merchant_code, optional_fen, optional_text, text, whole_number
from connectors.webhooks import Verified
from domain.events import Event

GOODS_KIND = "goods"
_FIELDS = "wareId,skuId,skuName,status,jdPrice,outerId,stockNum,categoryId,modified"
_PAGE_SIZE = 50
_ON_SALE = "1"


async def pull(gateway: JdGateway, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.goods_lists.pull_goods`."""

    async def read(place: Cursor, asked_at: datetime) -> PulledPage:
        page = whole_number(place, "page", 1)
        params = {"field": _FIELDS, "pageNo": page, "pageSize": _PAGE_SIZE}
        found = await gateway.call("jingdong.sku.read.searchSkuList", params, "page")
        records = [goods_record(GOODS_KIND, row, asked_at) for row in listed_rows(found, "data", PLATFORM)]
        more = page * _PAGE_SIZE < whole_number(found, "totalItem", 0) and bool(records)
        return PulledPage(records, {"page": page + 1}, more=more)

    return await pull_goods(cursor, until, gateway.now(), read)


def goods_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of a variant."""
    row: Mapping[str, Any] = parse_json_object(record.payload)
    variant = Variant(
        sku_id=text(row, "skuId"),
        name=text(row, "skuName", limit=512),
        price_minor=optional_fen(row, "jdPrice"),
        on_sale=str(row.get("status", _ON_SALE)) == _ON_SALE,
        merchant_code=merchant_code(row, "outerId"),
        available=whole_number(row, "stockNum") if row.get("stockNum") is not None else None,
    )
    return variant_events(text(row, "wareId"), variant, optional_text(row, "categoryId", limit=64), record, account)
