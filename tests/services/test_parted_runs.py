"""When customers part, runs go with whom their order belongs to: nobody sees, exports or erases another's, and whom a
flow took in stays in."""

import json
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col

from domain.canonical import Buyer, CartData, OrderData
from domain.catalog import CATALOG
from services.customers import CustomerService
from services.erasure import ErasureService, ErasureWorker
from services.export import HISTORY, ExportService
from services.profiles import ProfileService
from services.tag_book import StoredTags
from storage.engine import Database
from storage.human_tasks import TaskFilter
from storage.identities import IdentityRow
from storage.paging import PageRequest
from storage.runs import RunRow
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.enrolling import a_flow, an_order, runs, tagged, take_in
from tests.services.house import ADMIN, House, eventually
from tests.services.test_erasure import house
from workflows.messages import OpenHumanTask

__all__ = ["house"]

PHONE = "+8613800138000"
HUSBAND, WIFE = Buyer(buyer_id="husband-1", phone=PHONE), Buyer(buyer_id="wife-0001", phone=PHONE)


def of_wife(number: str, buyer: Buyer = WIFE) -> OrderData:
    """She buys elsewhere, by the same phone."""
    return an_order(1, buyer, number, "jd/flagship")


async def customers_of(database: Database) -> dict[str, UUID]:
    async with UnitOfWork(database) as work:
        return {row.value: row.customer_id for row in await work.session.scalars(select(IdentityRow))}


async def part(house: House) -> tuple[UUID, UUID]:
    """Both were one; the wife's account and the phone are split off. Whose ids they are now."""
    async with UnitOfWork(house.database) as work:
        rows = {row.value: row for row in await work.session.scalars(select(IdentityRow))}
    one, keys = rows["husband-1"].customer_id, [rows[name].id for name in ("wife-0001", PHONE)]
    await CustomerService(house.database).split(ADMIN, one, keys, "妻子的账号")
    now = await customers_of(house.database)
    return now["husband-1"], now["wife-0001"]


async def row_of(house: House, run_id: str) -> RunRow:
    async with UnitOfWork(house.database) as work:
        found = await work.session.get_one(RunRow, run_id)
        work.session.expunge(found)
        return found


async def by_order(house: House, name: str, number: str) -> str:
    async with UnitOfWork(house.database) as work:
        named = col(RunRow.subjects).contains([f"order:{number}"])
        return str(await work.session.scalar(select(col(RunRow.id)).where(col(RunRow.name) == name, named)))


async def seen(house: House, customer: UUID) -> set[str]:
    """The runs that a profile shows."""
    page = await ProfileService(house.database, CATALOG.masking(), StoredTags()).timeline(
        ADMIN, customer, PageRequest()
    )
    return {entry.key for entry in page.items if entry.kind == "run"}


async def erase(house: House, clock: SteppedClock, customer: UUID) -> None:
    service, worker = ErasureService(house.database), ErasureWorker(house.database, house.orchestrator)
    await service.erase(ADMIN, customer, "本人要求")

    async def done() -> bool:
        if not await worker.work():
            clock.advance(seconds=61)
        return (await service.show(ADMIN, customer)).state == "done"

    await eventually(done, seconds=60)


@pytest.fixture
async def both(house: House) -> tuple[str, str]:
    """The refund flows of two who are taken for one, by their orders."""
    await house.publish(a_flow("refund", "{ per: order }", "tandem.order.paid"))
    await take_in(house, an_order(1, HUSBAND, "E100001"), of_wife("E100002"))
    return await by_order(house, "refund", "E100001"), await by_order(house, "refund", "E100002")


async def test_after_a_split_each_profile_shows_the_runs_about_its_orders(house: House, both: tuple[str, str]) -> None:
    together = await customers_of(house.database)
    assert await seen(house, together["husband-1"]) == set(both)
    husband, wife = await part(house)
    assert (await seen(house, husband), await seen(house, wife)) == ({both[0]}, {both[1]})
    row = await row_of(house, both[1])
    assert f"customer:{wife}" in row.subjects
    assert f"customer:{husband}" not in row.subjects, "what is told of him would reach her run"
    assert row.subjects[0] == "order:E100002"


async def test_erasing_one_leaves_the_runs_of_the_other(
    house: House, clock: SteppedClock, both: tuple[str, str]
) -> None:
    husband, wife = await part(house)
    export = await ExportService(house.database, house.orchestrator).export(ADMIN, husband, "本人申请")
    told = [json.loads(line) async for line in export.lines]
    histories = {each["data"]["run"] for each in told if each.get("table") == HISTORY}
    assert histories == {both[0]}, "hers is no history of his"
    assert "wife-0001" not in json.dumps([each for each in told if each.get("table") in ("runs", "human_tasks")])
    await erase(house, clock, husband)
    assert (await row_of(house, both[1])).ended_at is None, "nobody cancelled it"
    assert await seen(house, wife) == {both[1]}
    assert {run.id for run in await runs(house, "refund")} == {both[1]}


async def test_a_person_s_step_goes_with_its_run_to_whom_the_order_belongs(
    house: House, clock: SteppedClock, both: tuple[str, str]
) -> None:
    """A list by customer shows it under them; erasing the other one takes nothing out of what is still to be done."""
    together = (await customers_of(house.database))["husband-1"]
    named = f"customer:{together}"
    async with UnitOfWork(house.database) as work:
        for run_id in both:
            (await work.session.get_one(RunRow, run_id)).subject = named
    for number, run_id in enumerate(both):
        await house.steps.open(a_step(f"before-{number}", run_id, named))
    owners = await part(house)
    for number, run_id in enumerate(both):
        # The runs themselves still have the name that they began with.
        await house.steps.open(a_step(f"after-{number}", run_id, named))
    for number, owner in enumerate(owners):
        assert await steps_of(house, f"customer:{owner}") == {f"before-{number}", f"after-{number}"}
    other = 1 - owners.index(together)
    await erase(house, clock, together)
    assert await steps_of(house, f"customer:{owners[other]}") == {f"before-{other}", f"after-{other}"}


def a_step(task_id: str, run_id: str, subject: str) -> OpenHumanTask:
    arguments = {"queue": "warehouse", "title": "验货", "form": {"type": "object"}}
    return OpenHumanTask(task_id, run_id, "check", "/do/0/check", subject, arguments, "2026-11-11T00:00:00.000Z")


async def steps_of(house: House, subject: str) -> set[str]:
    page = await house.human_tasks.search(ADMIN, TaskFilter(subject=subject), PageRequest())
    return {task.id for task in page.items}


async def test_a_run_that_still_names_the_other_by_mistake_is_not_erased_with_them(
    house: House, clock: SteppedClock, both: tuple[str, str]
) -> None:
    """An event that was on its way during the split starts a run for whom it knew."""
    husband, wife = await part(house)
    async with UnitOfWork(house.database) as work:
        row = await work.session.get_one(RunRow, both[1])
        row.customer, row.subjects = str(husband), ["order:E100002", f"customer:{husband}"]
        row.input = {"order": "E100002", "customer": str(husband)}
    await erase(house, clock, husband)
    row = await row_of(house, both[1])
    assert (row.subjects, row.customer, row.ended_at) == (["order:E100002"], None, None)
    assert str(husband) not in json.dumps([row.input, row.trigger])
    assert wife != husband


async def test_whom_a_flow_took_in_stays_in_and_the_other_may_enter(house: House) -> None:
    await house.publish(a_flow("gift", "{ per: customer }", "tandem.order.paid"))
    await take_in(house, of_wife("E100002"))
    await take_in(house, an_order(1, HUSBAND, "E100001"))
    (gift,) = await runs(house, "gift")
    husband, wife = await part(house)
    assert (await row_of(house, gift.id)).enrolled == f"customer:{wife}"
    await take_in(house, of_wife("E100003"))
    assert len(await runs(house, "gift")) == 1, "she had it"
    await take_in(house, an_order(1, HUSBAND, "E100004"))
    assert len(await runs(house, "gift")) == 2
    assert husband != wife


@pytest.mark.parametrize("scope", [None, "generic/east"])
async def test_a_run_about_a_till_s_buyer_goes_with_that_number(house: House, scope: str | None) -> None:
    """Tills number their buyers themselves, or by the numbers of another account."""
    await house.publish(a_flow("care", "{ per: customer }", "tandem.cart.updated"))
    buyer = Buyer(buyer_id="wife-0001", buyer_scope=scope, phone=PHONE)
    await take_in(house, an_order(1, HUSBAND, "E100001"))
    await take_in(house, CartData(platform="generic", account="west", version=1, cart_id="c1", buyer=buyer))
    (about,) = await runs(house, "care")
    husband, wife = await part(house)
    assert husband != wife
    assert (await seen(house, husband), await seen(house, wife)) == (set(), {about.id})


async def test_a_merge_that_is_taken_back_gives_runs_back_but_for_those_about_the_customer_alone(house: House) -> None:
    await house.publish(a_flow("refund", "{ per: order }", "tandem.order.paid"), a_flow("tagging", "{ per: customer }"))
    one, other = Buyer(buyer_id="husband-1"), Buyer(buyer_id="wife-0001")
    await take_in(house, an_order(1, one, "E100001"), of_wife("E100002", other))
    own = await customers_of(house.database)
    husband, wife = own["husband-1"], own["wife-0001"]
    customers = CustomerService(house.database)
    merged = await customers.merge(ADMIN, husband, [wife], "同一人")
    current = merged.customers[0]
    await take_in(house, of_wife("E100003", other))
    await house.emit(tagged("t1", current))
    late, about = await by_order(house, "refund", "E100003"), (await runs(house, "tagging"))[0].id
    await customers.undo(ADMIN, merged.decision)
    assert await seen(house, wife) == {await by_order(house, "refund", "E100002"), late} | (
        {about} if current == wife else set()
    )
    assert about in await seen(house, current)
    named = (await row_of(house, late)).subjects
    assert [each for each in named if each in (f"customer:{husband}", f"customer:{wife}")] == [f"customer:{wife}"]
