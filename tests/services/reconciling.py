"""What tests of reconciliation share: finance's desk, our books, a simulated shop, and lines of files."""

import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from connectors.wechat_pay.settings import WechatPaySettings
from domain.access import Role, system_actor
from domain.accounts import NewAccount
from domain.ids import content_digest
from domain.settlement.bill_rows import parse_columns
from domain.settlement.bills import SHANGHAI, BillKind, BillLine, Direction, LineKind, day_of
from services.bill_corrections import BillCorrections
from services.bill_terms import BillTerms, BillTermsService
from services.bills import BillReader, BillService, take
from services.breaks import BreakService
from services.connections import Connections
from services.reconciliation import Reconciled, ReconciliationService
from services.settlement_reports import ReportService, TieLine, Wanted
from services.unreconciled import Unreconciled
from simulator.platforms.wechat_pay import bills as simulated
from storage.accounts import Accounts
from storage.breaks import BreakFilter, BreakRow
from storage.engine import Database
from storage.orders import OrderRow, RefundRow
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.connectors.harness import CONNECTORS, Outside, outside

QIAN, WU = an_actor("qian", Role.FINANCE), an_actor("wu", Role.APPROVER)
PAY, STORE, POS = "wechat_pay/main", "wechat_store/main", "generic/pos"
MERCHANT = "demo-wechat-pay"
COLUMNS = parse_columns(
    """
columns: { number: 单号, kind: 类型, amount: 金额, fee: 服务费, at: 时间 }
kinds: { 交易: payment, 退款: refund, 优惠券: coupon, 积分: points, 服务费: fee }
""".encode(),
    "columns.yaml",
)
DAY = date(2026, 6, 1)
NOON = datetime(2026, 6, 1, 4, tzinfo=UTC)
A_YEAR = timedelta(days=365)


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[Outside]:
    async with outside(customers=300) as built:
        yield built


class Desk:
    """Finance's desk: bills, reconciliations and breaks over one database."""

    def __init__(self, database: Database, clock: SteppedClock, world: Outside) -> None:
        self.database = database
        self.clock = clock
        self.world = world
        self.bills = BillService(database, CONNECTORS)
        self.terms = BillTermsService(database)
        self.reader = BillReader(database, CONNECTORS, Connections(database), world.link)
        self.reconciliation = ReconciliationService(database)
        self.corrections = BillCorrections(database, self.reconciliation)
        self.unreconciled = Unreconciled(database, CONNECTORS)
        self.breaks = BreakService(database)

    async def connect(self, account: str, **told: Any) -> None:
        platform, _, slug = account.partition("/")
        secret = {
            name
            for name, spec in WechatPaySettings.model_fields.items()
            if platform == "wechat_pay" and spec.annotation is SecretStr
        }
        credentials = {name: str(value) for name, value in told.items() if name in secret}
        settings = {name: value for name, value in told.items() if name not in secret}
        new = NewAccount(platform=platform, slug=slug, name=slug, credentials=credentials, settings=settings)
        async with UnitOfWork(self.database) as work:
            await Accounts(work).add(new)

    async def write(self, *rows: Any) -> None:
        async with UnitOfWork(self.database) as work:
            work.session.add_all(rows)

    async def change(self, statement: str, **values: Any) -> None:
        async with UnitOfWork(self.database) as work:
            await work.session.execute(text(statement), values)

    async def agree(self, terms: BillTerms) -> None:
        """What one proposes and another confirms."""
        proposed = (await self.terms.propose(QIAN, terms)).proposed
        assert proposed is not None
        await self.terms.decide(WU, terms.account, proposed.id, confirm=True)

    async def day(self, day: date, account: str = PAY) -> Reconciled:
        """Taken from the platform, reconciled."""
        await self.reader.take_day(account, day)
        return await self.reconciliation.reconcile(QIAN, account, day)

    async def file(self, day: date, *rows: str, account: str = POS, **more: Any) -> Reconciled:
        """Taken from a file, reconciled."""
        await self.take(day, *rows, account=account, **more)
        return await self.reconciliation.reconcile(QIAN, account, day)

    async def take(self, day: date, *rows: str, account: str = POS, **more: Any) -> None:
        content = "\n".join(["单号,类型,金额,服务费,时间", *rows]).encode()
        said = more or {"digest": content_digest(content)}
        await self.bills.take_file(QIAN, account, day, COLUMNS, io.BytesIO(content), **said)

    async def billed(self, day: date, kind: BillKind, *lines: BillLine, account: str = PAY, whole: bool = True) -> None:
        """As the platform's own bill has it. whole: of all accounts of the merchant."""
        digest = content_digest(repr(lines).encode())
        by = system_actor("bills")
        await take(self.database, by, account, day, kind, "platform", digest, lines, whole=whole)

    async def untied(self) -> Sequence[TieLine]:
        """The years and months whose breaks do not come to what bills and books have left over."""
        reports, today = ReportService(self.database), self.clock().date()
        frames = [Wanted(DAY, None, "month"), *(Wanted(each, None, "year") for each in (today, today - A_YEAR))]
        found = [await reports.tie_out(QIAN, each, ["breaks"]) for each in frames]
        return [each for lines in found for each in lines if each.difference]

    async def open_breaks(self) -> Sequence[BreakRow]:
        return (await self.breaks.list(QIAN, PageRequest(200), BreakFilter())).items

    async def kinds(self) -> list[tuple[str, str, str | None, int]]:
        """What is open, by family, kind, number and difference; whatever is done, the report of breaks has to tie."""
        assert await self.untied() == []
        found = [(each.family, each.kind, each.number, each.difference_minor) for each in await self.open_breaks()]
        return sorted(found, key=lambda each: (each[0], each[1], each[2] or "", each[3]))


@pytest.fixture
async def desk(database: Database, clock: SteppedClock, simulator: Outside) -> Desk:
    # Noon in Shanghai: at any hour of the day the bills of yesterday are there.
    clock.now = clock.now.replace(hour=4)
    built = Desk(database, clock, simulator)
    await built.connect(PAY, **(await simulator.account("wechat_pay")).settings)
    await built.connect(STORE)
    await built.connect(POS)
    await built.agree(BillTerms(PAY, (STORE,), fee_bps=60))
    return built


def sold_orders(world: Outside) -> Sequence[Any]:
    orders = world.sim.app.state.world.orders.having(shop=simulated.SHOP)
    found: Sequence[Any] = [each for each in orders if each.paid_at is not None]
    return found


def busiest_day(world: Outside) -> date:
    """A day of the past, all of it over, with sales and a refund on it or near it."""
    last = datetime.now(UTC).astimezone(SHANGHAI).date() - timedelta(days=6)
    days = [day_of(each.paid_at) for each in sold_orders(world)]
    return max((day for day in set(days) if day <= last), key=lambda day: (days.count(day), day))


async def seed(desk: Desk, account: str = STORE) -> None:
    """Our books know everything that the simulated store sold and took back."""
    await desk.write(
        *(
            an_order(each.id, each.paid_minor, each.paid_at, account, discount_minor=each.discount_minor)
            for each in sold_orders(desk.world)
        ),
        *(
            a_refund(each.id, each.tid, each.amount_minor, each.succeeded_at, account)
            for each in desk.world.sim.app.state.world.refunds.having(shop=simulated.SHOP)
            if each.succeeded_at is not None
        ),
    )


def an_order(number: str, paid: int | None, at: datetime | None, account: str = POS, **more: Any) -> OrderRow:
    now = datetime.now(UTC)
    status = "paid" if at is not None else "unpaid"
    head: dict[str, Any] = {"version": 1, "detail_version": 1, "told_at": now, "recorded_at": now, "status": status}
    return OrderRow(**head | more, account_id=account, order_id=number, paid_minor=paid, paid_at=at)


def a_refund(
    number: str, order: str, amount: int, at: datetime | None, account: str = POS, status: str = "refunded"
) -> RefundRow:
    now = datetime.now(UTC)
    head: dict[str, Any] = {"version": 1, "detail_version": 1, "told_at": now, "recorded_at": now, "status": status}
    return RefundRow(**head, account_id=account, refund_id=number, order_id=order, amount_minor=amount, refunded_at=at)


def told(number: str, amount: str, kind: str = "交易", fee: str = "0", day: date = DAY) -> str:
    return f"{number},{kind},{amount},{fee},{day} 12:00:00"


def moved(
    line: int, number: str, amount: int, direction: Direction = "out", day: date = DAY, kind: LineKind = "transfer"
) -> BillLine:
    """A line of a platform's fund bill."""
    at = datetime(day.year, day.month, day.day, 12, tzinfo=SHANGHAI)
    return BillLine(line, kind, direction, amount, at, number, f"W{number}")
