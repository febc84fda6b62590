"""Of two customers who become one, one run stays and writes: the other is cancelled, and says nothing twice."""

import asyncio
import random

import pytest
from sqlalchemy import text

from domain.canonical import Buyer
from domain.canonical.announcing import announce
from domain.catalog.messages import SendArguments, SendOutput
from domain.problems import Text, UnavailableProblem
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.reach import Cause, ReachService
from storage.audit import AuditLog
from storage.effects import Effects
from storage.paging import PageRequest
from storage.runs import RunRow, Runs
from storage.unit_of_work import UnitOfWork
from tests.services.enrolling import a_flow, an_order, customer_of, runs, tagged, take_in
from tests.services.house import ADMIN, House


async def test_of_two_who_become_one_the_first_stays_and_the_other_is_cancelled(house: House) -> None:
    await house.publish(a_flow("welcome", "{ per: customer, again: P1D }"), a_flow("other", "{ per: customer }"))
    await take_in(house, an_order(1, Buyer(buyer_id="B1")), an_order(1, Buyer(unionid="U1"), "E2"))
    first, second = await customer_of(house, "0"), await customer_of(house, "1")
    await house.emit(tagged("t1", second))
    await house.emit(tagged("t2", first))
    entered = {run.subject: run.id for run in await runs(house, "welcome")}
    assert len(entered) == 2
    async with house.worker():
        for run_id in entered.values():
            await house.until(run_id, "waiting")
        await take_in(house, an_order(1, Buyer(buyer_id="B1", unionid="U1"), "E3"))
        await house.until(entered[f"customer:{first}"], "cancelled")
        assert (await house.until(entered[f"customer:{second}"], "waiting")).phase == "waiting"
    async with UnitOfWork(house.database) as work:
        rows = await work.session.execute(text("SELECT action, target FROM audit_entries WHERE action = 'run.cancel'"))
        assert f"run:{entered[f'customer:{first}']}" in {row.target for row in rows}


async def test_from_the_merge_on_only_the_first_of_two_writes_and_what_it_started(house: House) -> None:
    """The second run is cancelled when the merge is dispatched, and may be sending at that moment."""
    await house.publish(a_flow("welcome", "{ per: customer, again: P1D }"))
    await take_in(house, an_order(1, Buyer(buyer_id="B1")), an_order(1, Buyer(unionid="U1"), "E2"))
    first, second = await customer_of(house, "0"), await customer_of(house, "1")
    await house.emit(tagged("t1", second))
    await house.emit(tagged("t2", first))
    entered = {run.subject: run.id for run in await runs(house, "welcome")}
    stays, surplus = entered[f"customer:{second}"], entered[f"customer:{first}"]
    async with UnitOfWork(house.database) as work:
        row = (await Runs(work).rows([surplus]))[surplus]
        part = row.model_dump() | {"id": f"{surplus}/child", "parent_id": surplus, "enrolled": None}
        work.session.add(RunRow(**part))
    assert [await refusal_of(house, run_id) for run_id in (stays, surplus, f"{surplus}/child")] == [None, None, None]
    async with UnitOfWork(house.database) as work:
        order = an_order(1, Buyer(buyer_id="B1", unionid="U1"), "E3")
        await Intake(IdentityService()).take_in(work, [Arrival.of(announce(order, work.now), work.now)])
    assert [await refusal_of(house, run_id) for run_id in (stays, surplus, f"{surplus}/child")] == [
        None,
        "doubled",
        "doubled",
    ]
    assert await refusal_of(house, "flow/shop/welcome/nobody") is None


@pytest.fixture
async def two(house: House) -> tuple[str, str]:
    """The runs of two customers, the older first, who nobody knows yet to be one."""
    await house.publish(a_flow("welcome", "{ per: customer, again: P1D }"))
    await take_in(house, an_order(1, Buyer(buyer_id="B1")), an_order(1, Buyer(unionid="U1"), "E2"))
    entered = []
    for number in ("0", "1"):
        await house.emit(tagged(f"t{number}", await customer_of(house, number)))
        entered.append(next(run.id for run in await runs(house, "welcome") if run.id not in entered))
    return entered[0], entered[1]


async def become_one(house: House) -> None:
    """Say so, without dispatching it."""
    async with UnitOfWork(house.database) as work:
        order = an_order(1, Buyer(buyer_id="B1", unionid="U1"), "E3")
        await Intake(IdentityService()).take_in(work, [Arrival.of(announce(order, work.now), work.now)])


@pytest.mark.parametrize("has_ended", [True, False])
async def test_who_wrote_before_the_merge_stays_and_the_older_run_says_nothing_twice(
    house: House, two: tuple[str, str], has_ended: bool
) -> None:
    older, younger = two
    assert await refusal_of(house, younger) is None
    if has_ended:
        async with UnitOfWork(house.database) as work:
            statement = text("UPDATE runs SET ended_at = now(), phase = 'completed' WHERE id = :id")
            await work.session.execute(statement, {"id": younger})
    await become_one(house)
    assert [await refusal_of(house, run_id) for run_id in (older, younger, younger)] == ["doubled", None, None]
    async with house.worker():
        await take_in(house)
        await house.until(older, "cancelled")
    assert {run.id: run.phase for run in await runs(house, "welcome")}[younger] != "cancelled"


@pytest.mark.parametrize("did", ["nothing", "an effect", "a run"])
async def test_a_run_that_ended_for_want_of_knowledge_leaves_it_to_the_other(
    house: House, two: tuple[str, str], did: str
) -> None:
    older, younger = two
    async with UnitOfWork(house.database) as work:
        if did == "an effect":
            await Effects(work).begin("k1", "youzan.give_coupon", "digest", run_id=older)
        if did == "a run":
            row = (await Runs(work).rows([older]))[older]
            work.session.add(RunRow(**(row.model_dump() | {"id": f"{older}/c", "parent_id": older, "enrolled": None})))
        statement = text("UPDATE runs SET ended_at = now(), phase = 'completed' WHERE id = :id")
        await work.session.execute(statement, {"id": older})
    await become_one(house)
    assert await refusal_of(house, younger) == (None if did == "nothing" else "doubled")


async def attempt(house: House, run_id: str, outcome: str, key: str = "") -> str:
    """A run's `send`, as its activity does it. outcome: of the platform, unless the house rules say no first: `sent`,
    `refused` (for certain), `lost` (nobody knows), `cap`. What came of it."""
    cause = Cause(key or f"{run_id}/send", run_id, "/do/0/tell", "wecom/corp")
    request = SendArguments(channel="wecom", account="corp", to="wm1", purpose="service", text="hi")
    async with UnitOfWork(house.database) as work:
        begun = await Effects(work).begin(cause.key, "send", "digest", run_id=run_id)
    reach = ReachService(house.database)
    reason = "cap" if outcome == "cap" and begun.standing == "new" else await reach.refusal(request, cause)
    if outcome == "lost" and reason is None:
        return "lost"
    async with UnitOfWork(house.database) as work:
        if outcome == "refused" and reason is None:
            await Effects(work).fail(cause.key, {}, begun.attempts)
            return "refused"
        await Effects(work).finish(cause.key, {})
    await reach.record(request, SendOutput(sent=reason is None, skipped_reason=reason), cause)
    return reason or "sent"


async def end(house: House, run_id: str) -> None:
    async with UnitOfWork(house.database) as work:
        statement = text("UPDATE runs SET ended_at = now(), phase = 'completed' WHERE id = :id")
        await work.session.execute(statement, {"id": run_id})


@pytest.mark.parametrize(
    ("first", "then"),
    [("cap", "sent"), ("refused", "sent"), ("lost", "doubled"), ("sent", "doubled"), ("tag", "sent")],
)
async def test_one_that_ended_without_writing_leaves_it_to_the_other(
    house: House, two: tuple[str, str], first: str, then: str
) -> None:
    older, younger = two
    if first == "tag":
        async with UnitOfWork(house.database) as work:
            await Effects(work).begin("k-tag", "tag", "digest", run_id=older)
            await Effects(work).finish("k-tag", {})
    else:
        await attempt(house, older, first)
    await end(house, older)
    await become_one(house)
    assert await attempt(house, younger, "sent") == then
    if then == "sent":
        assert await attempt(house, older, "sent", "late") == "doubled", (
            "an attempt that was made after the run was over"
        )


async def test_one_that_ended_without_writing_does_not_cancel_the_other(house: House, two: tuple[str, str]) -> None:
    older, younger = two
    assert await attempt(house, older, "refused") == "refused"
    await end(house, older)
    async with house.worker():
        await house.until(younger, "waiting")
        await take_in(house, an_order(1, Buyer(buyer_id="B1", unionid="U1"), "E3"))
        while (await house.dispatcher.drain()).dispatched:
            pass
    assert {run.id: run.phase for run in await runs(house, "welcome")}[younger] == "waiting"


async def test_exactly_one_writes_whatever_becomes_of_them(house: House) -> None:
    """Runs of two who become one are asked, refused, lost and ended in any order."""
    await house.publish(a_flow("welcome", "{ per: customer }"))
    generator = random.Random(11)

    async def merge(world: int) -> None:
        async with UnitOfWork(house.database) as work:
            order = an_order(1, Buyer(buyer_id=f"B{world}", unionid=f"U{world}"), f"E{world}-2")
            await Intake(IdentityService()).take_in(work, [Arrival.of(announce(order, work.now), work.now)])

    for world in range(20):
        buyers = Buyer(buyer_id=f"B{world}"), Buyer(unionid=f"U{world}")
        await take_in(house, *(an_order(1, buyer, f"E{world}-{place}") for place, buyer in enumerate(buyers)))
        both = []
        for place in (0, 1):
            person = await customer_of(house, str(world + place))
            await house.emit(tagged(f"t{world}-{place}", person))
            both.append(next(run.id for run in await runs(house, "welcome") if run.subject == f"customer:{person}"))
        wrote: set[str] = set()
        told: list[tuple[int, str]] = []
        merged_at, turns = generator.randrange(2), generator.randrange(2, 6)
        for turn in range(turns):
            if turn == merged_at:
                await merge(world)
            run_id = generator.choice(both)
            came = await attempt(
                house, run_id, generator.choice(("sent", "refused", "cap", "lost")), f"{run_id}/{turn}"
            )
            told.append((both.index(run_id), came))
            wrote |= {run_id} if came in ("sent", "lost") else set()
            assert len(wrote) <= 1, told
            if generator.random() < 0.6:
                await end(house, run_id)
        last = generator.choice(both)
        (other,) = {*both} - {last}
        await end(house, other)
        assert await attempt(house, last, "sent", f"{last}/last") == ("doubled" if other in wrote else "sent"), told


async def test_of_two_that_write_at_the_same_moment_one_does_also_when_they_become_one_meanwhile(
    house: House, two: tuple[str, str]
) -> None:
    await become_one(house)
    refusals = await asyncio.gather(*(refusal_of(house, run_id) for run_id in two * 6))
    assert refusals == [None, "doubled"] * 6
    async with UnitOfWork(house.database) as work:
        # Its attempts go on for a while after it has been cancelled.
        statement = text("UPDATE runs SET ended_at = now(), phase = 'cancelled' WHERE id = :id")
        await work.session.execute(statement, {"id": two[1]})
    assert await refusal_of(house, two[1]) == "doubled"


async def test_a_legitimate_second_entry_writes_again(house: House, two: tuple[str, str]) -> None:
    older, _ = two
    assert [await refusal_of(house, older), await refusal_of(house, older)] == [None, None], "as a loop does"
    async with UnitOfWork(house.database) as work:
        gone = "UPDATE runs SET created_at = now() - interval '2 days', reached_at = now() - interval '2 days', "
        await work.session.execute(text(gone + "ended_at = now(), phase = 'completed'"))
    await house.emit(tagged("later", await customer_of(house, "0")))
    newest = next(run.id for run in await runs(house, "welcome") if run.id not in two)
    assert await refusal_of(house, newest) is None


async def test_a_run_one_too_many_is_audited_once_however_often_temporal_is_away(
    house: House, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(run_id: str, reason: str) -> None:
        raise UnavailableProblem(Text("不在", "away"), outcome="not_done", retryable=True)

    await become_one(house)
    monkeypatch.setattr(house.orchestrator, "cancel", away)
    retried = 0
    for _ in range(3):
        retried += (await house.dispatcher.drain()).retried
        async with UnitOfWork(house.database) as work:
            await work.session.execute(text("UPDATE event_outbox SET due_at = now()"))
    async with UnitOfWork(house.database) as work:
        told = await AuditLog(work).list(ADMIN.scope, PageRequest(), action="run.cancel")
    assert (retried, [entry.target for entry in told.items]) == (3, [f"run:{two[1]}"])


async def refusal_of(house: House, run_id: str) -> str | None:
    """Why a message of this run must not go out."""
    request = SendArguments(channel="wecom", account="corp", to="wm1", purpose="service", text="hi")
    return await ReachService(house.database).refusal(request, Cause("k1", run_id, "/do/0/tell", "wecom/corp"))


async def test_an_ended_run_of_the_one_is_enough_for_both(house: House) -> None:
    await house.publish(a_flow("welcome", "{ per: customer }"), a_flow("remind", "{ per: customer, again: P30D }"))
    await take_in(house, an_order(1, Buyer(buyer_id="B1")), an_order(1, Buyer(unionid="U1"), "E2"))
    first, second = await customer_of(house, "0"), await customer_of(house, "1")
    await house.emit(tagged("t1", first))
    async with UnitOfWork(house.database) as work:
        # It has been welcomed and reminded, long before the other came.
        ended = "UPDATE runs SET ended_at = now(), phase = 'completed', created_at = now() - interval '31 days'"
        await work.session.execute(text(f"{ended}, reached_at = now() - interval '31 days'"))
    await house.emit(tagged("t2", second))
    open_runs = {
        run.name: run.id for name in ("welcome", "remind") for run in await runs(house, name) if not run.ended_at
    }
    async with house.worker():
        for run_id in open_runs.values():
            await house.until(run_id, "waiting")
        await take_in(house, an_order(1, Buyer(buyer_id="B1", unionid="U1"), "E3"))
        await house.until(open_runs["welcome"], "cancelled")
        assert (await house.until(open_runs["remind"], "waiting")).phase == "waiting", "a month has passed"
