"""A report that is cut by order lines is one statement of a fixed size, however many settlements it is of."""

from datetime import date, timedelta
from uuid import uuid4

import yaml

from domain.settlement.report_kinds import REPORTS
from domain.settlement.reports import Days
from domain.settlement.scheme_reading import scheme_of
from storage.calculation_tables import CalculationRow
from storage.engine import Database
from storage.report_cuts import cut_by
from storage.report_frames import BookedCalculation, Kept, ReportFrame
from storage.report_rows import ReportRows
from storage.sale_sums import SaleSums
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock

_SCHEME = """
scheme:
  name: daily
  version: 1.0.0
  title: 日结
  cycle: day
  counts: paid
  from: 2026-01-01
  payees: { roles: [promoter, city] }
  earns:
    - name: sales
      title: 提成
      of: kept
      where: { channel: [%s] }
      rate: '5%%'
    - { name: below, title: 下级件数, of: quantity, level: 1, each: '0.10' }
    - { name: fx, title: 汇兑, of: fx-difference, rate: '100%%' }
"""


async def test_a_year_of_days_settled_twice_is_one_statement(database: Database, clock: SteppedClock) -> None:
    words = ", ".join(f"c{number}" for number in range(150))
    scheme = scheme_of(yaml.safe_load(_SCHEME % words)["scheme"])
    days = [date(2026, 1, 1) + timedelta(days=number // 2) for number in range(730)]
    booked = [BookedCalculation(_calculation(day, clock), scheme) for day in days]
    frame = ReportFrame(Days(date(2026, 1, 1), date(2027, 1, 1)), Kept([1], [], [], [1]), booked)
    async with UnitOfWork(database) as work:
        known = await SaleSums(work).line_counts(scheme)
        counts = {each.row.id: known for each in booked}
        for name in ("channels", "goods", "stores", "orders", "fx"):
            assert await ReportRows(work).totals(REPORTS[name], frame, counts) == []
        statement = cut_by("channels", frame, counts).select().compile(work.database.engine.sync_engine)
    assert len(statement.params) < 100


def _calculation(day: date, clock: SteppedClock) -> CalculationRow:
    return CalculationRow(
        id=uuid4(),
        scheme="daily",
        version="1.0.0",
        text_digest="",
        cycle="day",
        start=day,
        end=day + timedelta(days=1),
        purpose="settlement",
        state="computed",
        asked_by="qian",
        asked_at=clock.now,
        components=["sales", "below", "fx"],
        parts=16,
        sales_upto=1,
        rates={"USD": "7.1"},
    )
