"""Exchange rates that a settlement goes by are told to who approves it: which, whose, and what changed."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from domain.problems import AuthorizationProblem, Text
from services.settlement_views import SettlementViews
from storage.unit_of_work import UnitOfWork
from tests.services.test_calculations import MAY, QIAN, SCHEME, Office, office
from tests.services.test_exchange_rates import rates
from tests.services.test_left_out import FX
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import HE, JUNE, WU, Books, books

__all__ = ["books", "office"]
APRIL, LAST = date(2026, 4, 30), date(2026, 5, 31)


def about_rates(remarks: Sequence[Text]) -> list[str]:
    return [each.en for each in remarks if "USD" in each.en or "ates of" in each.en]


async def test_nothing_is_said_where_nothing_is_sold_abroad(office: Office) -> None:
    await rates(office, (MAY, "7.1"))
    await office.told(an_order(channel="P1"))
    view = await SettlementViews(office.database).show(QIAN, await office.preview())
    assert (about_rates(view.remarks), list(view.rates)) == ([], [])


async def test_rates_of_orders_are_told_with_who_noted_them(office: Office, books: Books) -> None:
    await rates(office, (APRIL, "7.1"), (LAST, "7.2"), (JUNE, "9"))
    await office.told(an_order(channel="P1", currency="USD"))
    first = await books.computed()
    (said,) = about_rates(first.remarks)
    assert "Orders in USD of the period from 2026-05-01" in said
    assert "2 are for the days from 2026-05-01 on (7.1 – 7.2): 2 by qian, the latest at 20" in said
    assert list(first.rates) == [], "the scheme asks for none of the last day"
    await books.runs.decide(WU, first.run.id, approve=True)
    await books.book(first.run.id)
    office.clock.advance(minutes=1)
    await rates(office, (MAY, "7.3"))
    again = await books.computed()
    _, changed = about_rates(again.remarks)
    assert changed.endswith("1 rates were noted or changed: 2026-05-01 USD 7.3 (qian)")
    assert "新登或改登了 1 条汇率：2026-05-01 USD 7.3（qian）" in again.remarks[-1].zh


async def test_orders_that_count_once_they_are_completed_go_by_rates_of_earlier_days(office: Office) -> None:
    scheme = SCHEME.replace("counts: paid", "counts: completed").replace("name: promoters", "name: completed")
    await office.scheme(text=scheme)
    await rates(office, (date(2026, 3, 20), "7"), (APRIL, "7.1"))
    await office.told(an_order(channel="P1", currency="USD"))
    views = SettlementViews(office.database)
    (paid,) = about_rates((await views.show(QIAN, await office.preview())).remarks)
    assert "1 are for the days from 2026-05-01 on (7.1)" in paid
    (completed,) = about_rates((await views.show(QIAN, await office.preview(scheme="completed"))).remarks)
    assert "2 are for the days from 2026-03-02 on (7 – 7.1)" in completed


async def test_nobody_approves_what_goes_by_rates_that_they_noted(office: Office, books: Books) -> None:
    await rates(office, (APRIL, "7.1"))
    await office.told(an_order(channel="P1", currency="USD"))
    first = await books.computed()
    await noted_as(office, "wu")
    with pytest.raises(AuthorizationProblem) as refused:
        await books.runs.decide(WU, first.run.id, approve=True)
    assert "自己登记的汇率（USD）" in refused.value.text.zh
    await books.runs.decide(HE, first.run.id, approve=True)
    await books.book(first.run.id)
    office.clock.advance(minutes=1)
    await office.told(an_order("E2", channel="P1", currency="USD"))
    again = await books.computed()
    assert (await books.runs.decide(WU, again.run.id, approve=True)).run.state == "approved", "it was approved then"


async def noted_as(office: Office, login: str) -> None:
    """As if somebody else had noted all rates."""
    async with UnitOfWork(office.database) as work:
        await work.session.execute(text("UPDATE exchange_rates SET set_by = :login"), {"login": login})


async def test_frozen_rates_are_shown_beside_what_is_noted_and_what_was_booked_by(office: Office) -> None:
    office.clock.now = datetime(2026, 6, 2, 4, tzinfo=UTC)
    books = Books(office, scheme="abroad")
    await office.scheme(text=FX)
    await rates(office, (MAY, "7.10"), (LAST, "7.2345"))
    await office.told(an_order(channel="P1", currency="USD"))
    first = await books.computed()
    (rate,) = first.rates
    told = (rate.currency, rate.rate, rate.day, rate.noted_by, rate.now, rate.before)
    assert told == ("USD", "7.2345", LAST, "qian", "7.2345", None)
    frozen = about_rates(first.remarks)[0]
    assert "1 USD = 7.2345 CNY (from 2026-05-31 on, noted by qian at 2026-06-02" in frozen
    await rates(office, (LAST, "7.2"))
    late = await books.runs.show(QIAN, first.run.id)
    assert [(each.rate, each.now) for each in late.rates] == [("7.2345", "7.2")]
    assert "this goes by 7.2345" in " ".join(about_rates(late.remarks))
    await books.runs.decide(WU, first.run.id, approve=True)
    await books.book(first.run.id)
    await books.runs.close(WU, "abroad", MAY)
    view = await books.computed(JUNE)
    adjusted = view.calculations[0]
    assert adjusted.purpose == "adjustment"
    (again,) = (each for each in view.rates if each.calculation == adjusted.id)
    assert (again.rate, again.before) == ("7.2", "7.2345")
    assert "USD 7.2345 → 7.2" in " ".join(about_rates(view.remarks))
    assert not any("frozen for the period from 2026-05-01" in each for each in about_rates(view.remarks))
