"""What accounts bill, as two people agreed on it, and what one of them proposes instead."""

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, delete, select, text
from sqlalchemy import String as SqlString
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, col

from domain.settlement.reconciliation import WINDOW_DAYS
from storage.bulk import fetch
from storage.tables import Table, instant
from storage.unit_of_work import Repository


class BillTermsRow(Table, table=True):
    """What an account bills. shops: whose orders are paid through it. fee_bps: what was agreed, None: not compared.
    fees_back: whether the fee of what is refunded comes back. window_days: how much later than the books a bill may be.
    bank: whether its bills are the statements of the bank that payouts are paid from, of one account only. since: the
    day from which on it has bills. changed_by: who proposed it; confirmed_by: somebody else."""

    __tablename__ = "bill_terms"
    account: str = Field(primary_key=True, sa_column_args=[ForeignKey("accounts.id")])
    shops: list[str] = Field(sa_type=ARRAY(SqlString), nullable=False)
    fee_bps: int | None = None
    fees_back: bool
    window_days: int = Field(default=WINDOW_DAYS, sa_type=SmallInteger)
    bank: bool
    since: date
    changed_by: str
    changed_at: datetime = instant()
    confirmed_by: str | None = None

    __table_args__ = (
        CheckConstraint("confirmed_by <> changed_by", name="second_person"),
        Index("uq_bill_terms_bank", "bank", unique=True, postgresql_where=text("bank")),
    )


class ProposedBillTermsRow(Table, table=True):
    """What somebody wants an account to bill instead, one at a time. id: of the proposal, so that nobody confirms
    another one than they saw."""

    __tablename__ = "proposed_bill_terms"
    account: str = Field(primary_key=True, sa_column_args=[ForeignKey("accounts.id")])
    id: UUID
    shops: list[str] = Field(sa_type=ARRAY(SqlString), nullable=False)
    fee_bps: int | None = None
    fees_back: bool
    window_days: int = Field(default=WINDOW_DAYS, sa_type=SmallInteger)
    bank: bool
    proposed_by: str
    proposed_at: datetime = instant()


class BillTermsBook(Repository):
    """Terms and proposals by account."""

    async def find(self, account: str) -> BillTermsRow | None:
        """What is in force, if anything was said."""
        return await self.session.get(BillTermsRow, account)

    async def proposed(self, account: str, *, for_update: bool = False) -> ProposedBillTermsRow | None:
        """What waits for a second person."""
        return await self.session.get(ProposedBillTermsRow, account, with_for_update=for_update or None)

    async def propose(self, row: ProposedBillTermsRow) -> None:
        """Write a proposal in place of one that waits."""
        await self.session.merge(row)
        await self.session.flush()

    async def put(self, row: BillTermsRow) -> None:
        """Put terms in force."""
        await self.session.merge(row)
        await self.session.flush()

    async def forget_proposal(self, account: str) -> None:
        """Nothing waits any more."""
        await self.session.execute(delete(ProposedBillTermsRow).where(col(ProposedBillTermsRow.account) == account))

    async def biller_of(self, shops: Collection[str], but: str) -> tuple[str, str] | None:
        """A shop among these that another account bills, and that account."""
        found = await fetch(self.work, _BILLER, {"shops": list(shops), "but": but})
        return (found[0][0], found[0][1]) if found else None

    async def bank(self) -> str | None:
        """The account whose bills are the bank's statements, if one is."""
        return await self.session.scalar(select(col(BillTermsRow.account)).where(col(BillTermsRow.bank).is_(True)))

    async def since(self) -> dict[str, date]:
        """The accounts that terms were said of, and from which day on they have bills."""
        rows = (await self.session.execute(select(col(BillTermsRow.account), col(BillTermsRow.since)))).all()
        return {row.account: row.since for row in rows}


_BILLER = """
    SELECT shop, account FROM bill_terms, unnest(shops) AS shop
    WHERE shop = ANY(%(shops)b::text[]) AND account <> %(but)b ORDER BY shop LIMIT 1
"""
