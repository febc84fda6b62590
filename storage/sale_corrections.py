"""What people say of whose an order is, and who else agreed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import AutoString, Field, col

from domain.access import Scope
from domain.problems import ConflictProblem, Text
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import ScopedColumns, visible
from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository, refused

State = Literal["asked", "approved", "refused"]
_OPEN = "uq_sale_corrections_open"


class SaleCorrectionRow(ScopedColumns, Table, table=True):
    """One correction. shares: `[payee, share]`, the larger first; none: the order is nobody's in this role."""

    __tablename__ = "sale_corrections"
    id: UUID = identifier()
    order_key: int = Field(sa_type=BigInteger)
    order_id: str
    role: str
    shares: list[Any] = Field(sa_type=JSONB, nullable=False)
    reason: str
    state: State = Field(sa_type=AutoString)
    asked_by: str
    asked_at: datetime = instant()
    decided_by: str | None = None
    decided_at: datetime | None = instant(optional=True)
    note: str | None = None

    __table_args__ = (
        CheckConstraint("decided_by <> asked_by", name="second_person"),
        Index(_OPEN, "order_key", "role", unique=True, postgresql_where=text("state = 'asked'")),
        Index("ix_sale_corrections_state_asked_at_id", "state", "asked_at", "id"),
    )


_OLDEST_FIRST = Order("corrections", (SaleCorrectionRow.asked_at, SaleCorrectionRow.id), descending=False)


class SaleCorrections(Repository):
    """Corrections, asked for and decided."""

    async def add(self, row: SaleCorrectionRow) -> None:
        """Raises ConflictProblem when one of the same order and role waits already."""
        waits = ConflictProblem(
            Text(
                f"订单 {row.order_id} 的角色 {row.role} 已有一条更正在等待复核",
                f"A correction of the order {row.order_id} in the role {row.role} waits already",
            )
        )
        with refused(_OPEN, waits):
            await self.insert(row)

    async def find(self, correction: UUID, scope: Scope) -> SaleCorrectionRow | None:
        """The correction, if there is one within the scope; locked."""
        row = SaleCorrectionRow
        statement = select(row).where(col(row.id) == correction, visible(row, scope)).with_for_update()
        return (await self.session.scalars(statement)).first()

    async def search(self, scope: Scope, page: PageRequest, *, state: State | None = None) -> Page[SaleCorrectionRow]:
        """Corrections within the scope, the oldest first."""
        statement = select(SaleCorrectionRow).where(visible(SaleCorrectionRow, scope))
        if state is not None:
            statement = statement.where(col(SaleCorrectionRow.state) == state)
        return await paginate(self.session, statement, _OLDEST_FIRST, page, lambda row: row)

    async def of_order(self, order: int) -> Sequence[SaleCorrectionRow]:
        """Every correction of an order, the oldest first."""
        row = SaleCorrectionRow
        statement = select(row).where(col(row.order_key) == order).order_by(col(row.asked_at), col(row.id))
        return (await self.session.scalars(statement)).all()
