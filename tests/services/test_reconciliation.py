"""Days reconciled with the simulator's WeChat Pay, and with files: clean ones, and every way in which they are not."""

import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha1
from time import process_time
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from connectors.wechat_pay.settings import WechatPaySettings
from domain.access import Actor, Role, Scope
from domain.accounts import NewAccount
from domain.problems import (
    AuthorizationProblem,
    CommunicationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    ValidationProblem,
)
from domain.settlement.bill_rows import parse_columns
from domain.settlement.bills import SHANGHAI, Told, day_of
from domain.settlement.payees import NewPayee
from services.bills import BillReader, BillService, BillTerms
from services.breaks import AGES, BreakService, age_of
from services.connections import Connections
from services.payees import PayeeRegister
from services.reconciliation import Reconciled, ReconciliationService
from simulator.platforms import wechat_pay
from simulator.platforms.wechat_pay import bills as simulated
from storage.accounts import Accounts
from storage.breaks import BreakFilter, BreakRow
from storage.engine import Database
from storage.events import Events
from storage.orders import OrderRow, RefundRow
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.connectors.harness import CONNECTORS, Outside, outside, perform

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
        self.bills = BillService(database)
        self.reader = BillReader(database, CONNECTORS, Connections(database), world.link)
        self.reconciliation = ReconciliationService(database)
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
        told = {"told": Told(rows=len(rows))} | more
        await self.bills.take_file(QIAN, account, day, COLUMNS, io.BytesIO(content), **told)

    async def open_breaks(self) -> Sequence[BreakRow]:
        return (await self.breaks.list(QIAN, PageRequest(200), BreakFilter())).items

    async def kinds(self) -> list[tuple[str, str, str | None, int]]:
        return sorted((each.family, each.kind, each.number, each.difference_minor) for each in await self.open_breaks())


@pytest.fixture
async def desk(database: Database, clock: SteppedClock, simulator: Outside) -> Desk:
    built = Desk(database, clock, simulator)
    await built.connect(PAY, **(await simulator.account("wechat_pay")).settings)
    await built.connect(STORE)
    await built.connect(POS)
    await built.bills.set_terms(QIAN, BillTerms(PAY, (STORE,), fee_bps=60))
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
        *(an_order(each.id, each.paid_minor, each.paid_at, account) for each in sold_orders(desk.world)),
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


# --- WeChat Pay


async def test_a_clean_day_has_no_break_and_a_second_run_changes_nothing(desk: Desk) -> None:
    await seed(desk)
    day = busiest_day(desk.world)
    first = await desk.day(day)
    assert first.rows >= 2
    assert (first.matched, first.breaks, first.not_compared, first.changed) == (first.rows, 0, [], True)
    assert await desk.open_breaks() == []
    again = await desk.day(day)
    assert (again.digest, again.changed) == (first.digest, False)
    bills = (await desk.bills.list(QIAN, PageRequest())).items
    assert {(each.kind, each.source, each.day) for each in bills} == {
        ("trade", "platform", day),
        ("funds", "platform", day),
    }


async def test_every_kind_of_break_of_a_shop_s_orders(desk: Desk) -> None:
    await seed(desk)
    day = busiest_day(desk.world)
    one, other = [each for each in sold_orders(desk.world) if day_of(each.paid_at) == day][:2]
    at = datetime(day.year, day.month, day.day, 12, tzinfo=SHANGHAI)
    await desk.change("UPDATE orders SET paid_minor = paid_minor - 1 WHERE order_id = :id", id=one.id)
    await desk.change("UPDATE orders SET paid_at = NULL WHERE order_id = :id", id=other.id)
    await desk.write(an_order("LATE", 700, at, STORE), a_refund("R-NONE", "LATE", 300, at, STORE))
    await desk.day(day)
    assert await desk.kinds() == sorted(
        [
            ("payment", "amount", one.id, 1),
            ("payment", "state", other.id, other.paid_minor),
            ("payment", "timing", "LATE", -700),
            ("refund", "timing", "R-NONE", 300),
        ]
    )
    await desk.change("DELETE FROM orders WHERE order_id = :id", id=one.id)
    await desk.reconciliation.reconcile(QIAN, PAY, day)
    assert ("payment", "missing-ours", one.id, one.paid_minor) in await desk.kinds()
    assert ("payment", "amount", one.id, 1) not in await desk.kinds()
    # What is put right is solved by itself.
    await desk.write(an_order(one.id, one.paid_minor, one.paid_at, STORE))
    await desk.change("UPDATE orders SET paid_at = :at WHERE order_id = :id", at=other.paid_at, id=other.id)
    await desk.change("DELETE FROM orders WHERE order_id = 'LATE'")
    await desk.change("DELETE FROM refunds WHERE refund_id = 'R-NONE'")
    assert (await desk.reconciliation.reconcile(QIAN, PAY, day)).breaks == 0
    assert await desk.open_breaks() == []
    solved = (await desk.breaks.list(QIAN, PageRequest(), BreakFilter(state="solved"))).items
    assert {each.solved_by for each in solved} == {None}


async def test_finance_is_told_once_of_a_day_that_differs(desk: Desk) -> None:
    await desk.write(an_order("E1", 100, NOON), an_order("E2", 100, NOON))
    await desk.file(DAY, told("E1", "1.05"), told("X", "2.00"))
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    async with UnitOfWork(desk.database) as work:
        (event,) = [each.event for each in await Events(work).claim(10, timedelta(minutes=1))]
    assert (event.type, event.source, event.subject) == (
        "tandem.breaks.opened",
        "/generic/pos",
        f"bill:{POS}/{DAY}",
    )
    assert event.data == {
        "platform": "generic",
        "account": "pos",
        "day": str(DAY),
        "breaks": 2,
        "difference_minor": 205,
        "kinds": {"amount": 1, "missing-ours": 1},
    }, "what may still come is told of to nobody"


async def test_fees_beside_the_agreed_rate_are_breaks(desk: Desk) -> None:
    await seed(desk)
    day = busiest_day(desk.world)
    await desk.bills.set_terms(QIAN, BillTerms(PAY, (STORE,), fee_bps=38))
    await desk.day(day)
    assert {(family, kind) for family, kind, _, _ in await desk.kinds()} == {("fee", "amount")}
    await desk.bills.set_terms(QIAN, BillTerms(PAY, (STORE,)))
    assert (await desk.reconciliation.reconcile(QIAN, PAY, day)).breaks == 0


async def test_what_nobody_said_is_collected_for_a_shop_is_not_compared(desk: Desk) -> None:
    await desk.change("DELETE FROM bill_terms")
    found = await desk.day(busiest_day(desk.world))
    assert (found.breaks, found.not_compared) == (0, ["payment", "refund"])


async def test_a_shop_is_billed_by_one_account(desk: Desk) -> None:
    with pytest.raises(ConflictProblem, match=PAY):
        await desk.bills.set_terms(QIAN, BillTerms(POS, (POS, STORE)))
    with pytest.raises(NotFoundProblem):
        await desk.bills.set_terms(QIAN, BillTerms(POS, ("youzan/none",)))


async def test_there_is_no_bill_before_ten_the_next_morning(desk: Desk) -> None:
    today = day_of(desk.clock())
    for day in (today, today + timedelta(days=3)):
        with pytest.raises(ConflictProblem, match="ten"):
            await desk.reader.take_day(PAY, day)
    with pytest.raises(ConflictProblem, match="no bill"):
        await desk.reconciliation.reconcile(QIAN, PAY, today - timedelta(days=9))
    with pytest.raises(NotFoundProblem, match="file"):
        await desk.reader.take_day(STORE, today - timedelta(days=9))


async def test_days_that_were_missed_are_due_within_bounds(desk: Desk) -> None:
    assert await desk.reconciliation.due(PAY) == [], "connected today"
    await desk.change("UPDATE accounts SET created_at = created_at - interval '40 days'")
    today = day_of(desk.clock())
    due = await desk.reconciliation.due(PAY)
    assert due == [today - timedelta(days=14 - number) for number in range(7)]
    await desk.day(due[0])
    assert (await desk.reconciliation.due(PAY))[0] == due[1]


async def test_a_bill_that_the_platform_got_wrong_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    day = busiest_day(desk.world)
    written = simulated.trade_bill

    def shifted(*arguments: Any) -> str | None:
        bill = written(*arguments)
        return bill.replace("`CNY,", "", 1) if bill else None

    def foreign(*arguments: Any) -> str | None:
        bill = written(*arguments)
        return bill.replace("`CNY", "`USD") if bill else None

    def wrong_digest(content: bytes, **more: Any) -> Any:
        return sha1(content + b" ", **more)

    for place, change, said in (
        (simulated, shifted, "row 2 is too short: there is nothing under 费率备注"),
        (simulated, foreign, "Row 2 of the bill, “货币种类”"),
        (wechat_pay, wrong_digest, "digest"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, "sha1" if place is wechat_pay else "trade_bill", change)
            with pytest.raises((CommunicationProblem, ValidationProblem), match=said):
                await desk.reader.take_day(PAY, day)
        assert (await desk.bills.list(QIAN, PageRequest())).items == []


# --- payouts


async def a_payout(desk: Desk, number: str, state: str, at: datetime, amount: int, rail: str | None = None) -> None:
    await PayeeRegister(desk.database).put(QIAN, [NewPayee(code=number, name="李小红", role="promoter")])
    values = {"batch": uuid4(), "number": number, "at": at, "amount": amount, "state": state, "rail": rail}
    await desk.change(
        """
        WITH period AS (
            INSERT INTO settlement_periods (scheme, cycle, start, "end", currency, opened_at)
            VALUES (:number, 'month', '2026-01-01', '2026-02-01', 'CNY', :at) RETURNING id
        ), batch AS (
            INSERT INTO payout_batches (id, scheme, currency, period, day, state, terms, asked_by, asked_at)
            SELECT :batch, :number, 'CNY', id, current_date, 'paying', '{}', 'qian', :at FROM period RETURNING id
        )
        INSERT INTO payouts (
            batch, part, number, payee, rail, amount_minor, offset_minor, currency, state, pay_on, attempts, next_at,
            rail_number, created_at, changed_at, ended_at
        )
        SELECT batch.id, 0, :number, payees.id, 'wechat-pay', :amount, 0, 'CNY', CAST(:state AS text), current_date, 1,
            :at, :rail, :at, :at, CASE WHEN CAST(:state AS text) IN ('paid', 'failed') THEN CAST(:at AS timestamptz) END
        FROM batch, payees WHERE payees.code = :number
        """,
        **values,
    )


async def paid_transfer(desk: Desk, number: str, amount: int) -> str:
    """A transfer that its payee took; the platform's number of it."""
    client = await desk.world.open("wechat_pay")
    arguments = {"openid": "oPayee", "amount_minor": amount, "remark": "佣金", "out_bill_no": number}
    made = await perform(client, "wechat_pay.transfer", key=number, **arguments)
    body = {"platform": "wechat_pay", "account": MERCHANT, "event": "SUCCESS", "subjects": {"out_bill_no": number}}
    await desk.world.sim.admin("POST", "/push", json=body)
    return str(made.payout_id)


async def test_payouts_against_the_bill_and_what_it_says_of_those_that_nobody_knows_of(desk: Desk) -> None:
    await seed(desk)
    now = desk.clock()
    known = await paid_transfer(desk, "PKNOWN", 1_200)
    for number, amount in (("PUNKNOWN", 1_300), ("PFAILED", 1_400), ("PSTRANGE", 1_500), ("PLESS", 1_600)):
        await paid_transfer(desk, number, amount)
    await a_payout(desk, "PKNOWN", "paid", now, 1_200, known)
    await a_payout(desk, "PUNKNOWN", "unknown", now, 1_300)
    await a_payout(desk, "PFAILED", "failed", now, 1_400)
    await a_payout(desk, "PLESS", "unknown", now, 1_601)
    await a_payout(desk, "PNEVER", "unknown", now, 1_700)
    await a_payout(desk, "PGONE", "paid", now, 1_800)
    for number in ("PUNKNOWN", "PNEVER"):
        assert await desk.bills.payout_word(number) is None, "no bill has told yet"
    desk.clock.advance(days=5)
    day = day_of(now)
    # The simulator's clock goes on with real time: its days after today are not over.
    await desk.world.sim.admin("POST", "/advance", json={"seconds": 5 * 86_400})
    for later in range(4):
        await desk.day(day + timedelta(days=later))
    assert [each for each in await desk.kinds() if each[0] == "transfer"] == sorted(
        [
            ("transfer", "state", "PFAILED", -1_400),
            ("transfer", "missing-ours", "PSTRANGE", -1_500),
            ("transfer", "amount", "PLESS", 1),
            ("transfer", "missing-theirs", "PGONE", 1_800),
        ]
    )
    words = {each: await desk.bills.payout_word(each) for each in ("PUNKNOWN", "PKNOWN", "PNEVER", "PLESS", "NONE")}
    assert words == {"PUNKNOWN": "paid", "PKNOWN": "paid", "PNEVER": "absent", "PLESS": None, "NONE": None}


# --- files

DAY = date(2026, 6, 1)
NOON = datetime(2026, 6, 1, 4, tzinfo=UTC)


def told(number: str, amount: str, kind: str = "交易", fee: str = "0", day: date = DAY) -> str:
    return f"{number},{kind},{amount},{fee},{day} 12:00:00"


async def test_a_file_with_coupons_points_and_fees_agrees_to_the_fen(desk: Desk) -> None:
    await desk.bills.set_terms(QIAN, BillTerms(POS, (POS,), fee_bps=60))
    await desk.write(
        an_order("E1", 10_000, NOON, discount_minor=500), an_order("E2", 5_000, NOON), a_refund("R1", "E2", 2_000, NOON)
    )
    rows = [
        told("E1", "100.00", fee="0.60"),
        told("E1", "3.00", "优惠券"),
        told("E1", "2.00", "积分"),
        told("E2", "50.00"),
        told("E2", "-0.30", "服务费"),
        told("R1", "-20.00", "退款"),
    ]
    found = await desk.file(DAY, *rows)
    assert (found.rows, found.matched, found.breaks) == (6, 6, 0)
    await desk.change("UPDATE orders SET discount_minor = 499 WHERE order_id = 'E1'")
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert await desk.kinds() == [("discount", "amount", "E1", 1)]


async def test_a_later_bill_solves_what_was_late_and_the_window_ends_it(desk: Desk) -> None:
    await desk.write(an_order("E1", 100, NOON), an_order("E2", 200, NOON), an_order("E3", 300, NOON))
    await desk.file(DAY, told("E1", "1.00"))
    late = [("payment", "timing", "E2", -200), ("payment", "timing", "E3", -300)]
    assert await desk.kinds() == late
    await desk.file(DAY + timedelta(days=1), told("E2", "2.00", day=DAY + timedelta(days=1)))
    assert await desk.kinds() == [late[1]]
    for number in (2, 3):
        day = DAY + timedelta(days=number)
        await desk.file(day, told(f"X{number}", "0.00", day=day))
    assert await desk.kinds() == [("payment", "missing-theirs", "E3", -300)]
    last = DAY + timedelta(days=9)
    await desk.file(last, told("E3", "3.00", day=last))
    assert await desk.kinds() == [], "found after all"
    for number in (0, 1, 2, 3, 9):
        found = await desk.reconciliation.reconcile(QIAN, POS, DAY + timedelta(days=number))
        assert found.breaks == 0


async def test_a_deposit_and_its_balance_on_two_days_are_one_order(desk: Desk) -> None:
    await desk.write(an_order("E1", 300, NOON))
    await desk.file(DAY, told("E1", "1.00"))
    assert await desk.kinds() == [("payment", "amount", "E1", -200)]
    next_day = DAY + timedelta(days=1)
    await desk.file(next_day, told("E1", "2.00", day=next_day))
    assert await desk.kinds() == []
    third = DAY + timedelta(days=2)
    await desk.file(third, told("E1", "2.00", day=third))
    assert await desk.kinds() == [("payment", "duplicate", "E1", 200)]


async def test_a_bill_is_taken_once_and_never_revised(desk: Desk) -> None:
    await desk.take(DAY, told("E1", "1.00"))
    await desk.take(DAY, told("E1", "1.00"))
    with pytest.raises(ConflictProblem, match="never revised"):
        await desk.take(DAY, told("E1", "1.01"))
    for statement in ("UPDATE bills SET rows = 2", "DELETE FROM bill_lines", "UPDATE bill_lines SET amount_minor = 1"):
        with pytest.raises((SQLAlchemyError, ProblemError)):
            await desk.change(statement)


async def test_a_bill_that_cannot_be_believed_leaves_nothing(desk: Desk) -> None:
    row = told("E1", "1.00")
    for rows, more in (
        ([row], {"digest": "0" * 40}),
        ([row], {"digest": "short"}),
        ([row], {"told": None}),
        ([row], {"told": Told(in_minor=101)}),
        ([f"E1,{row}"], {}),
        ([told("E1", "1.00", day=DAY + timedelta(days=1))], {}),
    ):
        with pytest.raises(ValidationProblem):
            await desk.take(DAY, *rows, **more)
    with pytest.raises(AuthorizationProblem):
        await desk.bills.take_file(WU, POS, DAY, COLUMNS, io.BytesIO(b""), told=Told(rows=0))
    assert (await desk.bills.list(QIAN, PageRequest())).items == []


# --- breaks


async def one_break(desk: Desk) -> UUID:
    await desk.write(an_order("E1", 100, NOON))
    await desk.file(DAY, told("E1", "1.05"))
    return (await desk.open_breaks())[0].id


async def test_a_difference_goes_by_two_people(desk: Desk) -> None:
    each = await one_break(desk)
    with pytest.raises(ConflictProblem):
        await desk.breaks.solve(WU, each)
    with pytest.raises(NotFoundProblem):
        await desk.breaks.assign(QIAN, each, "nobody")
    assert (await desk.breaks.assign(QIAN, each, None, "T-1")).ticket == "T-1"
    assert (await desk.breaks.explain(QIAN, each, "write-off", "五分钱尾差")).state == "explained"
    both = an_actor("qian", Role.FINANCE, Role.APPROVER)
    for who in (QIAN, both):
        with pytest.raises(AuthorizationProblem):
            await desk.breaks.solve(who, each)
    with pytest.raises((SQLAlchemyError, ProblemError)):
        await desk.change("UPDATE breaks SET state = 'solved', solved_by = 'qian'")
    assert (await desk.breaks.refuse(WU, each, "请附凭证")).state == "open"
    await desk.breaks.explain(QIAN, each, "write-off", "五分钱尾差，凭证 12")
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert (await desk.breaks.show(QIAN, each)).state == "explained", "it stands as it did"
    assert (await desk.breaks.solve(WU, each)).solved_by == "wu"
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert (await desk.breaks.show(QIAN, each)).state == "solved"
    with pytest.raises(ConflictProblem):
        await desk.breaks.explain(QIAN, each, "agreed", "再说一次")
    # Another difference is another matter.
    await desk.change("UPDATE orders SET paid_minor = 99")
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    row = await desk.breaks.show(QIAN, each)
    assert (row.state, row.difference_minor, row.solved_by, row.reason) == ("open", 6, None, None)


async def test_breaks_age_and_are_seen_by_who_sees_the_account(desk: Desk) -> None:
    each = await one_break(desk)
    (aged,) = await desk.breaks.aged(QIAN)
    assert (aged.account, aged.kind, aged.age, aged.breaks, aged.difference_minor) == (POS, "amount", ">30", 1, 5)
    elsewhere: Actor = an_actor("ma", Role.FINANCE, scope=Scope.of_accounts(STORE))
    assert await desk.breaks.aged(elsewhere) == []
    assert (await desk.breaks.list(elsewhere, PageRequest(), BreakFilter())).items == []
    assert (await desk.bills.list(elsewhere, PageRequest())).items == []
    with pytest.raises(NotFoundProblem):
        await desk.breaks.show(elsewhere, each)
    with pytest.raises(NotFoundProblem):
        await desk.reconciliation.reconcile(elsewhere, POS, DAY)
    ages = [age_of(DAY - timedelta(days=days), DAY) for days in (0, 1, 2, 3, 4, 7, 8, 30, 31)]
    assert ages == ["0-1", "0-1", "2-3", "2-3", "4-7", "4-7", "8-30", "8-30", ">30"]
    assert [name for name, _ in AGES] == ["0-1", "2-3", "4-7", "8-30", ">30"]


async def test_a_hundred_thousand_rows_are_taken_and_reconciled_in_seconds(desk: Desk) -> None:
    await desk.change(
        "INSERT INTO orders (account_id, order_id, version, version_tie, detail_version, detail_version_tie, status, "
        "currency, paid_minor, paid_at, refunded_minor, told_at, recorded_at, coupon_ids) SELECT 'generic/pos', "
        "'E' || n, 1, 0, 1, 0, 'paid', 'CNY', n, :at, 0, :at, :at, '{}' FROM generate_series(1, 100000) n",
        at=NOON,
    )
    rows = [told(f"E{number}", f"{number // 100}.{number % 100:02d}") for number in range(1, 100_001)]
    began = process_time()
    found = await desk.file(DAY, *rows)
    took_s = process_time() - began
    print(f"100,000 rows: {took_s:.1f} s of this process to take and reconcile them")
    assert (found.matched, found.breaks) == (100_000, 0)
    again = await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert (again.changed, again.digest) == (False, found.digest)
    assert took_s < 30
