import base64
import json

import pytest

from domain.access import Scope
from domain.organisation import Unit
from domain.problems import ValidationProblem
from storage.audit import AuditEntryRow, AuditLog
from storage.breaks import BreakRow
from storage.engine import Database
from storage.human_tasks import HumanTaskRow
from storage.inbox import InboxRow
from storage.organisation import UnitRow, Units
from storage.paging import Order, PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock

EVERYTHING = Scope.everything()


async def _pages(database: Database, size: int) -> list[list[str]]:
    pages, cursor = [], None
    while True:
        async with UnitOfWork(database) as work:
            page = await AuditLog(work).list(EVERYTHING, PageRequest(size, cursor))
        pages.append([entry.target for entry in page.items])
        cursor = page.next_cursor
        if cursor is None:
            return pages


async def test_every_row_once_also_when_many_share_an_instant(database: Database, clock: SteppedClock) -> None:
    for instant in range(3):
        async with UnitOfWork(database) as work:
            for number in range(5):
                await AuditLog(work).record(an_actor(), "test.page", f"row:{instant}/{number}")
        clock.advance(seconds=1)
    pages = await _pages(database, 4)
    assert [len(page) for page in pages] == [4, 4, 4, 3]
    seen = [target for page in pages for target in page]
    assert len(set(seen)) == 15
    assert [target[4] for target in seen] == sorted((target[4] for target in seen), reverse=True)
    assert [len(page) for page in await _pages(database, 15)] == [15]


async def test_rows_that_come_in_between_move_nothing(database: Database, clock: SteppedClock) -> None:
    async with UnitOfWork(database) as work:
        for number in range(4):
            await AuditLog(work).record(an_actor(), "test.page", f"old:{number}")
    async with UnitOfWork(database) as work:
        first = await AuditLog(work).list(EVERYTHING, PageRequest(2))
    clock.advance(seconds=1)
    async with UnitOfWork(database) as work:
        await AuditLog(work).record(an_actor(), "test.page", "new:0")
        second = await AuditLog(work).list(EVERYTHING, PageRequest(2, first.next_cursor))
    assert {entry.target for entry in (*first.items, *second.items)} == {f"old:{number}" for number in range(4)}


async def test_ascending_order_goes_on_where_it_stopped(database: Database) -> None:
    async with UnitOfWork(database) as work:
        for name in ("b", "a", "c"):
            await Units(work).add(Unit(path=f"/{name}/", name=name))
        first = await Units(work).list(EVERYTHING, PageRequest(2))
        second = await Units(work).list(EVERYTHING, PageRequest(2, first.next_cursor))
    assert [unit.path for unit in (*first.items, *second.items)] == ["/", "/a/", "/b/", "/c/"]


def _cursor(*content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


ID = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "%%%",
        "bm90IGpzb24",
        _cursor(),
        _cursor("units", "/"),
        _cursor("audit", "2026-01-01T00:00:00+00:00"),
        _cursor("audit", "2026-01-01T00:00:00", ID),
        _cursor("audit", "yesterday", ID),
        _cursor("audit", "2026-01-01T00:00:00+00:00", "'; DROP TABLE users"),
        _cursor("audit", 1, ID),
        _cursor("audit", None, None),
        _cursor("audit", {"a": 1}, [1]),
        "x" * 5000,
    ],
)
def test_a_made_up_cursor_is_refused(cursor: str) -> None:
    order = Order("audit", (AuditEntryRow.at, AuditEntryRow.id))
    with pytest.raises(ValidationProblem, match="cursor"):
        order.values_of(cursor)


@pytest.mark.parametrize(
    ("column", "possible", "impossible"),
    [
        (UnitRow.path, ["/", "/退货/"], ["/\x00/", "/\ud800/", 1, True, None]),
        (InboxRow.id, [0, 2**63 - 1, -(2**63)], [2**63, -(2**63) - 1, 10**400, True, 1.5, "1"]),
        (HumanTaskRow.urgency, [50, 32_767], [32_768, 10**30]),
        (AuditEntryRow.id, [ID], [10**30, None, "\x00", [ID]]),
        (BreakRow.day, ["2026-06-01"], ["2026-06-31", "2026-06-01T00:00:00", "today", 1, None]),
    ],
)
def test_a_cursor_holds_only_what_a_row_could(column: object, possible: list[object], impossible: list[object]) -> None:
    order = Order("made-up", (column,))
    for value in possible:
        assert [str(value)] == [str(read) for read in order.values_of(_cursor("made-up", value))]
    for value in impossible:
        with pytest.raises(ValidationProblem, match="cursor"):
            order.values_of(_cursor("made-up", value))


@pytest.mark.parametrize("size", [0, -1, 201])
def test_a_page_has_bounds(size: int) -> None:
    with pytest.raises(ValidationProblem):
        PageRequest(size)
