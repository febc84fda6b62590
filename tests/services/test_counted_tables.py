"""What a settlement and a batch wrote is counted for the server's planner at once, and not when it gets round to it."""

from sqlalchemy import text

from storage.unit_of_work import UnitOfWork
from tests.services.cashier import Cashier, cashier, office
from tests.services.test_selling import an_order

__all__ = ["cashier", "office"]
_COUNTED = """
    SELECT relname, pg_stat_get_analyze_count(oid) FROM pg_class
    WHERE relname IN ('sales', 'settlement_members', 'settlement_earnings', 'transfers', 'payouts')
"""


async def test_each_step_leaves_its_tables_counted(cashier: Cashier) -> None:
    await cashier.office.told(an_order(channel="P1"))
    assert set((await _counted(cashier)).values()) == {0}, "the server does not count by itself yet"
    await cashier.settled()
    assert set((await _counted(cashier)).values()) == {1}
    batch = (await cashier.planned()).batch.id
    assert (await _counted(cashier))["payouts"] == 2
    await cashier.reserved(batch)
    assert (await _counted(cashier))["transfers"] == 3
    async with UnitOfWork(cashier.office.database) as work:
        told = await work.session.scalars(text("SELECT DISTINCT inherited FROM pg_stats WHERE tablename = 'sales'"))
        assert told.all() == [True], "of all months together"


async def _counted(cashier: Cashier) -> dict[str, int]:
    """How often each table was counted by somebody."""
    async with UnitOfWork(cashier.office.database) as work:
        rows = (await work.session.execute(text(_COUNTED))).all()
        return {row[0]: row[1] for row in rows}
