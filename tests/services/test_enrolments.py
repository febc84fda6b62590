"""Nobody enters a flow twice for the same reason: not by repeats, not in another order, not under two names."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.access import Scope
from domain.canonical import Buyer, OrderData
from domain.canonical.announcing import announce
from domain.catalog.messages import SendArguments, SendOutput
from domain.events import Event, rfc3339
from domain.problems import ConflictProblem, Text, UnavailableProblem
from domain.runs import RunSummary
from services.customer_tags import CustomerTagService
from services.event_dispatch import EventDispatcher
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.reach import Cause, ReachService
from services.tagging import Tagging
from storage.audit import AuditLog
from storage.effects import Effects
from storage.paging import PageRequest
from storage.run_enrolments import RunEnrolments
from storage.runs import RunFilter, RunRow, Runs
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.house import ADMIN, House
from tests.services.test_tagging import publish, rule

FLOW = """
document:
  dsl: '1.0.3'
  namespace: shop
  name: NAME
  version: '1.0.0'
  metadata: { enrolment: ENROLMENT }
schedule: { on: { one: { with: { type: TYPE } } } }
do:
  - rest: { wait: P1D }
"""


def a_flow(name: str, enrolment: str, kind: str = "shop.tagged") -> str:
    return FLOW.replace("NAME", name).replace("ENROLMENT", enrolment).replace("TYPE", kind)


def an_order(version: int, buyer: Buyer, number: str = "E1", shop: str = "youzan/flagship") -> OrderData:
    platform, account = shop.split("/")
    return OrderData(
        platform=platform,
        account=account,
        version=version,
        order_id=number,
        status="paid",
        paid_minor=1,
        buyer=buyer,
    )


async def take_in(house: House, *orders: OrderData) -> None:
    """A drained batch of orders, and the dispatch of what follows."""
    async with UnitOfWork(house.database) as work:
        now = work.now
        arrivals = [Arrival.of(announce(order, now), now) for order in orders]
        await Intake(IdentityService()).take_in(work, arrivals)
    while (await house.dispatcher.drain()).dispatched:
        pass


async def runs(house: House, name: str) -> list[RunSummary]:
    return list((await house.runs.search(ADMIN, RunFilter(name=name), PageRequest())).items)


async def customer_of(house: House, value: str) -> UUID:
    async with UnitOfWork(house.database) as work:
        rows = await work.session.execute(text("SELECT id FROM customers WHERE merged_into IS NULL ORDER BY id"))
        found = [UUID(str(row.id)) for row in rows]
    assert len(found) > int(value)
    return found[int(value)]


def tagged(identity: str, customer: UUID) -> Event:
    # Runs are named after events, and the server is shared with other tests.
    subject = f"customer:{customer}"
    return Event(id=f"{identity}-{customer}", source="/test", type="shop.tagged", subject=subject, data={})


async def test_an_order_that_is_told_in_several_versions_and_backwards_enters_once(house: House) -> None:
    await house.publish(a_flow("ship", "{ per: order }", "tandem.order.paid"))
    await take_in(house, an_order(3, Buyer(buyer_id="B1")), an_order(2, Buyer(buyer_id="B1")))
    await take_in(house, an_order(1, Buyer(buyer_id="B1")), an_order(2, Buyer(buyer_id="B1")))
    await take_in(house, an_order(1, Buyer(buyer_id="B1"), "E2"))
    assert sorted(run.subject for run in await runs(house, "ship")) == ["order:E1", "order:E2"]


async def test_two_shops_that_count_alike_have_an_order_each(house: House) -> None:
    await house.publish(a_flow("ship", "{ per: order }", "tandem.order.paid"))
    shops = ("youzan/flagship", "youzan/outlet", "douyin/flagship")
    for version in (2, 1):
        await take_in(house, *(an_order(version, Buyer(buyer_id="B1"), shop=shop) for shop in shops))
    assert [run.subject for run in await runs(house, "ship")] == ["order:E1"] * 3
    async with UnitOfWork(house.database) as work:
        entered = await RunEnrolments(work).enrolled(["order:E1"])
    assert {each.account_id for each in entered} == set(shops)
    with pytest.raises(ConflictProblem):
        # Whoever does not say which shop's order it is may mean any of them.
        await house.runs.start(ADMIN, "shop", "ship", subject="order:E1")


async def test_an_order_that_somebody_took_in_without_its_shop_enters_at_no_shop_again(house: House) -> None:
    await house.publish(a_flow("ship", "{ per: order }", "tandem.order.paid"))
    await house.runs.start(ADMIN, "shop", "ship", subject="order:E1")
    await take_in(house, an_order(1, Buyer(buyer_id="B1")), an_order(1, Buyer(buyer_id="B1"), "E2"))
    assert sorted(run.subject for run in await runs(house, "ship")) == ["order:E1", "order:E2"]


async def test_who_was_in_under_another_name_does_not_enter_again(house: House) -> None:
    await house.publish(a_flow("welcome", "{ per: customer }"))
    await take_in(house, an_order(1, Buyer(buyer_id="B1")), an_order(1, Buyer(unionid="U1"), "E2"))
    first, second = await customer_of(house, "0"), await customer_of(house, "1")
    await house.emit(tagged("t1", second))
    assert len(await runs(house, "welcome")) == 1
    await take_in(house, an_order(1, Buyer(buyer_id="B1", unionid="U1"), "E3"))
    assert await customer_of(house, "0") == first
    await house.emit(tagged("t2", first), tagged("t3", second))
    assert [run.subject for run in await runs(house, "welcome")] == [f"customer:{second}"]


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
            await Effects(work).fail(cause.key, {})
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


async def test_who_may_enter_again_does_so_after_the_time_and_not_before(house: House) -> None:
    await house.publish(a_flow("remind", "{ per: customer, again: P30D }"))
    await take_in(house, an_order(1, Buyer(buyer_id="B1")))
    customer = await customer_of(house, "0")
    entered = []
    for number, (days, has_ended) in enumerate(
        ((0, False), (0, False), (29, True), (1, False), (0, True), (31, False), (0, True))
    ):
        async with UnitOfWork(house.database) as work:
            await work.session.execute(
                text("UPDATE runs SET created_at = created_at - :gone, ended_at = CASE WHEN :over THEN now() END"),
                {"gone": timedelta(days=days), "over": has_ended},
            )
        await house.emit(tagged(f"t{number}", customer))
        entered.append(len(await runs(house, "remind")))
    assert entered == [1, 1, 1, 1, 2, 2, 3], "not while the run of before is open, however long ago it began"


@pytest.mark.parametrize("subject", [None, "order:1"])
async def test_where_nobody_is_named_there_is_nothing_to_count(house: House, subject: str | None) -> None:
    await house.publish(a_flow("loose", "{ per: customer }"))
    await house.emit(*(Event(id=each, source="/test", type="shop.tagged", subject=subject, data={}) for each in "ab"))
    assert len(await runs(house, "loose")) == 2


async def test_dispatchers_at_the_same_moment_let_one_in(house: House) -> None:
    await house.publish(a_flow("welcome", "{ per: customer }"))
    await take_in(house, *(an_order(1, Buyer(buyer_id=f"B{number}"), f"E{number}") for number in range(5)))
    customers = [await customer_of(house, str(number)) for number in range(5)]
    events = [tagged(f"{turn}-{customer}", customer) for turn in range(20) for customer in customers]
    await house.events.publish(ADMIN, events)
    several = [EventDispatcher(house.database, house.orchestrator, house.starter) for _ in range(4)]
    drained = await asyncio.gather(*(each.drain(limit=25) for each in several))
    assert sum(each.started for each in drained) == 5
    assert len(await runs(house, "welcome")) == 5


async def test_who_is_in_is_not_taken_in_again_by_hand_and_hears_which_run_it_was(house: House) -> None:
    await house.publish(a_flow("welcome", "{ per: customer }"))
    await take_in(house, an_order(1, Buyer(buyer_id="B1")), an_order(1, Buyer(unionid="U1"), "E2"))
    first, second = await customer_of(house, "0"), await customer_of(house, "1")
    await house.emit(tagged("t1", second))
    (entered,) = await runs(house, "welcome")
    await take_in(house, an_order(1, Buyer(buyer_id="B1", unionid="U1"), "E3"))
    for customer in (first, second):
        with pytest.raises(ConflictProblem) as refusal:
            await house.runs.start(ADMIN, "shop", "welcome", subject=f"customer:{customer}")
        members = refusal.value.problem.as_dict()
        assert (members["run"], members["enrolled_at"], members.get("free_at")) == (
            entered.id, rfc3339(entered.created_at), None,
        )  # fmt: skip
        assert entered.id in refusal.value.text.zh
        assert entered.id in refusal.value.text.en
    elsewhere = an_actor("agent", scope=Scope.of_accounts("youzan/other"))
    with pytest.raises(ConflictProblem) as refusal:
        await house.runs.start(elsewhere, "shop", "welcome", subjects=[f"customer:{first}"])
    assert entered.id not in str(refusal.value.problem.as_dict()), "whoever may not see a run is not told which it is"
    assert len(await runs(house, "welcome")) == 1


async def test_whom_somebody_took_in_no_event_takes_in_again(house: House) -> None:
    await house.publish(a_flow("remind", "{ per: customer, again: P30D }"))
    await take_in(house, an_order(1, Buyer(buyer_id="B1")))
    customer = await customer_of(house, "0")
    name = f"customer:{customer}"
    begun = await house.runs.start(ADMIN, "shop", "remind", subject=name, request_id=f"hand-{customer}")
    await house.emit(tagged("t1", customer))
    assert [run.id for run in await runs(house, "remind")] == [begun.id]
    again = await house.runs.start(ADMIN, "shop", "remind", subject=name, request_id=f"hand-{customer}")
    assert again.id == begun.id
    with pytest.raises(ConflictProblem) as refusal:
        await house.runs.start(ADMIN, "shop", "remind", subject=name)
    assert refusal.value.problem.as_dict()["free_at"] == rfc3339(begun.created_at + timedelta(days=30))
    async with UnitOfWork(house.database) as work:
        await work.session.execute(text("UPDATE runs SET created_at = created_at - interval '31 days'"))
    with pytest.raises(ConflictProblem, match="that run is still open") as still_open:
        await house.runs.start(ADMIN, "shop", "remind", subject=name)
    assert "free_at" not in still_open.value.problem.as_dict()
    async with UnitOfWork(house.database) as work:
        await work.session.execute(text("UPDATE runs SET ended_at = now()"))
    await house.runs.start(ADMIN, "shop", "remind", subject=name)
    assert len(await runs(house, "remind")) == 2


async def test_of_those_who_start_at_the_same_moment_one_does(house: House) -> None:
    await house.publish(a_flow("welcome", "{ per: order }"))
    started = await asyncio.gather(
        *(house.runs.start(ADMIN, "shop", "welcome", subject="order:E1") for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(each, ConflictProblem) for each in started) == 7
    assert len(await runs(house, "welcome")) == 1


async def test_a_start_about_nobody_in_particular_is_not_counted(house: House) -> None:
    await house.publish(a_flow("loose", "{ per: customer }"))
    for _ in range(2):
        await house.runs.start(ADMIN, "shop", "loose", subject="order:E1")
    assert len(await runs(house, "loose")) == 2


LISTENING = """
document: { dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0' }
schedule: { on: { one: { with: { type: shop.tagged } } } }
do:
  - hear:
      listen: { to: { one: { with: { type: tandem.customer.tag-gained, data: { tag: 'TAG' } } } } }
      timeout: { after: P1D }
"""


async def test_who_waits_under_a_former_id_hears_of_tags_by_rules_and_by_hand(house: House) -> None:
    await house.publish(*(LISTENING.replace("NAME", name).replace("TAG", name) for name in ("loyal", "known")))
    await publish(house.database, rule("all: [ { orders: { count: { at-least: 4 } } } ]", tag="loyal"))
    await take_in(house, an_order(1, Buyer(buyer_id="B1")), an_order(1, Buyer(unionid="U1"), "E2"))
    first, second = await customer_of(house, "0"), await customer_of(house, "1")
    await house.emit(tagged("t1", second))
    (loyal,), (known,) = await runs(house, "loyal"), await runs(house, "known")
    async with house.worker():
        for run in (loyal, known):
            await house.until(run.id, "waiting")
        await take_in(house, an_order(1, Buyer(buyer_id="B1", unionid="U1"), "E3"))
        assert (await house.until(loyal.id, "waiting")).phase == "waiting"
        async with UnitOfWork(house.database) as work:
            now = work.now
            fourth = Arrival.of(announce(an_order(1, Buyer(buyer_id="B1"), "E4"), now), now)
            await Intake(IdentityService(), tagging=Tagging(house.database)).take_in(work, [fourth])
        await CustomerTagService(house.database).decide(ADMIN, first, "known", "add", "门店老客")
        while (await house.dispatcher.drain()).dispatched:
            pass
        for run in (loyal, known):
            assert (await house.until(run.id, "completed")).subject == f"customer:{second}"
