"""A WeChat Store's articles, with the variants' codes and stock.

Source: developers.weixin.qq.com, channels/ec/product/list/get (page_size ≤ 30) and channels/ec/product/get, as read in
public SDKs [S].
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.goods_lists import Article, Variant, article_events, each_at_once, goods_record, pull_goods
from connectors.listed_rows import listed_rows
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage
from connectors.reading import mapping, merchant_code, objects, optional_minor, optional_text, text, whole_number
from connectors.webhooks import Verified
from connectors.wechat.api import WechatApi
from domain.events import Event
from domain.problems import NotFoundProblem

GOODS_KIND = "goods"
_PAGE_SIZE = 30
_ONLINE, _LISTED = 1, 5


async def pull(api: WechatApi, platform: str, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.goods_lists.pull_goods`."""

    async def read(place: Cursor, asked_at: datetime) -> PulledPage:
        asked = {"page_size": _PAGE_SIZE, **({"next_key": place["next_key"]} if place.get("next_key") else {})}
        answer = await api.read("channels/ec/product/list/get", asked)

        async def whole(number: Any) -> Verified | None:
            try:
                found = await api.read("channels/ec/product/get", {"product_id": str(number), "data_type": _ONLINE})
            except NotFoundProblem:
                return None
            return goods_record(GOODS_KIND, found.get("product"), asked_at)

        found = await each_at_once(listed_rows(answer, "product_ids", platform), whole)
        following = answer.get("next_key")
        more = bool(found) and following not in (None, "", place.get("next_key"))
        return PulledPage([each for each in found if each is not None], {"next_key": following}, more=more)

    return await pull_goods(cursor, until, api.now(), read)


def goods_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of an article."""
    product = mapping(parse_json_object(record.payload), "product")
    article = Article(
        item_id=text(product, "product_id"),
        title=text(product, "title", limit=512),
        price_minor=optional_minor(product, "min_price"),
        on_sale=whole_number(product, "status", _LISTED) == _LISTED,
        merchant_code=merchant_code(product, "spu_code", "out_product_id"),
        variants=tuple(map(_variant, objects(product, "skus"))),
    )
    return article_events(article, record, account)


def _variant(row: Mapping[str, Any]) -> Variant:
    names = (optional_text(each, "attr_value", limit=64) for each in objects(row, "sku_attrs"))
    return Variant(
        sku_id=text(row, "sku_id"),
        name=" ".join(name for name in names if name),
        price_minor=optional_minor(row, "sale_price"),
        on_sale=whole_number(row, "status", _LISTED) == _LISTED,
        merchant_code=merchant_code(row, "sku_code", "out_sku_id"),
        available=whole_number(row, "stock_num") if row.get("stock_num") is not None else None,
    )
