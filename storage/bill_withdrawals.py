"""Undoing what a bill was compared with, when it is withdrawn."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from domain.settlement.reconciliation import FEES, Family
from storage.bills import BillRow
from storage.breaks import BreakRow
from storage.bulk import fetch
from storage.unit_of_work import Repository

Name = tuple[Family, str, str]
"""Something of ours: family, shop, number."""


class BillWithdrawals(Repository):
    """Of one bill, whose account is locked."""

    async def matched(self, bill: BillRow) -> Sequence[Name]:
        """What was matched with its lines; of an order or refund its fee as well."""
        names = {(family, shop, number) for family, shop, number in await fetch(self.work, _MATCHED, {"bill": bill.id})}
        fees: set[Name] = {(FEES[family], shop, number) for family, shop, number in names if family in FEES}
        return sorted(names | fees)

    async def standing(self, bill: BillRow, names: Sequence[Name]) -> Sequence[UUID]:
        """The breaks that stand because of its lines, or of what was matched with them."""
        values = {"bill": bill.id, "account": bill.account, **_columns(names)}
        return [each for (each,) in await fetch(self.work, _STANDING, values)]

    async def undo(self, bill: BillRow, names: Sequence[Name], breaks: Sequence[BreakRow]) -> Sequence[date]:
        """Forget its matches, with those of other lines that were matched together with its own, and what was left
        over; the days that have to be reconciled again."""
        lines = [line for each in breaks for line in each.lines]
        broken: Sequence[Name] = [(each.family, each.shop or "", each.number or "") for each in breaks]
        values = {"account": bill.account, "bill": bill.id, **_columns(names)}
        bills = sorted({bill.id, *(number for number, _, _ in lines)})
        days = {day for (day,) in await fetch(self.work, _DAYS, {**values, "bills": bills})}
        left = {
            **_columns([*names, *broken]),
            "bills": [number for number, _, _ in lines],
            "lines": [line for _, line, _ in lines],
            "kinds": [kind for _, _, kind in lines],
        }
        await fetch(self.work, _FORGET_LEFTOVERS, {**values, **left})
        await fetch(self.work, _FORGET_MATCHES, values)
        await fetch(self.work, _FORGET_RECONCILIATIONS, {"account": bill.account, "days": sorted(days)})
        return sorted(days)


def _columns(names: Sequence[Name]) -> dict[str, list[str]]:
    return {
        "families": [family for family, _, _ in names],
        "shops": [shop for _, shop, _ in names],
        "numbers": [number for _, _, number in names],
    }


_MATCHED = "SELECT DISTINCT family, shop, number FROM bill_matches WHERE bill = %(bill)b"
_STANDING = """
    SELECT b.id FROM breaks b
    WHERE b.account = %(account)b AND b.stands AND (
        EXISTS (SELECT FROM jsonb_array_elements(b.lines) one WHERE (one->>0)::integer = %(bill)b)
        OR (b.family, b.shop, b.number) IN (
            SELECT family, shop, number
            FROM unnest(%(families)b::text[], %(shops)b::text[], %(numbers)b::text[]) AS t(family, shop, number)
        )
    )
"""
_DAYS = """
    SELECT m.day FROM bill_matches m
    JOIN unnest(%(families)b::text[], %(shops)b::text[], %(numbers)b::text[]) AS t(family, shop, number)
        ON t.family = m.family AND t.shop = m.shop AND t.number = m.number
    WHERE m.account = %(account)b
    UNION
    SELECT b.day FROM bill_matches m
    JOIN unnest(%(families)b::text[], %(shops)b::text[], %(numbers)b::text[]) AS t(family, shop, number)
        ON t.family = m.family AND t.shop = m.shop AND t.number = m.number
    JOIN bills b ON b.id = m.bill
    WHERE m.account = %(account)b
    UNION
    SELECT day FROM bills WHERE id = ANY(%(bills)b::integer[])
"""
_FORGET_LEFTOVERS = """
    DELETE FROM bill_leftovers f
    WHERE f.account = %(account)b AND (
        f.bill = %(bill)b
        OR (f.bill, f.line, f.kind) IN (
            SELECT bill, line, kind
            FROM unnest(%(bills)b::integer[], %(lines)b::integer[], %(kinds)b::text[]) AS t(bill, line, kind)
        )
        OR f.bill = 0 AND (f.family, f.shop, f.number) IN (
            SELECT family, shop, number
            FROM unnest(%(families)b::text[], %(shops)b::text[], %(numbers)b::text[]) AS t(family, shop, number)
        )
    )
"""
_FORGET_MATCHES = """
    DELETE FROM bill_matches m
    USING unnest(%(families)b::text[], %(shops)b::text[], %(numbers)b::text[]) AS t(family, shop, number)
    WHERE m.account = %(account)b AND m.family = t.family AND m.shop = t.shop AND m.number = t.number
"""
_FORGET_RECONCILIATIONS = """
    DELETE FROM reconciliations WHERE account = %(account)b AND day = ANY(%(days)b::date[])
"""
