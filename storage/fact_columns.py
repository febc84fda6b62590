"""Where facts lie: the tables, columns and instants behind the words of rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Numeric,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from domain.money import HOME_CURRENCY
from domain.tags.conditions import RecordTest
from domain.tags.facts import DETAIL_PREFIX, FACTS, Fact, Source
from storage.article_categories import ArticleCategoryRow
from storage.interactions import InteractionRow
from storage.orders import OrderLineRow, OrderRow, RefundRow
from storage.purchase_rhythms import AT_RHYTHM, DUE, FIELDS, ORDER_AT
from storage.recordsets import table_of

_ORDERS, _LINES = table_of(OrderRow), table_of(OrderLineRow)
_REFUNDS, _INTERACTIONS = table_of(RefundRow), table_of(InteractionRow)
_ARTICLES = table_of(ArticleCategoryRow)
_DAY_ZONE = "Asia/Shanghai"
_DAYS: Mapping[str, str] = {"due": "due_on", "expires": "expires_on"}


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the records of a source are, the column that says whose they are, and when they happened. Records that are
    worked out for one customer at a time have no rows of their own: see `storage.purchase_rhythms`."""

    rows: FromClause | None
    identity: ColumnElement[Any] | None
    at: ColumnElement[Any]
    fields: Mapping[str, ColumnElement[Any]]


def _of_account(account: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    return {"account": account, "platform": func.split_part(account, "/", 1)}


def _if_any(told: ColumnElement[Any]) -> ColumnElement[Any]:
    """NULL also where a telling says that there is none (`storage.tables.TextOrNone`)."""
    return func.nullif(told, literal_column("''"), type_=Text)


_ORDER_FIELDS: Mapping[str, ColumnElement[Any]] = {
    **_of_account(_ORDERS.c.account_id),
    "status": _ORDERS.c.status,
    "channel": _if_any(_ORDERS.c.channel),
    "influencer": _if_any(_ORDERS.c.influencer_id),
    "video": _if_any(_ORDERS.c.video_id),
    "membership": _ORDERS.c.membership,
    "dining": _ORDERS.c.dining,
    "province": _ORDERS.c.province,
    "city": _ORDERS.c.city,
    "group": _ORDERS.c.group_id,
    "parent": _ORDERS.c.parent_order_id,
    "currency": _ORDERS.c.currency,
    "coupons": _ORDERS.c.coupon_ids,
    "paid": _ORDERS.c.paid_minor,
    "discount": _ORDERS.c.discount_minor,
    "postage": _ORDERS.c.postage_minor,
    "refunded": _ORDERS.c.refunded_minor,
    "kept": func.greatest(_ORDERS.c.paid_minor - _ORDERS.c.refunded_minor, 0),
}
_HOME: ColumnElement[Any] = literal_column(f"'{HOME_CURRENCY}'")
_ordered_in = (
    select(_ORDERS.c.currency)
    .where(_ORDERS.c.account_id == _REFUNDS.c.account_id, _ORDERS.c.order_id == _REFUNDS.c.order_id)
    .correlate(_REFUNDS)
    .scalar_subquery()
)
_of_article = (
    select(_ARTICLES.c.category)
    .where(_ARTICLES.c.account_id == _INTERACTIONS.c.account_id, _ARTICLES.c.item_id == _INTERACTIONS.c.item_id)
    .correlate(_INTERACTIONS)
    .scalar_subquery()
)
"""Looked up when a rule asks and not when a visit comes: there are far more visits than rules ask about."""
_SHELVES: Mapping[Source, Shelf] = {
    "orders": Shelf(_ORDERS, _ORDERS.c.identity_id, ORDER_AT, _ORDER_FIELDS),
    "order_lines": Shelf(
        _ORDERS.join(_LINES, _LINES.c.order_key == _ORDERS.c.id),
        _ORDERS.c.identity_id,
        ORDER_AT,
        {
            **_ORDER_FIELDS,
            "item": _LINES.c.item_id,
            "sku": _LINES.c.sku_id,
            "category": _LINES.c.category,
            "title": _LINES.c.title,
            "quantity": _LINES.c.quantity,
            "price": _LINES.c.price_minor,
            "total": _LINES.c.total_minor,
        },
    ),
    "rhythms": Shelf(None, None, AT_RHYTHM, FIELDS),
    "refunds": Shelf(
        _REFUNDS,
        _REFUNDS.c.identity_id,
        func.coalesce(_REFUNDS.c.requested_at, _REFUNDS.c.told_at),
        {
            **_of_account(_REFUNDS.c.account_id),
            "status": _REFUNDS.c.status,
            "reason": _REFUNDS.c.reason,
            "returns_goods": _REFUNDS.c.returns_goods,
            "currency": func.coalesce(_REFUNDS.c.currency, _ordered_in, _HOME),
            "amount": _REFUNDS.c.amount_minor,
        },
    ),
    "interactions": Shelf(
        _INTERACTIONS,
        _INTERACTIONS.c.identity_id,
        _INTERACTIONS.c.occurred_at,
        {
            **_of_account(_INTERACTIONS.c.account_id),
            "name": _INTERACTIONS.c.name,
            "state": _INTERACTIONS.c.state,
            "channel": _INTERACTIONS.c.channel,
            "item": _INTERACTIONS.c.item_id,
            "category": func.coalesce(_of_article, _INTERACTIONS.c.category),
            "currency": func.coalesce(_INTERACTIONS.c.details["currency"].astext, _HOME),
            "amount": _INTERACTIONS.c.amount_minor,
            "topics": _INTERACTIONS.c.details["topics"],
            "tags": _INTERACTIONS.c.details["tags"],
        },
    ),
}


def shelf_of(source: Source) -> Shelf:
    """Where the records of a source are."""
    return _SHELVES[source]


def is_of(fact: Fact) -> ColumnElement[bool]:
    """Whether a record of the fact's source is the fact's."""
    return _INTERACTIONS.c.kind == fact.kind if fact.kind else literal_column("true")


def instant_of(fact: Fact, name: str) -> ColumnElement[Any]:
    """An instant of the fact's records: `at` is their own time, the others are days, from their start in Shanghai."""
    if name == "at":
        return _SHELVES[fact.source].at
    if fact.has_rhythm:
        return DUE
    day = _INTERACTIONS.c.details[_DAYS[name]].astext
    # Without CASE a day that is none would be cast before it is looked at.
    start = func.timezone(_DAY_ZONE, cast(cast(day, Date), DateTime))
    return case((func.pg_input_is_valid(day, "date"), start))


def value_of(fact: Fact, name: str) -> ColumnElement[Any]:
    """What a record says in a field."""
    if name.startswith(DETAIL_PREFIX):
        detail: ColumnElement[Any] = _INTERACTIONS.c.details[name.removeprefix(DETAIL_PREFIX)].astext
        return detail
    return _SHELVES[fact.source].fields[name]


@lru_cache(maxsize=512)
def passes(fact_name: str, test: RecordTest) -> ColumnElement[bool]:
    """Whether a record passes a test; never NULL."""
    return func.coalesce(_passes(FACTS[fact_name], test), literal_column("false"))


def _passes(fact: Fact, test: RecordTest) -> ColumnElement[bool]:
    if test.field.startswith(DETAIL_PREFIX):
        return _detail_passes(test)
    value, kind = value_of(fact, test.field), fact.fields[test.field].type
    if kind == "list":
        return _list_passes(fact, value, test)
    match test.operator:
        case "exists":
            return value.is_not(None) if test.values[0] else value.is_(None)
        case "starts-with":
            return or_(*(func.starts_with(value, str(each)) for each in test.values))
        case "in" | "not-in":
            found = value == test.values[0] if len(test.values) == 1 else value.in_(test.values)
            return found if test.operator == "in" else or_(value.is_(None), ~found)
        case _:
            return _compared(value, test)


def _detail_passes(test: RecordTest) -> ColumnElement[bool]:
    whole = _INTERACTIONS.c.details[test.field.removeprefix(DETAIL_PREFIX)]
    match test.operator:
        case "exists":
            return whole.is_not(None) if test.values[0] else whole.is_(None)
        case "in" | "not-in":
            found = whole.in_([cast(literal(each, JSONB), JSONB) for each in test.values])
            return found if test.operator == "in" else or_(whole.is_(None), ~found)
        case _:
            is_number = func.jsonb_typeof(whole) == "number"
            return case((is_number, _compared(cast(whole, Numeric), test)), else_=literal_column("false"))


def _list_passes(fact: Fact, value: ColumnElement[Any], test: RecordTest) -> ColumnElement[bool]:
    words = cast(literal(list(map(str, test.values)), ARRAY(Text)), ARRAY(Text))
    if fact.source == "interactions":
        any_of = func.jsonb_exists_any(value, words)
        filled = and_(func.jsonb_typeof(value) == "array", value != cast(literal([], JSONB), JSONB))
    else:
        any_of, filled = value.overlap(words), func.cardinality(value) > 0
    match test.operator:
        case "exists":
            is_filled = func.coalesce(filled, literal_column("false"))
            return is_filled if test.values[0] else ~is_filled
        case "not-in":
            return ~func.coalesce(any_of, literal_column("false"))
        case _:
            return any_of


def _compared(value: ColumnElement[Any], test: RecordTest) -> ColumnElement[bool]:
    than = cast(literal(test.values[0], BigInteger), BigInteger)
    match test.operator:
        case "at-least":
            return value >= than
        case "at-most":
            return value <= than
        case "more-than":
            return value > than
        case _:
            return value < than
