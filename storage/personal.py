"""Where a person is in the tables: what points at them, and what only mentions them.

The list is for whoever shows a person everything (`services.export`). What erasure takes out has to be in it: a test
compares the two over every table there is.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python
from sqlalchemy import ColumnElement, and_, or_, select, tuple_
from sqlmodel import col

from domain.canonical.keys import KINDS, IdentityKey
from domain.customers.traces import Traces
from storage.awaited_orders import AwaitedOrderRow
from storage.consents import ConsentRow
from storage.customer_tag_tables import CustomerGradeRow, CustomerTagRow, TagCheckRow, TagMarkRow
from storage.effects import EffectRow
from storage.encryption import EncryptedBytes, encrypted_type
from storage.events import EventOutboxRow, EventRow
from storage.human_tasks import HumanTaskCommandRow, HumanTaskRow
from storage.idempotency import IdempotencyKeyRow
from storage.identities import CustomerRow, Identities, IdentityRow
from storage.identity_links import IdentityDecisionKeyRow, IdentityDecisionRow, IdentityLinkRow
from storage.identity_reviews import IdentityMoveRow, IdentitySuggestionRow
from storage.inbox import InboxRow
from storage.interactions import InteractionRow
from storage.invitations import InvitationRow
from storage.lookups import LookupRow
from storage.orders import OrderLineRow, OrderRow, RefundRow, ShipmentRow, shop_of_parcel
from storage.reach import TouchRow
from storage.recordsets import table_of
from storage.runs import RunRow
from storage.subscriptions import DeadLetterRow
from storage.suppressions import SuppressionRow
from storage.tables import Table
from storage.trigger_matches import TriggerMatchRow
from storage.unit_of_work import Repository, UnitOfWork

MOST_ORDERS = 20_000
Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Person:
    """Whom it is about. names: their ids here, former ones too; values: of their keys; traces: how texts name them."""

    keys: Sequence[IdentityRow]
    names: Sequence[UUID]
    traces: Traces

    @property
    def identities(self) -> list[int]:
        return [row.id for row in self.keys]

    @property
    def values(self) -> list[str]:
        return sorted({row.value for row in self.keys})


async def person_of(work: UnitOfWork, identities: Collection[int], names: Sequence[UUID]) -> Person:
    """The person with these keys, under these ids."""
    keys = list((await Identities(work).rows(identities)).values())
    orders = await Personal(work).orders_of([row.id for row in keys], MOST_ORDERS)
    traces = Traces(
        [IdentityKey(KINDS[row.kind], row.scope, row.value) for row in keys],
        map(str, names),
        [order for _, order in orders],
    )
    return Person(keys, names, traces)


def _of_keys(row: Any) -> Callable[[Person], Condition]:
    return lambda person: col(row.identity_id).in_(person.identities)


def _of_names(row: Any) -> Callable[[Person], Condition]:
    return lambda person: col(row.customer_id).in_(person.names)


def _of_pairs(row: Any) -> Callable[[Person], Condition]:
    return lambda person: or_(col(row.low).in_(person.identities), col(row.high).in_(person.identities))


def _decisions(person: Person) -> Condition:
    key = IdentityDecisionKeyRow
    return col(IdentityDecisionRow.id).in_(select(col(key.decision_id)).where(_of_keys(key)(person)))


def _moves(person: Person) -> Condition:
    row = IdentityMoveRow
    return or_(
        col(row.identity_id).in_(person.identities),
        col(row.from_customer).in_(person.names),
        col(row.to_customer).in_(person.names),
    )


def _lines(person: Person) -> Condition:
    return col(OrderLineRow.order_key).in_(select(col(OrderRow.id)).where(_of_keys(OrderRow)(person)))


def _parcels(person: Person) -> Condition:
    orders = select(col(OrderRow.account_id), col(OrderRow.order_id)).where(_of_keys(OrderRow)(person))
    return tuple_(shop_of_parcel(), col(ShipmentRow.order_id)).in_(orders)


def _touches(person: Person) -> Condition:
    return or_(col(TouchRow.recipient).in_(person.values), col(TouchRow.identity_id).in_(person.identities))


def _invitations(person: Person) -> Condition:
    row = InvitationRow
    return or_(col(row.identity_id).in_(person.identities), col(row.by_identity_id).in_(person.identities))


POINTING: Mapping[type[Table], Callable[[Person], Condition]] = {
    CustomerRow: lambda person: col(CustomerRow.id).in_(person.names),
    IdentityRow: lambda person: col(IdentityRow.id).in_(person.identities),
    IdentityLinkRow: _of_pairs(IdentityLinkRow),
    IdentityDecisionRow: _decisions,
    IdentityDecisionKeyRow: _of_keys(IdentityDecisionKeyRow),
    IdentityMoveRow: _moves,
    IdentitySuggestionRow: _of_pairs(IdentitySuggestionRow),
    OrderRow: _of_keys(OrderRow),
    OrderLineRow: _lines,
    RefundRow: _of_keys(RefundRow),
    ShipmentRow: _parcels,
    InteractionRow: _of_keys(InteractionRow),
    TouchRow: _touches,
    CustomerTagRow: _of_names(CustomerTagRow),
    TagCheckRow: _of_names(TagCheckRow),
    TagMarkRow: _of_keys(TagMarkRow),
    CustomerGradeRow: _of_names(CustomerGradeRow),
    SuppressionRow: _of_keys(SuppressionRow),
    ConsentRow: _of_keys(ConsentRow),
    LookupRow: _of_keys(LookupRow),
    InvitationRow: _invitations,
}
"""What points at a person, found by indexes."""

MENTIONING: Mapping[type[Table], tuple[str, ...]] = {
    AwaitedOrderRow: ("account_id", "event_id"),
    EventRow: ("seq",),
    RunRow: ("id",),
    HumanTaskRow: ("id",),
    EffectRow: ("key",),
    InboxRow: ("id",),
    IdempotencyKeyRow: ("login", "key"),
}
"""What may mention a person, each table with the key in whose order it is read through (`storage.mentions`)."""

FOLLOWING: Mapping[type[Table], Mapping[type[Table], str]] = {
    EventRow: {EventOutboxRow: "seq", TriggerMatchRow: "seq", DeadLetterRow: "seq"},
    RunRow: {HumanTaskRow: "run_id", EffectRow: "run_id"},
    HumanTaskRow: {HumanTaskCommandRow: "task_id"},
}
"""What hangs on a row that is the person's, by the column that names that row's key."""


class Personal(Repository):
    """Reads only; each call is one bounded page."""

    async def page(
        self, row: type[Table], condition: Condition, after: tuple[Any, ...] | None, size: int
    ) -> tuple[list[Any], tuple[Any, ...] | None]:
        """The next rows of a condition in the order of their primary keys, and the last key; None at the end."""
        keys = list(table_of(row).primary_key.columns)
        wanted = select(*keys).where(condition)
        if after is not None:
            wanted = wanted.where(tuple_(*keys) > tuple_(*after))
        # Found first, by the condition's own index: no planner walks a whole table in its order, hoping for these.
        found = wanted.cte("found").prefix_with("MATERIALIZED")
        same = and_(*(key == found.c[key.name] for key in keys))
        statement = select(row).join(found, same).order_by(*keys).limit(size)
        rows = list(await self.session.scalars(statement))
        last = tuple(getattr(rows[-1], key.name) for key in keys) if len(rows) == size else None
        return rows, last

    async def rows(self, row: type[Table], column: str, values: Collection[Any]) -> list[Any]:
        """The rows of which a column holds one of the values, in the order of their keys."""
        statement = select(row).where(table_of(row).c[column].in_(values))
        return list(await self.session.scalars(statement.order_by(*table_of(row).primary_key.columns)))

    async def orders_of(self, identities: Sequence[int], limit: int) -> list[tuple[str, str]]:
        """Account and number of the orders that point at these keys."""
        row = OrderRow
        statement = select(col(row.account_id), col(row.order_id)).where(col(row.identity_id).in_(identities))
        # By an expression, so that no planner walks all orders in their order.
        found = await self.session.execute(statement.order_by(col(row.id) + 0).limit(limit))
        return [(account or "", order) for account, order in found]


def in_clear(row: Table) -> dict[str, Any]:
    """What a row says, as JSON values, by column: without digests, which mean nothing to a person, and without what is
    empty. A push is shown as the JSON or the text that it is."""
    told: dict[str, Any] = {}
    for column in table_of(type(row)).columns:
        value = getattr(row, column.name)
        if isinstance(encrypted_type(column.type), EncryptedBytes):
            value = _read(value)
        if value is not None and not _is_digest(value):
            told[column.name] = value
    shown: dict[str, Any] = to_jsonable_python(told)
    return shown


def _is_digest(value: Any) -> bool:
    return isinstance(value, bytes) or (isinstance(value, list) and any(isinstance(each, bytes) for each in value))


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")
