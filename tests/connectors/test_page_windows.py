"""Windows of pages: whatever moves while they are read, nothing is missed."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.page_windows import Window, WindowedReader
from connectors.pulling import Cursor, Stream
from connectors.webhooks import Verified
from domain.events import rfc3339
from domain.problems import ValidationProblem

NOW = datetime(2026, 11, 11, 12, tzinfo=UTC)
LAG = timedelta(minutes=10)
STREAM = Stream("orders", reaches_back=timedelta(days=90), lag=LAG)
READER = WindowedReader(STREAM, timedelta(minutes=30), page_size=3, settles=timedelta(minutes=3))


class Changing:
    """Records whose time of change moves on while somebody reads; a change is listed after `lag` only."""

    def __init__(self, seed: int, count: int) -> None:
        self.random = random.Random(seed)
        self.now = NOW
        start = NOW - timedelta(hours=2)
        self.changed = {number: start + timedelta(seconds=self.random.randint(0, 7200)) for number in range(count)}
        self.told: dict[int, set[datetime]] = {number: set() for number in self.changed}
        self.widest = timedelta()
        self.at_rest = False

    def _listed(self, window: Window) -> list[int]:
        self.widest = max(self.widest, window.end - window.start)
        visible = self.now - LAG
        rows = [n for n, at in self.changed.items() if window.start <= at <= window.end and at <= visible]
        return sorted(rows, key=lambda number: (self.changed[number], number), reverse=True)

    async def first_page(self, window: Window) -> tuple[int, Sequence[Verified]]:
        return len(self._listed(window)), await self.read(window, 1)

    async def read(self, window: Window, page: int) -> Sequence[Verified]:
        rows = self._listed(window)[(page - 1) * 3 : page * 3]
        self.now += timedelta(seconds=self.random.randint(1, 40))
        for number in rows:
            self.told[number].add(self.changed[number])
        if not self.at_rest:
            for number in self.random.sample(sorted(self.changed), k=min(2, len(self.changed))):
                self.changed[number] = self.now
        return [Verified("order", b"", f"{number}", self.now) for number in rows]


@given(seed=st.integers(0, 10**6), count=st.integers(1, 40))
@example(seed=7088, count=24)
async def test_no_last_change_is_missed_while_changes_go_on(seed: int, count: int) -> None:
    world, cursor = Changing(seed, count), {"since": rfc3339(NOW - timedelta(hours=3))}
    position: Cursor = cursor
    for _ in range(40):
        page = await READER.pull(position, world.now, world.first_page, world.read)
        position = page.cursor
    final = dict(world.changed)
    world.now += timedelta(hours=1)
    world.at_rest = True
    # The first of two strokes of the clock may only end what was under way.
    for _ in range(2):
        more = True
        while more:
            page = await READER.pull(position, world.now, world.first_page, world.read)
            position, more = page.cursor, page.more
    assert [number for number, at in final.items() if at not in world.told[number]] == []
    assert world.widest <= timedelta(minutes=30)


async def test_pages_are_read_from_the_last_to_the_first() -> None:
    asked: list[tuple[Window, int]] = []

    async def first_page(window: Window) -> tuple[int, Sequence[Verified]]:
        return 7, ()

    async def read(window: Window, page: int) -> Sequence[Verified]:
        asked.append((window, page))
        return ()

    position: Cursor = {"since": rfc3339(NOW - timedelta(minutes=20))}
    more, turns = True, 0
    while more and turns < 10:
        page = await READER.pull(position, NOW, first_page, read)
        position, more, turns = page.cursor, page.more, turns + 1
    done = Window(NOW - timedelta(minutes=20), NOW - LAG)
    fresh = Window(NOW - LAG, NOW - timedelta(minutes=3))
    assert asked == [(window, page) for window in (done, fresh) for page in (3, 2, 1)]
    # What is younger than the lag is read again by the next pull.
    assert position == {"since": rfc3339(NOW - LAG)}


async def test_an_empty_cursor_begins_as_far_back_as_the_platform_reaches() -> None:
    windows: list[Window] = []

    async def first_page(window: Window) -> tuple[int, Sequence[Verified]]:
        windows.append(window)
        return 0, ()

    async def read(window: Window, page: int) -> Sequence[Verified]:
        raise AssertionError("there is nothing to read")

    page = await READER.pull({}, NOW, first_page, read)
    assert windows == [Window(NOW - timedelta(days=90), NOW - timedelta(days=90) + timedelta(minutes=30))]
    assert (page.more, page.total) == (True, 0)


async def test_windows_grow_while_little_changed_and_shrink_where_much_did() -> None:
    hour, asked = timedelta(hours=1), list[Window]()
    sale = Window(NOW - 20 * hour, NOW - 19 * hour)

    async def first_page(window: Window) -> tuple[int, Sequence[Verified]]:
        asked.append(window)
        # Twenty changes every four minutes in an hour of a sale, else none.
        shared = min(window.end, sale.end) - max(window.start, sale.start)
        return max(int(shared.total_seconds()) // 240, 0) * 20, ()

    async def read(window: Window, page: int) -> Sequence[Verified]:
        assert page <= 60, "no window of more than twenty pages, but for the narrowest"
        return ()

    reader = WindowedReader(STREAM, 24 * hour, 3, narrow=hour / 2)
    position: Cursor = {"since": rfc3339(NOW - 72 * hour)}
    more = True
    while more:
        page = await reader.pull(position, NOW, first_page, read)
        position, more = page.cursor, page.more
    widths = [(window.end - window.start) / hour for window in asked]
    assert widths[:6] == [0.5, 1, 2, 4, 8, 16]
    assert max(widths) <= 24
    assert widths[-1] < 1, "near to now, no more than what may be missing"
    assert set(position) == {"since"}
    assert len(asked) < 40


@pytest.mark.parametrize("since", ["yesterday", "2026-11-11T00:00:00", 5])
async def test_a_cursor_that_is_none_of_ours_is_refused(since: object) -> None:
    async def never(*_arguments: object) -> NoReturn:
        raise AssertionError

    with pytest.raises(ValidationProblem):
        await READER.pull({"since": since}, NOW, never, never)
