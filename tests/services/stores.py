"""A merchant in the autumn of 2026 with stores, promoters and their city, whose people come, go and are promoted."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.canonical import OrderData
from domain.settlement.payees import NewPayee, UplineChange
from domain.settlement.scheme import Cycle
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.run_views import RunView
from storage.engine import Database
from tests.clock import SteppedClock
from tests.services.test_calculations import QIAN, Office
from tests.services.test_selling import OPS, a_refund, an_order, key
from tests.services.test_settlement_runs import Books

SEPTEMBER, OCTOBER, NOVEMBER, DECEMBER = (date(2026, month, 1) for month in (9, 10, 11, 12))
RULES = """
attribution:
  name: orders
  version: {version}
  title: 归属
  since: 2026-05-01
  counts: [paid, completed]
  roles: {{ promoter: channel, city: channel, store: channel }}
"""
SCHEME = """
scheme:
  name: stores
  version: {version}
  title: 门店与推广
  cycle: {cycle}
  counts: {counts}
  from: {since}
  payees: {{ roles: [store, promoter, city] }}
  earns:
    - {{ name: fee, title: 固定, of: period, roles: [store], fixed: '3000.00' }}
    - {{ name: sales, title: 提成, of: kept, roles: [store, promoter], rate: '5%' }}
    - {{ name: agency, title: 代理, of: kept, roles: [city], rate: '12%' }}
    - {{ name: below, title: 返利, roles: [city], overrides: {{ of: sales, levels: ['20%'] }} }}
"""
FEE, SALE = 300_000, 30_000
"""A store's fee, and what an order comes to unless it says otherwise; in fen."""


class OverBooks(Books):
    """Periods are settled and closed once they are over; then it is again the day that it was."""

    async def computed(self, day: date = NOVEMBER, cycle: Cycle | None = None) -> RunView:
        with self._when_over(day):
            return await super().computed(day, cycle)

    async def closed(self, day: date = NOVEMBER, cycle: Cycle | None = None) -> RunView:
        with self._when_over(day):
            return await super().closed(day, cycle)

    @contextmanager
    def _when_over(self, day: date) -> Iterator[None]:
        clock = self.office.clock
        was, month_is_over = clock.now, (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        clock.now = max(was, noon(month_is_over))
        try:
            yield
        finally:
            clock.now = was


class Stores(Office):
    """Its books; the clock says what day it is."""

    def __init__(self, database: Database, clock: SteppedClock) -> None:
        super().__init__(database, clock)
        self.books = OverBooks(self, scheme="stores")

    def on(self, day: date) -> None:
        """It is noon of that day, in Shanghai."""
        self.clock.now = noon(day)

    async def open(self, cycle: Cycle = "month", counts: str = "paid") -> None:
        self.on(SEPTEMBER)
        await self.publish(rules=RULES)
        await self.say("1.0.0", cycle, counts=counts)

    async def say(self, version: str, cycle: Cycle, since: date = date(2026, 1, 1), counts: str = "paid") -> None:
        """Publish a version of the scheme."""
        definitions = DefinitionService(self.database)
        source = SourceText("s.yaml", SCHEME.format(version=version, cycle=cycle, since=since, counts=counts))
        for uploaded in await definitions.upload(OPS, [source]):
            found = uploaded.version
            await definitions.publish(OPS, (found.kind, found.namespace, found.name, found.version))
        await self.settle()

    async def be(self, code: str, role: str, **more: Any) -> None:
        """Let somebody be this, from the day on that the clock says when nothing else does; and all that follows."""
        await self.register.put(QIAN, [NewPayee(code=code, name=code, role=role, **more)])
        await self.settle()

    async def join(self, code: str, role: str, upline: str | None = None, **more: Any) -> None:
        """Somebody new, with a channel of their own and perhaps somebody above."""
        await self.be(code, role, **more)
        since = more.get("since", self.clock.now.date())
        await self.register.set_keys(QIAN, [key(code, "channel", code)])
        if upline is not None:
            await self.register.set_uplines(QIAN, [UplineChange(code=code, upline=upline, since=since)])
        await self.settle()

    async def sell(self, number: str, code: str, day: date, paid_minor: int = SALE, **more: Any) -> None:
        await self.told(order(number, code, day, paid_minor, **more), at=max(self.clock.now, noon(day)))

    async def refund(self, number: str, amount: int) -> None:
        """Give some of an order back, told now."""
        refund = a_refund(amount).model_copy(update={"refund_id": f"R{number}{self.clock.now}", "order_id": number})
        await self.told(refund, at=self.clock.now)


def order(number: str, code: str, day: date, paid_minor: int = SALE, **more: Any) -> OrderData:
    at = noon(day)
    return an_order(number, channel=code, paid_minor=paid_minor, paid_at=at, created_at=at, occurred_at=at, **more)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)


def days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=number) for number in range(count)]
