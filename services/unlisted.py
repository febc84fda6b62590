"""What stands here and what a list of everything does not name.

A list may be short because it failed, or because somebody came back while it was read. So nobody is taken for gone by
one. The platform is asked about each contact and each follower, and its answer says whether they are. Goods are asked
about by their list alone: an article, or one variant of it, that neither of two whole readings named, minutes apart, is
no longer on sale, until a list names it.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import structlog

from connectors.accounts import Account
from connectors.canonical_records import handed_in
from connectors.goods_lists import GOODS
from connectors.pulling import AsksAboutUnlisted, Pullable, PulledPage
from connectors.shop_records import moment_version
from domain.canonical.keys import IdentityKey
from domain.events import rfc3339
from services.pulled_pages import Told, pushes_of
from storage.engine import Database
from storage.goods import GoodsRow
from storage.identities import Identities
from storage.inbox import Inbox
from storage.listings import UNREAD, Listings, goods_name
from storage.lookups import Ask, Lookups
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 1_000
"""How many are doubted because of one reading; a list that came back empty would doubt everybody."""


def names_in(told: Told, unread: int) -> set[str]:
    """What a page names: articles and their variants by their numbers, contacts by their key."""
    records = [each for _, some in told for each in some if each.shelf != "stock"]
    names = {goods_name(*each.key[1:]) if each.shelf == "goods" else each.key[2] for each in records}
    return names | {UNREAD} if unread else names


async def follow_list(
    work: UnitOfWork, account: Account, stream: str, page: PulledPage, names: Collection[str]
) -> None:
    """Note what a page of a list of everything named; at its end, doubt what no page named."""
    if page.listed_since is None:
        return
    account_id = f"{account.platform}/{account.slug}"
    await Listings(work).add(account_id, stream, page.listed_since, names)
    if not page.is_last:
        return
    if stream == GOODS.name:
        if page.listed_before is not None:
            await _put_away(work, account, page.listed_before, page.listed_since)
        await Listings(work).end(account_id, stream, keep=page.listed_since)
    else:
        await _ask_about(work, account_id, stream, page.listed_since)
        await Listings(work).end(account_id, stream)


async def with_unlisted(
    database: Database, account: Account, client: Pullable, stream: str, page: PulledPage
) -> PulledPage:
    """The last page of a list with what the platform says of those whom no page named, where its client is asked."""
    if not page.is_last or page.listed_since is None or not isinstance(client, AsksAboutUnlisted):
        return page
    account_id = f"{account.platform}/{account.slug}"
    async with UnitOfWork(database) as work:
        known = await Listings(work).unlisted_followers(account_id, stream, page.listed_since, MOST_AT_ONCE)
    if not known:
        return page
    log.warning("followers are in no list", account=account_id, count=len(known))
    return replace(page, records=[*page.records, *await client.about_unlisted(known)])


async def _ask_about(work: UnitOfWork, account_id: str, stream: str, begun_at: datetime) -> None:
    missing = await Listings(work).unlisted_contacts(account_id, stream, begun_at, MOST_AT_ONCE)
    if not missing:
        return
    log.warning("contacts are in no list", account=account_id, count=len(missing))
    wanted = {IdentityKey("external_userid", account_id, each) for each in missing}
    known = await Identities(work).find(wanted)
    await Lookups(work).ask([Ask(key.id, account_id, work.now) for key in known.values()])


async def _put_away(work: UnitOfWork, account: Account, before: datetime, begun_at: datetime) -> None:
    """Let the inbox take in that what neither of two readings named is not on sale."""
    account_id = f"{account.platform}/{account.slug}"
    missing = await Listings(work).unlisted_goods(account_id, GOODS.name, before, begun_at, MOST_AT_ONCE)
    if not missing:
        return
    log.warning("goods are in no list", account=account_id, count=len(missing))
    records = [handed_in("goods", _put_away_at(begun_at, row), work.now) for row in missing]
    await Inbox(work).add_many(pushes_of(account, PulledPage(records, {}, more=False)))


def _put_away_at(moment: datetime, row: GoodsRow) -> dict[str, object]:
    said = row.model_dump(include={"item_id", "title", "category", "price_minor", "merchant_code", "video_ids"})
    seen = {"version": moment_version(moment), "occurred_at": rfc3339(moment), "on_sale": False}
    return {**said, **seen, "sku_id": row.sku_id or None}
