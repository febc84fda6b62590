"""Events that come before the run that listens for them: told once it is there, once, and not those of long ago."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.access import Role, Scope
from domain.accounts import NewAccount
from domain.events import Event
from domain.organisation import Placement, Unit
from domain.runs import Run, RunSummary
from services.event_dispatch import Drained
from services.orchestrator import in_parts
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.organisation import Units
from storage.paging import PageRequest
from storage.runs import RunFilter
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.house import ADMIN, House, a_flow, eventually

_LISTEN = "listen: {to: {one: {with: {type: shop.bell}}}}\n    timeout: {after: P1D}"
HEARING = a_flow("hearing", f"- hear:\n    {_LISTEN}\n- keep:\n    set: {{heard: '${{ .[0].n }}'}}")
TWICE = a_flow(
    "twice",
    f"- first:\n    {_LISTEN}\n- second:\n    {_LISTEN}\n    input: {{from: '{{first: .[0].n}}'}}\n"
    "    output: {as: '{first: $input.first, second: .[0].n}'}",
)
TRIGGERED = a_flow(
    "triggered",
    f"- hear:\n    {_LISTEN}\n- keep:\n    set: {{heard: '${{ .[0].n }}'}}",
    head="schedule:\n  on:\n    one: {with: {type: shop.opened}}\n",
)
PARENT = a_flow("parent", "- child:\n    run: {workflow: {namespace: shop, name: hearing, version: latest}}")
PARENT_AFTER_BELL = a_flow(
    "parent-after-bell",
    f"- hear:\n    {_LISTEN}\n- child:\n    run: {{workflow: {{namespace: shop, name: hearing, version: latest}}}}",
)


def a_bell(number: int, subject: str | None = "order:1", **more: Any) -> Event:
    return Event(id=f"bell-{number}", source="/test", type="shop.bell", subject=subject, data={"n": number}, **more)


async def _one(house: House, name: str) -> RunSummary | None:
    found = (await house.runs.search(ADMIN, RunFilter(name=name), PageRequest())).items
    return found[0] if found else None


async def _heard(house: House, run_id: str) -> Any:
    return (await house.until(run_id, "completed")).output


async def _still_waits(house: House, run_id: str) -> Run:
    run = await house.until(run_id, "waiting")
    assert not (await house.dispatcher.drain()).signalled
    return run


async def _came(house: House, number: int, ago: timedelta) -> None:
    """Let a bell have come earlier than it did."""
    async with UnitOfWork(house.database) as work:
        await work.session.execute(
            text("UPDATE events SET received_at = received_at - :ago WHERE event_id = :id"),
            {"ago": ago, "id": f"bell-{number}"},
        )


async def test_a_run_hears_what_was_dispatched_a_moment_before_it_was_asked_for(house: House) -> None:
    await house.publish(HEARING)
    await house.emit(a_bell(1), a_bell(2, "order:2"), a_bell(3, None))
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "hearing", subject="order:1")
        assert await _heard(house, run.id) == {"heard": 1}


async def test_a_run_does_not_hear_what_came_long_before_it(house: House) -> None:
    await house.publish(HEARING)
    await house.emit(a_bell(1), a_bell(2, None))
    await _came(house, 1, timedelta(seconds=11))
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "hearing", subject="order:1")
        await _still_waits(house, run.id)
        await house.emit(a_bell(3))
        assert await _heard(house, run.id) == {"heard": 3}


async def test_an_event_told_twice_is_heard_once(house: House) -> None:
    await house.publish(TWICE)
    await house.emit(a_bell(1))
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "twice", subject="order:1")
        await house.starter.sweep()
        async with UnitOfWork(house.database) as work:
            await work.session.execute(
                text(
                    "INSERT INTO event_outbox (seq, due_at, attempts, cursor) "
                    "SELECT seq, now(), 0, '' FROM events WHERE event_id = 'bell-1'"
                )
            )
        assert (await house.dispatcher.drain()).signalled == 1
        await house.until(run.id, "waiting")
        await house.emit(a_bell(2))
        assert await _heard(house, run.id) == {"first": 1, "second": 2}


async def test_nothing_falls_between_the_dispatch_and_the_commit_of_a_run(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is dispatched while the transaction that writes the run is open, so that nobody sees the run yet."""
    monkeypatch.setattr("services.runs.LOOK_BACK", timedelta())
    await house.publish(HEARING)
    record, rung = AuditLog.record, False

    async def ring_meanwhile(log: AuditLog, *rest: Any, **more: Any) -> None:
        nonlocal rung
        if rest[1] == "run.start" and not rung:
            rung = True
            await house.emit(a_bell(1))
        await record(log, *rest, **more)

    monkeypatch.setattr(AuditLog, "record", ring_meanwhile)
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "hearing", subject="order:1")
        assert await _heard(house, run.id) == {"heard": 1}


async def test_a_run_that_an_event_starts_hears_what_came_after_it_whatever_is_dispatched_first(house: House) -> None:
    await house.publish(TRIGGERED)
    await house.emit(a_bell(1))
    opened = Event(id="o1", source="/test", type="shop.opened", subject="order:1")
    await house.events.publish(ADMIN, [opened])
    async with UnitOfWork(house.database) as work:
        await work.session.execute(text("UPDATE event_outbox SET due_at = due_at + interval '5 minutes'"))
    await house.emit(a_bell(2))
    async with UnitOfWork(house.database) as work:
        await work.session.execute(text("UPDATE event_outbox SET due_at = due_at - interval '5 minutes'"))
    async with house.worker():
        assert (await house.dispatcher.drain()).started == 1
        run = await _one(house, "triggered")
        assert run is not None
        assert await _heard(house, run.id) == {"heard": 2}, "what came before it is another story"


def _ringing_before(house: House, flow: str, ring: Callable[[], Awaitable[None]]) -> Any:
    """The choice of a version, with something that happens just before that of one flow: its row is not written yet."""
    choose = house.starter.choose

    async def choose_later(work: UnitOfWork, namespace: str, name: str, *rest: Any) -> Any:
        if name == flow:
            await ring()
        return await choose(work, namespace, name, *rest)

    return choose_later


async def test_a_child_hears_what_was_dispatched_after_its_parent_came_to_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.publish(HEARING, PARENT)
    ring = _ringing_before(house, "hearing", lambda: house.emit(a_bell(2)))
    async with house.worker():
        monkeypatch.setattr(house.starter, "choose", ring)
        parent = await house.runs.start(ADMIN, "shop", "parent", subject="order:1")
        assert await _heard(house, parent.id) == {"heard": 2}


async def test_a_child_does_not_hear_again_what_brought_its_parent_to_it(house: House) -> None:
    await house.publish(HEARING, PARENT_AFTER_BELL)
    async with house.worker():
        parent = await house.runs.start(ADMIN, "shop", "parent-after-bell", subject="order:1")
        await house.until(parent.id, "waiting")
        await house.emit(a_bell(1))

        async def child_waits() -> bool:
            child = await _one(house, "hearing")
            return child is not None and child.phase == "waiting"

        await eventually(child_waits)
        await house.emit(a_bell(2))
        assert await _heard(house, parent.id) == {"heard": 2}


async def test_an_event_waits_for_a_child_that_its_parent_has_not_started_yet(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child's row is there, and Temporal does not know the child: the event is not taken for one of a run's end."""
    monkeypatch.setattr("services.event_dispatch._LONGEST_BACKOFF_S", 0)
    await house.publish(HEARING, PARENT)
    look = house.starter.missed_by_child
    drained: list[Drained] = []

    async def dispatch_after_looking(row: Any) -> list[dict[str, Any]]:
        found = await look(row)
        if not drained:
            await house.events.publish(ADMIN, [a_bell(1)])
            drained.append(await house.dispatcher.drain())
        return found

    monkeypatch.setattr(house.starter, "missed_by_child", dispatch_after_looking)
    async with house.worker():
        parent = await house.runs.start(ADMIN, "shop", "parent", subject="order:1")

        async def child_heard() -> bool:
            # Not before: this drain and that one would race for the bell.
            if drained:
                await house.dispatcher.drain()
            return (await house.runs.show(ADMIN, parent.id, live=False)).phase == "completed"

        await eventually(child_heard)
        assert (drained[0].retried, drained[0].dispatched) == (1, 0)
        assert await _heard(house, parent.id) == {"heard": 1}


async def test_a_run_is_not_told_of_what_does_not_reach_it(house: House) -> None:
    await house.publish(HEARING)
    async with UnitOfWork(house.database) as work:
        await Units(work).add(Unit(path="/east/", name="East"))
        await Units(work).add(Unit(path="/west/", name="West"))
        new = NewAccount(platform="youzan", slug="east", name="E", unit_path="/east/", credentials={})
        await Accounts(work).add(new)
    eastern = an_actor("east", Role.OPS, scope=Scope.of_branch("/east/"))
    await house.events.publish(eastern, [a_bell(1).model_copy(update={"source": "/youzan/east"})])
    await house.dispatcher.drain()
    async with house.worker():
        here = await house.runs.start(eastern, "shop", "hearing", subject="order:1")
        elsewhere = await house.runs.start(ADMIN, "shop", "hearing", subject="order:1", placement=Placement("/west/"))
        assert await _heard(house, here.id) == {"heard": 1}
        await _still_waits(house, elsewhere.id)


async def test_a_flood_of_early_events_is_bounded_and_the_newest_count(house: House) -> None:
    await house.publish(TWICE)
    flood = [a_bell(number, text="x" * 1_000) for number in range(230)]
    await house.emit(*flood)
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "twice", subject="order:1")
        assert await _heard(house, run.id) == {"first": 30, "second": 31}
    assert len(in_parts([event.envelope() for event in flood[30:]])) > 3, "in several signals"
