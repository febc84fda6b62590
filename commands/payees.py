"""`tandem payee …`: payees from a table, listed and shown."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from commands.console import both
from commands.database import command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from connectors.files import open_table
from domain.access import Role
from domain.imports import RowError
from domain.imports.mapping import ImportMapping
from domain.problems import Text
from domain.settlement.payee_rows import PayeeLine, read_payees
from runtime.settings import Settings
from services.payees import MOST_AT_ONCE, PayeeRegister, PutPayees, today
from storage.engine import Database

payee = typer.Typer(help="收款人 / payees", no_args_is_help=True)
SHOWN = 20
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


@payee.command("import")
def import_payees(
    file: Annotated[Path, typer.Argument(help="CSV 或 XLSX 文件 / a CSV or XLSX file", exists=True, dir_okay=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不保存 / check only, store nothing")] = False,
) -> None:
    """登记收款人、上级与归属键；有一行不对就什么都不改 / payees, uplines and keys; nothing when a row is wrong."""
    lines: list[PayeeLine] = []
    errors: list[RowError] = []
    with file.open("rb") as content, open_table(content, ImportMapping(record="payee", fields={})) as table:
        for found in read_payees(table, today(datetime.now(UTC))):
            if isinstance(found, PayeeLine):
                lines.append(found)
            else:
                errors += found

    async def work(database: Database, settings: Settings) -> None:
        for error in errors[:SHOWN]:
            typer.echo(f"{error.line}  {error.column or '-'}  {both(error.reason, settings.locale)}", err=True)
        if errors:
            wrong = Text(f"共 {len(errors)} 处错误，未做任何改动", f"{len(errors)} errors; nothing was changed")
            say(settings, wrong, err=True)
            raise typer.Exit(1)
        put = PutPayees() if dry_run else await _put(database, lines)
        done = Text(
            f"{len(lines)} 行：新增 {put.new}，更新 {put.changed}，未变 {put.unchanged}",
            f"{len(lines)} rows: {put.new} new, {put.changed} changed, {put.unchanged} as they were",
        )
        say(settings, Text(f"检查完毕，{len(lines)} 行可导入", f"{len(lines)} rows are good") if dry_run else done)

    with_database(work)


@payee.command("list")
def list_payees(
    role: Annotated[str | None, typer.Option("--role", help="只看一种角色 / of one role only")] = None,
    as_json: AsJson = False,
) -> None:
    """按编号列出 / list by code."""

    async def work(database: Database, _: Settings) -> None:
        register = PayeeRegister(database)
        found = await all_pages(lambda page: register.list(command_line_actor(Role.FINANCE), page, role=role))
        rows = [
            {
                "code": each.payee.code,
                "name": each.payee.name,
                "role": each.payee.role,
                "unit": each.payee.unit_path,
                "cycle": each.payee.cycle,
                "active": each.payee.active,
            }
            for each in found
        ]
        show_rows(rows, as_json=as_json)

    with_database(work)


@payee.command("show")
def show_payee(code: Annotated[str, typer.Argument(help="编号 / their code")], as_json: AsJson = False) -> None:
    """上级与归属键，最近的在前 / who is above them and what they are known by, the latest first."""

    async def work(database: Database, _: Settings) -> None:
        view = await PayeeRegister(database).show(command_line_actor(Role.FINANCE), code)
        rows = [
            {"since": str(each.since), "until": None, "what": "upline", "value": each.upline} for each in view.uplines
        ]
        rows += [
            {
                "since": str(each.since),
                "until": str(each.until) if each.until is not None else None,
                "what": each.kind,
                "value": f"{each.value} {each.share / 100:g}%",
            }
            for each in view.keys
        ]
        show_rows(rows, as_json=as_json)

    with_database(work)


async def _put(database: Database, lines: list[PayeeLine]) -> PutPayees:
    """All payees first: somebody's upline may stand further down."""
    register, actor = PayeeRegister(database), command_line_actor(Role.FINANCE)
    done = PutPayees()
    for start in range(0, len(lines), MOST_AT_ONCE):
        put = await register.put(actor, [each.payee for each in lines[start : start + MOST_AT_ONCE]])
        done = PutPayees(done.new + put.new, done.changed + put.changed, done.unchanged + put.unchanged)
    uplines = [each.upline for each in lines if each.upline is not None]
    keys = [key for each in lines for key in each.keys]
    for start in range(0, len(uplines), MOST_AT_ONCE):
        await register.set_uplines(actor, uplines[start : start + MOST_AT_ONCE])
    for start in range(0, len(keys), MOST_AT_ONCE):
        await register.set_keys(actor, keys[start : start + MOST_AT_ONCE])
    return done
