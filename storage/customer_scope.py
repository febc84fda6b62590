"""Which customers a person sees: those with a record of their shops, their branch, their own customers."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, and_, column, exists, func, literal, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.access import Scope
from domain.events import rfc3339
from domain.problems import NotFoundProblem, Text
from storage.erasures import ErasureRow, Erasures
from storage.identities import Customers, IdentityRow
from storage.interactions import InteractionRow
from storage.orders import OrderRow, RefundRow
from storage.scoping import visible
from storage.unit_of_work import UnitOfWork

_AT_ONCE = 100
_RECORDS = (OrderRow, InteractionRow, RefundRow)


def customer_visible(customer_id: Any, scope: Scope) -> ColumnElement[bool]:
    """The condition that a customer, named by a column or a value, has a record within a scope."""
    if scope.kind == "everything":
        return true()
    key = aliased(IdentityRow)
    # An array, and no join: a planner that expects records of the scope everywhere would read all of them through.
    theirs = select(col(key.id)).where(col(key.customer_id) == customer_id).correlate_except(key)
    keys = func.array(theirs.scalar_subquery())
    return or_(*(exists().where(col(row.identity_id) == func.any(keys)).where(visible(row, scope)) for row in _RECORDS))


async def first_seen(work: UnitOfWork, customers: Sequence[UUID], scope: Scope, most: int) -> list[UUID]:
    """The first of these customers, in their order, who are within a scope and whom nobody asked to erase."""
    found: list[UUID] = []
    for start in range(0, len(customers), _AT_ONCE):
        if len(found) >= most:
            break
        part = func.unnest(literal(customers[start : start + _AT_ONCE], ARRAY(Uuid)))
        asked = part.table_valued(column("id", Uuid), with_ordinality="place").render_derived("asked")
        erased = exists().where(col(ErasureRow.customer_id) == asked.c.id)
        seen = select(asked.c.id).where(and_(customer_visible(asked.c.id, scope), ~erased))
        found += await work.session.scalars(seen.order_by(asked.c.place))
    return found[:most]


async def require_customer(work: UnitOfWork, customer_id: UUID, scope: Scope) -> UUID:
    """The customer that an id stands for today, within a scope.

    Raises NotFoundProblem; of one whose erasure was asked for, it says since when.
    """
    current = await Customers(work).current(customer_id)
    if current is None or not await work.session.scalar(select(customer_visible(current, scope))):
        raise NotFoundProblem(
            Text(
                f"没有客户 {customer_id}，或不在您的数据范围内",
                f"There is no customer {customer_id} within your data scope",
            )
        )
    if (erasure := await Erasures(work).of(current)) is not None:
        raise NotFoundProblem(
            Text(f"客户 {customer_id} 的个人信息已按要求删除", f"The customer {customer_id} was erased on request"),
            erased_at=rfc3339(erasure.requested_at),
        )
    return current
