"""A merchant's year: five schemes, refunds, late orders, disputes, other currencies, payouts of every outcome, bills.

Everything goes the way that it goes in life, but for the rails: how a payout ends is drawn.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from domain.access import Role
from domain.canonical import Buyer, OrderData, OrderLine, RefundData
from domain.settlement.levels import AllowedLevels, LevelLimit
from domain.settlement.payees import NewPayee, UplineChange
from domain.settlement.periods import period_of
from domain.settlement.scheme import Cycle
from services.calculations import CalculationSteps
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.exchange_rates import Rate
from services.sale_corrections import Part
from services.settlement_runs import SettlementRunService
from storage.engine import Database
from storage.payee_facts import PayeeFact, PayeeFacts
from storage.payees import Payees
from storage.sales import PARTS
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.connectors.harness import CONNECTORS
from tests.reports.year_bills import QIAN, WU, YearBills
from tests.reports.year_payouts import YearPayouts
from tests.reports.year_schemes import ANYBODY, CYCLES, DETAILS, OWN_CYCLES, PEOPLE, RULES, SCHEMES
from tests.services.merchants import connect_merchant
from tests.services.test_selling import Counter, key

_LEVELS = LevelLimit(AllowedLevels(levels=3, allowed_by="legal", reason="a city below another one"))
_AT_ONCE = 4
_CORNER_DAYS = (5, 6, 7)
"""When the corner store sells, which is settled day by day."""
_CHANNELS = ("P1", "P2", "P3", "P4", "P5", "P7", "L1", "L2", "nobody")
_FOREIGN = {"USD": "7.1", "JPY": "0.04"}


class Year(Counter):
    """The books of 2026."""

    def __init__(self, database: Database, clock: SteppedClock) -> None:
        super().__init__(database)
        self.clock = clock
        self.steps = CalculationSteps(database)
        self.paid = YearPayouts(database, clock, self.steps)
        self.runs = SettlementRunService(database, self.steps, CONNECTORS)
        self.pick = Random("a year")
        self.told_orders: list[OrderData] = []
        self.bills = YearBills(database)

    async def begin(self) -> None:
        """Rules, schemes, payees, rates, a shop that is billed."""
        await self.bills.begin()
        await connect_merchant(self.database)
        await self.publish("1.0.0", RULES)
        definitions = DefinitionService(self.database, level_limit=_LEVELS)
        sources = [SourceText(f"{number}.yaml", each) for number, each in enumerate(SCHEMES)]
        for uploaded in await definitions.upload(an_actor("ops", Role.OPS), sources):
            of = uploaded.version
            await definitions.publish(an_actor("ops", Role.OPS), (of.kind, of.namespace, of.name, of.version))
        payees = [
            NewPayee(
                code=code,
                name=f"名{code}",
                role=role,
                cycle=OWN_CYCLES.get(code),
                details=DETAILS.get(code, ANYBODY),
                since=date(2026, 1, 1),
            )
            for code, role in PEOPLE.items()
        ]
        await self.register.put(QIAN, payees)
        keys = [key(code, "channel", code) for code, role in PEOPLE.items() if role in ("promoter", "group-leader")]
        keys += [key(f"S{n}", "shop", f"youzan/{shop}") for n, shop in enumerate(("flagship", "outlet", "corner"), 1)]
        keys += [key("I1", "influencer", "youzan/i1"), key("I2", "influencer", "youzan/i2", share=6_000)]
        keys += [key("I1", "influencer", "youzan/i2", share=4_000)]
        await self.register.set_keys(QIAN, keys)
        # P7 has a cycle of their own, so nobody above could be paid by them.
        above = [UplineChange(code=f"P{n}", upline=f"C{1 + n % 2}", since=date(2026, 1, 1)) for n in range(1, 7)]
        above.append(UplineChange(code="C2", upline="C1", since=date(2026, 1, 1)))
        await self.register.set_uplines(QIAN, above)
        days = [date(2026, 1, 1) + timedelta(days=7 * week) for week in range(57)]
        rates = [
            Rate(currency, day, f"{rate}{100 + 13 * week}")
            for week, day in enumerate(days)
            for currency, rate in _FOREIGN.items()
        ]
        await self.rates.set(QIAN, rates)
        await self.settle()

    async def month(self, number: int, *, is_last: bool = False) -> None:
        """Orders of a month with what came late of earlier ones, billed, settled, closed and paid; of the last one
        something is still held."""
        first = date(2026, number, 1)
        self.paid.at(datetime(2026, number, 28, 6, tzinfo=UTC))
        await self._sell(first)
        await self.bills.month(first, self.told_orders)
        for scheme, cycle in CYCLES.items():
            for own in sorted({cycle, *({"promoters": ["week"], "stores": ["day"]}.get(scheme, ()))}):
                for day in _first_days(own, first, None if own == cycle else 2):
                    await self._settle_and_close(scheme, day, own)
        await self.paid.pay("leaders", first.replace(day=28) + timedelta(days=2))
        for scheme in ("stores", "promoters", "influencers", "everybody"):
            # Holds of seven days are over.
            if not is_last or scheme != "promoters":
                await self.paid.pay(scheme, date(2026 + number // 12, number % 12 + 1, 9), is_last=is_last)

    async def _settle_and_close(self, scheme: str, day: date, cycle: Cycle) -> None:
        """A settlement, sometimes a second one with what has changed since, and the end of the period."""
        _, end = period_of(cycle, day)
        self.clock.now = max(self.clock.now, datetime(end.year, end.month, end.day, 4, tzinfo=UTC))
        await self._settled(scheme, day, cycle)
        if cycle == "month" and scheme == "promoters":
            changed = [each for each in self.told_orders if each.paid_at and each.paid_at.month == day.month]
            await self.told(self._refund(changed[0], f"M{day.month}"), at=self.clock.now)
            await self._settled(scheme, day, cycle)
        elif self.pick.random() < 0.2:
            await self._settled(scheme, day, cycle)
        # The last days of a month have no bills, and some breaks stay.
        await self.runs.close(WU, scheme, day, cycle, unreconciled=True)

    async def _sell(self, first: date) -> None:
        told: list[Any] = [self._order(first) for _ in range(20)]
        self.told_orders += told
        for number, late in enumerate(self.pick.sample(self.told_orders, min(4, len(self.told_orders)))):
            told.append(self._refund(late, f"R{first.month}-{number}"))
        if first.month > 1:
            # Of the month before, and told only now.
            late_order = self._order(first - timedelta(days=20))
            self.told_orders.append(late_order)
            told += [late_order, *self._completed(first)]
        if first.month == 2:
            # Somebody who sells nothing any more, and whose sales all come back.
            told += [
                self._refund(each, f"P6-{each.order_id}", whole=True)
                for each in self.told_orders
                if each.channel == "P6"
            ]
        await self.told(*told, at=datetime(2026, first.month, 28, 4, tzinfo=UTC))
        if first.month % 2 == 0:
            await self._dispute()
        async with UnitOfWork(self.database) as work:
            rows = await Payees(work).rows(list(PEOPLE))
            facts = [PayeeFact(rows["P1"].id, "visits", first, first.month, f"v{first.month}")]
            facts += [PayeeFact(rows["C1"].id, "service", first, 80 + first.month, f"C1{first.month}")]
            for code, name, least in (("L1", "after-sale", 78), ("L1", "openings", 3), ("L2", "openings", 8)):
                for day in (first, first + timedelta(days=9), first + timedelta(days=10)):
                    # The last one of openings is a mark of their bonus, to the point.
                    drawn = least + self.pick.randrange(20)
                    score = 10 if (code, day.day) == ("L2", 11) else drawn
                    facts.append(PayeeFact(rows[code].id, name, day, score, f"{code}{day}{first}"))
            facts.append(PayeeFact(rows["L2"].id, "reviews", first + timedelta(days=9), 7, f"reviews{first}"))
            if first.month > 1:
                # A score of a closed week, and told only now.
                then = first - timedelta(days=15)
                facts.append(PayeeFact(rows["L2"].id, "openings", then, 12, f"L2{then}{first}"))
            await PayeeFacts(work).add(facts, "qian")

    def _completed(self, first: date) -> list[OrderData]:
        """Half of the orders that were only paid are completed in the month after."""
        at = datetime(first.year, first.month, 3, 4, tzinfo=UTC)
        found = []
        for place, each in enumerate(self.told_orders):
            if each.completed_at is None and each.paid_at and each.paid_at < at and self.pick.random() < 0.5:
                change = {"status": "completed", "completed_at": at, "version": 2, "occurred_at": at}
                self.told_orders[place] = each.model_copy(update=change)
                found.append(self.told_orders[place])
        return found

    def _order(self, first: date) -> OrderData:
        number, pick = f"E{len(self.told_orders)}-{first.month}-{self.pick.randrange(10**9)}", self.pick
        shop = pick.choice(("flagship", "outlet", "corner"))
        day = pick.choice(_CORNER_DAYS) if shop == "corner" else 1 + pick.randrange(25)
        at = datetime(first.year, first.month, day, 4, tzinfo=UTC)
        done = at + timedelta(days=pick.randrange(1, 9))
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
            account=shop,
            version=1,
            order_id=number,
            status="completed" if done.day in range(day, 28) else "paid",
            currency=pick.choice(("CNY", "CNY", "CNY", "USD", "JPY")),
            paid_minor=sum(each.total_minor for each in lines) - pick.randrange(100),
            created_at=at,
            paid_at=at,
            completed_at=done if done.day in range(day, 28) else None,
            channel=pick.choice(_CHANNELS if first.month > 1 else (*_CHANNELS, *("P6",) * 3)),
            influencer_id=pick.choice(("i1", "i2", None)),
            buyer=Buyer(unionid=f"U{pick.randrange(30)}"),
            lines=lines,
            occurred_at=at,
        )

    def _refund(self, order: OrderData, number: str, *, whole: bool = False) -> RefundData:
        assert order.paid_minor is not None
        whole = whole or self.pick.random() < 0.5
        amount = order.paid_minor if whole else self.pick.randrange(1, order.paid_minor)
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
            if each.channel in ("P1", "P2", "P3", "P4", "P7") and each.currency == "CNY"
        )
        name = (f"youzan/{order.account}", order.order_id)
        asked = await self.corrections.ask(QIAN, name, "promoter", [Part("P5", 10_000)], "挂错码 13698765432")
        await self.corrections.decide(WU, asked.id, approve=True, note="已核对")
        await self.settle()

    async def _settled(self, scheme: str, day: date, cycle: Cycle) -> None:
        view = await self.runs.ask(QIAN, scheme, day, cycle)
        for each in view.calculations:
            await self.steps.freeze(each.id)
            for step in (self.steps.earn_alone, self.steps.earn_by_downline):
                await _some_at_a_time([step(each.id, part) for part in range(PARTS)])
            await self.steps.finish(each.id)
        await self.runs.computed(view.run.id)
        await self.runs.decide(WU, view.run.id, approve=True)
        for each in view.calculations:
            await _some_at_a_time([self.runs.book_part(view.run.id, each.id, part) for part in range(PARTS)])
        await self.runs.finish(view.run.id)


async def _some_at_a_time(steps: Sequence[Coroutine[Any, Any, object]]) -> None:
    for first in range(0, len(steps), _AT_ONCE):
        await asyncio.gather(*steps[first : first + _AT_ONCE])


def _first_days(cycle: Cycle, month: date, most: int | None) -> list[date]:
    """The days that the periods of a month begin with; of days only some, of others so many at most."""
    if cycle == "day":
        return [month.replace(day=day) for day in _CORNER_DAYS]
    days = [month + timedelta(days=day) for day in range(31)]
    return [day for day in days if day.month == month.month and period_of(cycle, day)[0] == day][:most]


async def a_year(database: Database, clock: SteppedClock, months: int = 12) -> Year:
    """The books of so many months of 2026. clock: of the database."""
    found = Year(database, clock)
    await found.begin()
    for number in range(1, months + 1):
        await found.month(number, is_last=number == months)
    return found
