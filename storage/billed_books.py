"""What our books hold that a platform bills: orders paid, refunds, payouts.

Expected on a bill is what became money on days that there are bills of; the rest is found by the numbers of a bill's
lines, whatever it stands at. All in yuan.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any, LiteralString

from domain.settlement.bill_extras import KnownOrder
from domain.settlement.bills import SHANGHAI, Direction, day_of
from domain.settlement.reconciliation import Family, Ours, Standing
from storage.bulk import fetch
from storage.unit_of_work import Repository


class BilledBooks(Repository):
    """Read only. account, day: whose reconciliation asks; what another day's has matched counts as taken. bank: whether
    the account's transfers are the payouts by bank."""

    async def expected(
        self, family: Family, account: str, shops: Collection[str], day: date, of: date, *, bank: bool
    ) -> list[Ours]:
        """What became money on the Shanghai day `of`, without what another day's reconciliation has matched."""
        start = datetime(of.year, of.month, of.day, tzinfo=SHANGHAI)
        values = {
            "account": account,
            "shops": list(shops),
            "day": day,
            "start": start,
            "end": start + timedelta(days=1),
        }
        statement = _BANK_EXPECTED if bank and family == "transfer" else _EXPECTED[family]
        rows = await fetch(self.work, statement, values)
        return [_ours(family, row, expected=True) for row in rows if not row[-1]]

    async def named(
        self, family: Family, account: str, shops: Collection[str], day: date, numbers: Collection[str], *, bank: bool
    ) -> list[Ours]:
        """What has one of these numbers, ours or the rail's."""
        if not numbers:
            return []
        values = {"account": account, "shops": list(shops), "day": day, "numbers": list(numbers)}
        statement = _BANK_NAMED if bank and family == "transfer" else _NAMED[family]
        return [_ours(family, row, expected=False) for row in await fetch(self.work, statement, values)]

    async def discounts(self, shops: Collection[str], numbers: Collection[str]) -> Sequence[KnownOrder]:
        """The orders with these numbers."""
        if not numbers:
            return []
        values = {"shops": list(shops), "numbers": list(numbers)}
        return [KnownOrder(*row) for row in await fetch(self.work, _DISCOUNTS, values)]

    async def known(self, shops: Collection[str], numbers: Collection[str]) -> Collection[str]:
        """Which of these numbers are orders or refunds of these shops."""
        values = {"shops": list(shops), "numbers": list(numbers)}
        return {number for (number,) in await fetch(self.work, _KNOWN, values)} if numbers else set()


_DIRECTIONS: dict[Family, Direction] = {"payment": "in", "refund": "out", "transfer": "out", "share": "out"}


def _ours(family: Family, row: tuple[Any, ...], *, expected: bool) -> Ours:
    shop, number, amount, at, standing, channel, group, taken = row
    state: Standing = standing
    return Ours(
        family,
        shop,
        number,
        amount,
        _DIRECTIONS[family],
        day_of(at) if at is not None else None,
        at,
        state,
        channel,
        group,
        expected,
        taken,
    )


_ORDER_TAKEN: LiteralString = """
    EXISTS (
        SELECT FROM bill_matches m
        WHERE m.number = o.order_id AND m.family = 'payment' AND m.account = %(account)b AND m.shop = o.account_id
            AND m.day <> %(day)b::date
    )
"""
_REFUND_TAKEN: LiteralString = """
    EXISTS (
        SELECT FROM bill_matches m
        WHERE m.number = r.refund_id AND m.family = 'refund' AND m.account = %(account)b AND m.shop = r.account_id
            AND m.day <> %(day)b::date
    )
"""
_PAYOUT_TAKEN: LiteralString = """
    EXISTS (
        SELECT FROM bill_matches m
        WHERE m.number = p.number AND m.family = 'transfer' AND m.account = %(account)b AND m.day <> %(day)b::date
    )
"""
_ORDER: LiteralString = (
    """
    SELECT o.account_id, o.order_id, coalesce(o.paid_minor, 0), o.paid_at,
        CASE WHEN o.paid_at IS NULL THEN 'over' ELSE 'done' END, NULL::text, o.parent_order_id,
    """
    + _ORDER_TAKEN
    + "FROM orders o "
)
_REFUND: LiteralString = (
    """
    SELECT r.account_id, r.refund_id, coalesce(r.amount_minor, 0),
        CASE WHEN r.status = 'refunded' THEN coalesce(r.refunded_at, r.told_at) END,
        CASE WHEN r.status = 'refunded' THEN 'done' ELSE 'over' END, NULL::text, NULL::text,
    """
    + _REFUND_TAKEN
    + "FROM refunds r LEFT JOIN orders o ON o.account_id = r.account_id AND o.order_id = r.order_id "
)
_PAYOUT: LiteralString = (
    """
    SELECT b.scheme, p.number, p.amount_minor, CASE WHEN p.state = 'paid' THEN p.ended_at END,
        CASE p.state WHEN 'paid' THEN 'done' WHEN 'failed' THEN 'over' WHEN 'cancelled' THEN 'over' ELSE 'open' END,
        p.rail_number, NULL::text,
    """
    + _PAYOUT_TAKEN
    + "FROM payouts p JOIN payout_batches b ON b.id = p.batch "
)
_SHARE: LiteralString = """
    SELECT b.scheme, s.out_order_no, s.amount_minor, CASE WHEN s.state = 'shared' THEN s.ended_at END,
        CASE s.state WHEN 'shared' THEN 'done' WHEN 'failed' THEN 'over' ELSE 'open' END, s.sharing_id, NULL::text,
        EXISTS (
            SELECT FROM bill_matches m
            WHERE m.number = s.out_order_no AND m.family = 'share' AND m.account = %(account)b
                AND m.day <> %(day)b::date
        )
    FROM payout_shares s JOIN share_plans sp ON sp.payout = s.payout
    JOIN payouts p ON p.id = s.payout JOIN payout_batches b ON b.id = p.batch
"""
_BANK_PAYOUT: LiteralString = "p.rail = 'bank' AND p.currency = 'CNY'"
_OWN_PAYOUT: LiteralString = """
    p.rail = 'wechat-pay' AND p.currency = 'CNY' AND b.terms->'payers'->'wechat-pay'->>'account' = %(account)b::text
"""
# Of a batch that nobody wrote a merchant down for, whoever's bill has it is the one.
_OWN_OR_NOBODYS_PAYOUT: LiteralString = """
    p.rail = 'wechat-pay' AND p.currency = 'CNY'
        AND coalesce(b.terms->'payers'->'wechat-pay'->>'account', %(account)b::text) = %(account)b::text
"""
_EXPECTED: dict[Family, LiteralString] = {
    # Who was cut into several orders is billed as one, or as the parts: not as both.
    "payment": _ORDER
    + """
    WHERE o.account_id = ANY(%(shops)b::text[]) AND o.currency = 'CNY' AND o.paid_minor > 0
        AND o.paid_at >= %(start)b::timestamptz AND o.paid_at < %(end)b::timestamptz
        AND NOT EXISTS (
            SELECT FROM orders p
            WHERE p.account_id = o.account_id AND p.order_id = o.parent_order_id AND p.order_id <> o.order_id
                AND p.paid_minor > 0
        )
    """,
    "refund": _REFUND
    + """
    WHERE r.account_id = ANY(%(shops)b::text[]) AND coalesce(r.currency, o.currency, 'CNY') = 'CNY'
        AND r.status = 'refunded' AND r.amount_minor > 0
        AND r.refunded_at >= %(start)b::timestamptz AND r.refunded_at < %(end)b::timestamptz
    """,
    "transfer": _PAYOUT
    + "WHERE p.state = 'paid' AND p.ended_at >= %(start)b::timestamptz AND p.ended_at < %(end)b::timestamptz AND"
    + _OWN_PAYOUT,
    "share": _SHARE
    + """
    WHERE s.state = 'shared' AND sp.merchant = %(account)b
        AND s.ended_at >= %(start)b::timestamptz AND s.ended_at < %(end)b::timestamptz
    """,
}
_BANK_EXPECTED: LiteralString = (
    _PAYOUT
    + "WHERE p.state = 'paid' AND p.ended_at >= %(start)b::timestamptz AND p.ended_at < %(end)b::timestamptz AND "
    + _BANK_PAYOUT
)
_NAMED: dict[Family, LiteralString] = {
    "payment": _ORDER
    + """
    WHERE o.account_id = ANY(%(shops)b::text[]) AND o.order_id = ANY(%(numbers)b::text[]) AND o.currency = 'CNY'
    """,
    "refund": _REFUND
    + """
    WHERE r.account_id = ANY(%(shops)b::text[]) AND r.refund_id = ANY(%(numbers)b::text[])
        AND coalesce(r.currency, o.currency, 'CNY') = 'CNY'
    """,
    "transfer": _PAYOUT
    + "WHERE (p.number = ANY(%(numbers)b::text[]) OR p.rail_number = ANY(%(numbers)b::text[])) AND"
    + _OWN_OR_NOBODYS_PAYOUT,
    "share": _SHARE
    + """
    WHERE (s.out_order_no = ANY(%(numbers)b::text[]) OR s.sharing_id = ANY(%(numbers)b::text[]))
        AND sp.merchant = %(account)b
    """,
}
_BANK_NAMED: LiteralString = (
    _PAYOUT
    + "WHERE (p.number = ANY(%(numbers)b::text[]) OR p.rail_number = ANY(%(numbers)b::text[])) AND "
    + _BANK_PAYOUT
)
_KNOWN = """
    SELECT order_id FROM orders WHERE account_id = ANY(%(shops)b::text[]) AND order_id = ANY(%(numbers)b::text[])
    UNION
    SELECT refund_id FROM refunds WHERE account_id = ANY(%(shops)b::text[]) AND refund_id = ANY(%(numbers)b::text[])
"""
_DISCOUNTS = """
    SELECT account_id, order_id, discount_minor FROM orders
    WHERE account_id = ANY(%(shops)b::text[]) AND order_id = ANY(%(numbers)b::text[])
"""
