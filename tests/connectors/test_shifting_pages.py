"""A list that changes while it is read: nothing is missed, whatever changes between two pages."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.page_windows import Window, WindowedReader
from connectors.pulling import Stream
from connectors.webhooks import Verified
from domain.events import rfc3339

START = datetime(2026, 11, 11, tzinfo=UTC)
UNTIL = START + timedelta(hours=2)
ROWS = Stream("rows", timedelta(days=1))
READER = WindowedReader(ROWS, timedelta(hours=1), 3, most=9)
WIDENING = WindowedReader(ROWS, timedelta(hours=1), 3, most=9, narrow=timedelta(minutes=2))


class Shop:
    """Records by number, each with the second of its last change; some change after every page that is read."""

    def __init__(self, changed: Sequence[int], changes: Sequence[Sequence[int]]) -> None:
        self.changed = dict(enumerate(changed))
        self._changes = list(changes)
        self.now = int((UNTIL - START).total_seconds())
        self.reads = 0

    def _within(self, window: Window) -> list[int]:
        low, high = (int((instant - START).total_seconds()) for instant in window)
        found = [number for number, at in self.changed.items() if low <= at <= high]
        return sorted(found, key=lambda number: (-self.changed[number], number))

    async def first_page(self, window: Window) -> tuple[int, Sequence[Verified]]:
        return len(self._within(window)), await self.read_page(window, 1)

    async def read_page(self, window: Window, page: int) -> Sequence[Verified]:
        found = self._within(window)
        shown = found[(page - 1) * 3 : page * 3] if page * 3 <= 9 else []
        records = [record(number, self.changed[number]) for number in shown]
        self.reads += 1
        for number in self._changes.pop() if self._changes else ():
            if number in self.changed:
                self.now += 1
                self.changed[number] = self.now
        return records


def record(number: int, at: int) -> Verified:
    return Verified("row", str(number).encode(), f"{number}/{at}", START)


@settings(max_examples=150)
@given(
    st.lists(st.integers(0, 7_200), max_size=60),
    st.lists(st.lists(st.integers(0, 59), max_size=4), max_size=30),
    st.sampled_from([READER, WIDENING]),
)
async def test_every_record_that_did_not_change_meanwhile_is_seen(
    changed: list[int], changes: list[list[int]], reader: WindowedReader
) -> None:
    shop = Shop(changed, changes)
    before = dict(shop.changed)
    cursor: Mapping[str, Any] = {"since": rfc3339(START)}
    seen: set[str] = set()
    more = True
    while more:
        page = await reader.pull(cursor, UNTIL, shop.first_page, shop.read_page)
        seen |= {each.dedupe_key for each in page.records}
        cursor, more = page.cursor, page.more
        assert shop.reads < 5_000
    still = {f"{number}/{at}" for number, at in shop.changed.items() if before[number] == at and at <= 7_200}
    crowded = {at for at in before.values() if sum(other == at for other in before.values()) > 9}
    assert {each for each in still - seen if int(each.partition("/")[2]) not in crowded} == set()
    assert set(cursor) == {"since"}


async def test_an_interrupted_reading_goes_on_where_it_was() -> None:
    shop = Shop(list(range(0, 3_500, 100)), [])
    cursor: Mapping[str, Any] = {"since": rfc3339(START)}
    first = await READER.pull(cursor, UNTIL, shop.first_page, shop.read_page)
    again = await READER.pull(first.cursor, UNTIL, shop.first_page, shop.read_page)
    repeated = await READER.pull(first.cursor, UNTIL, shop.first_page, shop.read_page)
    assert [each.dedupe_key for each in again.records] == [each.dedupe_key for each in repeated.records]
