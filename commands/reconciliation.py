"""`tandem settle reconcile|breaks|terms`: bills of platforms against our books."""

import json
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from commands.yaml_files import read_file
from connectors.http import Link, open_client
from connectors.loading import load_connectors
from domain.access import Actor, Role
from domain.catalog import CATALOG
from domain.money import major_from_minor, minor_from_major
from domain.problems import Text, ValidationProblem
from domain.settlement.bill_rows import parse_columns
from domain.settlement.bills import Told
from runtime.settings import Settings
from services.bills import BillReader, BillService, Taken
from services.breaks import BreakService
from services.connections import Connections
from services.platform_tokens import StoredTokens
from services.reconciliation import ReconciliationService
from services.unreconciled import Unreconciled
from storage.breaks import BreakFilter
from storage.engine import Database

Account = Annotated[str, typer.Argument(help="平台/账号，如 wechat_pay/main / platform/account")]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


def reconcile(
    account: Account,
    day: Annotated[datetime, typer.Argument(help="账单日（上海）/ the bill's day", formats=["%Y-%m-%d"])],
    file: Annotated[
        Path | None, typer.Option("--file", help="CSV 或 XLSX 账单；不写则向平台取 / a bill; without it the platform's")
    ] = None,
    columns: Annotated[
        Path | None, typer.Option("--columns", help="列映射（YAML）/ the mapping of its columns")
    ] = None,
    digest: Annotated[str | None, typer.Option("--digest", help="平台给出的摘要 / what the platform says")] = None,
    rows: Annotated[int | None, typer.Option("--rows", help="平台给出的行数 / rows, as told")] = None,
    came: Annotated[str | None, typer.Option("--in", help="收入合计（元）/ what came in, as told")] = None,
    went: Annotated[str | None, typer.Option("--out", help="支出合计（元）/ what went out, as told")] = None,
    fees: Annotated[str | None, typer.Option("--fees", help="手续费合计（元）/ fees, as told")] = None,
    replaces: Annotated[
        str | None,
        typer.Option("--replaces", help="平台账单为何取不到 / why the platform's own bill cannot be had"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """取账单（或导入）并与账簿核对，可重复 / take a bill and compare it with the books; again at any time."""

    async def work(database: Database, settings: Settings) -> None:
        actor = command_line_actor(Role.FINANCE)
        if file is None:
            async with open_client() as http:
                link = Link(http, StoredTokens(database), database.clock)
                reader = BillReader(database, load_connectors(CATALOG), Connections(database), link)
                await reader.take_day(account, day.date())
        else:
            told = Told(rows, *(None if each is None else minor_from_major(each) for each in (came, went, fees)))
            taken = await _take_file(database, actor, account, day.date(), file, columns, digest, told, replaces)
            if taken.bill.state == "waiting":
                number = taken.bill.id
                say(
                    settings,
                    Text(
                        f"代替平台账单的文件已收下，待另一人确认：tandem settle confirm-bill {number}",
                        f"the file waits for somebody else to let it in: tandem settle confirm-bill {number}",
                    ),
                )
                return
        found = await ReconciliationService(database).reconcile(actor, account, day.date())
        if as_json:
            typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2, default=str))
            return
        zh = f"{account} {found.day}：{found.rows} 行，匹配 {found.matched}，差异 {found.breaks}"
        en = f"{account} {found.day}: {found.rows} rows, {found.matched} matched, {found.breaks} breaks"
        say(settings, Text(zh, en))
        if found.not_compared:
            kinds = ", ".join(found.not_compared)
            say(
                settings,
                Text(
                    f"未比较：{kinds}：没有约定（tandem settle terms），或缺这一天的账单；"
                    "discount：有订单的优惠没有告诉过",
                    f"not compared: {kinds}: nothing was agreed (tandem settle terms), or the day's bill is missing; "
                    "discount: of some orders nobody told it",
                ),
                err=True,
            )

    with_database(work)


def list_breaks(
    account: Annotated[str | None, typer.Option("--account", help="只看一个账号 / of one account only")] = None,
    day: Annotated[
        datetime | None, typer.Option("--day", help="只看一个账单日 / of one day only", formats=["%Y-%m-%d"])
    ] = None,
    aged: Annotated[bool, typer.Option("--aged", help="按账龄合计 / sums by age")] = False,
    as_json: AsJson = False,
) -> None:
    """未解决的差异，最早的在前 / what is not solved, the oldest first."""

    async def work(database: Database, _: Settings) -> None:
        actor, service = command_line_actor(Role.FINANCE), BreakService(database)
        if aged:
            days = await Unreconciled(database, load_connectors(CATALOG)).aged(actor)
            rows = [asdict(each) for each in await service.aged(actor)]
            rows += [
                {"account": each.account, "kind": "unreconciled", "age": each.age, "days": each.days} for each in days
            ]
            show_rows(rows, as_json=as_json)
            return
        wanted = BreakFilter(account, day=None if day is None else day.date())
        found = await all_pages(lambda page: service.list(actor, page, wanted))
        rows = [
            {
                "id": str(each.id),
                "day": str(each.day),
                "account": each.account,
                "family": each.family,
                "kind": each.kind,
                "number": each.number,
                "difference": major_from_minor(each.difference_minor),
                "state": each.state,
                "assignee": each.assignee,
            }
            for each in found
        ]
        show_rows(rows, as_json=as_json)

    with_database(work)


def list_unreconciled(
    account: Annotated[str | None, typer.Option("--account", help="只看一个账号 / of one account only")] = None,
    as_json: AsJson = False,
) -> None:
    """应对账而未对的日子：缺账单或未核对 / days that should have been reconciled and were not, and why."""

    async def work(database: Database, _: Settings) -> None:
        service = Unreconciled(database, load_connectors(CATALOG))
        found = await service.days(command_line_actor(Role.FINANCE), account)
        rows = [{**asdict(each), "day": str(each.day), "missing": " ".join(each.missing)} for each in found]
        show_rows(rows, as_json=as_json)

    with_database(work)


async def _take_file(
    database: Database,
    actor: Actor,
    account: str,
    day: date,
    file: Path,
    columns: Path | None,
    digest: str | None,
    told: Told,
    replaces: str | None,
) -> Taken:
    if columns is None:
        raise ValidationProblem(
            Text("导入账单需要 --columns 列映射（见 docs/reconciliation.md）", "A bill from a file needs --columns")
        )
    mapping = parse_columns(read_file(columns), columns.name)
    try:
        content = file.open("rb")
    except OSError as error:
        raise ValidationProblem(Text(f"无法读取 {file}：{error}", f"{file} cannot be read: {error}")) from None
    with content:
        return await BillService(database, load_connectors(CATALOG)).take_file(
            actor, account, day, mapping, content, digest=digest, told=told, replaces=replaces
        )
