"""A shop's goods, read as a whole again and again: lists of changes leave out that something was sold.

What is as it was stays out of the inbox (`connectors.pulling.Stream.lists_everything`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from connectors.accounts import Account
from connectors.listed_rows import row_payload
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.reading import optional_text, whole_number
from connectors.shop_records import moment_version
from connectors.single_reads import Row, may_be_read_later, read_each
from connectors.telling import tell
from connectors.webhooks import Verified
from domain.canonical import GoodsData, StockData
from domain.events import Event, rfc3339
from domain.ids import content_digest
from domain.problems import ProblemError

GOODS = Stream("goods", timedelta(days=36_500), lists_everything=True)
EVERY = timedelta(minutes=10)
"""How often all goods of a shop are read."""

_LONGEST_TITLE = 512
AT_ONCE = 8
"""How many things are asked about at a time, where a list leaves something out."""

ReadPage = Callable[[Cursor, datetime], Awaitable[PulledPage]]
"""A page from a place, which is empty at the beginning; the instant is when it is asked for."""

ReadNumbered = Callable[[int, datetime], Awaitable[tuple[Sequence[Verified], int]]]
"""The records of page n of a list, from 1, and how many rows it has in all; the instant is when it is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One variant of an article. available: pieces that can be sold now, None when it was not told."""

    sku_id: str
    name: str = ""
    price_minor: int | None = None
    on_sale: bool = True
    merchant_code: str | None = None
    available: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """An article as its shop lists it. available: of one without variants."""

    item_id: str
    title: str
    category: str | None = None
    price_minor: int | None = None
    on_sale: bool = True
    merchant_code: str | None = None
    available: int | None = None
    video_ids: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()


async def pull_goods(cursor: Cursor, until: datetime, now: datetime, read: ReadPage) -> PulledPage:
    """The next page of a pass through all goods; between passes, nothing is to be had. See `connectors.pulling`."""
    passed = cursor.get("passed_at")
    if isinstance(passed, str) and until - datetime.fromisoformat(passed) < EVERY:
        return PulledPage((), cursor, more=False, reached_at=datetime.fromisoformat(passed))
    start, before = str(cursor.get("pass") or rfc3339(now)), passed or cursor.get("before")
    since = datetime.fromisoformat(start)
    page = replace(
        await read(cursor.get("place") or {}, now),
        listed_since=since,
        listed_before=datetime.fromisoformat(before) if isinstance(before, str) else None,
    )
    if page.more:
        return replace(page, cursor={"pass": start, "before": before, "place": page.cursor})
    return replace(page, cursor={"passed_at": start}, reached_at=since, is_last=True)


async def pull_lists(
    cursor: Cursor, until: datetime, now: datetime, page_size: int, *lists: ReadNumbered
) -> PulledPage:
    """The next page of a pass through lists that tell page n of a total, one list after the other. See `pull_goods`."""

    async def read(place: Cursor, asked_at: datetime) -> PulledPage:
        turn, page = whole_number(place, "list", 0), whole_number(place, "page", 1)
        records, total = await lists[turn](page, asked_at)
        if records and page * page_size < total:
            return PulledPage(records, {"list": turn, "page": page + 1}, more=True)
        return PulledPage(records, {"list": turn + 1, "page": 1}, more=turn + 1 < len(lists))

    return await pull_goods(cursor, until, now, read)


def goods_record(kind: str, row: Any, asked_at: datetime) -> Verified:
    """A row as it was then; the same again, after it was otherwise, is something new.

    asked_at: before the row was asked for, so that what is pushed while it travels is newer.
    """
    payload = row_payload(row, sort_keys=True)
    key = f"{kind}:{content_digest(payload)}:{int(asked_at.timestamp() * 1000)}"
    return Verified(kind, payload, key, asked_at)


async def read_texts(numbers: Sequence[str], read: Callable[[str], Awaitable[Row]], field: str) -> Mapping[str, str]:
    """One text of what each number stands for, those left out that the platform does not tell it of.

    Raises the problem of a bad moment.
    """
    found = await read_each(numbers, read, at_once=AT_ONCE, else_known=True)
    for each in found.values():
        if isinstance(each, ProblemError) and may_be_read_later(each):
            raise each
    texts = {number: optional_text(row, field, limit=64) for number, row in found.items() if isinstance(row, Mapping)}
    return {number: told for number, told in texts.items() if told}


def article_events(article: Article, record: Verified, account: Account) -> list[Event]:
    """The events of an article as it was when it was read: itself, its variants, and how many are left."""
    told = [_goods(article.item_id, record, account, **_said(article), video_ids=article.video_ids)]
    if article.available is not None and not article.variants:
        told.append(_stock(article.item_id, None, article.available, record, account))
    for each in article.variants:
        named = replace(each, name=f"{article.title} {each.name}".strip()[:_LONGEST_TITLE])
        told += variant_events(article.item_id, named, article.category, record, account)
    return told


def variant_events(
    item_id: str, variant: Variant, category: str | None, record: Verified, account: Account
) -> list[Event]:
    """The events of one variant, whose name is a title by itself, and of how many are left of it."""
    said = {**_said(variant), "title": variant.name, "category": category}
    told = [_goods(item_id, record, account, sku_id=variant.sku_id, **said)]
    if variant.available is not None:
        told.append(_stock(item_id, variant.sku_id, variant.available, record, account))
    return told


def _said(told: Article | Variant) -> dict[str, Any]:
    names = ("title", "category", "price_minor", "on_sale", "merchant_code")
    return {name: getattr(told, name) for name in names if hasattr(told, name)}


def _goods(item_id: str, record: Verified, account: Account, **said: Any) -> Event:
    return _tell("goods.updated", GoodsData(**_origin(item_id, record, account), **said), record, account)


def _stock(item_id: str, sku_id: str | None, available: int, record: Verified, account: Account) -> Event:
    data = StockData(**_origin(item_id, record, account), sku_id=sku_id, available=available)
    return _tell("stock.changed", data, record, account)


def _origin(item_id: str, record: Verified, account: Account) -> dict[str, Any]:
    return {
        "platform": account.platform,
        "account": account.slug,
        "version": moment_version(record.received_at),
        "occurred_at": record.received_at,
        "item_id": item_id,
    }


def _tell(name: str, data: GoodsData | StockData, record: Verified, account: Account) -> Event:
    subject = f"goods:{account.platform}/{data.item_id}"
    keys = (f"sku:{account.platform}/{data.sku_id}",) if data.sku_id else ()
    return tell(name, subject, data, record, account, keys=keys, parts=(data.sku_id or "", str(data.version)))
