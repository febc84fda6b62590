"""`tandem payee …`: payees from a table, listed and shown."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
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
from domain.problems import ConflictProblem, Text
from domain.settlement.payee_rows import PayeeLine, read_payees
from runtime.settings import Settings
from services.payee_imports import PayeeImports
from services.payee_terms import today
from services.payees import PayeeRegister
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
    day = today(datetime.now(UTC))
    good, wrong, first_errors = 0, 0, list[RowError]()
    for found in _read(file, day):
        if isinstance(found, PayeeLine):
            good += 1
        else:
            wrong += len(found)
            first_errors += found[: SHOWN - len(first_errors)]

    async def work(database: Database, settings: Settings) -> None:
        for error in first_errors:
            typer.echo(f"{error.line}  {error.column or '-'}  {both(error.reason, settings.locale)}", err=True)
        if wrong:
            say(settings, Text(f"共 {wrong} 处错误，未做任何改动", f"{wrong} errors; nothing was changed"), err=True)
            raise typer.Exit(1)
        if dry_run:
            say(settings, Text(f"检查完毕，{good} 行可导入", f"{good} rows are good"))
            return
        actor = command_line_actor(Role.FINANCE)
        put = await PayeeImports(database).take_over(actor, lambda: _good_lines(file, day))
        done = Text(
            f"{good} 行：新增 {put.new}，更新 {put.changed}，未变 {put.unchanged}",
            f"{good} rows: {put.new} new, {put.changed} changed, {put.unchanged} as they were",
        )
        say(settings, done)

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
    """角色、上级、归属键自何日起，最近的在前 / what they are, who is above them, what they are known by."""

    async def work(database: Database, _: Settings) -> None:
        view = await PayeeRegister(database).show(command_line_actor(Role.FINANCE), code)
        rows: list[dict[str, object]] = [
            {
                "since": str(each.since),
                "until": None,
                "what": "terms",
                "value": " ".join([each.role, *([each.cycle] if each.cycle else []), *([] if each.active else ["-"])]),
            }
            for each in view.terms
        ]
        rows += [
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


def _read(file: Path, day: date) -> Iterator[PayeeLine | list[RowError]]:
    """Every row of the file, one after the other."""
    with file.open("rb") as content, open_table(content, ImportMapping(record="payee", fields={})) as table:
        yield from read_payees(table, day)


def _good_lines(file: Path, day: date) -> Iterator[PayeeLine]:
    """The rows of a file in which nothing was wrong. Raises ConflictProblem when it is another one meanwhile."""
    for found in _read(file, day):
        if not isinstance(found, PayeeLine):
            raise ConflictProblem(
                Text(
                    f"文件在导入期间被改动（第 {found[0].line} 行），未做任何改动；请重新导入",
                    f"The file was changed while it was read, at line {found[0].line}; nothing was changed here",
                )
            )
        yield found
