"""A merchant whose payments are shared: a store in the simulator, its orders here, and payouts to be paid."""

import asyncio
from collections import Counter as Tally
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import text, update
from sqlmodel import col

from connectors.accounts import secret_fields
from connectors.reading import CHINA
from connectors.wechat_pay.settings import WechatPaySettings
from domain.accounts import NewAccount
from domain.settlement.payees import NewPayee, NewPayoutDetails, PayoutDetails
from domain.settlement.payouts import Payer, State, Terms, number_of
from domain.settlement.periods import period_of
from services.connections import Connections
from services.payees import PayeeRegister
from services.payout_rails import PayoutOrder, RailAnswer
from services.profit_sharing_rail import ProfitSharingRail
from services.trade_bills import BillsRead, TradeBills
from simulator.entities import Order
from simulator.platforms.wechat_pay import bills
from storage.accounts import Accounts
from storage.engine import Database
from storage.payees import Payees
from storage.payout_batches import PayoutBatchRow
from storage.payout_shares import PayoutShares, ShareOf
from storage.payouts import PayoutRow
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.connectors.harness import Outside
from tests.services.test_selling import QIAN, Counter, an_order, key

MERCHANT = "wechat_pay/main"
DETAILS = PayoutDetails(real_name="双擎城市代理", merchant_receiver="1900000110")


class Till:
    """The merchant. All payments are of the same amount, and of each 30 % can be shared."""

    def __init__(self, database: Database, clock: SteppedClock, world: Outside) -> None:
        self.database = database
        self.clock = clock
        self.world = world
        self.counter = Counter(database)
        self.connections = Connections(database)
        self.bills = TradeBills(database, self.connections, world.link)
        self.rail = ProfitSharingRail(database, self.connections, world.link, self.bills)
        self.sku: str | None = None
        self.payer = Payer(account=MERCHANT, mch_id="")

    async def open(self, **settings: Any) -> None:
        """Connect the merchant, and let P1 and P2 have the channels of their names."""
        told = (await self.world.account("wechat_pay")).settings
        self.payer = Payer(account=MERCHANT, mch_id=str(told["mch_id"]))
        secret = secret_fields(WechatPaySettings)
        new = NewAccount(
            platform="wechat_pay",
            slug="main",
            name="商户",
            credentials={name: str(value) for name, value in told.items() if name in secret},
            settings={
                **{name: value for name, value in told.items() if name not in secret},
                "profit_sharing": True,
                **settings,
            },
        )
        async with UnitOfWork(self.database) as work:
            await Accounts(work).add(new)
        await self.counter.publish()
        details = NewPayoutDetails(**DETAILS.model_dump())
        people = [NewPayee(code=code, name=code, role="promoter", details=details) for code in ("P1", "P2")]
        await PayeeRegister(self.database).put(QIAN, people)
        await PayeeRegister(self.database).set_keys(QIAN, [key(code, "channel", code) for code in ("P1", "P2")])
        await self.counter.settle()

    async def sell(self, count: int = 1, payee: str = "P1") -> list[int]:
        """So many orders that are paid now, and told of at once; the amounts of their payments."""
        amounts = []
        for _ in range(count):
            order = await self.placed()
            amounts.append(order.paid_minor)
            await self.tell(order, payee)
        return amounts

    async def placed(self) -> Order:
        """An order of the store that is paid now, of the same goods each time; nobody here has heard of it."""
        world, wanted = self.world.sim.app.state.world, {"shop": bills.SHOP, "customer_id": "c000001"}
        if self.sku is None:
            any_goods = await self.world.sim.admin("POST", "/orders", json={**wanted, "status": "unpaid"})
            self.sku = world.orders.get(any_goods["id"]).lines[0].sku_id
        made = await self.world.sim.admin("POST", "/orders", json={**wanted, "count": 3, "sku_id": self.sku})
        order: Order = world.orders.get(made["id"])
        return order

    async def tell(self, order: Order, payee: str = "P1") -> None:
        """The shop tells of an order, which is a payee's."""
        at = order.paid_at
        assert at is not None
        shop: dict[str, Any] = {"platform": "wechat_store", "account": "main", "channel": payee}
        shop["paid_minor"] = order.paid_minor
        told = an_order(order.id, **shop, created_at=at, paid_at=at, occurred_at=at)
        await self.counter.told(told, at=at)

    async def pass_time(self, **time: float) -> None:
        """Let it be later everywhere."""
        self.clock.advance(**time)
        await self.world.sim.admin("POST", "/advance", json={"seconds": timedelta(**time).total_seconds()})

    async def billed(self) -> None:
        """The day after tomorrow, with all bills read."""
        await self.pass_time(days=2)
        assert not (await self.read_bills()).unread

    async def read_bills(self) -> BillsRead:
        """All bills there are; a quick machine asks too often at first, and is let wait for a second."""
        for _ in range(4):
            if not (found := await self.bills.read()).unread:
                return found
            await asyncio.sleep(1.1)
        return await self.bills.read()

    async def owe(self, amount: int, payee: str = "P1", **more: Any) -> PayoutOrder:
        """A payout that is being submitted."""
        batch = uuid4()
        now = self.clock()
        async with UnitOfWork(self.database) as work:
            number = (await Payees(work).rows([payee]))[payee].id
            start, end = period_of("month", now.astimezone(CHINA).date())
            period = await SettlementPeriods(work).open(str(batch), "month", start, end, "CNY")
            work.session.add(
                PayoutBatchRow(
                    id=batch,
                    scheme=str(batch),
                    currency="CNY",
                    period=period.id,
                    day=now.date(),
                    state="paying",
                    terms=Terms(payers={"profit-sharing": self.payer}).model_dump(mode="json"),
                    asked_by="qian",
                    asked_at=now,
                )
            )
            await work.session.flush()
            row = PayoutRow(
                batch=batch,
                part=0,
                number=number_of(str(batch), number),
                payee=number,
                rail="profit-sharing",
                amount_minor=amount,
                offset_minor=0,
                currency="CNY",
                state="submitting",
                pay_on=now.date(),
                next_at=now,
                created_at=now,
                changed_at=now,
            )
            work.session.add(row)
            await work.session.flush()
            made = row.id, row.number
        values: dict[str, Any] = {
            "currency": "CNY",
            "details": DETAILS,
            "remark": "11月返利",
            "payer": self.payer,
            **more,
        }
        return PayoutOrder(id=made[0], number=made[1], payee=number, amount_minor=amount, rail_number=None, **values)

    async def move(self, order: PayoutOrder, state: State) -> None:
        """What the books do with an answer."""
        async with UnitOfWork(self.database) as work:
            ended = work.now if state in ("paid", "failed", "cancelled") else None
            statement = update(PayoutRow).where(col(PayoutRow.id) == order.id).values(state=state, ended_at=ended)
            await work.session.execute(statement)

    async def finish(self, order: PayoutOrder, *, most: int = 60) -> RailAnswer:
        """Pay, then ask on and on, until it has ended."""
        answer = await self.rail.pay(order, resumed=False)
        for _ in range(most):
            if answer.state in ("paid", "failed"):
                break
            await self.pass_time(seconds=answer.retry_after_s or 1.0)
            again = answer.state == "reserved"
            answer = await (self.rail.pay(order, resumed=True) if again else self.rail.ask(order))
        return answer

    async def shares(self, order: PayoutOrder) -> list[ShareOf]:
        async with UnitOfWork(self.database) as work:
            return await PayoutShares(work).of(order.id)

    async def states(self, order: PayoutOrder) -> dict[str, int]:
        return dict(Tally(each.row.state for each in await self.shares(order)))

    async def payments(self) -> list[tuple[int, int, int, int]]:
        """Paid, refunded, shared, requests of each payment of an order that is here, the oldest first."""
        statement = text(
            "SELECT paid_minor, refunded_minor, shared_minor, requests FROM shareable_payments "
            "WHERE order_id IS NOT NULL ORDER BY paid_at, id"
        )
        async with UnitOfWork(self.database) as work:
            return [(a, b, c, d) for a, b, c, d in (await work.session.execute(statement)).all()]

    async def arrived(self) -> int:
        """What the outside world says that receivers got."""
        entries = (await self.world.sim.ledger(kind="shared"))["entries"]
        return sum(entry["amount_minor"] for entry in entries)
