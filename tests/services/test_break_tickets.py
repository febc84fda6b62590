"""A day whose bill differs becomes one task of finance, by the flow that comes along."""

import asyncio
import io
from datetime import date
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from activities.binding import CallBinder
from activities.breaks import break_activities
from domain.access import Role
from domain.accounts import NewAccount
from domain.settlement.bill_rows import parse_columns
from domain.settlement.bills import Told
from services.bills import BillService
from services.breaks import BreakService
from services.reconciliation import ReconciliationService
from storage.accounts import Accounts
from storage.breaks import BreakFilter
from storage.human_tasks import HumanTaskSummary, TaskFilter
from storage.paging import PageRequest
from storage.runs import RunFilter
from storage.unit_of_work import UnitOfWork
from tests.activities.test_binding import NoSecrets
from tests.actors import an_actor
from tests.connectors.harness import CONNECTORS
from tests.services.house import ADMIN, House, eventually
from tests.services.reconciling import NOON, POS, an_order

QIAN = an_actor("qian", Role.FINANCE, queues=frozenset({"finance"}))
DAY = date(2026, 6, 1)
COLUMNS = parse_columns("columns: { number: 单号, amount: 金额, at: 时间 }\nevery: payment".encode(), "columns.yaml")
ROWS = "单号,金额,时间\nE1,1.05,2026-06-01 12:00:00\nE2,2.00,2026-06-01 13:00:00\n"


async def a_day_that_differs(house: House) -> BreakService:
    """The flow that comes along has heard of two breaks of a day."""
    await house.publish("queue: { name: finance, title: 财务 }", "queue: { name: finance-lead, title: 财务主管 }")
    for file in ("forms", "breaks"):
        await house.publish(Path(f"definitions/settlement/{file}.yaml").read_text(encoding="utf-8"))
    async with UnitOfWork(house.database) as work:
        await Accounts(work).add(NewAccount(platform="generic", slug="pos", name="POS", credentials={}))
    bills = BillService(house.database, CONNECTORS)
    await bills.take_file(QIAN, POS, DAY, COLUMNS, io.BytesIO(ROWS.encode()), told=Told(2, in_minor=305, out_minor=0))
    for _ in range(2):
        await reconcile(house)
    return BreakService(house.database)


async def reconcile(house: House) -> None:
    await ReconciliationService(house.database).reconcile(QIAN, POS, DAY)
    while (await house.dispatcher.drain()).dispatched:
        pass


async def test_the_task_of_a_day_is_done_when_its_breaks_are_explained(house: House) -> None:
    breaks = await a_day_that_differs(house)

    async def waiting() -> list[HumanTaskSummary]:
        return list((await house.human_tasks.waiting(QIAN, PageRequest())).items)

    async def complete() -> None:
        (task,) = await eventually(waiting)
        claimed = await house.human_tasks.claim(QIAN, task.id, task.version)
        form = {"result": "claimed", "note": "已提工单"}
        assert (await house.human_tasks.complete(QIAN, task.id, claimed.version, form)).state == "completed"

    async def listed() -> tuple[str, set[UUID]]:
        """The title of the task that waits, and the breaks that are reached from it."""
        (task,) = await eventually(waiting)
        data = (await house.human_tasks.show(QIAN, task.id)).data
        assert {each["path"].rsplit("/", 1)[0] for each in data["open"]} == {"/api/v1/settlement/breaks"}
        return task.title, {UUID(each["id"]) for each in data["open"]}

    async with house.worker(*break_activities(CallBinder(house.database, NoSecrets()), breaks)):
        title = "对账差异 generic/pos 2026-06-01：{} 条待说明"
        one, other = (await breaks.list(QIAN, PageRequest(), BreakFilter(day=DAY))).items
        assert await listed() == (title.format(2), {one.id, other.id})
        await complete()
        assert await listed() == (title.format(2), {one.id, other.id}), "nobody has explained them"
        await breaks.explain(QIAN, one.id, "platform-error", "平台已确认")
        await complete()
        assert await listed() == (title.format(1), {other.id})
        tasks = await house.human_tasks.search(QIAN, TaskFilter(subject=other.subject), PageRequest())
        assert len(tasks.items) == 1, "the task is found by what the break is of"
        await breaks.explain(QIAN, other.id, "late", "下周入账")
        await complete()
        (run,) = (await house.runs.search(ADMIN, RunFilter(), PageRequest())).items
        assert (await house.until(run.id, "completed")).phase == "completed"


async def test_a_day_has_one_task_at_a_time_however_often_it_differs_otherwise(house: House) -> None:
    breaks = await a_day_that_differs(house)

    async def runs() -> list[str]:
        return sorted(each.phase for each in (await house.runs.search(ADMIN, RunFilter(), PageRequest())).items)

    async def paid(amount: int) -> None:
        """Our books say so by now, and the break of that order stands otherwise."""
        async with UnitOfWork(house.database) as work:
            await work.session.execute(text("UPDATE orders SET paid_minor = :amount"), {"amount": amount})
        await reconcile(house)

    async with UnitOfWork(house.database) as work:
        work.session.add(an_order("E1", 101, NOON))
    for amount in (100, 99):
        await paid(amount)
        assert len(await runs()) == 1
    # Before anybody looks, who would ask a person.
    for each in (await breaks.list(QIAN, PageRequest(), BreakFilter(day=DAY))).items:
        await breaks.explain(QIAN, each.id, "late", "下周入账")
    async with house.worker(*break_activities(CallBinder(house.database, NoSecrets()), breaks)):

        async def over() -> bool:
            return await runs() == ["completed"]

        await eventually(over)
        await asyncio.sleep(1.1)  # No day enters twice within a second.
        await paid(98)
        assert len(await runs()) == 2, "what differs once nobody is at it any more"
