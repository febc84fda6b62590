"""Nobody enters a flow twice for the same reason: not by repeats, not in another order, not under two names."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from domain.access import Scope
from domain.canonical import Buyer
from domain.canonical.announcing import announce
from domain.events import Event, rfc3339
from domain.problems import ConflictProblem
from services.customer_tags import CustomerTagService
from services.event_dispatch import EventDispatcher
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.tagging import Tagging
from storage.run_enrolments import RunEnrolments
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.enrolling import a_flow, an_order, customer_of, runs, tagged, take_in
from tests.services.house import ADMIN, House
from tests.services.test_tagging import publish, rule


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
