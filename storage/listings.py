"""What a list of everything has named so far while it is read, so that its end tells what was not in it.

Rows are digests, and are there for as long as one reading takes; of goods, until the next is over.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, delete, text
from sqlmodel import Field, col, select

from storage.bulk import fetch
from storage.goods import GoodsRow
from storage.tables import Instant, Table
from storage.unit_of_work import Repository


class ListedRow(Table, table=True):
    """One record that was in the list. begun_at: when this reading began. digest: of the record's key."""

    __tablename__ = "listed"
    account_id: str = Field(primary_key=True)
    stream: str = Field(primary_key=True)
    begun_at: datetime = Field(primary_key=True, sa_type=Instant)
    digest: int = Field(primary_key=True, sa_type=BigInteger)


_ADD = """
    INSERT INTO listed (account_id, stream, begun_at, digest)
    SELECT %(account)b::text, %(stream)b::text, %(begun_at)b::timestamptz, hashtextextended(key, 0)
    FROM unnest(%(keys)b::text[]) AS t (key) ORDER BY 4 ON CONFLICT DO NOTHING
"""
_UNLISTED = """
    SELECT split_part(key, '/', 1) FROM interactions
    WHERE account_id = %(account)b::text AND kind = 'contact' AND state = 'contact'
        AND recorded_at < %(begun_at)b::timestamptz AND name IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM listed WHERE listed.account_id = interactions.account_id AND stream = %(stream)b::text
                AND begun_at = %(begun_at)b::timestamptz AND digest = hashtextextended(key, 0))
    ORDER BY recorded_at, id LIMIT %(limit)b::bigint
"""
_UNLISTED_FOLLOWERS = """
    SELECT key, version FROM interactions
    WHERE account_id = %(account)b::text AND kind = 'follow' AND state = 'following'
        AND recorded_at < %(begun_at)b::timestamptz
        AND NOT EXISTS (
            SELECT FROM listed WHERE listed.account_id = interactions.account_id AND stream = %(stream)b::text
                AND begun_at = %(begun_at)b::timestamptz AND digest = hashtextextended(key, 0))
    ORDER BY recorded_at, id LIMIT %(limit)b::bigint
"""
_UNLISTED_GOODS = text(
    """
    SELECT goods.* FROM goods
    WHERE account_id = :account AND on_sale AND recorded_at < :before
        AND NOT EXISTS (
            SELECT FROM listed WHERE listed.account_id = goods.account_id AND stream = :stream
                AND begun_at IN (:before, :begun_at) AND digest = hashtextextended(item_id || '/' || sku_id, 0))
        AND 2 = (
            SELECT count(DISTINCT begun_at) FROM listed
            WHERE account_id = :account AND stream = :stream AND begun_at IN (:before, :begun_at))
        AND NOT EXISTS (
            SELECT FROM listed WHERE account_id = :account AND stream = :stream
                AND begun_at IN (:before, :begun_at) AND digest = hashtextextended(:unread, 0))
    ORDER BY item_id, sku_id LIMIT :limit
    """
)


UNREAD = "/"
"""Named by a page that holds what nobody can read: no article goes by it."""


def goods_name(item_id: str, sku_id: str) -> str:
    """What an article (without `sku_id`), or one variant of it, is noted by."""
    return f"{item_id}/{sku_id}"


class Listings(Repository):
    """Readings of lists that are under way."""

    async def add(self, account_id: str, stream: str, begun_at: datetime, keys: Collection[str]) -> None:
        """Note what a page named."""
        if keys:
            values = {"account": account_id, "stream": stream, "begun_at": begun_at, "keys": sorted(keys)}
            await fetch(self.work, _ADD, values)

    async def unlisted_contacts(self, account_id: str, stream: str, begun_at: datetime, limit: int) -> list[str]:
        """Contacts (`external_userid`) that stand as such since before a reading began and were on none of its pages,
        those known the longest first; one of several members' may come several times."""
        values = {"account": account_id, "stream": stream, "begun_at": begun_at, "limit": limit}
        return [external_userid for (external_userid,) in await fetch(self.work, _UNLISTED, values)]

    async def unlisted_followers(
        self, account_id: str, stream: str, begun_at: datetime, limit: int
    ) -> Mapping[str, int]:
        """Followers (`openid`) that stand as such since before a reading began and were on none of its pages, those
        known the longest first, with the version of what is known."""
        values = {"account": account_id, "stream": stream, "begun_at": begun_at, "limit": limit}
        return dict(await fetch(self.work, _UNLISTED_FOLLOWERS, values))

    async def unlisted_goods(
        self, account_id: str, stream: str, before: datetime, begun_at: datetime, limit: int
    ) -> Sequence[GoodsRow]:
        """Articles and variants on sale since before two readings that neither of them named, by number.

        None when one of the two named nothing at all, or held what nobody could read.
        """
        values = {"account": account_id, "stream": stream, "before": before, "begun_at": begun_at, "limit": limit}
        values["unread"] = UNREAD
        rows = select(GoodsRow).from_statement(_UNLISTED_GOODS.bindparams(**values))
        return list(await self.session.scalars(rows))

    async def end(self, account_id: str, stream: str, *, keep: datetime | None = None) -> None:
        """Forget what readings named, also those that never ended, but for one that was begun at `keep`."""
        row = ListedRow
        gone = delete(row).where(col(row.account_id) == account_id, col(row.stream) == stream)
        await self.session.execute(gone if keep is None else gone.where(col(row.begun_at) != keep))
