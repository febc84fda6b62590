"""`tandem settle bills|confirm-bill|withdraw-bill`: bills that were taken, and a second person on those from files."""

from typing import Annotated

import typer

from commands.database import LARGEST_NUMBER, command_line_actor, with_database
from commands.listing import all_pages, show_rows
from connectors.loading import load_connectors
from domain.access import Role
from domain.catalog import CATALOG
from runtime.settings import Settings
from services.bill_corrections import BillCorrections
from services.bills import BillService
from services.reconciliation import ReconciliationService
from storage.bills import BillRow
from storage.engine import Database

Bill = Annotated[int, typer.Argument(help="账单编号 / a bill's number", min=1, max=LARGEST_NUMBER)]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


def list_bills(
    account: Annotated[str | None, typer.Option("--account", help="只看一个账号 / of one account only")] = None,
    as_json: AsJson = False,
) -> None:
    """账单，最近的在前，含待确认与已作废的 / bills, the latest first, also those that wait or are withdrawn."""

    async def work(database: Database, _: Settings) -> None:
        service, actor = BillService(database, load_connectors(CATALOG)), command_line_actor(Role.FINANCE)
        found = await all_pages(lambda page: service.list(actor, page, account=account))
        show_rows([_row(each) for each in found], as_json=as_json)

    with_database(work)


def confirm_bill(
    bill: Bill, note: Annotated[str | None, typer.Option("--note", help="意见 / what to note")] = None
) -> None:
    """同意用文件代替平台账单，不能是导入的人 / let a file take the platform's place; never who took it."""

    async def work(database: Database, _: Settings) -> None:
        row = await _corrections(database).confirm(command_line_actor(Role.APPROVER), bill, note)
        show_rows([_row(row)], as_json=False)

    with_database(work)


def withdraw_bill(bill: Bill, note: Annotated[str, typer.Option("--note", help="为什么作废 / why")]) -> None:
    """作废文件账单，重新核对，不能是导入的人 / withdraw a bill from a file; never who took it."""

    async def work(database: Database, _: Settings) -> None:
        show_rows(
            [_row(await _corrections(database).withdraw(command_line_actor(Role.APPROVER), bill, note))], as_json=False
        )

    with_database(work)


def _corrections(database: Database) -> BillCorrections:
    return BillCorrections(database, ReconciliationService(database))


def _row(bill: BillRow) -> dict[str, object]:
    names = ("id", "account", "kind", "source", "state", "rows", "in_minor", "out_minor", "taken_by", "decided_by")
    return {"day": str(bill.day), **{name: getattr(bill, name) for name in names}}
