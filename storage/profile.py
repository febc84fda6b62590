"""Everything that is known about one customer, newest first: a branch for each kind of record, each walking an index,
each with a limit of its own, so that a page costs the same however long the history is.

Records point at keys (ADR 8): a branch looks at one key after the other. What is outside of the scope is not there.
"""

import base64
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    LargeBinary,
    Select,
    SmallInteger,
    Text,
    and_,
    cast,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.access import Scope
from domain.tags.facts import PAID_STATUSES
from storage.human_tasks import HumanTaskRow
from storage.identities import IdentityRow
from storage.interactions import InteractionRow
from storage.nickname_digests import wanted_digests
from storage.orders import OrderLineRow, OrderRow, RefundRow, ShipmentRow, shop_of_parcel
from storage.paging import wrong_cursor
from storage.reach import TouchRow
from storage.runs import RunRow
from storage.scoping import visible
from storage.tables import Instant
from storage.unit_of_work import Repository

Kind = Literal["touch", "task", "run", "interaction", "parcel", "refund", "order"]
KINDS: tuple[Kind, ...] = ("touch", "task", "run", "interaction", "parcel", "refund", "order")
"""In the order in which records of one instant stand, the last one first."""

_TABLES: Mapping[Kind, type[Any]] = {
    "touch": TouchRow,
    "task": HumanTaskRow,
    "run": RunRow,
    "interaction": InteractionRow,
    "parcel": ShipmentRow,
    "refund": RefundRow,
    "order": OrderRow,
}
MOST_LINES = 50
MOST_PASSED_OVER = 2_000
"""Interactions of one key among which the newest of each kind are looked for; what is older stands in the timeline."""
_ORDERS_OF_A_NAME = 10
"""For each customer that may be found: one buyer has many orders under their name."""
_BYTES = "C"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a profile is about, and for whom it is. identities: numbers of their keys; names: their ids, former ones
    too; recipients: what messages are addressed to; queues, login: whose human tasks are shown, None for everybody's.
    """

    identities: Sequence[int]
    names: Sequence[str]
    recipients: Sequence[str]
    scope: Scope
    kinds: frozenset[Kind] = frozenset(KINDS)
    login: str | None = None
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the timeline; key: the row's id as text."""

    at: datetime
    kind: Kind
    key: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all orders at one platform in one currency. paid_minor: of orders that were paid."""

    platform: str
    currency: str
    orders: int
    paid_orders: int
    paid_minor: int
    refunded_minor: int
    first_order_at: datetime | None
    last_order_at: datetime | None


class Profiles(Repository):
    """Reads only; every method but `totals` is bounded, whatever a customer has."""

    async def timeline(self, subject: Subject, before: Place | None, limit: int) -> list[Place]:
        """The newest places before one, of all kinds."""
        branches = [branch(kind, subject, before, limit) for kind in KINDS if kind in subject.kinds]
        every = union_all(*(select(each.subquery()) for each in branches)).subquery()
        statement = select(every).order_by(every.c.at.desc(), every.c.rank.desc(), every.c.key.desc()).limit(limit)
        return [Place(at, KINDS[rank], key) for at, rank, key in await self.session.execute(statement)]

    async def newest(self, kind: Kind, subject: Subject, limit: int) -> list[Any]:
        """The newest rows of one kind."""
        if kind not in subject.kinds:
            return []
        found = await self.session.execute(branch(kind, subject, None, limit))
        places = [Place(at, kind, key) for at, _, key in found]
        rows = await self.rows(places)
        return [rows[place] for place in places if place in rows]

    async def newest_interactions(self, subject: Subject, each: int) -> list[InteractionRow]:
        """The newest interactions, so many of each kind, in one pass over the newest of each key of the customer."""
        row, keys = InteractionRow, _listed(_numbers(subject))
        newest = (
            select(col(row.id), col(row.kind), col(row.occurred_at))
            .where(col(row.identity_id) == keys.c.value, visible(row, subject.scope))
            .order_by(col(row.occurred_at).desc())
            .limit(MOST_PASSED_OVER)
            .correlate(keys)
            .lateral("newest")
        )
        numbered = (
            select(
                newest.c.id,
                func.row_number()
                .over(partition_by=newest.c.kind, order_by=(newest.c.occurred_at.desc(), newest.c.id.desc()))
                .label("place"),
            )
            .select_from(keys.join(newest, true()))
            .subquery()
        )
        chosen = select(numbered.c.id).where(numbered.c.place <= each)
        found = await self.session.scalars(select(row).where(col(row.id).in_(chosen)))
        return sorted(found, key=lambda one: (one.occurred_at, one.id), reverse=True)

    async def rows(self, places: Collection[Place]) -> Mapping[Place, Any]:
        """The rows behind places; one that is gone meanwhile is left out."""
        by_kind: dict[Kind, list[Place]] = defaultdict(list)
        for place in places:
            by_kind[place.kind].append(place)
        found: dict[Place, Any] = {}
        for kind, some in by_kind.items():
            row = _TABLES[kind]
            ids = [_id_of(kind, place.key) for place in some]
            rows = {str(each.id): each for each in await self.session.scalars(select(row).where(col(row.id).in_(ids)))}
            found.update({place: rows[place.key] for place in some if place.key in rows})
        return found

    async def lines(self, orders: Collection[int]) -> Mapping[int, Sequence[OrderLineRow]]:
        """The articles of orders, so many of each at most."""
        line = aliased(OrderLineRow)
        keys = func.unnest(cast(list(orders), ARRAY(BigInteger))).table_valued("value", name="wanted").render_derived()
        of_order = select(line).where(col(line.order_key) == keys.c.value).order_by(col(line.line_id))
        some = of_order.limit(MOST_LINES).correlate(keys).lateral()
        one = aliased(OrderLineRow, some)
        found: dict[int, list[OrderLineRow]] = defaultdict(list)
        for row in await self.session.scalars(select(one).select_from(keys).join(some, true())):
            found[row.order_key].append(row)
        return found

    async def totals(self, subject: Subject) -> list[Totals]:
        """Sums by platform and currency."""
        row = OrderRow
        platform = func.split_part(col(row.account_id), "/", 1)
        # Some sources tell that an order is on its way and not when it was paid.
        is_paid = or_(col(row.paid_at).is_not(None), col(row.status).in_(PAID_STATUSES))
        bought_at = func.coalesce(col(row.created_at), col(row.paid_at), col(row.told_at))
        statement = (
            select(
                platform,
                col(row.currency),
                func.count(),
                func.count().filter(is_paid),
                cast(func.coalesce(func.sum(col(row.paid_minor)).filter(is_paid), 0), BigInteger),
                cast(func.sum(col(row.refunded_minor)), BigInteger),
                func.min(bought_at, type_=Instant),
                func.max(bought_at, type_=Instant),
            )
            .where(col(row.identity_id) == func.any(_numbers(subject)), visible(row, subject.scope))
            .group_by(platform, col(row.currency))
            .order_by(platform, col(row.currency))
        )
        return [Totals(*values) for values in await self.session.execute(statement)]

    async def customers_of_order(self, order_id: str, scope: Scope, limit: int) -> set[UUID]:
        """Whose an order number is, at any shop of the scope."""
        row = OrderRow
        statement = select(col(IdentityRow.customer_id)).join(row, col(row.identity_id) == col(IdentityRow.id))
        statement = statement.where(col(row.order_id) == order_id, visible(row, scope))
        return set(await self.session.scalars(statement.limit(limit)))

    async def customers_named(self, name: str, scope: Scope, limit: int) -> set[UUID]:
        """Whom an interaction, or an order, of the scope calls by a name."""
        digests = cast(wanted_digests(self.work.database.keyring, name), ARRAY(LargeBinary))

        def named(row: type[InteractionRow] | type[OrderRow], most: int) -> Select[Any]:
            is_named = col(row.names).op("&&")(digests)
            return select(col(row.identity_id)).where(is_named, visible(row, scope)).limit(most)

        both = union(named(InteractionRow, limit), named(OrderRow, limit * _ORDERS_OF_A_NAME)).subquery()
        statement = select(col(IdentityRow.customer_id)).join(both, both.c.identity_id == col(IdentityRow.id))
        return set(await self.session.scalars(statement.distinct().limit(limit)))


def _id_of(kind: Kind, key: str) -> Any:
    if kind == "touch":
        return UUID(key)
    return key if kind in ("run", "task") else int(key)


def _bigints(numbers: Sequence[int]) -> Any:
    return cast(list(numbers), ARRAY(BigInteger))


def _numbers(subject: Subject) -> Any:
    return _bigints(subject.identities)


def _key(column: Any) -> Any:
    return cast(column, Text).collate(_BYTES)


def branch(kind: Kind, subject: Subject, before: Place | None, limit: int) -> Select[Any]:
    """The newest rows of a kind before a place: instant, rank of the kind, id as text."""
    rank = KINDS.index(kind)

    def chosen(row: type[Any], at: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
        key = _key(col(row.id))
        statement = select(at.label("at"), literal(rank, SmallInteger).label("rank"), key.label("key"))
        statement = statement.where(*conditions, *_before(at, rank, key, before))
        return statement.order_by(at.desc(), key.desc()).limit(limit)

    def each(source: FromClause, row: type[Any], at: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
        """One after the other of what records belong to, so that each walks the index on (that, at) from its end."""
        some = chosen(row, at, *conditions).correlate(source).lateral()
        statement = select(some.c["at"], some.c["rank"], some.c["key"]).select_from(source).join(some, true())
        return statement.order_by(some.c["at"].desc(), some.c["key"].desc()).limit(limit)

    keys, names = _listed(_numbers(subject)), _listed(cast(list(subject.names), ARRAY(Text)))
    scope = subject.scope
    match kind:
        case "order":
            of_key = col(OrderRow.identity_id) == keys.c.value
            return each(keys, OrderRow, col(OrderRow.told_at), of_key, visible(OrderRow, scope))
        case "refund":
            of_key = col(RefundRow.identity_id) == keys.c.value
            return each(keys, RefundRow, col(RefundRow.told_at), of_key, visible(RefundRow, scope))
        case "interaction":
            of_key = col(InteractionRow.identity_id) == keys.c.value
            return each(keys, InteractionRow, col(InteractionRow.occurred_at), of_key, visible(InteractionRow, scope))
        case "parcel":
            orders = (
                select(col(OrderRow.account_id), col(OrderRow.order_id), visible(OrderRow, scope).label("is_visible"))
                .where(col(OrderRow.identity_id) == func.any(_numbers(subject)))
                .subquery()
            )
            of_order = and_(shop_of_parcel() == orders.c.account_id, col(ShipmentRow.order_id) == orders.c.order_id)
            # A warehouse has a place of its own; who sees the order sees how it was sent.
            is_visible = or_(visible(ShipmentRow, scope), orders.c.is_visible)
            # A parcel that shop and warehouse tell of is shown as it was told last; at the same time, by its warehouse.
            told = aliased(ShipmentRow)
            standing = tuple_(col(told.told_at), col(told.order_account).is_not(None), col(told.id))
            shown_at = tuple_(
                col(ShipmentRow.told_at), col(ShipmentRow.order_account).is_not(None), col(ShipmentRow.id)
            )
            told_later = select(col(told.id)).where(
                func.coalesce(col(told.order_account), col(told.account_id)) == shop_of_parcel(),
                col(told.order_id) == col(ShipmentRow.order_id),
                col(told.waybill) == col(ShipmentRow.waybill),
                standing > shown_at,
            )
            is_told_once = not_(told_later.exists())
            return each(orders, ShipmentRow, col(ShipmentRow.told_at), of_order, and_(is_visible, is_told_once))
        case "run":
            of_name = col(RunRow.customer) == names.c.value
            return each(names, RunRow, col(RunRow.created_at), of_name, visible(RunRow, scope))
        case "task":
            of_names = col(RunRow.customer) == func.any(cast(list(subject.names), ARRAY(Text)))
            runs = select(col(RunRow.id)).where(of_names).subquery()
            of_run = col(HumanTaskRow.run_id) == runs.c.id
            at = col(HumanTaskRow.opened_at)
            return each(runs, HumanTaskRow, at, of_run, visible(HumanTaskRow, scope), _workable(subject))
        case "touch":
            recipients = _listed(cast(list(subject.recipients), ARRAY(Text)))
            to_them = col(TouchRow.recipient) == recipients.c.value
            return each(recipients, TouchRow, col(TouchRow.at), to_them, _of_visible_run(scope))


def _listed(values: Any) -> Any:
    return func.unnest(values).table_valued("value", name="listed").render_derived()


def _before(at: Any, rank: int, key: Any, place: Place | None) -> list[ColumnElement[bool]]:
    if place is None:
        return []
    mine = KINDS.index(place.kind)
    if rank < mine:
        return [at <= place.at]
    if rank > mine:
        return [at < place.at]
    return [at <= place.at, or_(at < place.at, key < place.key)]


def _workable(subject: Subject) -> ColumnElement[bool]:
    if subject.queues is None:
        return true()
    queues = array(sorted(subject.queues), type_=Text)
    return or_(col(HumanTaskRow.assignee) == subject.login, col(HumanTaskRow.queue) == func.any(queues))


def _of_visible_run(scope: Scope) -> ColumnElement[bool]:
    """A touch has no place of its own: it stands where its run does."""
    if scope.kind == "everything":
        return true()
    return exists().where(col(RunRow.id) == col(TouchRow.run_id), visible(RunRow, scope))


def cursor_of(place: Place) -> str:
    """The cursor that goes on after a place."""
    values = ["timeline", place.at.isoformat(), place.kind, place.key]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """The place in a cursor; raises ValidationProblem when it is none of a timeline's."""
    try:
        name, at, kind, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        instant = datetime.fromisoformat(at)
    except (ValueError, TypeError, RecursionError):
        raise wrong_cursor() from None
    if name != "timeline" or kind not in KINDS or not isinstance(key, str) or instant.tzinfo is None:
        raise wrong_cursor()
    return Place(instant, kind, key)
