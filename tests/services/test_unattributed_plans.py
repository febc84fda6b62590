"""However many orders there are, which of them are nobody's is found by index."""

from collections import Counter
from datetime import date

import psycopg
import pytest
from sqlalchemy import text

from domain.settlement.attribution import Basis
from storage.unattributed import MOST, UnattributedOrders
from storage.unit_of_work import UnitOfWork
from tests.services.test_calculations import Office, office

__all__ = ["office"]
SHOPS, ORDERS = 30, 60_000
START, END = date(2026, 5, 1), date(2026, 6, 1)
_FILL = """
    INSERT INTO orders (account_id, order_id, version, version_tie, detail_version, detail_version_tie, status,
        currency, paid_minor, paid_at, refunded_minor, told_at, recorded_at, coupon_ids)
    SELECT 'generic/s' || n % :shops, 'E' || n, 1, 0, 1, 0, 'paid', 'CNY', n,
        CAST('2026-04-01T00:00:00+08:00' AS timestamptz) + n * interval '61 days' / :orders, 0, now(), now(), '{}'
    FROM generate_series(0, :orders - 1) n;
    INSERT INTO sold_orders (order_key, is_first, paid_on, completed_on, counted_at)
    SELECT id, false, (paid_at AT TIME ZONE 'Asia/Shanghai')::date, (paid_at AT TIME ZONE 'Asia/Shanghai')::date, now()
    FROM orders;
    INSERT INTO attributions (order_key, role, turn, payee, share, way, evidence, rules, decided_at)
    SELECT id, 'promoter', 0, (SELECT min(id) FROM payees), 1, 'channel', 'P1', '1', now() FROM orders WHERE id % 3 > 0
"""
_READ = """
    SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS read FROM pg_stat_xact_user_tables
    WHERE relname IN ('orders', 'sold_orders', 'attributions')
"""


@pytest.mark.parametrize("basis", ["paid", "completed"])
async def test_what_is_read_does_not_grow_with_the_orders(office: Office, database_url: str, basis: Basis) -> None:
    async with UnitOfWork(office.database) as work:
        for statement in map(str.strip, _FILL.split(";")):
            values = {"shops": SHOPS, "orders": ORDERS}
            await work.session.execute(
                text(statement), {each: values[each] for each in values if f":{each}" in statement}
            )
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("ANALYZE orders, sold_orders, attributions")
    async with UnitOfWork(office.database) as work:
        already = await _read(work)
        (found,) = await UnattributedOrders(work).of(["promoter"], basis, START, END, 5)
        read = await _read(work) - already
    assert (found.looked_at, found.is_all) == (MOST // SHOPS * SHOPS, False)
    assert found.orders == pytest.approx(MOST / 3, rel=0.05)
    assert max(read.values()) < 2 * MOST, read


async def _read(work: UnitOfWork) -> Counter[str]:
    """How many rows this connection has lately read of each table."""
    return Counter({each.relname: each.read for each in await work.session.execute(text(_READ))})
