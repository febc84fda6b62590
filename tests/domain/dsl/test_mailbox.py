"""What reaches a run before, while and after its tasks listen."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from domain.dsl import mailbox
from domain.dsl.mailbox import Mailbox
from domain.events import Event


def an_event(number: int, text: str = "") -> Event:
    return Event(id=f"e{number}", source="/s", type="t", data={"n": number, "text": text})


def anything(_event: Event) -> bool:
    return True


def is_number(number: int) -> Callable[[Event], bool]:
    return lambda event: bool(event.data["n"] == number)


async def taken(box: Mailbox, reader: str) -> list[int]:
    """The numbers that a reader finds without waiting."""
    numbers = []
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.01):
                numbers.append((await box.receive(anything, reader)).data["n"])
    return numbers


async def test_of_too_many_events_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "CAPACITY", 3)
    box = Mailbox()
    for number in range(5):
        assert box.deliver(an_event(number))
    assert await taken(box, "r") == [2, 3, 4]


async def test_of_too_large_events_the_oldest_make_room_and_the_newest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "LARGEST_BYTES", 1_000)
    box = Mailbox()
    for number in range(4):
        box.deliver(an_event(number, "x" * 400))
    box.deliver(an_event(4, "x" * 300))
    assert await taken(box, "r") == [3, 4]
    box.deliver(an_event(5, "x" * 5_000))
    assert await taken(box, "r") == [5], "what was taken takes no room any more"


async def test_what_comes_while_a_search_rests_is_found() -> None:
    box = Mailbox()
    box.deliver(an_event(0))

    async def rest() -> None:
        box.deliver(an_event(1))

    async with asyncio.timeout(1):
        found = await box.receive(is_number(1), "r", rest)
    assert found.data["n"] == 1


async def test_a_live_event_reaches_every_listener_and_a_kept_one_the_first() -> None:
    box = Mailbox()
    box.deliver(an_event(0))
    assert await taken(box, "a") == [0]
    assert await taken(box, "b") == []
    box.deliver(an_event(1))
    assert not box.deliver(an_event(1)), "the sender repeated it"
    assert (await taken(box, "a"), await taken(box, "b")) == ([1], [1])
    assert await taken(box, "late") == []


async def test_what_one_does_not_want_is_for_others() -> None:
    box = Mailbox()
    waiting = asyncio.create_task(box.receive(is_number(1), "picky"))
    await asyncio.sleep(0)
    box.deliver(an_event(0))
    await asyncio.sleep(0)
    assert await taken(box, "other") == [0]
    box.deliver(an_event(1))
    assert (await waiting).data["n"] == 1
    box.deliver(an_event(2))
    box.forget("picky")
    box.forget("other")
    assert await taken(box, "third") == [2], "nobody had looked at it"


async def test_a_mailbox_that_moves_is_the_same_afterwards() -> None:
    box = Mailbox()
    assert await taken(box, "a") == []
    for number in range(3):
        box.deliver(an_event(number))
    assert (await box.receive(anything, "a")).data["n"] == 0
    moved = Mailbox()
    moved.load(box.dump())
    assert moved.dump() == box.dump()
    assert not moved.deliver(an_event(2))
    assert await taken(moved, "a") == [1, 2]
    assert await taken(moved, "b") == []
