"""A merchant's year: three schemes, refunds, late orders, disputes, another currency, payouts of every outcome, bills.

Everything goes the way that it goes in life, but for the rails: how a payout ends is drawn.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from domain.access import Role
from domain.canonical import Buyer, OrderData, OrderLine, RefundData
from domain.settlement.payees import NewPayee, NewPayoutDetails, UplineChange
from domain.settlement.payouts import State
from domain.settlement.periods import period_of
from domain.settlement.scheme import Cycle
from services.calculations import CalculationSteps
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.exchange_rates import Rate
from services.payout_booking import settle_paid, settle_returned
from services.payout_planning import PayoutPlanning
from services.payouts import PayoutService, PayoutWish
from services.sale_corrections import Part
from services.settlement_runs import SettlementRunService
from storage.engine import Database
from storage.paging import PageRequest
from storage.payee_facts import PayeeFact, PayeeFacts
from storage.payees import Payees
from storage.payouts import Payouts
from storage.sales import PARTS
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.reports.year_bills import QIAN, WU, YearBills
from tests.services.merchants import connect_merchant
from tests.services.test_selling import Counter, key

RULES = """
attribution:
  name: orders
  version: {version}
  title: 归属
  since: 2026-01-01
  counts: [paid]
  roles:
    promoter: channel
    influencer: influencer
    store: shop
  bonded: {{ categories: [保税] }}
"""
PROMOTERS = """
scheme:
  name: promoters
  version: 1.0.0
  title: 推广员与城市
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: { roles: [promoter, city] }
  cap: '120.00'
  hold-days: 7
  clawback: { instalments: 2, keep: '50%' }
  earns:
    - name: sales
      title: 推广提成
      of: kept
      roles: [promoter]
      tiers: { graduated: [{ from: '0.00', rate: '5%' }, { from: '1000.00', rate: '8.25%' }] }
    - name: step
      title: 阶梯奖
      of: kept
      roles: [promoter]
      bonus: { steps: [{ from: '900.00', pays: '20.01' }, { from: '2500.00', pays: '66.67' }] }
    - name: live
      title: 直播
      of: kept
      roles: [promoter]
      where: { channel: [P1, P2, P3], first: true }
      weights: [{ where: { article: [hat] }, times: '1.5' }]
      rate: '0.37%'
      floor: '1.11'
    - { name: visits, title: 到店, of: visits, roles: [promoter], each: '1.50' }
    - { name: fx, title: 汇兑差额, of: fx-difference, roles: [promoter], rate: '100%' }
    - name: bonded
      title: 保税操作费
      of: orders
      where: { bonded: true }
      roles: [promoter]
      each: '3.50'
      deducts: true
    - name: city
      title: 城市返利
      roles: [city]
      overrides: { of: sales, levels: ['30%'] }
      factor: { score: service, steps: [{ from: 0, times: '0.8' }, { from: 90, times: '1' }] }
    - { name: below, title: 下级件数, of: quantity, level: 1, roles: [city], each: '0.13' }
"""
STORES = """
scheme:
  name: stores
  version: 1.0.0
  title: 门店
  cycle: half-month
  counts: paid
  from: 2026-01-01
  payees: { roles: [store] }
  earns:
    - { name: rent, title: 固定服务费, fixed: '300.00' }
    - name: sales
      title: 门店提成
      of: paid
      cap: '88.88'
      tiers: { volume: [{ from: '0.00', rate: '2%' }, { from: '3000.00', rate: '3%' }] }
"""
INFLUENCERS = """
scheme:
  name: influencers
  version: 1.0.0
  title: 达人
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: { roles: [influencer] }
  minimum: '50.00'
  earns:
    - { name: deals, title: 成交, of: orders, each: '8.00' }
    - { name: share, title: 分成, of: kept, grain: line, rate: '3.57%' }
"""
CYCLES: Mapping[str, Cycle] = {"promoters": "month", "stores": "half-month", "influencers": "month"}
_ENDS: Sequence[State] = ("paid", "paid", "paid", "failed", "cancelled", "awaiting_user", "unknown")
_LATER: Sequence[State] = ("paid", "paid", "failed")
_ANYBODY = NewPayoutDetails(openid="o", real_name="某人")
_DETAILS = {
    "P1": NewPayoutDetails(openid="o1", real_name="名P1"),
    "P2": NewPayoutDetails(real_name="名P2", bank_account="6222020200112233445", bank_name="招商银行"),
    "P4": NewPayoutDetails(),
}


class Year(Counter):
    """The books of 2026."""

    def __init__(self, database: Database, clock: SteppedClock) -> None:
        super().__init__(database)
        self.clock = clock
        self.steps = CalculationSteps(database)
        self.payouts = PayoutService(database, self.steps)
        self.planning = PayoutPlanning(database)
        self._open: dict[str, list[str]] = {}
        self.runs = SettlementRunService(database, self.steps)
        self.pick = Random("a year")
        self.told_orders: list[OrderData] = []
        self.bills = YearBills(database)

    async def begin(self) -> None:
        """Rules, schemes, payees, rates, a shop that is billed."""
        await self.bills.begin()
        await connect_merchant(self.database)
        await self.publish("1.0.0", RULES)
        definitions = DefinitionService(self.database)
        texts = enumerate((PROMOTERS, STORES, INFLUENCERS))
        sources = [SourceText(f"{number}.yaml", each) for number, each in texts]
        for uploaded in await definitions.upload(an_actor("ops", Role.OPS), sources):
            of = uploaded.version
            await definitions.publish(an_actor("ops", Role.OPS), (of.kind, of.namespace, of.name, of.version))
        people = {**{f"P{n}": "promoter" for n in range(1, 7)}, **dict.fromkeys(("C1", "C2"), "city")}
        people |= {**dict.fromkeys(("S1", "S2"), "store"), **dict.fromkeys(("I1", "I2"), "influencer")}
        await self.register.put(
            QIAN,
            [
                NewPayee(
                    code=code,
                    name=f"名{code}",
                    role=role,
                    details=_DETAILS.get(code, _ANYBODY),
                    since=date(2026, 1, 1),
                )
                for code, role in people.items()
            ],
        )
        keys = [key(code, "channel", code) for code, role in people.items() if role == "promoter"]
        keys += [key("S1", "shop", "youzan/flagship"), key("S2", "shop", "youzan/outlet")]
        keys += [key("I1", "influencer", "youzan/i1"), key("I2", "influencer", "youzan/i2", share=6_000)]
        keys += [key("I1", "influencer", "youzan/i2", share=4_000)]
        await self.register.set_keys(QIAN, keys)
        above = [UplineChange(code=f"P{n}", upline=f"C{1 + n % 2}", since=date(2026, 1, 1)) for n in range(1, 7)]
        await self.register.set_uplines(QIAN, above)
        days = [date(2026, 1, 1) + timedelta(days=7 * week) for week in range(57)]
        rates = [Rate("USD", day, f"7.{1000 + 13 * week}") for week, day in enumerate(days)]
        await self.rates.set(QIAN, rates)
        await self.settle()

    async def month(self, number: int, *, is_last: bool = False) -> None:
        """Orders of a month with what came late of earlier ones, billed, settled, closed and paid; of the last one
        something is still held."""
        first = date(2026, number, 1)
        self.clock.now = datetime(2026, number, 28, 6, tzinfo=UTC)
        await self._sell(first)
        await self.bills.month(first, self.told_orders)
        for scheme, cycle in CYCLES.items():
            start, end = period_of(cycle, first)
            while start.month == number:
                self.clock.now = max(self.clock.now, datetime(end.year, end.month, end.day, 4, tzinfo=UTC))
                await self._settled(scheme, start)
                if self.pick.random() < 0.3:
                    await self._settled(scheme, start)
                await self.runs.close(WU, scheme, start)
                start, end = period_of(cycle, end)
            # Holds of seven days are over.
            if not is_last or scheme != "promoters":
                await self._pay(scheme, start + timedelta(days=8))

    async def _sell(self, first: date) -> None:
        told: list[Any] = [self._order(first) for _ in range(14)]
        self.told_orders += told
        for number, late in enumerate(self.pick.sample(self.told_orders, min(4, len(self.told_orders)))):
            told.append(self._refund(late, f"R{first.month}-{number}"))
        if first.month > 1:
            # Of the month before, and told only now.
            late_order = self._order(first - timedelta(days=20))
            self.told_orders.append(late_order)
            told.append(late_order)
        await self.told(*told, at=datetime(2026, first.month, 28, 4, tzinfo=UTC))
        if first.month % 2 == 0:
            await self._dispute()
        async with UnitOfWork(self.database) as work:
            rows = await Payees(work).rows(["P1", "P3", "C1", "C2"])
            facts = [PayeeFact(rows["P1"].id, "visits", first, first.month, f"v{first.month}")]
            facts += [
                PayeeFact(rows[code].id, "service", first, 80 + first.month, f"{code}{first.month}") for code in ("C1",)
            ]
            await PayeeFacts(work).add(facts, "qian")

    def _order(self, first: date) -> OrderData:
        number, pick = f"E{len(self.told_orders)}-{first.month}-{self.pick.randrange(10**9)}", self.pick
        at = datetime(first.year, first.month, 1 + pick.randrange(25), 4, tzinfo=UTC)
        lines = tuple(
            OrderLine(
                line_id=str(place),
                item_id=pick.choice(("coat", "hat", "cream")),
                title="货",
                category=pick.choice(("服装", "保税", None)),
                quantity=pick.randrange(1, 4),
                price_minor=1,
                total_minor=pick.randrange(101, 60_000),
            )
            for place in range(pick.randrange(1, 4))
        )
        return OrderData(
            platform="youzan",
            account=pick.choice(("flagship", "outlet")),
            version=1,
            order_id=number,
            status="paid",
            currency="USD" if pick.random() < 0.2 else "CNY",
            paid_minor=sum(each.total_minor for each in lines) - pick.randrange(100),
            created_at=at,
            paid_at=at,
            channel=pick.choice(("P1", "P2", "P3", "P4", "P5", "P6", "nobody")),
            influencer_id=pick.choice(("i1", "i2", None)),
            buyer=Buyer(unionid=f"U{pick.randrange(30)}"),
            lines=lines,
            occurred_at=at,
        )

    def _refund(self, order: OrderData, number: str) -> RefundData:
        assert order.paid_minor is not None
        amount = order.paid_minor if self.pick.random() < 0.5 else self.pick.randrange(1, order.paid_minor)
        return RefundData(
            platform="youzan",
            account=order.account,
            version=1,
            refund_id=number,
            order_id=order.order_id,
            status="refunded",
            amount_minor=amount,
            currency=order.currency,
            occurred_at=order.occurred_at,
        )

    async def _dispute(self) -> None:
        order = next(
            each
            for each in reversed(self.told_orders)
            if each.channel not in ("nobody", "P5") and each.currency == "CNY"
        )
        name = (f"youzan/{order.account}", order.order_id)
        asked = await self.corrections.ask(QIAN, name, "promoter", [Part("P5", 10_000)], "挂错码 13698765432")
        await self.corrections.decide(WU, asked.id, approve=True, note="已核对")
        await self.settle()

    async def _settled(self, scheme: str, day: date) -> None:
        view = await self.runs.ask(QIAN, scheme, day)
        for each in view.calculations:
            await self.steps.run(each.id)
        await self.runs.computed(view.run.id)
        await self.runs.decide(WU, view.run.id, approve=True)
        for each in view.calculations:
            for part in range(PARTS):
                await self.runs.book_part(view.run.id, each.id, part)
        await self.runs.finish(view.run.id)

    async def _pay(self, scheme: str, day: date) -> None:
        """What was left open of the last batch ends now, in another period; then another batch is planned and paid."""
        self.clock.now = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
        for number in self._open.pop(scheme, ()):
            await self._end(number, self.pick.choice(_LATER))
        batch = (await self.payouts.ask(QIAN, PayoutWish(scheme=scheme))).id
        for part in range(PARTS):
            await self.planning.plan_part(batch, part)
        await self.planning.finish_plan(batch)
        await self.payouts.decide(WU, batch, approve=True)
        for part in range(PARTS):
            await self.planning.reserve_part(batch, part)
        await self.planning.finish_reserving(batch)
        planned = await self.payouts.payouts(QIAN, batch, PageRequest(200), state="reserved")
        for each in planned.items:
            end = self.pick.choice(_ENDS)
            await self._end(each.payout.number, end)
            if end not in ("paid", "failed", "cancelled"):
                self._open.setdefault(scheme, []).append(each.payout.number)

    async def _end(self, number: str, state: State) -> None:
        """Let a rail say how a payout stands, and book it."""
        async with UnitOfWork(self.database) as work:
            row = await Payouts(work).find(number, for_update=True)
            assert row is not None
            if row.state == "reserved" and state != "cancelled":
                Payouts(work).move(row, "submitting")
            why = {"reason": "13698765432 未实名"} if state == "failed" else {"rail_number": f"R{number[:9]}"}
            assert Payouts(work).move(row, state, **why)
            if state == "paid":
                await settle_paid(work, row, row.rail)
            elif state in ("failed", "cancelled"):
                await settle_returned(work, row)


async def a_year(database: Database, clock: SteppedClock, months: int = 12) -> Year:
    """The books of so many months of 2026. clock: of the database."""
    found = Year(database, clock)
    await found.begin()
    for number in range(1, months + 1):
        await found.month(number, is_last=number == months)
    return found
