"""Bills of platforms as they were taken, never changed, and what each line was matched with."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, func, select, text
from sqlmodel import AutoString, Field, col

from domain.access import Scope
from domain.problems import ConflictProblem, NotFoundProblem, Text
from domain.settlement.bills import BillKind, BillLine
from domain.settlement.reconciliation import FAMILIES, Family, Match, Theirs
from storage.accounts import AccountRow
from storage.bulk import fetch
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import visible
from storage.tables import Table, instant
from storage.unit_of_work import Repository

Source = Literal["platform", "file"]
State = Literal["taken", "waiting", "withdrawn"]
"""waiting: a file in place of the platform's own bill, until a second person agrees; withdrawn: kept, and compared with
nothing any more."""


class BillRow(Table, table=True):
    """One bill, of which there is one taken for each account, day and kind. digest: None for a day on which the
    platform says that nothing happened. reason: why a file takes the place of the platform's own. decided_by: who else
    let it in, or withdrew it; note: what they said. whole: the platform told of all that moved on that day, on
    whichever account of the merchant; nobody knows that of a file."""

    __tablename__ = "bills"
    id: int = Field(default=None, primary_key=True, sa_column_args=[Identity(always=True)])
    account: str = Field(sa_column_args=[ForeignKey("accounts.id")])
    day: date
    kind: BillKind = Field(sa_type=AutoString)
    source: Source = Field(sa_type=AutoString)
    digest: str | None = None
    rows: int
    in_minor: int = Field(sa_type=BigInteger)
    out_minor: int = Field(sa_type=BigInteger)
    fee_minor: int = Field(sa_type=BigInteger)
    taken_by: str
    taken_at: datetime = instant()
    state: State = Field(default="taken", sa_type=AutoString)
    reason: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = instant(optional=True)
    note: str | None = None
    whole: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})

    __table_args__ = (
        CheckConstraint("decided_by <> taken_by", name="second_person"),
        Index("uq_bills_taken", "account", "day", "kind", unique=True, postgresql_where=text("state = 'taken'")),
        Index("uq_bills_waiting", "account", "day", "kind", unique=True, postgresql_where=text("state = 'waiting'")),
        Index("ix_bills_account_day", "account", "day"),
        Index("ix_bills_day_id", "day", "id"),
    )


class BillLineRow(Table, table=True):
    """One line: see `domain.settlement.bills.BillLine`."""

    __tablename__ = "bill_lines"
    bill: int = Field(primary_key=True, sa_column_args=[ForeignKey("bills.id")])
    line: int = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    direction: str
    amount_minor: int = Field(sa_type=BigInteger)
    fee_minor: int = Field(sa_type=BigInteger)
    at: datetime = instant()
    number: str | None = None
    channel_number: str | None = None

    __table_args__ = (
        Index("ix_bill_lines_number", "number", postgresql_where=text("number IS NOT NULL")),
        Index("ix_bill_lines_channel_number", "channel_number", postgresql_where=text("channel_number IS NOT NULL")),
    )


class BillMatchRow(Table, table=True):
    """That a line and something of ours belong together. day: of the reconciliation that found it."""

    __tablename__ = "bill_matches"
    bill: int = Field(primary_key=True, sa_column_args=[ForeignKey("bills.id")])
    line: int = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    account: str
    day: date
    family: str
    shop: str = Field(primary_key=True)
    number: str = Field(primary_key=True)
    rule: str

    __table_args__ = (
        Index("ix_bill_matches_account_day", "account", "day"),
        Index("ix_bill_matches_number_family", "number", "family"),
        Index(
            "ix_bill_matches_payouts",
            "account",
            "number",
            postgresql_where=text("family IN ('transfer', 'share')"),
        ),
        Index(
            "ix_bill_matches_payouts_day",
            "account",
            "day",
            postgresql_where=text("family IN ('transfer', 'share')"),
        ),
    )


_MOST_LOOKED_AT = 5_000
"""Payouts by which it is judged whether bills tell of all."""
_MATCHES_AT_ONCE = 20_000
"""Written by one statement: its values are made ready while nothing else goes on in this process."""
_NEWEST = Order("bills", (BillRow.day, BillRow.id))


class Bills(Repository):
    """Taking bills, reading their lines, noting matches."""

    async def find(self, account: str, day: date, kind: BillKind, state: State = "taken") -> BillRow | None:
        """The bill of a day, if it was taken."""
        row = BillRow
        statement = select(row).where(
            col(row.account) == account, col(row.day) == day, col(row.kind) == kind, col(row.state) == state
        )
        return (await self.session.scalars(statement)).first()

    async def require(self, bill: int, scope: Scope) -> BillRow:
        """A bill of an account within a scope, locked. Raises NotFoundProblem."""
        statement = select(BillRow).join(AccountRow, col(AccountRow.id) == col(BillRow.account))
        statement = statement.where(visible(AccountRow, scope), col(BillRow.id) == bill)
        found = (await self.session.scalars(statement.with_for_update(of=BillRow))).first()
        if found is None:
            raise NotFoundProblem(Text(f"没有账单 {bill}", f"There is no bill {bill}"))
        return found

    async def take(self, row: BillRow, lines: Sequence[BillLine]) -> tuple[BillRow, bool]:
        """Keep a bill with its lines; the row, and whether it is new. One with the same digest is there already.

        Raises ConflictProblem when another one of that day was taken: bills are never revised.
        """
        known = await self.find(row.account, row.day, row.kind)
        if known is None and row.state == "waiting":
            known = await self.find(row.account, row.day, row.kind, "waiting")
        if known is not None:
            if known.digest == row.digest:
                return known, False
            raise ConflictProblem(
                Text(
                    f"{row.account} {row.day} 的账单已导入且内容不同；账单不会修订，请核对来源",
                    f"Another bill of {row.account} for {row.day} was taken; bills are never revised: check where this "
                    "one is from",
                ),
                digest=known.digest,
            )
        await self.insert(row)
        if lines:
            values = {
                "bill": row.id,
                "line": [each.line for each in lines],
                "kind": [each.kind for each in lines],
                "direction": [each.direction for each in lines],
                "amount": [each.amount_minor for each in lines],
                "fee": [each.fee_minor for each in lines],
                "at": [each.at for each in lines],
                "number": [each.number for each in lines],
                "channel": [each.channel_number for each in lines],
            }
            await fetch(self.work, _ADD_LINES, values)
        return row, True

    async def days(self, account: str, start: date, end: date) -> Mapping[BillKind, Collection[date]]:
        """The days of `[start, end]` that there are bills of, by kind."""
        row = BillRow
        statement = select(col(row.kind), col(row.day)).where(
            col(row.account) == account, col(row.day).between(start, end), col(row.state) == "taken"
        )
        found: dict[BillKind, set[date]] = {"trade": set(), "funds": set()}
        for kind, day in await self.session.execute(statement):
            found[kind].add(day)
        return found

    async def has_told_of_all(self, account: str, start: date, end: date) -> bool:
        """Whether the fund bills of a merchant tell of every WeChat Pay transfer that was made in `[start, end]`: there
        is a whole one of each day, and the payouts that were sent and paid in that time stand there by our number, all
        of them, at least one of them on these days."""
        values = {"account": account, "start": start, "end": end, "most": _MOST_LOOKED_AT}
        ((told,),) = await fetch(self.work, _TOLD_OF_ALL, values)
        return bool(told)

    async def last_days(self, account: str) -> Mapping[BillKind, date]:
        """The last day that there is a bill of, by kind."""
        row = BillRow
        statement = select(col(row.kind), func.max(col(row.day)).label("day"))
        statement = statement.where(col(row.account) == account, col(row.state) == "taken").group_by(col(row.kind))
        return {each.kind: each.day for each in await self.session.execute(statement)}

    async def lines(self, account: str, start: date, day: date) -> Sequence[Theirs]:
        """Lines of the days `[start, day]` that can be compared and that no other day's reconciliation has matched."""
        return lines_of(await fetch(self.work, _LINES, {"account": account, "start": start, "day": day}))

    async def transferred(self, accounts: Collection[str] | None, numbers: Collection[str]) -> int | None:
        """What left by the transfers with these numbers, less what came back; None when bills of these accounts (None:
        of any) have none."""
        values = {"accounts": None if accounts is None else list(accounts), "numbers": list(numbers)}
        ((net,),) = await fetch(self.work, _TRANSFERRED, values)
        return None if net is None else int(net)

    async def left_for(self, numbers: Collection[str]) -> set[str]:
        """Those of these payouts' numbers for which more left than came back, as the bills of any account tell."""
        return {number for (number,) in await fetch(self.work, _LEFT_FOR, {"numbers": list(numbers)})}

    async def payers(self, batch: UUID) -> Sequence[str]:
        """The account by which a batch pays its WeChat Pay transfers; all that could, where none was written down."""
        return [account for (account,) in await fetch(self.work, _PAYERS, {"batch": batch})]

    async def note(self, account: str, day: date, families: Collection[Family], matches: Sequence[Match]) -> None:
        """Write the matches that a day's reconciliation found, in place of those of these families that it found
        before."""
        await fetch(self.work, _FORGET, {"account": account, "day": day, "families": list(families)})
        rows = [(theirs, ours, match.rule) for match in matches for theirs in match.theirs for ours in match.ours]
        for start in range(0, len(rows), _MATCHES_AT_ONCE):
            some = rows[start : start + _MATCHES_AT_ONCE]
            values = {
                "account": account,
                "day": day,
                "bill": [theirs.bill for theirs, _, _ in some],
                "line": [theirs.line for theirs, _, _ in some],
                "kind": [theirs.kind for theirs, _, _ in some],
                "family": [ours.family for _, ours, _ in some],
                "shop": [ours.shop for _, ours, _ in some],
                "number": [ours.number for _, ours, _ in some],
                "rule": [rule for _, _, rule in some],
            }
            await fetch(self.work, _MATCH, values)

    async def matched_elsewhere(
        self, account: str, day: date, wanted: Collection[tuple[Family, str, str]]
    ) -> Collection[tuple[Family, str, str]]:
        """Which of these orders and refunds another day's reconciliation has matched: it compares their fees."""
        values = {"account": account, "day": day, "families": [family for family, _, _ in wanted]}
        values |= {"shops": [shop for _, shop, _ in wanted], "numbers": [number for _, _, number in wanted]}
        found = await fetch(self.work, _ELSEWHERE, values) if wanted else ()
        return {(family, shop, number) for family, shop, number in found}

    async def search(self, scope: Scope, page: PageRequest, *, account: str | None = None) -> Page[BillRow]:
        """Bills of accounts within a scope, the latest day first."""
        statement = select(BillRow).join(AccountRow, col(AccountRow.id) == col(BillRow.account))
        statement = statement.where(visible(AccountRow, scope))
        if account is not None:
            statement = statement.where(col(BillRow.account) == account)
        return await paginate(self.session, statement, _NEWEST, page, lambda row: row)


def lines_of(rows: Sequence[tuple[Any, ...]]) -> Sequence[Theirs]:
    """Lines as they are compared."""
    found = []
    for day, bill, line, kind, direction, amount, at, number, channel, fee in rows:
        family = FAMILIES.get(kind, "fee" if kind == "fee" else "discount")
        found.append(Theirs(day, bill, line, kind, family, direction, amount, at, number, channel, fee))
    return found


_ADD_LINES = """
    INSERT INTO bill_lines (bill, line, kind, direction, amount_minor, fee_minor, at, number, channel_number)
    SELECT %(bill)b::integer, line, kind, direction, amount, fee, at, number, channel
    FROM unnest(
        %(line)b::integer[], %(kind)b::text[], %(direction)b::text[], %(amount)b::bigint[], %(fee)b::bigint[],
        %(at)b::timestamptz[], %(number)b::text[], %(channel)b::text[]
    ) AS t(line, kind, direction, amount, fee, at, number, channel)
"""
_LINES = """
    SELECT b.day, l.bill, l.line, l.kind, l.direction, l.amount_minor, l.at, l.number, l.channel_number, l.fee_minor
    FROM bills b JOIN bill_lines l ON l.bill = b.id
    WHERE b.account = %(account)b AND b.state = 'taken'
        AND b.day BETWEEN %(start)b::date AND %(day)b::date AND l.amount_minor > 0
        AND (CASE b.kind WHEN 'funds' THEN l.kind IN ('transfer', 'share') ELSE l.kind <> 'other' END)
        AND NOT EXISTS (
            SELECT FROM bill_matches m
            WHERE m.bill = l.bill AND m.line = l.line AND m.kind = l.kind AND m.day <> %(day)b::date
        )
"""
_TRANSFERRED = """
    SELECT sum(CASE l.direction WHEN 'out' THEN l.amount_minor ELSE -l.amount_minor END)
    FROM bill_lines l JOIN bills b ON b.id = l.bill
    WHERE l.kind = 'transfer' AND b.state = 'taken'
        AND (%(accounts)b::text[] IS NULL OR b.account = ANY(%(accounts)b::text[]))
        AND (l.number = ANY(%(numbers)b::text[]) OR l.channel_number = ANY(%(numbers)b::text[]))
"""
_LEFT_FOR = """
    SELECT named.number FROM unnest(%(numbers)b::text[]) AS named (number)
    JOIN bill_lines l ON l.number = named.number AND l.kind = 'transfer'
    JOIN bills b ON b.id = l.bill AND b.state = 'taken'
    GROUP BY named.number
    HAVING sum(CASE l.direction WHEN 'out' THEN l.amount_minor ELSE -l.amount_minor END) > 0
"""
_TOLD_OF_ALL = """
    WITH days AS (
        SELECT count(*) FROM bills
        WHERE account = %(account)b::text AND kind = 'funds' AND state = 'taken' AND whole
            AND day BETWEEN %(start)b::date AND %(end)b::date
    ), known AS (
        SELECT p.number FROM payouts p JOIN payout_batches b ON b.id = p.batch
        WHERE p.rail = 'wechat-pay' AND p.state = 'paid'
            AND p.first_sent_at >= %(start)b::date::timestamp AT TIME ZONE 'Asia/Shanghai'
            AND p.ended_at < (%(end)b::date + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
            AND coalesce(b.terms->'payers'->'wechat-pay'->>'account', %(account)b::text) = %(account)b::text
        ORDER BY p.first_sent_at LIMIT %(most)b::integer
    ), found AS (
        SELECT known.number, (
            SELECT min(b.day) FROM bill_lines l JOIN bills b ON b.id = l.bill AND b.state = 'taken'
            WHERE l.number = known.number AND l.kind = 'transfer' AND b.account = %(account)b::text
        ) AS day FROM known
    )
    SELECT (SELECT count FROM days) = %(end)b::date - %(start)b::date + 1
        AND coalesce(bool_and(day IS NOT NULL) AND bool_or(day <= %(end)b::date), false)
    FROM found
"""
_PAYERS = """
    SELECT a.id FROM accounts a JOIN payout_batches b ON b.id = %(batch)b::uuid
    WHERE a.platform = 'wechat_pay' AND a.id = coalesce(b.terms->'payers'->'wechat-pay'->>'account', a.id)
"""
_ELSEWHERE = """
    SELECT DISTINCT m.family, m.shop, m.number
    FROM unnest(%(families)b::text[], %(shops)b::text[], %(numbers)b::text[]) AS wanted(family, shop, number)
    JOIN bill_matches m ON m.number = wanted.number AND m.shop = wanted.shop AND m.family = wanted.family
    WHERE m.account = %(account)b AND m.day <> %(day)b::date
"""
_FORGET = """
    DELETE FROM bill_matches
    WHERE account = %(account)b AND day = %(day)b::date AND family = ANY(%(families)b::text[])
"""
_MATCH = """
    INSERT INTO bill_matches (bill, line, kind, account, day, family, shop, number, rule)
    SELECT bill, line, kind, %(account)b, %(day)b::date, family, shop, number, rule
    FROM unnest(
        %(bill)b::integer[], %(line)b::integer[], %(kind)b::text[], %(family)b::text[], %(shop)b::text[],
        %(number)b::text[], %(rule)b::text[]
    ) AS t(bill, line, kind, family, shop, number, rule)
"""
