"""Which customers a person sees: those with a record of their shops, their branch, their own customers."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, or_, select, true
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.access import Scope
from storage.identities import IdentityRow
from storage.interactions import InteractionRow
from storage.orders import OrderRow, RefundRow
from storage.scoping import visible
from storage.unit_of_work import UnitOfWork

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


async def sees_customer(work: UnitOfWork, customer_id: UUID, scope: Scope) -> bool:
    """Whether a customer is within a scope."""
    return bool(await work.session.scalar(select(customer_visible(customer_id, scope))))
