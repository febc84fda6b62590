"""A caterer's dishes with their variants, codes and stock, listed by pages. All of it is unverified [U]."""

from collections.abc import Mapping
from typing import Any

from connectors.accounts import Account
from connectors.catering.records import Record
from connectors.catering.wire import CateringWire
from connectors.goods_lists import Article, Variant, article_events
from connectors.payloads import parse_json_object
from connectors.reading import mapping, merchant_code, optional_whole_number
from connectors.webhooks import Verified
from domain.events import Event

GOODS_KIND = "pulled.goods"


def goods_events(record: Verified, account: Account, wire: CateringWire) -> list[Event]:
    """The canonical events of a dish. Raises ValidationProblem."""
    data = parse_json_object(record.payload)
    dish = Record(data, wire.dish, wire)
    variants = (_variant(mapping(row, wire.dish["variants"]), wire) for row in dish.list("variants"))
    article = Article(
        item_id=dish.text("item_id"),
        title=dish.optional_text("title", limit=512) or "",
        category=dish.optional_text("category"),
        price_minor=dish.amount("price_minor"),
        on_sale=dish.word("on_sale") == wire.offered,
        merchant_code=merchant_code(data, wire.dish["merchant_code"]),
        variants=tuple(variants),
    )
    return article_events(article, record, account)


def _variant(data: Mapping[str, Any], wire: CateringWire) -> Variant:
    record = Record(data, wire.variant, wire)
    return Variant(
        sku_id=record.text("sku_id"),
        name=record.optional_text("name", limit=512) or "",
        price_minor=record.amount("price_minor"),
        merchant_code=merchant_code(data, wire.variant["merchant_code"]),
        available=optional_whole_number(data, wire.variant["available"]),
    )
