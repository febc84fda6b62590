"""A scheme that is over: what comes back of its closed periods is settled all the same, in those that follow."""

from datetime import UTC, date, datetime

import pytest

from domain.problems import ConflictProblem, NotFoundProblem, ValidationProblem
from tests.services.test_calculations import MAY, Office, office
from tests.services.test_scheme_versions import dated
from tests.services.test_selling import a_refund, an_order
from tests.services.test_settlement_runs import JUNE, P1, QIAN, WU, Books

__all__ = ["office"]


def festival(start: date, until: date | None = None) -> str:
    return dated(str(start), str(until) if until else None).replace("name: promoters", "name: festival")


@pytest.fixture
async def books(office: Office) -> Books:
    """Of a scheme of May only, settled and closed with one order. It is the twentieth of June."""
    office.clock.now = datetime(2026, 6, 20, 4, tzinfo=UTC)
    await office.scheme(text=festival(MAY, JUNE))
    await office.told(an_order(channel="P1"))
    found = Books(office, scheme="festival")
    await found.closed()
    return found


async def test_a_refund_after_the_last_day_of_a_scheme_is_taken_back(office: Office, books: Books) -> None:
    with pytest.raises(ValidationProblem, match="festival"):
        await books.runs.ask(QIAN, "festival", JUNE)
    await office.told(a_refund(10_000, 1, "2"))
    with pytest.raises(ConflictProblem, match="has not begun"):
        await books.runs.ask(QIAN, "festival", date(2026, 7, 1))
    view = await books.settled(JUNE)
    assert [(each.purpose, each.start) for each in view.calculations] == [("adjustment", MAY)]
    assert (view.period.start, view.run.total_minor) == (JUNE, -500 - 120)
    assert [each.en for each in view.remarks if "only what changed" in each.en]
    assert await books.payable() == {"P1": P1["P1"] - 500, "C1": P1["C1"] - 120}
    with pytest.raises(ValidationProblem, match="festival"):
        await books.runs.ask(QIAN, "festival", JUNE)
    # Once it is over it is closed, and the next refund has the next month.
    office.clock.now = datetime(2026, 7, 2, 4, tzinfo=UTC)
    await books.runs.close(WU, "festival", JUNE)
    await office.told(a_refund(30_000, 2))
    with pytest.raises(ConflictProblem, match="closed"):
        await books.runs.ask(QIAN, "festival", JUNE)
    await books.settled(date(2026, 7, 1))
    assert await books.payable() == {}


async def test_a_period_that_had_adjustments_only_is_settled_once_a_version_is_for_it(
    office: Office, books: Books
) -> None:
    await office.told(a_refund(30_000))
    await books.settled(JUNE)
    at = office.clock.now
    await office.told(an_order("E2", channel="P2", paid_at=at, created_at=at), at=at)
    await office.scheme("2.0.0", text=festival(JUNE))
    office.clock.now = datetime(2026, 7, 2, 4, tzinfo=UTC)
    with pytest.raises(ConflictProblem, match="not settled"):
        await books.runs.close(WU, "festival", JUNE)
    await books.closed(JUNE)
    assert await books.payable() == {"P2": 1_537, "C2": 360}


async def test_what_is_no_scheme_is_refused_as_ever(books: Books) -> None:
    with pytest.raises(NotFoundProblem):
        await books.runs.ask(QIAN, "nothing", JUNE)
