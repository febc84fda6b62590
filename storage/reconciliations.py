"""What came of reconciling each day, and days that have to be looked at again."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import ForeignKey, func, select
from sqlalchemy import String as SqlString
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import Field, col

from domain.settlement.bills import BillKind
from storage.bills import BillRow
from storage.bulk import fetch
from storage.tables import Table, instant
from storage.unit_of_work import Repository


class ReconciliationRow(Table, table=True):
    """What came of reconciling a day. kinds: of the day's bills that were looked at. digest: of all matches and breaks.
    not_compared: families that have nothing here to be compared with, all or some of it, or whose bill is not there."""

    __tablename__ = "reconciliations"
    account: str = Field(primary_key=True, sa_column_args=[ForeignKey("accounts.id")])
    day: date = Field(primary_key=True)
    rows: int
    matched: int
    breaks: int
    digest: str
    kinds: list[BillKind] = Field(sa_type=ARRAY(SqlString), nullable=False)
    not_compared: list[str] = Field(sa_type=ARRAY(SqlString), nullable=False)
    done_at: datetime = instant()


class Known(NamedTuple):
    """What there is of some days of an account: kinds of bills by day, kinds that were reconciled by day, days on which
    a line was matched with a payout that has ended unpaid since."""

    billed: Mapping[date, Collection[BillKind]]
    reconciled: Mapping[date, Collection[BillKind]]
    ended_otherwise: Collection[date]


class Reconciliations(Repository):
    """By account and day."""

    async def find(self, account: str, day: date) -> ReconciliationRow | None:
        """What came of a day, if it was reconciled."""
        return await self.session.get(ReconciliationRow, (account, day))

    async def conclude(self, row: ReconciliationRow) -> None:
        """Note what came of a day."""
        names = ("rows", "matched", "breaks", "digest", "kinds", "not_compared", "done_at")
        told = {name: getattr(row, name) for name in names}
        statement = insert(ReconciliationRow).values(account=row.account, day=row.day, **told)
        await self.session.execute(statement.on_conflict_do_update(index_elements=["account", "day"], set_=told))

    async def known(self, account: str, start: date, end: date) -> Known:
        """What there is of the days `[start, end]`."""
        bills, row = BillRow, ReconciliationRow
        billed: dict[date, set[BillKind]] = {}
        statement = select(col(bills.day), col(bills.kind)).where(
            col(bills.account) == account, col(bills.day).between(start, end), col(bills.state) == "taken"
        )
        for day, kind in await self.session.execute(statement):
            billed.setdefault(day, set()).add(kind)
        done = select(col(row.day), col(row.kinds)).where(col(row.account) == account, col(row.day).between(start, end))
        reconciled: dict[date, Collection[BillKind]] = {
            day: frozenset(kinds) for day, kinds in await self.session.execute(done)
        }
        values = {"account": account, "start": start, "end": end}
        otherwise = [day for (day,) in await fetch(self.work, _ENDED_OTHERWISE_WITHIN, values)]
        return Known(billed, reconciled, otherwise)

    async def ended_otherwise(self, account: str) -> Sequence[date]:
        """All days whose reconciliation matched a payout that has ended unpaid since, the oldest first."""
        return [day for (day,) in await fetch(self.work, _ENDED_OTHERWISE, {"account": account})]

    async def first_days(self) -> Mapping[str, date]:
        """The first day that there is a bill of, by account."""
        row = BillRow
        statement = select(col(row.account), func.min(col(row.day)).label("day")).where(col(row.state) == "taken")
        statement = statement.group_by(col(row.account))
        rows = (await self.session.execute(statement)).all()
        return {row.account: row.day for row in rows}


# What is matched although nothing moved on balance stays so.
_ENDED_OTHERWISE_ON = """
    SELECT m.day FROM bill_matches m JOIN payouts p ON p.number = m.number
    WHERE m.account = %(account)b AND m.family = 'transfer' AND m.rule <> 'net'
        AND p.state IN ('failed', 'cancelled') AND {matched}
    UNION
    SELECT m.day FROM bill_matches m JOIN payout_shares s ON s.out_order_no = m.number
    WHERE m.account = %(account)b AND m.family = 'share' AND m.rule <> 'net' AND s.state = 'failed' AND {matched}
    UNION
    SELECT b.day FROM breaks b JOIN payouts p ON p.number = b.number
    WHERE b.account = %(account)b AND b.stands AND b.family = 'transfer' AND (
        (b.reason = 'returned' AND p.state = 'failed')
        OR (b.kind = 'state' AND p.state = 'paid')
    ) AND {broken}
    ORDER BY day
"""
_ENDED_OTHERWISE = _ENDED_OTHERWISE_ON.format(matched="true", broken="true")
_WITHIN = "day BETWEEN %(start)b::date AND %(end)b::date"
_ENDED_OTHERWISE_WITHIN = _ENDED_OTHERWISE_ON.format(matched=f"m.{_WITHIN}", broken=f"b.{_WITHIN}")
