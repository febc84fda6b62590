"""Orders in other currencies by the rate of their day, also one that is corrected; and orders that a sweep finds."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text

from domain.access import Role
from services.exchange_rates import Rate
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_calculations import Office, office
from tests.services.test_left_out import FX
from tests.services.test_selling import MAY, NOW, WHOLE, Counter, an_order, counter
from tests.services.test_settlement_runs import JUNE, Books

__all__ = ["counter", "office"]
QIAN = an_actor("qian", Role.FINANCE)


async def rates(counter: Counter, *told: tuple[date, str], currency: str = "USD") -> None:
    await counter.rates.set(QIAN, [Rate(currency, day, rate) for day, rate in told])
    await counter.settle()


async def test_a_rate_that_is_corrected_counts_at_once(counter: Counter) -> None:
    await counter.told(an_order(currency="USD"))
    await rates(counter, (MAY, "71.2"))
    assert (await counter.sold())["P1 paid"] == (2_136_000, 2_136_000, 3, 1)
    await rates(counter, (MAY, "7.12"))
    assert (await counter.sold())["P1 paid"] == (213_600, 213_600, 3, 1)


async def test_a_corrected_rate_is_for_the_days_that_it_holds(counter: Counter, database: Database) -> None:
    """Nine days on, or until the next; of this currency only, in Shanghai days."""
    days = {"E1": -1, "E2": 0, "E3": 9, "E4": 10}
    orders = [
        an_order(name, currency="USD", paid_at=NOW + timedelta(days=number), created_at=NOW - timedelta(days=2))
        for name, number in days.items()
    ]
    unpaid = an_order("E5", currency="USD", paid_at=None, created_at=NOW)
    told = [*orders, unpaid, an_order("E6", currency="EUR"), an_order("E7")]
    await counter.told(*told, at=NOW + timedelta(days=11))
    await rates(counter, (MAY - timedelta(days=1), "1"), (MAY, "71.2"), (MAY + timedelta(days=10), "2"))
    await rates(counter, (MAY, "8"), currency="EUR")

    async def queued() -> list[str]:
        async with UnitOfWork(database) as work:
            statement = text("DELETE FROM sale_queue USING orders o WHERE o.id = order_key RETURNING o.order_id")
            return sorted(await work.session.scalars(statement))

    assert await queued() == []
    await counter.rates.set(QIAN, [Rate("USD", MAY, "7.12")])
    assert await queued() == ["E2", "E3", "E5"]
    await counter.rates.set(QIAN, [Rate("USD", MAY + timedelta(days=5), "7.13")])
    assert await queued() == ["E3"]
    await counter.rates.set(QIAN, [Rate("USD", MAY, "7.11")])
    assert await queued() == ["E2", "E5"]


async def test_a_closing_rate_that_is_corrected_adjusts_what_is_closed(office: Office) -> None:
    """300 dollars, worth 7.10 each when they were paid and 7.2345 at the end of May; or 7.20, as June finds."""
    office.clock.now = datetime(2026, 6, 2, 4, tzinfo=UTC)
    books = Books(office, scheme="abroad")
    await office.scheme(text=FX)
    last = date(2026, 5, 31)
    await rates(office, (date(2026, 5, 1), "7.10"), (last, "7.2345"))
    await office.told(an_order(channel="P1", currency="USD"))
    await books.closed()
    assert await books.payable() == {"P1": 4_035}
    await rates(office, (last, "7.2"), (JUNE, "9"))
    view = await books.settled(JUNE)
    assert [(each.purpose, each.total_minor) for each in view.calculations] == [
        ("adjustment", 3_000),
        ("settlement", 0),
    ]
    assert await books.payable() == {"P1": 3_000}
    await rates(office, (last, "7.20"), (date(2026, 5, 30), "8"))
    assert [each.purpose for each in (await books.computed(JUNE)).calculations] == ["settlement"], "it is the same rate"


async def test_a_sweep_looks_at_the_first_day_from_its_first_moment_on(database: Database) -> None:
    """Orders that were there before the rules: of the first of May in Shanghai, of the evening before, and of that
    evening, but completed in May."""
    counter = Counter(database)
    first = datetime(2026, 4, 30, 16, 0, tzinfo=UTC)
    for number, at in (("E1", first), ("E2", first - timedelta(seconds=1))):
        await counter.told(an_order(number, paid_at=at, created_at=at))
    april = first - timedelta(days=3)
    await counter.told(an_order("E3", status="completed", completed_at=first, paid_at=april, created_at=april))
    await counter.publish()
    await counter.people()
    await counter.settle()
    twice = tuple(2 * each for each in WHOLE)
    assert await counter.sold() == {"P1 paid": twice, "S1 paid": twice, "P1 completed": WHOLE, "S1 completed": WHOLE}
