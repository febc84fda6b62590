"""The articles of orders: all of the newest telling that had any, and none of an older one.

A line's category is that of its article, as long as the shop's goods tell it, and what the order itself says otherwise:
so all lines of an article have one, also when the shop gives it another.
"""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import ColumnElement, Delete, TableValuedAlias, Text, and_, column, delete, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.customers.records import Rank, Record
from storage.article_categories import ArticleCategoryRow
from storage.orders import NO_LINES, OrderLineRow, OrderRow
from storage.recordsets import recordset, run_with_rows, table_of

_RANK = ("account_id", "order_id", "lines_version", "lines_version_tie")
_COLUMNS = ("line_id", "item_id", "sku_id", "title", "sku", "category", "quantity", "price_minor", "total_minor")


def rank_of_lines(order: Record) -> Rank:
    """How new the articles of a record are."""
    return order.rank_of("lines") if order.lines else (NO_LINES, 0)


async def write_lines(session: AsyncSession, orders: Sequence[Record], *, are_new: bool) -> None:
    """Let the articles of orders, which are written already, follow. are_new: none of them was here before."""
    told = [
        (dict(zip(_RANK, (*order.key, *rank_of_lines(order)), strict=True)), order.lines)
        for order in orders
        if order.lines
    ]
    if not are_new:
        listed = [{**rank, "line_ids": [line["line_id"] for line in lines]} for rank, lines in told]
        await run_with_rows(session, _removal(), OrderLineRow, listed)
    rows = [{**rank, **line} for rank, lines in told for line in lines]
    await run_with_rows(session, _upsert(), OrderLineRow, rows)


def _counts(source: TableValuedAlias) -> ColumnElement[bool]:
    """Whether a row is of the telling whose articles count."""
    orders = table_of(OrderRow)
    return and_(*(orders.c[name] == source.c[name] for name in _RANK))


@lru_cache(maxsize=1)
def _removal() -> Delete:
    """Take away what an older telling listed and the one that counts does not."""
    orders, lines = table_of(OrderRow), table_of(OrderLineRow)
    columns = (column(name, orders.c[name].type) for name in _RANK)
    source = recordset(OrderLineRow, (), *columns, column("line_ids", ARRAY(Text)))
    is_listed = lines.c.line_id == func.any(source.c.line_ids)
    return delete(lines).where(lines.c.order_key == orders.c.id, _counts(source), ~is_listed)


@lru_cache(maxsize=1)
def _upsert() -> Insert:
    orders, lines = table_of(OrderRow), table_of(OrderLineRow)
    columns = (column(name, orders.c[name].type) for name in _RANK)
    source = recordset(OrderLineRow, _COLUMNS, *columns)
    articles = table_of(ArticleCategoryRow)
    of_article = (
        select(articles.c.category)
        .where(articles.c.account_id == orders.c.account_id, articles.c.item_id == source.c.item_id)
        .scalar_subquery()
    )
    told = {**{name: source.c[name] for name in _COLUMNS}, "category": func.coalesce(of_article, source.c.category)}
    rows = select(orders.c.id, *told.values()).join(orders, _counts(source)).order_by(orders.c.id, source.c.line_id)
    statement = insert(lines).from_select(["order_key", *_COLUMNS], rows)
    new = statement.excluded
    changes = {name: new[name] for name in _COLUMNS if name != "line_id"}
    is_different = or_(*(new[name].is_distinct_from(lines.c[name]) for name in changes))
    return statement.on_conflict_do_update(index_elements=["order_key", "line_id"], set_=changes, where=is_different)
