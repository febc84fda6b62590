import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client

from domain.access import Actor, Role, Scope
from domain.accounts import NewAccount
from domain.events import Event
from domain.organisation import Placement, Unit
from domain.problems import AuthorizationProblem, ValidationProblem
from domain.runs import RunSummary
from services.event_dispatch import EventDispatcher, draw_subject
from services.orchestrator import in_parts
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.events import Events
from storage.organisation import Units
from storage.paging import PageRequest
from storage.runs import RunFilter
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.house import ADMIN, House, a_flow, eventually

REFUND = a_flow(
    "refund",
    "- keep:\n    set: {refund: '${ .[0].data.refund_id }'}",
    head="""
schedule:
  on:
    one:
      with:
        type: tandem.refund.created
        data: '${ .amount_minor > 100 }'
""",
)
LISTENING = a_flow(
    "listening",
    """
- hear:
    listen: {to: {one: {with: {type: shop.bell}}}}
    timeout: {after: P1D}
- keep:
    set: {heard: '${ .[0] }'}
""",
)
BOTH = a_flow(
    "both",
    "- keep:\n    set: {ids: '${ [.[].id] }'}",
    head="""
schedule:
  on:
    all:
      - with: {type: shop.paid}
        correlate: {order: {from: .data.order}}
      - with: {type: shop.shipped}
        correlate: {order: {from: .data.order}}
""",
)


def an_event(identity: str, kind: str, subject: str | None = None, **data: Any) -> Event:
    return Event(id=identity, source="/test/shop", type=kind, subject=subject, data=data)


async def _runs(house: House, name: str) -> list[RunSummary]:
    return list((await house.runs.search(ADMIN, RunFilter(name=name), PageRequest())).items)


async def test_an_event_starts_one_run_however_often_it_comes(house: House) -> None:
    await house.publish(REFUND)
    event = an_event("e1", "tandem.refund.created", "refund:R1", refund_id="R1", amount_minor=5000)
    async with house.worker():
        await house.emit(event, event)
        await house.emit(event)
        run = (await _runs(house, "refund"))[0]
        ended = await house.until(run.id, "completed")
    assert len(await _runs(house, "refund")) == 1
    assert (ended.output, ended.subject, ended.started_by) == ({"refund": "R1"}, "refund:R1", "system:events")


async def test_an_event_dispatched_twice_starts_one_run(house: House) -> None:
    """The dispatcher died after it had started the run and before it noted so."""
    await house.publish(REFUND)
    event = an_event("e1", "tandem.refund.created", "refund:R1", refund_id="R1", amount_minor=5000)
    await house.emit(event)
    async with UnitOfWork(house.database) as work:
        await work.session.execute(
            text(
                "INSERT INTO event_outbox (seq, due_at, attempts, cursor) "
                "SELECT seq, now(), 0, '' FROM events WHERE event_id = 'e1'"
            )
        )
    drained = await house.dispatcher.drain()
    assert (drained.dispatched, drained.started) == (1, 0)
    assert len(await _runs(house, "refund")) == 1


async def test_an_event_that_does_not_fit_the_conditions_starts_nothing(house: House) -> None:
    await house.publish(REFUND)
    await house.emit(an_event("e1", "tandem.refund.created", "refund:R1", amount_minor=50))
    assert await _runs(house, "refund") == []


async def test_an_event_reaches_the_open_runs_of_its_subject(house: House) -> None:
    await house.publish(LISTENING)
    mine = await house.runs.start(ADMIN, "shop", "listening", subject="order:1")
    other = await house.runs.start(ADMIN, "shop", "listening", subject="order:2")
    nobodys = await house.runs.start(ADMIN, "shop", "listening")
    async with house.worker():
        await house.emit(an_event("b1", "shop.bell", "order:1", tone="high"))
        assert (await house.until(mine.id, "completed")).output == {"heard": {"tone": "high"}}
        assert (await house.until(nobodys.id, "completed")).output == {"heard": {"tone": "high"}}
        assert (await house.until(other.id, "waiting")).phase == "waiting"


async def test_an_event_without_subject_reaches_every_listening_run_in_batches(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.event_dispatch._BROADCAST_BATCH", 2)
    await house.publish(LISTENING)
    runs = [await house.runs.start(ADMIN, "shop", "listening", subject=f"order:{number}") for number in range(5)]
    async with house.worker():
        await house.events.publish(ADMIN, [an_event("b1", "shop.bell")])
        while (await house.dispatcher.drain()).signalled:
            pass
        for run in runs:
            await house.until(run.id, "completed")


async def test_a_run_and_the_event_it_waits_for_may_come_in_one_batch(house: House) -> None:
    flow = a_flow(
        "pair",
        "- hear:\n    listen: {to: {one: {with: {type: shop.bell}}}}\n    timeout: {after: P1D}",
        head="schedule:\n  on:\n    one: {with: {type: shop.opened}}\n",
    )
    await house.publish(flow)
    async with house.worker():
        await house.emit(an_event("o1", "shop.opened", "order:1"), an_event("b1", "shop.bell", "order:1", n=1))
        run = (await _runs(house, "pair"))[0]
        assert (await house.until(run.id, "completed")).output == [{"n": 1}]


async def test_a_trigger_of_several_events_waits_for_all_with_one_key(house: House) -> None:
    await house.publish(BOTH)
    async with house.worker():
        await house.emit(an_event("p1", "shop.paid", "order:1", order="1"))
        await house.emit(an_event("s2", "shop.shipped", "order:2", order="2"))
        assert await _runs(house, "both") == []
        await house.emit(an_event("s1", "shop.shipped", "order:1", order="1"))
        runs = await _runs(house, "both")
        assert len(runs) == 1
        assert (await house.until(runs[0].id, "completed")).output == {"ids": ["p1", "s1"]}


async def test_what_a_run_says_of_itself_can_start_another(house: House) -> None:
    follower = a_flow(
        "follower",
        "- keep:\n    set: {name: '${ .[0].type }'}",
        head="""
schedule:
  on:
    one:
      with:
        type: io.serverlessworkflow.workflow.completed.v1
        data: '${ .definition.name == "leader" }'
""",
    )
    await house.publish(a_flow("leader", "- a:\n    set: {b: 1}"), follower)
    async with house.worker():
        leader = await house.runs.start(ADMIN, "shop", "leader")
        await house.until(leader.id, "completed")
        await eventually(lambda: _drained(house))
        assert len(await _runs(house, "follower")) == 1


async def _drained(house: House) -> bool:
    await house.dispatcher.drain()
    return bool(await _runs(house, "follower"))


async def test_a_failing_event_is_parked_with_its_reason_and_holds_up_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.event_dispatch._LONGEST_BACKOFF_S", 0)
    picky = a_flow(
        "picky",
        "- a:\n    set: {b: 1}",
        head="""
schedule:
  on:
    one:
      with: {type: tandem.refund.created, data: '${ .amount_minor | keys }'}
""",
    )
    await house.publish(REFUND, picky)
    bad = an_event("bad", "tandem.refund.created", "refund:1", amount_minor=500, refund_id="1")
    await house.tell(bad, an_event("fine", "shop.unknown"))
    rounds = [await house.dispatcher.drain() for _ in range(7)]
    assert (rounds[0].dispatched, rounds[0].retried) == (1, 1)
    assert sum(each.parked for each in rounds) == 1
    assert len(await _runs(house, "refund")) == 1
    parked = (await house.events.parked(ADMIN, PageRequest())).items[0]
    assert (parked.event.id, parked.attempts) == ("bad", 6)
    assert "keys" in parked.reason
    assert await house.events.unpark(ADMIN, [parked.seq]) == 1
    assert (await house.dispatcher.drain()).retried == 1


async def test_while_temporal_is_away_events_wait_and_are_never_parked(house: House) -> None:
    await house.publish(LISTENING)
    await house.runs.start(ADMIN, "shop", "listening", subject="order:1")
    away = House(house.database, await Client.connect("127.0.0.1:9", lazy=True), deadline_s=0.3)
    await house.events.publish(ADMIN, [an_event("b1", "shop.bell", "order:1")])
    assert (await away.dispatcher.drain()).retried == 1
    async with UnitOfWork(house.database) as work:
        assert (await Events(work).parked(PageRequest())).items == []
        assert not await Events(work).has_due()
    async with house.worker():

        async def heard() -> bool:
            await house.dispatcher.drain()
            return (await _runs(house, "listening"))[0].phase == "completed"

        await eventually(heard)


async def test_several_dispatchers_share_the_work(house: House) -> None:
    await house.publish(REFUND)
    await house.tell(
        *(
            an_event(f"e{number}", "tandem.refund.created", f"refund:{number}", refund_id="1", amount_minor=500)
            for number in range(60)
        )
    )
    others = [EventDispatcher(house.database, house.orchestrator, house.starter) for _ in range(3)]
    rounds = await asyncio.gather(*(each.drain(20) for each in others))
    assert [each.dispatched for each in rounds] == [20, 20, 20]
    assert sum(each.started for each in rounds) == 60
    assert len((await house.runs.search(ADMIN, RunFilter(name="refund"), PageRequest(size=200))).items) == 60


async def test_the_dispatcher_wakes_up_when_an_event_is_published(house: House) -> None:
    assert not await house.dispatcher.wait_for_work(0.05)
    waiting = asyncio.ensure_future(house.dispatcher.wait_for_work(10))
    await asyncio.sleep(0.2)
    before = asyncio.get_running_loop().time()
    await house.events.publish(ADMIN, [an_event("e1", "shop.bell")])
    assert await waiting
    assert asyncio.get_running_loop().time() - before < 1


async def test_a_dispatcher_that_is_stopped_while_it_waits_leaves_the_pool_whole(house: House) -> None:
    for _ in range(12):
        waiting = asyncio.ensure_future(house.dispatcher.wait_for_work(10))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert not await house.dispatcher.wait_for_work(0.05)


async def test_runs_belong_where_their_shop_belongs(house: House) -> None:
    await house.publish(REFUND)
    async with UnitOfWork(house.database) as work:
        await Units(work).add(Unit(path="/east/", name="East"))
        await Accounts(work).add(
            NewAccount(platform="youzan", slug="flagship", name="F", unit_path="/east/", credentials={})
        )
    event = an_event("e1", "tandem.refund.created", "refund:R1", amount_minor=500)
    await house.emit(event.model_copy(update={"source": "/youzan/flagship"}))
    run = (await _runs(house, "refund"))[0]
    assert Placement(run.unit_path, run.account_id) == Placement("/east/", "youzan/flagship")


async def _regions(house: House) -> dict[str, Actor]:
    """Two regions with a shop each, and somebody in the east, once by branch and once by shop."""
    async with UnitOfWork(house.database) as work:
        for region in ("east", "west"):
            await Units(work).add(Unit(path=f"/{region}/", name=region))
            new = NewAccount(platform="youzan", slug=region, name=region, unit_path=f"/{region}/", credentials={})
            await Accounts(work).add(new)
    scopes = {"branch": Scope.of_branch("/east/"), "shop": Scope.of_accounts("youzan/east")}
    return {name: an_actor(f"east-{name}", Role.OPS, scope=scope) for name, scope in scopes.items()}


def _eastern(identity: str, kind: str, subject: str | None = None, **data: Any) -> Event:
    return an_event(identity, kind, subject, **data).model_copy(update={"source": "/youzan/east"})


RECORD: dict[str, Any] = {"version": 1, "refund_id": "R1", "order_id": "E1", "status": "requested", "amount_minor": 500}
PLACES = {
    "here": Placement("/east/", "youzan/east"),
    "elsewhere": Placement("/west/", "youzan/west"),
    "headquarters": Placement(),
}


@pytest.mark.parametrize("who", ["branch", "shop"])
@pytest.mark.parametrize("subject", ["order:1", None])
async def test_what_is_published_with_a_narrow_scope_reaches_no_run_outside(
    house: House, who: str, subject: str | None
) -> None:
    await house.publish(LISTENING)
    publisher = (await _regions(house))[who]
    runs = {
        (name, about): await house.runs.start(ADMIN, "shop", "listening", subject=about, placement=place)
        for name, place in PLACES.items()
        for about in ("order:1", "")
    }
    async with house.worker():
        await house.events.publish(publisher, [_eastern("b1", "shop.bell", subject, tone="low")])
        assert (await house.dispatcher.drain()).signalled == 2
        for (name, _), run in runs.items():
            if name == "here":
                assert (await house.until(run.id, "completed")).output == {"heard": {"tone": "low"}}
        await house.emit(_eastern("b1", "shop.bell", subject, tone="high"))
        for (name, _), run in runs.items():
            if name != "here":
                # The platform's own event of the same id is not taken for the one that was published.
                assert (await house.until(run.id, "completed")).output == {"heard": {"tone": "high"}}


async def test_what_is_published_with_a_narrow_scope_starts_runs_in_its_place(house: House) -> None:
    await house.publish(REFUND)
    publisher = (await _regions(house))["branch"]
    facts = {"platform": "youzan", "account": "east", **RECORD}
    event = _eastern("e1", "tandem.refund.created", "refund:R1", **facts)
    with pytest.raises(AuthorizationProblem, match="must name the account"):
        await house.events.publish(publisher, [event.model_copy(update={"data": {**facts, "account": "west"}})])
    await house.events.publish(publisher, [event])
    assert (await house.dispatcher.drain()).started == 1
    run = (await house.runs.search(publisher, RunFilter(name="refund"), PageRequest())).items[0]
    assert Placement(run.unit_path, run.account_id) == PLACES["here"]
    await house.emit(event)
    assert len(await _runs(house, "refund")) == 2, "the platform's own word starts its own run"


async def test_an_account_that_moved_takes_its_published_events_with_it(house: House) -> None:
    await house.publish(REFUND)
    publisher = (await _regions(house))["branch"]
    event = _eastern("e1", "tandem.refund.created", platform="youzan", account="east", **RECORD)
    await house.events.publish(publisher, [event])
    async with UnitOfWork(house.database) as work:
        await work.session.execute(text("UPDATE accounts SET unit_path = '/west/' WHERE slug = 'east'"))
    drained = await house.dispatcher.drain()
    assert (drained.dispatched, drained.started) == (1, 0)


async def test_events_of_different_scopes_start_no_run_together(house: House) -> None:
    await house.publish(BOTH)
    publisher = (await _regions(house))["branch"]
    await house.events.publish(publisher, [_eastern("p1", "shop.paid", "order:1", order="1")])
    await house.emit(an_event("s1", "shop.shipped", "order:1", order="1"))
    assert await _runs(house, "both") == []
    await house.events.publish(publisher, [_eastern("s2", "shop.shipped", "order:1", order="1")])
    await house.dispatcher.drain()
    (run,) = await _runs(house, "both")
    assert Placement(run.unit_path, run.account_id) == PLACES["here"]


async def test_a_batch_with_one_event_of_another_is_refused_as_a_whole(house: House) -> None:
    publisher = (await _regions(house))["shop"]
    stranger = an_event("b2", "shop.bell").model_copy(update={"source": "/youzan/west"})
    with pytest.raises(AuthorizationProblem, match="not within your data scope"):
        await house.events.publish(publisher, [_eastern("b1", "shop.bell"), stranger])
    assert (await house.events.publish(publisher, [_eastern("b1", "shop.bell")])).new == 1


async def test_publishing_needs_permission_and_is_audited(house: House) -> None:
    with pytest.raises(AuthorizationProblem):
        await house.events.publish(an_actor("agent", Role.AGENT), [an_event("e1", "shop.bell")])
    with pytest.raises(ValidationProblem, match="larger than"):
        await house.events.publish(ADMIN, [an_event("e1", "shop.bell", None, text="x" * 600_000)])
    published = await house.events.publish(ADMIN, [an_event("e1", "shop.bell"), an_event("e1", "shop.bell")])
    assert (published.received, published.new) == (2, 1)
    async with UnitOfWork(house.database) as work:
        entries = (await AuditLog(work).list(ADMIN.scope, PageRequest(), action="event.publish")).items
    assert [entry.detail["new"] for entry in entries] == [1]


def test_what_a_share_is_drawn_by() -> None:
    assert draw_subject(an_event("1", "x", "order:1")) == "order:1"
    assert draw_subject(Event(id="1", source="/s", type="x", tandemkeys=("customer:2",))) == "customer:2"
    assert draw_subject(an_event("1", "x")) == "/test/shop#1"


def test_signals_stay_below_the_size_of_a_payload() -> None:
    events = [an_event(str(number), "x", None, text="y" * 300_000).envelope() for number in range(7)]
    assert [len(part) for part in in_parts(events)] == [3, 3, 1]
    small = [an_event(str(number), "x").envelope() for number in range(120)]
    assert [len(part) for part in in_parts(small)] == [50, 50, 20]
