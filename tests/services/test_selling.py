"""From what platforms tell of orders to the sales of payees, through every change of mind in between."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from psycopg.errors import QueryCanceled
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from domain.access import Role, system_actor
from domain.canonical import Buyer, OrderData, OrderLine, RefundData, ScanData
from domain.events import Event
from domain.problems import (
    ConflictProblem,
    UnavailableProblem,
    ValidationProblem,
)
from domain.settlement import selling
from domain.settlement.levels import LAW, LevelLimit
from domain.settlement.payees import KeyChange, NewPayee, UplineChange
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.exchange_rates import ExchangeRateService, Rate
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.payees import PayeeRegister
from services.sale_corrections import Part, SaleCorrectionService
from services.selling import Selling
from storage.engine import Database
from storage.figures import Figures
from storage.left_out import LeftOut
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock

OPS = system_actor("test")
QIAN, WU = an_actor("qian", Role.FINANCE), an_actor("wu", Role.APPROVER)
NOW = datetime(2026, 5, 3, 4, 0, tzinfo=UTC)
MAY = date(2026, 5, 3)
SHOP = {"platform": "youzan", "account": "flagship"}
RULES = """
attribution:
  name: orders
  version: {version}
  title: 归属
  since: 2026-05-01
  counts: [paid, completed]
  roles:
    promoter: [channel, {{ scan: {{ within-days: 30 }} }}]
    store: shop
"""


def an_order(number: str = "E1", version: int = 1, **more: Any) -> OrderData:
    lines = (
        OrderLine(line_id="1", item_id="coat", title="大衣", quantity=2, price_minor=10_000, total_minor=20_000),
        OrderLine(line_id="2", item_id="hat", title="帽", quantity=1, price_minor=10_000, total_minor=10_000),
    )
    head: dict[str, Any] = {
        **SHOP,
        "version": version,
        "order_id": number,
        "status": "paid",
        "paid_minor": 30_000,
        "created_at": NOW,
        "paid_at": NOW,
        "channel": "live-7",
        "buyer": Buyer(unionid="U1"),
        "lines": lines,
        "occurred_at": NOW,
    }
    return OrderData(**{**head, **more})


def a_refund(amount: int | None, version: int = 1, *lines: str, **more: Any) -> RefundData:
    told = {"refund_id": "R1", "order_id": "E1", "status": "refunded", "line_ids": lines, "occurred_at": NOW}
    return RefundData(**{**SHOP, "version": version, "amount_minor": amount, **told, **more})


class Counter:
    """A merchant's books: what is told goes in, and what payees sold comes out."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.selling = Selling(database)
        self.register = PayeeRegister(database)
        self.corrections = SaleCorrectionService(database)
        self.rates = ExchangeRateService(database)

    async def publish(self, version: str = "1.0.0", rules: str = RULES, level_limit: LevelLimit = LAW) -> None:
        definitions = DefinitionService(self.database, level_limit=level_limit)
        for uploaded in await definitions.upload(OPS, [SourceText("orders.yaml", rules.format(version=version))]):
            found = uploaded.version
            await definitions.publish(OPS, (found.kind, found.namespace, found.name, found.version))

    async def people(self) -> None:
        payees = [("P1", "promoter"), ("P2", "promoter"), ("S1", "store")]
        await self.register.put(QIAN, [NewPayee(code=code, name=f"名{code}", role=role) for code, role in payees])
        await self.register.set_keys(QIAN, [key("P1", "channel", "live-7"), key("S1", "shop", "youzan/flagship")])

    async def told(self, *records: Any, at: datetime = NOW) -> None:
        """One drained batch, then all that follows from it."""
        await self.taken_in(*records, at=at)
        await self.settle()

    async def taken_in(self, *records: Any, at: datetime = NOW) -> None:
        """One drained batch."""
        names: dict[Any, str] = {
            OrderData: "order.changed",
            RefundData: "refund.changed",
            ScanData: "scan.made",
        }
        async with UnitOfWork(self.database) as work:
            arrivals = []
            for number, data in enumerate(records):
                event = Event(
                    id=f"{number}-{data.version}-{at.isoformat()}",
                    source=f"/{data.account_id}",
                    type=f"tandem.{names[type(data)]}",
                    time=at,
                    data=data.model_dump(mode="json"),
                )
                arrivals.append(Arrival.of(event, at))
            await Intake(IdentityService(), selling=self.selling).take_in(work, arrivals)

    async def settle(self) -> None:
        """Everything that waits is looked at."""
        while await self.selling.has_work():
            await self.selling.drain()

    async def sold(self) -> dict[str, tuple[int, ...]]:
        """By payee and way of counting: paid, kept, pieces, deals."""
        statement = text(
            "SELECT p.code, s.basis, sum(paid_minor), sum(kept_minor), sum(quantity), sum(orders) FROM sales s "
            "JOIN payees p ON p.id = s.payee GROUP BY 1, 2"
        )
        async with UnitOfWork(self.database) as work:
            rows = (await work.session.execute(statement)).all()
        return {f"{code} {'paid' if basis == 1 else 'completed'}": tuple(map(int, sums)) for code, basis, *sums in rows}

    async def rows(self) -> int:
        async with UnitOfWork(self.database) as work:
            return int(await work.session.scalar(text("SELECT count(*) FROM sales")) or 0)

    async def paid_days(self) -> set[tuple[str, date | None]]:
        """The days of payment that are kept, by way of counting."""
        async with UnitOfWork(self.database) as work:
            rows = await work.session.execute(text("SELECT DISTINCT basis, paid_day FROM sales"))
            return {("paid" if row.basis == 1 else "completed", row.paid_day) for row in rows}

    async def days(self) -> set[date]:
        async with UnitOfWork(self.database) as work:
            return set(await work.session.scalars(text("SELECT DISTINCT day FROM sales")))


def key(code: str, kind: str, value: str, **more: Any) -> KeyChange:
    return KeyChange(**{"code": code, "kind": kind, "value": value, "since": date(2026, 1, 1), **more})


@pytest.fixture
async def counter(database: Database) -> Counter:
    found = Counter(database)
    await found.publish()
    await found.people()
    await found.settle()
    return found


async def test_a_key_is_given_to_somebody_once(counter: Counter) -> None:
    with pytest.raises(ConflictProblem, match="the same payee's on 2026-06-01 already"):
        await counter.register.set_keys(QIAN, [key("P1", "channel", "live-7", since=date(2026, 6, 1), share=5_000)])
    await counter.register.set_keys(QIAN, [key("P1", "channel", "live-7", until=date(2026, 6, 1))])
    await counter.register.set_keys(QIAN, [key("P1", "channel", "live-7", since=date(2026, 6, 1), share=5_000)])


async def test_an_order_that_cannot_be_looked_at_stops_no_other(
    counter: Counter, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now = NOW
    look_at = Selling._look_at

    async def breaks(self: Selling, work: UnitOfWork, rules: Any, orders: Any, *more: Any) -> int:
        if any(each.order_id == "E1" for each in orders):
            raise ValueError("a bug")
        return await look_at(self, work, rules, orders, *more)

    monkeypatch.setattr(Selling, "_look_at", breaks)
    await counter.told(*(an_order(f"E{number}", buyer=Buyer(unionid=f"U{number}")) for number in range(1, 4)))
    assert (await counter.sold())["P1 paid"][0] == 60_000
    monkeypatch.undo()
    assert (await counter.selling.drain()).orders == 0, "not at once again"
    async with UnitOfWork(counter.database) as work:
        sales = (await Figures(work).collect()).sales
    assert (sales.waiting, sales.aside) == (0, 1), "others are not late because of it"
    clock.advance(minutes=30)
    async with UnitOfWork(counter.database) as work:
        left = await LeftOut(work).found(
            "paid", MAY.replace(day=1), date(2026, 6, 1), MAY.replace(day=1), "rules 1.0.0"
        )
        assert dict(left.counts) == {"waiting": 1}, "no settlement passes over it"
    clock.advance(minutes=30)
    assert (await counter.selling.drain()).orders == 1
    assert (await counter.sold())["P1 paid"][0] == 90_000


async def test_an_order_that_could_not_be_looked_at_gets_its_turn_while_others_keep_coming(
    counter: Counter, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now = NOW

    async def breaks(*_: object) -> int:
        raise ValueError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(Selling, "_look_at", breaks)
        await counter.told(an_order("E1"))
    clock.advance(hours=1)
    await counter.taken_in(*(an_order(f"E{number}") for number in range(2, 6)), at=clock.now)
    async with UnitOfWork(counter.database) as work:
        sales = (await Figures(work).collect()).sales
    assert (sales.waiting, sales.oldest_at) == (5, clock.now), "it waits since its time has come"
    counter.selling._again_at = 0.0  # a minute later
    await counter.selling.drain(1)
    async with UnitOfWork(counter.database) as work:
        left = await work.session.scalars(text("SELECT order_id FROM sale_queue JOIN orders ON id = order_key"))
        assert set(left) == {"E2", "E3", "E4", "E5"}


async def test_an_order_that_changed_since_it_could_not_be_looked_at_is_looked_at_at_once(
    counter: Counter, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now = NOW

    async def breaks(*_: object) -> int:
        raise UnavailableProblem("too slow") from OperationalError("SELECT", {}, QueryCanceled())

    with monkeypatch.context() as patched:
        patched.setattr(Selling, "_look_at", breaks)
        await counter.told(an_order())
    assert not await counter.selling.has_work()
    clock.advance(seconds=1)
    await counter.told(an_order(version=2), at=clock.now)
    assert (await counter.sold())["P1 paid"][0] == 30_000


WHOLE = (30_000, 30_000, 3, 1)


async def test_an_order_is_somebodys_and_counts_as_it_goes_on(counter: Counter) -> None:
    await counter.told(an_order())
    assert await counter.sold() == {"P1 paid": WHOLE, "S1 paid": WHOLE}
    later = NOW + timedelta(days=9)
    await counter.told(an_order(version=2, status="completed", completed_at=later), at=later)
    assert await counter.sold() == dict.fromkeys(("P1 paid", "S1 paid", "P1 completed", "S1 completed"), WHOLE)
    assert await counter.days() == {MAY, MAY + timedelta(days=9)}
    rows = await counter.rows()
    await counter.told(an_order(version=3, status="completed", completed_at=later), at=later)
    assert await counter.rows() == rows, "what changes nothing adds nothing"


async def test_the_day_of_payment_is_kept_with_what_counts_on_another_day(counter: Counter) -> None:
    later = NOW + timedelta(days=9)
    await counter.told(an_order(version=2, status="completed", completed_at=later), at=later)
    assert await counter.paid_days() == {("paid", None), ("completed", MAY)}
    await counter.told(a_refund(10_000, 1, "2"))
    assert await counter.paid_days() == {("paid", None), ("completed", MAY)}


async def test_what_counted_before_the_day_of_payment_was_kept_goes_on_as_it_was_settled(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = NOW + timedelta(days=9)
    done: dict[str, Any] = {"status": "completed", "completed_at": later}
    with monkeypatch.context() as patched:
        patched.setattr(selling, "_paid_day", lambda *_: None)
        await counter.told(an_order(version=2, **done), at=later)
    rows = await counter.rows()
    await counter.told(a_refund(10_000, 1, "2"))
    assert await counter.paid_days() == {("paid", None), ("completed", None)}
    assert await counter.rows() == rows + 4, "the refund alone, of two payees in two ways"
    await counter.told(an_order("E2", version=2, **done), at=later)
    assert ("completed", MAY) in await counter.paid_days()


async def test_a_refund_is_a_difference_on_the_same_day_whenever_it_comes(counter: Counter) -> None:
    await counter.told(an_order())
    await counter.told(a_refund(10_000, 1, "2"), at=NOW + timedelta(days=40))
    assert await counter.sold() == {"P1 paid": (30_000, 20_000, 2, 1), "S1 paid": (30_000, 20_000, 2, 1)}
    assert await counter.days() == {MAY}
    await counter.told(a_refund(30_000, 2))
    assert (await counter.sold())["P1 paid"] == (30_000, 0, 0, 0)


async def test_a_refund_that_comes_before_its_order(counter: Counter) -> None:
    await counter.told(a_refund(10_000, 1, "2"))
    await counter.told(an_order())
    assert (await counter.sold())["P1 paid"] == (30_000, 20_000, 2, 1)


async def problems(counter: Counter) -> dict[str, str]:
    """What orders lack, by their numbers."""
    statement = "SELECT order_id, problem FROM sold_orders JOIN orders ON id = order_key WHERE problem IS NOT NULL"
    async with UnitOfWork(counter.database) as work:
        return {row.order_id: row.problem for row in await work.session.execute(text(statement))}


async def test_a_refund_whose_sum_nobody_told_is_said_until_it_is_known(counter: Counter) -> None:
    """As a push tells it, and the platform's list a moment later."""
    await counter.told(an_order())
    rows = await counter.rows()
    await counter.told(a_refund(None, 1, "2"))
    assert await problems(counter) == {"E1": "refund-amount"}
    assert (await counter.sold())["P1 paid"] == WHOLE
    assert await counter.rows() == rows, "nothing is told twice meanwhile"
    view = await counter.corrections.order(QIAN, ("youzan/flagship", "E1"))
    assert view.problem is not None
    assert "金额未知" in view.problem.zh
    await counter.told(a_refund(10_000, 2, "2"))
    assert await problems(counter) == {}
    assert (await counter.sold())["P1 paid"] == (30_000, 20_000, 2, 1)


@pytest.mark.parametrize("status", ["closed", "paid"])
async def test_a_sum_that_nobody_told_does_not_matter_where_all_went_back(counter: Counter, status: str) -> None:
    known = [] if status == "closed" else [a_refund(30_000, refund_id="R2")]
    await counter.told(an_order(status=status), a_refund(None), *known)
    assert await problems(counter) == {}
    assert (await counter.sold())["P1 paid"] == (30_000, 0, 0, 0)


async def test_of_pinduoduo_a_sum_is_missing_although_the_order_is_closed(counter: Counter) -> None:
    """Any refund closes it there, and only the sum says how much went back."""
    await counter.register.set_keys(QIAN, [key("S1", "shop", "pinduoduo/flagship")])
    shop: dict[str, Any] = {"platform": "pinduoduo"}
    await counter.told(an_order(status="closed", **shop), a_refund(None, **shop))
    assert await problems(counter) == {"E1": "refund-amount"}
    await counter.told(a_refund(10_000, 2, **shop))
    assert await problems(counter) == {}
    assert (await counter.sold())["P1 paid"][1] == 20_000


@pytest.mark.parametrize("first", ["order", "both"])
async def test_a_refund_in_another_currency_than_its_order_is_taken_off_by_nobody(counter: Counter, first: str) -> None:
    """71 yuan are not 71 dollars; the order stays as it was, and comes to nothing where it was not looked at before."""
    await counter.rates.set(QIAN, [Rate("USD", MAY, "7.1")])
    order, refund = an_order(currency="USD", paid_minor=10_000), a_refund(7_100, currency="CNY")
    await counter.told(order, *([] if first == "order" else [refund]))
    before = await counter.sold()
    assert before == (
        {"P1 paid": (71_000, 71_000, 3, 1), "S1 paid": (71_000, 71_000, 3, 1)} if first == "order" else {}
    )
    await counter.told(refund, an_order(version=2, currency="USD", paid_minor=20_000))
    assert await counter.sold() == before
    assert await problems(counter) == {"E1": "refund-currency"}
    view = await counter.corrections.order(QIAN, ("youzan/flagship", "E1"))
    assert view.problem is not None
    assert "退款的币种与订单不同" in view.problem.zh
    await counter.told(a_refund(1_000, 2, currency="USD"))
    assert await problems(counter) == {}
    assert (await counter.sold())["P1 paid"][:2] == (142_000, 134_900)


async def test_an_order_whose_price_was_changed(counter: Counter) -> None:
    await counter.told(an_order())
    await counter.told(an_order(version=2, paid_minor=24_000))
    assert (await counter.sold())["P1 paid"] == (24_000, 24_000, 3, 1)


async def test_orders_of_before_and_unpaid_ones_are_no_sales(counter: Counter) -> None:
    april = datetime(2026, 4, 30, 15, 59, tzinfo=UTC)
    await counter.told(an_order("E0", created_at=april, paid_at=april), an_order("E9", status="unpaid", paid_at=None))
    assert await counter.rows() == 0
    first_of_may = april + timedelta(minutes=1)
    await counter.told(an_order("E2", created_at=april, paid_at=first_of_may))
    assert await counter.days() == {date(2026, 5, 1)}


async def test_who_scanned_a_code_brings_it_to_whose_code_it_is(counter: Counter) -> None:
    await counter.register.set_keys(QIAN, [key("P2", "channel", "poster")])
    scan = ScanData(
        platform="official_account",
        account="oa",
        version=1,
        scan_id="s1",
        code="poster",
        buyer=Buyer(unionid="U1"),
        occurred_at=NOW - timedelta(days=3),
    )
    await counter.told(scan, at=NOW - timedelta(days=3))
    await counter.told(an_order(channel=None), an_order("E2", channel="live-7"))
    assert (await counter.sold())["P2 paid"] == WHOLE
    assert (await counter.sold())["P1 paid"] == WHOLE


async def test_a_key_that_is_said_late_finds_orders_that_were_nobodys_and_takes_none_away(counter: Counter) -> None:
    await counter.told(an_order(channel="new"), an_order("E2"))
    assert (await counter.sold()).keys() == {"P1 paid", "S1 paid"}
    await counter.register.set_keys(QIAN, [key("P2", "channel", "new")])
    await counter.settle()
    assert (await counter.sold())["P2 paid"] == WHOLE
    # Whose it was decided to be it stays, also when the key goes to somebody else.
    await counter.register.set_keys(QIAN, [key("P1", "channel", "live-7", until=date(2026, 2, 1))])
    await counter.register.set_keys(QIAN, [key("P2", "channel", "live-7", since=date(2026, 2, 1))])
    await counter.settle()
    await counter.told(an_order("E2", version=2))
    assert (await counter.sold())["P1 paid"] == WHOLE


async def test_an_order_that_was_taken_back_from_a_channel_is_found_by_no_later_key(counter: Counter) -> None:
    await counter.told(an_order(channel="new", says_who_sold=True))
    await counter.told(an_order(version=2, channel=None, says_who_sold=True))
    await counter.register.set_keys(QIAN, [key("P2", "channel", "new")])
    await counter.settle()
    await counter.told(an_order(version=3, channel=None, status="shipped"))
    assert await counter.sold() == {"S1 paid": WHOLE}


async def test_orders_that_were_there_before_the_rules_are_found(database: Database) -> None:
    counter = Counter(database)
    await counter.told(an_order())
    assert await counter.rows() == 0
    await counter.publish()
    await counter.people()
    await counter.settle()
    assert (await counter.sold())["S1 paid"] == WHOLE


SCHEME = """
scheme:
  name: promoters
  version: {version}
  title: 推广员
  cycle: month
  counts: paid
  from: 2026-05-01
  earns:
    - {{ name: sales, title: 销售, of: kept, rate: '5%' }}
"""


async def test_what_counted_goes_on_when_the_rules_count_otherwise(counter: Counter) -> None:
    await counter.told(an_order())
    await counter.publish("1.1.0", RULES.replace("[paid, completed]", "[completed]"))
    await counter.settle()
    assert await counter.sold() == {"P1 paid": WHOLE, "S1 paid": WHOLE}
    await counter.told(a_refund(10_000, 1, "2"), an_order("E2"))
    assert (await counter.sold())["P1 paid"] == (30_000, 20_000, 2, 1), "its refund, too, and no new order"
    await counter.told(an_order("E2", 2, status="completed", completed_at=NOW))
    assert (await counter.sold())["P1 completed"] == WHOLE
    # What came meanwhile counts once they count so again.
    await counter.publish("1.2.0")
    await counter.settle()
    assert (await counter.sold())["P1 paid"] == (60_000, 50_000, 5, 2)


async def test_what_counted_goes_on_when_it_passes_to_somebody_else(counter: Counter) -> None:
    await counter.told(an_order())
    await counter.publish("1.1.0", RULES.replace("[paid, completed]", "[completed]"))
    for shares in ([], [Part("P2", 10_000)]):
        asked = await counter.corrections.ask(QIAN, ("youzan/flagship", "E1"), "promoter", shares, "x")
        await counter.corrections.decide(WU, asked.id, approve=True)
        await counter.settle()
    assert (await counter.sold())["P2 paid"] == WHOLE
    assert (await counter.sold())["P1 paid"] == (0, 0, 0, 0)


async def test_rules_count_by_whatever_a_scheme_counts_by(counter: Counter) -> None:
    only_completed = RULES.replace("[paid, completed]", "[completed]")
    await counter.publish(rules=SCHEME)
    with pytest.raises(ConflictProblem, match=r"schemes promoters count.*`counts: \[paid, completed\]`") as refused:
        await counter.publish("1.1.0", only_completed)
    assert "counts: [paid, completed]" in refused.value.text.zh
    # One that has ended is adjusted by what comes late.
    await counter.publish("1.1.0", SCHEME.replace("cycle: month", "cycle: month\n  active: false"))
    with pytest.raises(ConflictProblem):
        await counter.publish("1.1.0", only_completed)
    await counter.publish("1.2.0", RULES.replace("[paid, completed]", "[paid]"))


async def test_a_push_that_tells_a_number_only_decides_nothing(counter: Counter) -> None:
    """The shop alone would be known then: not the channel, not the buyer, not that this is their first order."""
    await counter.publish("1.0.1", RULES.replace("store: shop", "store: [channel, shop]"))
    await counter.register.put(QIAN, [NewPayee(code="S2", name="店", role="store")])
    await counter.register.set_keys(QIAN, [key("S2", "channel", "live-8")])
    bare: dict[str, Any] = {"lines": (), "channel": None, "buyer": Buyer(), "paid_minor": None, "created_at": None}
    await counter.told(an_order(version=1, **bare))
    assert await counter.rows() == 0
    shown = await counter.corrections.order(QIAN, ("youzan/flagship", "E1"))
    assert (shown.evidence, shown.is_first) == ([], None)
    assert shown.problem is not None
    await counter.told(an_order(version=2, channel="live-8"))
    shown = await counter.corrections.order(QIAN, ("youzan/flagship", "E1"))
    assert [(each.role, each.payee) for each in shown.evidence] == [("store", "S2")]
    assert (shown.is_first, shown.problem) == (True, None)
    assert await counter.sold() == {"S2 paid": WHOLE}


async def test_another_currency_waits_for_its_rate(counter: Counter) -> None:
    await counter.told(an_order(currency="USD"))
    assert await counter.rows() == 0
    shown = await counter.corrections.order(QIAN, ("youzan/flagship", "E1"))
    assert shown.problem is not None
    assert "汇率" in shown.problem.zh
    async with UnitOfWork(counter.database) as work:
        found = (await Figures(work).collect()).sales
        assert (found.waiting, found.aside) == (0, 0), "told a moment ago"
        await work.session.execute(text("UPDATE sold_orders SET counted_at = counted_at - interval '61 minutes'"))
        assert (await Figures(work).collect()).sales.aside == 1
    await counter.rates.set(QIAN, [Rate("USD", date(2026, 5, 1), "7.1234")])
    await counter.settle()
    assert (await counter.sold())["P1 paid"] == (213_702, 213_702, 3, 1)
    for wrong in ("0", "-1", "1e99", "NaN", "7.12345678901", "x"):
        with pytest.raises(ValidationProblem):
            await counter.rates.set(QIAN, [Rate("USD", MAY, wrong)])


async def test_a_key_is_never_given_away_twice(counter: Counter) -> None:
    with pytest.raises(ConflictProblem) as refused:
        await counter.register.set_keys(QIAN, [key("P2", "channel", "live-7", share=1)])
    assert "100.01%" in str(refused.value)
    await counter.register.set_keys(QIAN, [key("P1", "channel", "live-7", share=9_000)])
    await counter.register.set_keys(QIAN, [key("P2", "channel", "live-7", share=1_000)])
    await counter.told(an_order())
    sold = await counter.sold()
    assert (sold["P1 paid"][0], sold["P2 paid"][0]) == (27_000, 3_000)


async def test_nobody_is_above_themselves(counter: Counter) -> None:
    def below(code: str, upline: str | None, since: date = MAY) -> UplineChange:
        return UplineChange(code=code, upline=upline, since=since)

    await counter.register.set_uplines(QIAN, [below("P1", "P2"), below("P2", "S1")])
    with pytest.raises(ValidationProblem) as refused:
        await counter.register.set_uplines(QIAN, [below("S1", "P1", MAY + timedelta(days=30))])
    assert "P1 → P2 → S1 → P1" in str(refused.value) or "S1 → P1 → P2 → S1" in str(refused.value)
    # It was so before somebody was moved away, and would be on a day in between.
    await counter.register.set_uplines(QIAN, [below("P2", None, MAY + timedelta(days=60))])
    with pytest.raises(ValidationProblem):
        await counter.register.set_uplines(QIAN, [below("S1", "P1", MAY + timedelta(days=30))])
    await counter.register.set_uplines(QIAN, [below("S1", "P1", MAY + timedelta(days=60))])
    shown = await counter.register.show(QIAN, "P2")
    assert [(each.since, each.upline) for each in shown.uplines] == [(MAY + timedelta(days=60), None), (MAY, "S1")]


async def test_orders_told_in_any_order_come_to_the_same(database: Database) -> None:
    told = [an_order(), a_refund(10_000, 1, "2"), an_order(version=2, status="completed", completed_at=NOW)]
    for turn in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        counter = Counter(database)
        await counter.publish()
        await counter.people()
        for place in turn:
            await counter.told(told[place])
        found = await counter.sold()
        assert found == dict.fromkeys(found, (30000, 20000, 2, 1)), turn
        assert len(found) == 4
