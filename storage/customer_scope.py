"""Which customers a person sees: those with a record of their shops, their branch, their own customers."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select, true
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
    return or_(
        *(
            exists()
            .where(col(IdentityRow.customer_id) == customer_id)
            .where(col(row.identity_id) == col(IdentityRow.id))
            .where(visible(row, scope))
            for row in _RECORDS
        )
    )


async def sees_customer(work: UnitOfWork, customer_id: UUID, scope: Scope) -> bool:
    """Whether a customer is within a scope."""
    return bool(await work.session.scalar(select(customer_visible(customer_id, scope))))
