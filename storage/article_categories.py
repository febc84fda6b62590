"""What kind of goods an article is, by its newest goods record, and the lines of orders that have to follow.

Most platforms tell no category with an order. A line takes its article's when it is written (`storage.order_lines`);
the lines that are there when an article gets a category, or another one, follow page by page.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field

from storage.bulk import fetch
from storage.tables import Table
from storage.unit_of_work import Repository


class ArticleCategoryRow(Table, table=True):
    """The category of an article: its own record's, else that of its first variant that has one.

    followed_to: the order up to whose lines it was carried, NULL when all lines have it. readable_from: all
    transactions before this one have to be over first: they may be writing lines without having seen this row.
    """

    __tablename__ = "article_categories"
    account_id: str = Field(primary_key=True)
    item_id: str = Field(primary_key=True)
    category: str
    followed_to: int | None = Field(default=None, sa_type=BigInteger)
    readable_from: int | None = Field(default=None, sa_type=BigInteger)

    __table_args__ = (
        Index("ix_article_categories_followed_to", "followed_to", postgresql_where=text("followed_to IS NOT NULL")),
    )


_TELL = """
    INSERT INTO article_categories (account_id, item_id, category, followed_to)
    SELECT DISTINCT ON (account_id, item_id) account_id, item_id, goods.category, 0
    FROM unnest(%(accounts)b::text[], %(items)b::text[]) AS given (account_id, item_id)
    JOIN goods USING (account_id, item_id) WHERE goods.category > ''
    ORDER BY account_id, item_id, sku_id
    ON CONFLICT (account_id, item_id) DO UPDATE
    SET category = excluded.category, followed_to = 0, readable_from = NULL
    WHERE article_categories.category <> excluded.category
"""
_NOTE = """
    UPDATE article_categories SET readable_from = pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    WHERE followed_to IS NOT NULL AND readable_from IS NULL
"""
_NEXT = """
    SELECT account_id, item_id, category, followed_to FROM article_categories
    WHERE followed_to IS NOT NULL AND readable_from <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    ORDER BY account_id, item_id LIMIT %(limit)b::bigint FOR UPDATE SKIP LOCKED
"""
_PAGE = """
    SELECT DISTINCT order_key FROM order_lines WHERE item_id = %(item)b::text AND order_key > %(after)b::bigint
    ORDER BY order_key LIMIT %(limit)b::bigint
"""
_FOLLOW = """
    WITH changed AS (
        UPDATE order_lines SET category = %(category)b::text FROM orders
        WHERE order_lines.order_key = ANY(%(orders)b::bigint[]) AND order_lines.item_id = %(item)b::text
            AND orders.id = order_lines.order_key AND orders.account_id = %(account)b::text
            AND order_lines.category IS DISTINCT FROM %(category)b::text
        RETURNING orders.identity_id, orders.told_at
    )
    SELECT identities.customer_id, max(changed.told_at)
    FROM changed JOIN identities ON identities.id = changed.identity_id GROUP BY identities.customer_id
"""
_ADVANCE = """
    UPDATE article_categories SET followed_to = %(reached)b::bigint
    WHERE account_id = %(account)b::text AND item_id = %(item)b::text
"""
_ANY_LEFT = "SELECT EXISTS (SELECT FROM article_categories WHERE followed_to IS NOT NULL)"


class Article(NamedTuple):
    """One whose lines are behind. followed_to: see `ArticleCategoryRow`."""

    account_id: str
    item_id: str
    category: str
    followed_to: int


class ArticleCategories(Repository):
    """Categories by article."""

    async def tell(self, articles: Collection[tuple[str, str]]) -> None:
        """Take over what the goods records of these articles (account, number) say, which are written already."""
        if not articles:
            return
        accounts, items = zip(*sorted(articles), strict=True)
        await fetch(self.work, _TELL, {"accounts": list(accounts), "items": list(items)})

    async def behind(self, limit: int) -> list[Article]:
        """Articles whose lines do not follow yet, taken for this transaction, all of whose lines can be seen."""
        await fetch(self.work, _NOTE, {})
        return [Article(*row) for row in await fetch(self.work, _NEXT, {"limit": limit})]

    async def any_behind(self) -> bool:
        [(is_any,)] = await fetch(self.work, _ANY_LEFT, {})
        return bool(is_any)

    async def carry(self, article: Article, limit: int) -> tuple[list[int], Sequence[tuple[UUID, datetime]]]:
        """Let the lines of the next orders follow, so many at most; which orders were gone through, and whose lines
        changed, each with when their newest such order was told."""
        named = {"account": article.account_id, "item": article.item_id}
        page = await fetch(self.work, _PAGE, {"item": article.item_id, "after": article.followed_to, "limit": limit})
        orders = [key for (key,) in page]
        changed: Sequence[tuple[UUID, datetime]] = ()
        if orders:
            rows = await fetch(self.work, _FOLLOW, {**named, "category": article.category, "orders": orders})
            changed = [(customer, told_at) for customer, told_at in rows]
        await fetch(self.work, _ADVANCE, {**named, "reached": orders[-1] if len(orders) == limit else None})
        return orders, changed
