"""What bills and books have left over, kept at reconciling beside the breaks: both have to come to the same."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import BigInteger, Index
from sqlmodel import AutoString, Field

from domain.settlement.leftovers import Leftover
from domain.settlement.reconciliation import FEES, Family, Match, Theirs
from storage.bills import lines_of
from storage.bulk import fetch
from storage.tables import Table
from storage.unit_of_work import Repository


class LeftoverRow(Table, table=True):
    """See `domain.settlement.leftovers.Leftover`. Of ours `bill` and `line` are 0; of a line shop and number are
    empty."""

    __tablename__ = "bill_leftovers"
    account: str = Field(primary_key=True)
    family: Family = Field(primary_key=True, sa_type=AutoString)
    shop: str = Field(primary_key=True)
    number: str = Field(primary_key=True)
    bill: int = Field(primary_key=True)
    line: int = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    day: date
    difference_minor: int = Field(sa_type=BigInteger)

    __table_args__ = (Index("ix_bill_leftovers_day", "day"),)


class Days(NamedTuple):
    """Which reconciliation it is: of an account's `day`, that looks at the bills of `[start, day]`."""

    account: str
    start: date
    day: date


class Looked(NamedTuple):
    """What a reconciliation compared: the days that there are bills of, by family."""

    days: Mapping[Family, Collection[date]]

    @property
    def families(self) -> Collection[Family]:
        return self.days.keys()

    def has(self, family: Family, day: date) -> bool:
        return day in self.days.get(family, ())


class Leftovers(Repository):
    """By account."""

    async def lines(self, of: Days, numbers: Collection[str]) -> Sequence[Theirs]:
        """Lines of other days with one of these numbers that nothing was matched with, and those that this day's
        reconciliation matched before."""
        return lines_of(await fetch(self.work, _LINES, {**of._asdict(), "numbers": list(numbers)}))

    async def add(self, account: str, left: Sequence[Leftover]) -> None:
        """Write what is left over besides bills."""
        columns = {f"of_{name}": [getattr(each, name) for each in left] for name in Leftover._fields}
        await fetch(self.work, _KEEP, {"account": account, **columns})

    async def settle(self, account: str, names: Sequence[str]) -> None:
        """Nothing is left over besides bills any more of what stands under these names as its kind."""
        await fetch(self.work, _SETTLE, {"account": account, "names": list(names)})

    async def keep(
        self, of: Days, looked: Looked, left: Sequence[Leftover], matches: Sequence[Match], old: Sequence[Theirs]
    ) -> None:
        """Put what is left over now in place of what was, of everything that was looked at. old: lines of other
        days."""
        old = [each for each in old if each.family in looked.families]
        pairs = [(family, day) for family, days in looked.days.items() for day in days]
        names = {(one.family, one.shop, one.number) for match in matches for one in match.ours}
        names |= {(FEES[family], shop, number) for family, shop, number in names if family in FEES}
        names |= {(each.family, each.shop, each.number) for each in left if not each.bill}
        names = {each for each in names if each[0] in looked.families}
        values = {
            **of._asdict(),
            "compared": list(looked.families),
            "looked_families": [family for family, _ in pairs],
            "looked_days": [day for _, day in pairs],
            "families": [family for family, _, _ in names],
            "shops": [shop for _, shop, _ in names],
            "numbers": [number for _, _, number in names],
            "bills": [each.bill for each in old],
            "lines": [each.line for each in old],
            "kinds": [each.kind for each in old],
        }
        for statement in (_FORGET_LINES, _FORGET_OLD_LINES, _FORGET_NAMED, _FORGET_OURS):
            await fetch(self.work, statement, values)
        await self.add(of.account, left)


_SETTLE = "DELETE FROM bill_leftovers WHERE account = %(account)b AND kind = ANY(%(names)b::text[]) AND bill = 0"
_LINES = """
    SELECT b.day, l.bill, l.line, l.kind, l.direction, l.amount_minor, l.at, l.number, l.channel_number, l.fee_minor
    FROM (
        SELECT bill, line, kind FROM bill_leftovers WHERE account = %(account)b AND bill <> 0
        UNION
        SELECT bill, line, kind FROM bill_matches WHERE account = %(account)b AND day = %(day)b::date
    ) f
    JOIN bills b ON b.id = f.bill AND b.state = 'taken'
    JOIN bill_lines l ON l.bill = f.bill AND l.line = f.line AND l.kind = f.kind
    WHERE b.day NOT BETWEEN %(start)b::date AND %(day)b::date
        AND (l.number = ANY(%(numbers)b::text[]) OR l.channel_number = ANY(%(numbers)b::text[]))
"""
_FORGET_LINES = """
    DELETE FROM bill_leftovers f USING bills b
    WHERE f.account = %(account)b AND b.id = f.bill AND b.day BETWEEN %(start)b::date AND %(day)b::date
        AND f.family = ANY(%(compared)b::text[])
"""
_FORGET_OLD_LINES = """
    DELETE FROM bill_leftovers f
    USING unnest(%(bills)b::integer[], %(lines)b::integer[], %(kinds)b::text[]) AS old(bill, line, kind)
    WHERE f.account = %(account)b AND f.bill = old.bill AND f.line = old.line AND f.kind = old.kind
"""
_FORGET_NAMED = """
    DELETE FROM bill_leftovers f
    USING unnest(%(families)b::text[], %(shops)b::text[], %(numbers)b::text[]) AS named(family, shop, number)
    WHERE f.account = %(account)b AND f.bill = 0
        AND f.family = named.family AND f.shop = named.shop AND f.number = named.number
"""
# The fee of an order or refund is looked at with it, by the reconciliation that matched it.
_FORGET_OURS = """
    DELETE FROM bill_leftovers f
    WHERE f.account = %(account)b AND f.bill = 0 AND f.day BETWEEN %(start)b::date AND %(day)b::date
        AND (f.family, f.day) IN (
            SELECT family, day FROM unnest(%(looked_families)b::text[], %(looked_days)b::date[]) AS t(family, day)
        )
        AND NOT (f.family IN ('fee', 'refund-fee') AND EXISTS (
            SELECT FROM bill_matches m
            WHERE m.account = f.account AND m.family = CASE f.family WHEN 'fee' THEN 'payment' ELSE 'refund' END
                AND m.shop = f.shop AND m.number = f.number
                AND m.day <> %(day)b::date
        ))
"""
_KEEP = """
    INSERT INTO bill_leftovers (account, family, day, difference_minor, shop, number, bill, line, kind)
    SELECT %(account)b, family, day, difference, shop, number, bill, line, kind
    FROM unnest(
        %(of_family)b::text[], %(of_day)b::date[], %(of_difference_minor)b::bigint[], %(of_shop)b::text[],
        %(of_number)b::text[], %(of_bill)b::integer[], %(of_line)b::integer[], %(of_kind)b::text[]
    ) AS t(family, day, difference, shop, number, bill, line, kind)
"""
