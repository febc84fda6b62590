"""Orders that have no sales are told, and no settlement leaves them out unless somebody says so."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.access import Role, Scope
from domain.problems import ConflictProblem, ValidationProblem
from services.exchange_rates import Rate
from storage.audit import AuditLog
from storage.calculations import Calculations
from storage.paging import PageRequest
from storage.sale_queue import SaleQueue
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_calculations import MAY, Office, office
from tests.services.test_selling import NOW, RULES, a_refund, an_order, key
from tests.services.test_settlement_runs import Books

__all__ = ["office"]
QIAN = an_actor("qian", Role.FINANCE)
ABROAD: dict[str, Any] = {"currency": "USD", "channel": "P1"}
FX = """
scheme:
  name: abroad
  version: {version}
  title: 跨境
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter] }}
  earns: [{{ name: fx, title: 汇兑差额, of: fx-difference, rate: '100%' }}]
"""


@pytest.fixture
async def books(office: Office) -> Books:
    return Books(office)


async def left_out(office: Office, **more: Any) -> dict[str, int] | None:
    """What a preview tells."""
    calculation = await office.preview(**more)
    async with UnitOfWork(office.database) as work:
        row = await Calculations(work).find(calculation)
        return row.left_out if row is not None else None


async def refusal(books: Books, day: date = MAY) -> ConflictProblem:
    with pytest.raises(ConflictProblem) as refused:
        await books.runs.ask(QIAN, "promoters", day)
    return refused.value


async def queue(office: Office, number: str = "E1") -> None:
    async with UnitOfWork(office.database) as work:
        await SaleQueue(work).add([("youzan/flagship", number)])


async def test_an_order_without_a_rate_is_told_and_keeps_the_period_from_being_settled(
    office: Office, books: Books
) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", **ABROAD), an_order("E3", **ABROAD))
    assert await left_out(office) == {"no-rate": 2}
    refused = await refusal(books)
    assert refused.problem.as_dict()["left_out"] == {"no-rate": 2}
    assert refused.problem.as_dict()["orders"] == ["youzan/flagship E2", "youzan/flagship E3"]
    for told in ("2 单", "youzan/flagship E2", "补录汇率", "leave_out"):
        assert told in refused.text.zh
    assert "add one" in refused.text.en
    await office.rates.set(QIAN, [Rate("USD", MAY, "7.1")])
    await office.settle()
    assert await left_out(office) == {}
    assert (await books.settled()).run.state == "booked"


async def test_it_is_left_out_when_somebody_says_so_and_that_is_on_record(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", **ABROAD))
    view = await books.runs.ask(QIAN, "promoters", MAY, leave_out=True)
    await office.steps.run(view.calculations[0].id)
    assert (await books.runs.show(QIAN, view.run.id)).calculations[0].left_out == {"no-rate": 1}
    async with UnitOfWork(office.database) as work:
        (entry,) = (await AuditLog(work).list(Scope.everything(), PageRequest(5), action="settlement.run")).items
    assert entry.detail["left_out"] == {"no-rate": 1}


async def test_an_order_of_another_period_keeps_nobody(office: Office, books: Books) -> None:
    """Of June, whose first moment in Shanghai is the last day of May elsewhere."""
    june = NOW.replace(month=5, day=31, hour=16)
    await office.told(an_order("E2", paid_at=june, **ABROAD), at=june)
    assert await left_out(office) == {}
    assert await left_out(office, day=date(2026, 6, 1)) == {"no-rate": 1}
    assert (await books.computed()).run.state == "computed"
    await refusal(books, date(2026, 6, 30))


async def test_an_order_without_lines(office: Office, books: Books) -> None:
    await office.told(an_order(lines=(), channel="P1"))
    assert await left_out(office) == {"no-lines": 1}
    assert "没有商品行" in (await refusal(books)).text.zh


async def test_an_order_that_nobody_has_looked_at_yet(
    office: Office, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def later() -> None:
        """The worker is busy elsewhere."""

    april = NOW - timedelta(days=20)
    with monkeypatch.context() as away:
        away.setattr(office, "settle", later)
        await office.told(an_order(channel="P1"), an_order("E2", paid_at=None, status="unpaid"))
        await office.told(an_order("E3", paid_at=april, created_at=april))
    assert await left_out(office) == {"waiting": 1}
    assert "worker" in (await refusal(books)).text.zh
    await office.settle()
    assert (await books.computed()).run.state == "computed"


async def test_a_change_of_a_moment_ago_is_the_next_settlement_s_and_an_old_one_is_missing(
    office: Office, books: Books
) -> None:
    await office.told(an_order(channel="P1"))
    office.clock.advance(seconds=1)
    await queue(office)
    assert await left_out(office) == {}
    office.clock.advance(seconds=61)
    assert await left_out(office) == {"waiting": 1}
    await refusal(books)


async def test_orders_that_a_sweep_has_not_come_to_wait_and_count_once_it_has(
    office: Office, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of last month are written down, and the month is settled at once; so to the last order of the sweep."""
    monkeypatch.setattr("storage.sale_queue.SWEEP_BATCH", 2)
    await office.told(*(an_order(f"E{number}", channel="late") for number in range(1, 4)))
    office.clock.advance(seconds=61)
    await office.register.set_keys(QIAN, [key("P1", "channel", "late")])
    assert await left_out(office) == {"waiting": 3}
    refused = await refusal(books)
    assert refused.problem.as_dict()["left_out"] == {"waiting": 3}
    assert "会自行完成" in refused.text.zh
    assert "ends by itself" in refused.text.en
    for left in (3, 1, 0):  # two are queued, looked at, then the last one is
        await office.selling.drain()
        assert await left_out(office) == ({"waiting": left} if left else {})
    assert not await office.selling.has_work()
    assert (await books.settled()).run.booked_minor


async def test_a_sweep_of_other_days_keeps_nobody(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    office.clock.advance(seconds=61)
    await office.register.set_keys(QIAN, [key("P1", "channel", "late", since=date(2026, 6, 1))])
    assert await left_out(office) == {}
    assert (await books.computed()).run.state == "computed"


async def test_a_sweep_that_rules_begin_with_is_waited_for_before_it_is_asked_for(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"))
    office.clock.advance(seconds=61)
    await office.publish("1.1.0", RULES.replace("shop", "[unit, shop]"))
    assert await left_out(office) == {"waiting": 1}
    await refusal(books)
    assert (await books.runs.ask(QIAN, "promoters", MAY, leave_out=True)).run.state == "computing"
    await office.settle()
    assert await left_out(office) == {}


async def test_of_a_sweep_so_many_orders_are_counted(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.left_out.MOST_UNSWEPT", 2)
    await office.told(*(an_order(f"E{number}", channel="late") for number in range(1, 4)))
    await office.register.set_keys(QIAN, [key("P1", "channel", "late")])
    assert await left_out(office) == {"waiting": 2}


async def test_a_refund_without_a_sum_keeps_the_period_once_its_platform_had_time_to_tell_it(
    office: Office, books: Books
) -> None:
    await office.told(an_order(channel="P1"))
    await office.told(a_refund(None, occurred_at=office.clock.now), at=office.clock.now)
    assert await left_out(office) == {}, "as if it were told a moment later"
    office.clock.advance(minutes=61)
    assert await left_out(office) == {"refund-amount": 1}
    refused = await refusal(books)
    assert "金额未知" in refused.text.zh
    assert "nobody said how much" in refused.text.en
    await office.told(a_refund(10_000, 2, occurred_at=office.clock.now), at=office.clock.now)
    assert await left_out(office) == {}
    assert (await books.computed()).run.state == "computed"


async def test_an_order_whose_refund_lacks_a_sum_waits_like_any_other(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    await office.told(a_refund(None, occurred_at=office.clock.now), at=office.clock.now)
    office.clock.advance(seconds=1)
    await queue(office)
    office.clock.advance(seconds=61)
    assert await left_out(office) == {"waiting": 1}


async def test_a_refund_in_another_currency_keeps_the_period_at_once(office: Office, books: Books) -> None:
    await office.told(an_order(channel="P1"), a_refund(7_100, currency="USD"))
    assert await left_out(office) == {"refund-currency": 1}
    assert "退款的币种与订单不同" in (await refusal(books)).text.zh


async def test_an_order_counts_as_left_out_once(office: Office) -> None:
    await office.told(an_order(**ABROAD))
    await queue(office)
    office.clock.advance(seconds=61)
    assert await left_out(office) == {"no-rate": 1}


async def test_an_order_that_was_paid_and_is_completed_now_waits_where_completed_ones_count(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a version that counts otherwise was published before that was refused.
    monkeypatch.setattr("services.definitions.refuse_split_periods_of", lambda *_: None)
    completed = office.scheme("2.0.0", text=FX.replace("abroad", "promoters").replace("paid\n", "completed\n"))
    await completed
    await office.told(an_order(channel="P1"))
    async with UnitOfWork(office.database) as work:
        await work.session.execute(text("UPDATE orders SET status = 'completed', completed_at = :at"), {"at": NOW})
    await queue(office)
    assert await left_out(office) == {"waiting": 1}


async def test_only_currencies_that_are_sold_in_the_period_need_a_rate(office: Office) -> None:
    await office.scheme("1.0.0", text=FX)
    await office.rates.set(QIAN, [Rate("USD", MAY, "7.1")])
    june = NOW + timedelta(days=31)
    await office.told(an_order(**ABROAD))
    await office.told(an_order("E2", channel="P1", paid_at=june), at=june)
    with pytest.raises(ValidationProblem, match="USD"):
        await office.preview(scheme="abroad")
    assert await office.earned(await office.preview(scheme="abroad", day=date(2026, 6, 1))) == {}
    await office.rates.set(QIAN, [Rate("USD", date(2026, 5, 31), "7.2")])
    assert await office.earned(await office.preview(scheme="abroad")) == {"P1": {"fx": 3_000}}
