"""Files that banks are handed: which payouts are in them, and to whose account each of them went."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, func, literal_column, select
from sqlmodel import Field, col

from domain.ids import canonical_json
from domain.settlement.bank_answers import BANK
from domain.settlement.payouts import UNDER_WAY
from storage.breaks import BreakRow
from storage.bulk import fetch
from storage.encryption import EncryptedJson
from storage.payouts import PayoutRow
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_AT_ONCE = 5_000
_RECEIVER = "bank_file_lines.receiver"
_ADD = """
    INSERT INTO bank_file_lines (payout, file, receiver)
    SELECT payout, %(file)b::text, receiver
    FROM unnest(%(payouts)b::bigint[], %(receivers)b::bytea[]) AS t(payout, receiver)
"""


class BankFileRow(Table, table=True):
    """One file. number: of its batch and the files before. digest: of its rows (`domain.settlement.bank_files`)."""

    __tablename__ = "bank_files"
    number: str = Field(primary_key=True, max_length=32)
    batch: UUID = Field(sa_column_args=[ForeignKey("payout_batches.id")], index=True)
    day: date
    currency: str = Field(max_length=3)
    payouts: int
    total_minor: int = Field(sa_type=BigInteger)
    digest: str
    made_at: datetime = instant()
    made_by: str


class BankFileLineRow(Table, table=True):
    """A payout in a file. receiver: name, account and bank as they were then; a later change is of later files."""

    __tablename__ = "bank_file_lines"
    payout: int = Field(primary_key=True, sa_type=BigInteger, sa_column_args=[ForeignKey("payouts.id")])
    file: str = Field(max_length=32, sa_column_args=[ForeignKey("bank_files.number")])
    receiver: dict[str, Any] = Field(sa_type=EncryptedJson(_RECEIVER), nullable=False)

    __table_args__ = (Index("ix_bank_file_lines_file", "file", "payout"),)


class FileLine(NamedTuple):
    """A payout in a file, as it was written."""

    payout: int
    number: str
    amount_minor: int
    currency: str
    receiver: dict[str, Any]


class BankFiles(Repository):
    """Files and what is in them; neither ever changes."""

    async def add(self, row: BankFileRow, receivers: Iterable[tuple[int, Mapping[str, str]]]) -> None:
        """Write down a file, and to whom each payout in it goes."""
        await self.insert(row)
        waiting = iter(receivers)
        while some := list(islice(waiting, _AT_ONCE)):
            keyring = self.work.database.keyring
            values = {
                "file": row.number,
                "payouts": [payout for payout, _ in some],
                "receivers": [keyring.encrypt(canonical_json(dict(each)), _RECEIVER) for _, each in some],
            }
            await fetch(self.work, _ADD, values)

    async def find(self, number: str) -> BankFileRow | None:
        """One file."""
        return await self.session.get(BankFileRow, number)

    async def of_batch(self, batch: UUID) -> Sequence[BankFileRow]:
        """A batch's files, the first one first."""
        row = BankFileRow
        statement = select(row).where(col(row.batch) == batch).order_by(col(row.made_at), func.length(row.number))
        return (await self.session.scalars(statement.order_by(col(row.number)))).all()

    async def open(self, number: str) -> int:
        """How many payouts of a file have not ended."""
        line, payout = BankFileLineRow, PayoutRow
        statement = select(func.count()).join_from(line, payout, col(payout.id) == col(line.payout))
        statement = statement.where(col(line.file) == number, col(payout.state).in_(UNDER_WAY))
        return await self.session.scalar(statement) or 0

    async def unanswered(self, before: datetime, limit: int) -> Sequence[PayoutRow]:
        """So many payouts that were handed to a bank before an instant, have not ended and were never noted as overdue;
        locked, without those that somebody else looks at."""
        row, noted = PayoutRow, BreakRow
        known = select(col(noted.id)).where(
            col(noted.number) == col(row.number), col(noted.account) == BANK, col(noted.kind) == "overdue"
        )
        statement = (
            select(row)
            # Written out: a parameter would hide the partial index from a prepared statement.
            .where(col(row.state) == literal_column("'submitting'"), col(row.rail) == "bank")
            .where(col(row.first_sent_at) < before, ~known.exists())
            .order_by(col(row.first_sent_at), col(row.id))
            .limit(limit)
            .with_for_update(of=row, skip_locked=True)
        )
        return (await self.session.scalars(statement)).all()

    async def lines(self, number: str, after: int, limit: int) -> Sequence[FileLine]:
        """So many of a file's payouts, in order, after the one with this id."""
        line, payout = BankFileLineRow, PayoutRow
        statement = (
            select(
                col(line.payout), col(payout.number), col(payout.amount_minor), col(payout.currency), col(line.receiver)
            )
            .join(payout, col(payout.id) == col(line.payout))
            .where(col(line.file) == number, col(line.payout) > after)
            .order_by(col(line.payout))
            .limit(limit)
        )
        return [FileLine(*found) for found in await self.session.execute(statement)]
