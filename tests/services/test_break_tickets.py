"""A day whose bill differs becomes one task of finance, by the flow that comes along."""

import io
from datetime import date
from pathlib import Path

from domain.access import Role
from domain.accounts import NewAccount
from domain.settlement.bill_rows import parse_columns
from domain.settlement.bills import Told
from services.bills import BillService
from services.reconciliation import ReconciliationService
from storage.accounts import Accounts
from storage.human_tasks import HumanTaskSummary
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import CONNECTORS
from tests.services.house import House, eventually

QIAN = an_actor("qian", Role.FINANCE, queues=frozenset({"finance"}))
DAY = date(2026, 6, 1)
COLUMNS = parse_columns("columns: { number: 单号, amount: 金额, at: 时间 }\nevery: payment".encode(), "columns.yaml")
ROWS = "单号,金额,时间\nE1,1.05,2026-06-01 12:00:00\nE2,2.00,2026-06-01 13:00:00\n"


async def test_finance_gets_one_task_for_the_day_and_says_what_became_of_it(house: House) -> None:
    await house.publish("queue: { name: finance, title: 财务 }", "queue: { name: finance-lead, title: 财务主管 }")
    for file in ("forms", "breaks"):
        await house.publish(Path(f"definitions/settlement/{file}.yaml").read_text(encoding="utf-8"))
    async with UnitOfWork(house.database) as work:
        await Accounts(work).add(NewAccount(platform="generic", slug="pos", name="POS", credentials={}))
    bills = BillService(house.database, CONNECTORS)
    await bills.take_file(QIAN, "generic/pos", DAY, COLUMNS, io.BytesIO(ROWS.encode()), told=Told(rows=2))
    for _ in range(2):
        await ReconciliationService(house.database).reconcile(QIAN, "generic/pos", DAY)
    while (await house.dispatcher.drain()).dispatched:
        pass

    async def waiting() -> list[HumanTaskSummary]:
        return list((await house.human_tasks.waiting(QIAN, PageRequest())).items)

    async with house.worker():
        (task,) = await eventually(waiting)
        assert task.title == "对账差异 generic/pos 2026-06-01：2 条"
        claimed = await house.human_tasks.claim(QIAN, task.id, task.version)
        done = await house.human_tasks.complete(
            QIAN, task.id, claimed.version, {"result": "claimed", "note": "已提工单"}
        )
    assert done.state == "completed"
