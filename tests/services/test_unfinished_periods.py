"""A period that is not over: tried at any time, settled for what was earned so far, never closed; by Shanghai days."""

from datetime import UTC, date, datetime

import pytest

from domain.problems import ConflictProblem
from tests.services.test_calculations import MAY, SCHEME, Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN, WU, Books

__all__ = ["office"]
JUNE = date(2026, 6, 1)
LAST_MOMENT, OVER = datetime(2026, 5, 31, 15, 59, 59, tzinfo=UTC), datetime(2026, 5, 31, 16, tzinfo=UTC)
FIXED = "    - {{ name: rent, title: 固定服务费, fixed: '300.00' }}\n"
FLAT = (
    "    - {{ name: a, title: 分段, of: orders, tiers: {{ volume: [{{ from: 0, each: '1.00', flat: '9.00' }}] }} }}\n"
)
FLOOR = "    - {{ name: least, title: 保底提成, of: kept, rate: '1%', floor: '50.00' }}\n"


@pytest.fixture
async def books(office: Office) -> Books:
    await office.told(an_order(channel="P1"))
    office.clock.now = LAST_MOMENT
    return Books(office)


async def test_a_period_is_closed_when_its_last_day_is_over_in_shanghai(office: Office, books: Books) -> None:
    await books.settled()
    with pytest.raises(ConflictProblem) as refused:
        await books.runs.close(WU, "promoters", MAY)
    assert "2026-06-01 起" in refused.value.text.zh
    assert refused.value.problem.as_dict()["possible_from"] == "2026-06-01"
    office.clock.now = OVER
    await books.runs.close(WU, "promoters", MAY)


async def test_a_period_that_has_not_begun_is_not_settled_and_may_be_tried(office: Office, books: Books) -> None:
    with pytest.raises(ConflictProblem) as refused:
        await books.runs.ask(QIAN, "promoters", JUNE)
    assert "2026-06-01 起" in refused.value.text.zh
    assert await office.earned(await office.preview(day=JUNE)) == {}
    office.clock.now = OVER
    await books.settled(JUNE)


async def test_what_was_earned_so_far_is_settled_and_the_rest_is_booked_as_a_difference(
    office: Office, books: Books
) -> None:
    first = await books.settled()
    assert first.run.booked_minor == 1_897
    await office.told(an_order("E2", channel="P1"))
    office.clock.now = OVER
    assert (await books.settled()).run.booked_minor is not None
    assert (await books.payable())["P1"] > 1_537


@pytest.mark.parametrize(
    ("more", "named"),
    [(FIXED, "固定服务费"), (FLAT, "分段"), (FLOOR, "保底提成"), ("  floor: '20.00'\n", "保底")],
)
async def test_what_is_paid_whatever_is_done_is_not_paid_in_advance(
    office: Office, books: Books, more: str, named: str
) -> None:
    text = SCHEME.replace("  earns:\n", f"  earns:\n{more}" if more.startswith("    ") else f"{more}  earns:\n")
    office.clock.now = datetime(2030, 1, 1, tzinfo=UTC)
    await office.scheme("1.1.0", text=text)
    office.clock.now = LAST_MOMENT
    with pytest.raises(ConflictProblem) as refused:
        await books.runs.ask(QIAN, "promoters", MAY)
    assert named in refused.value.text.zh
    assert "2026-06-01 起" in refused.value.text.zh
    assert refused.value.problem.as_dict()["possible_from"] == "2026-06-01"
    assert await office.earned(await office.preview()), "it may be tried"
    office.clock.now = OVER
    assert (await books.settled()).run.state == "booked"
