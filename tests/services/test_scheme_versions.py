"""Which version of a scheme a period is settled by: the last published one whose dates cover it, whatever else is."""

from datetime import date

import pytest

from domain.problems import ValidationProblem
from services.payout_booking import booking_period
from services.settlement_views import SettlementViews
from storage.calculations import Calculations
from storage.unit_of_work import UnitOfWork
from tests.services.test_calculations import MAY, QIAN, SCHEME, Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import Books

__all__ = ["office"]
JUNE = date(2026, 6, 1)


def dated(start: str, until: str | None = None, cycle: str = "month") -> str:
    days = f"  from: {start}\n" + (f"  until: {until}\n" if until else "")
    return SCHEME.replace("  from: 2026-01-01\n", days).replace("cycle: month", f"cycle: {cycle}")


async def version_of(office: Office, day: date) -> str:
    calculation = await office.preview(day=day)
    async with UnitOfWork(office.database) as work:
        row = await Calculations(work).find(calculation)
        assert row is not None
        return row.version


async def test_next_months_version_may_be_published_while_this_month_is_still_to_be_settled(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    await office.scheme("2.0.0", "9%", dated("2026-06-01"))
    assert await version_of(office, MAY) == "1.0.0"
    assert await version_of(office, JUNE) == "2.0.0"
    settled = await Books(office).settled()
    assert [(each.version, each.total_minor) for each in settled.calculations] == [("1.0.0", 1_500 + 37 + 360)]


async def test_of_two_that_cover_a_period_the_one_published_last_counts(office: Office) -> None:
    await office.scheme("1.1.0", "6%", dated("2026-01-01", "2026-06-01"))
    assert await version_of(office, MAY) == "1.1.0"
    assert await version_of(office, JUNE) == "1.0.0"


async def test_a_period_that_a_version_covers_in_part_is_not_its(office: Office) -> None:
    await office.scheme("2.0.0", "9%", dated("2026-05-15"))
    assert await version_of(office, MAY) == "1.0.0"


async def test_a_period_that_no_version_covers_is_refused_with_what_there_is(office: Office) -> None:
    await office.scheme("2.0.0", "9%", dated("2026-06-01", "2026-07-01"))
    with pytest.raises(ValidationProblem) as refused:
        await office.preview(day=date(2025, 12, 5))
    said = refused.value.text
    for each in ("2025-12-05", "1.0.0", "2026-01-01", "2.0.0", "2026-07-01"):
        assert each in said.zh
        assert each in said.en


async def test_a_scheme_that_is_stopped_is_settled_no_more_from_then_on(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    stopped = dated("2026-06-01").replace("  cycle:", "  active: false\n  cycle:")
    await office.scheme("1.1.0", text=stopped)
    books = Books(office)
    assert [each.version for each in (await books.settled()).calculations] == ["1.0.0"], "what was before stays"
    for asked in (books.computed(JUNE), office.preview(day=JUNE)):
        with pytest.raises(ValidationProblem) as refused:
            await asked
        for said in (refused.value.text.zh, refused.value.text.en):
            assert "1.1.0" in said
            assert "active: false" in said
    assert await version_of(office, MAY) == "1.0.0"
    tried = await office.preview(day=JUNE, purpose="what-if")
    assert (await SettlementViews(office.database).show(QIAN, tried)).row.version == "1.1.0"
    await office.scheme("1.2.0", text=dated("2026-06-01"))
    assert await version_of(office, JUNE) == "1.2.0"


async def test_payouts_are_booked_by_the_cycle_that_holds_on_their_day(office: Office) -> None:
    await office.scheme("2.0.0", "9%", dated("2026-06-01", cycle="half-month"))
    async with UnitOfWork(office.database) as work:
        may = await booking_period(work, "promoters", date(2026, 5, 20))
        june = await booking_period(work, "promoters", date(2026, 6, 20))
    assert (may.cycle, may.start, june.cycle, june.start) == ("month", MAY, "half-month", date(2026, 6, 16))


async def test_what_if_tries_the_next_version_on_a_month_that_is_past_and_says_so(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    await office.scheme("2.0.0", "6%", dated("2026-06-01"), published=False)
    with pytest.raises(ValidationProblem) as refused:
        await office.preview(version="2.0.0")
    assert "what-if" in refused.value.text.en
    tried = await office.preview(version="2.0.0", purpose="what-if")
    assert (await office.earned(tried))["P1"]["sales"] == 1_800
    views = SettlementViews(office.database)
    (remark, *_) = (await views.show(QIAN, tried)).remarks
    assert remark is not None
    assert "2026-06-01" in remark.zh
    assert "2026-06-01" in remark.en
    within = await office.preview(version="2.0.0", purpose="what-if", day=JUNE)
    assert (await views.show(QIAN, within)).remarks == []
