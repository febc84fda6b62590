"""Money that is held back is paid when the version says that it was earned by, whatever another one says since."""

from datetime import UTC, date, datetime

import pytest

from services.payouts import PayoutWish
from tests.services.cashier import TERMS, Cashier, cashier
from tests.services.test_calculations import Office, office
from tests.services.test_scheme_versions import dated
from tests.services.test_selling import NOW, an_order
from tests.services.test_settlement_runs import JUNE

__all__ = ["cashier", "office"]


async def two_months(office: Office, cashier: Cashier, of_may: int, of_june: int) -> None:
    """An order of May and one of June, each settled by a version of its own which holds it back for so many days. It is
    the second of June."""
    for version, days, hold in (("2.0.0", ("2026-01-01", "2026-06-01"), of_may), ("3.0.0", ("2026-06-01",), of_june)):
        await office.scheme(version, text=dated(*days).replace(TERMS, f"{TERMS}  hold-days: {hold}\n"))
    at = NOW.replace(month=6, day=1)
    office.clock.now = datetime(2026, 6, 2, 4, tzinfo=UTC)
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2", paid_at=at, created_at=at), at=at)
    await cashier.settled()
    await cashier.settled(JUNE)


@pytest.mark.parametrize(
    ("of_may", "of_june", "may_from", "june_from"),
    [(30, 0, date(2026, 7, 1), None), (7, 60, date(2026, 6, 8), date(2026, 8, 30))],
    ids=["the next one holds for less", "the next one holds for more"],
)
async def test_a_period_is_held_as_long_as_its_own_version_says(
    office: Office, cashier: Cashier, of_may: int, of_june: int, may_from: date, june_from: date | None
) -> None:
    await two_months(office, cashier, of_may, of_june)
    at_once = {} if june_from else {("payable", date(2026, 6, 2)): 1_897}
    later = {("held", june_from): 1_897} if june_from else {}
    assert await cashier.foretold("3.0.0") == {("held", may_from): 1_897, **at_once, **later}
    early = await cashier.paid()
    assert early.batch.total_minor == sum(at_once.values())
    assert (await cashier.accounts())["held"].items() >= {"P1": 1_537, "C1": 360}.items()
    office.clock.now = datetime(may_from.year, may_from.month, may_from.day, 4, tzinfo=UTC)
    assert (await cashier.paid()).batch.total_minor == 1_897, "what May's own version promised"
    assert ("held" in await cashier.accounts()) == (june_from is not None)


async def test_what_adjusts_several_versions_is_held_as_long_as_the_longest_of_them_says(
    office: Office, cashier: Cashier
) -> None:
    """The scheme ended with June; July has late orders only, of May and of June."""

    async def paid() -> None:
        view = await cashier.planned(PayoutWish(scheme="festival"))
        await cashier.reserved(view.batch.id)
        await cashier.pay(view.batch.id)

    cashier.scheme = "festival"
    for version, days, hold in (
        ("2.0.0", ("2026-01-01", "2026-06-01"), 60),
        ("3.0.0", ("2026-06-01", "2026-07-01"), 0),
    ):
        named = dated(*days).replace("name: promoters", "name: festival")
        await office.scheme(version, text=named.replace(TERMS, f"{TERMS}  hold-days: {hold}\n"))
    at = NOW.replace(month=6, day=1)
    office.clock.now = datetime(2026, 7, 2, 4, tzinfo=UTC)
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2", paid_at=at, created_at=at), at=at)
    await cashier.closed()
    await cashier.closed(JUNE)
    await office.told(an_order("E3", channel="P1"), an_order("E4", channel="P2", paid_at=at, created_at=at), at=at)
    july = await cashier.settled(date(2026, 7, 1))
    assert {each.purpose for each in july.calculations} == {"adjustment"}
    office.clock.now = datetime(2026, 8, 2, 4, tzinfo=UTC)
    await paid()
    assert (await cashier.accounts())["held"] == {"P1": 1_537, "C1": 360}, "the late order of May"
    office.clock.now = datetime(2026, 9, 30, 4, tzinfo=UTC)
    await paid()
    assert "held" not in await cashier.accounts()
