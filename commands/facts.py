"""`tandem settle import-facts`: visits, reviews, bookings and scores of payees, from a table."""

from pathlib import Path
from typing import Annotated

import typer

from commands.console import both
from commands.database import command_line_actor, say, with_database
from domain.access import Role
from domain.imports import RowError
from domain.problems import Text
from runtime.settings import Settings
from services.fact_imports import FactImports
from storage.engine import Database

SHOWN = 20


def import_facts(
    file: Annotated[Path, typer.Argument(help="CSV 或 XLSX 文件 / a CSV or XLSX file", exists=True, dir_okay=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不保存 / check only, store nothing")] = False,
) -> None:
    """从表格登记到店、评价、预约与考核分；有一行不对就什么都不改 / facts from a table; nothing when a row is wrong."""

    async def work(database: Database, settings: Settings) -> None:
        errors: list[RowError] = []

        def keep(error: RowError) -> None:
            if len(errors) < SHOWN:
                errors.append(error)

        with file.open("rb") as content:
            found = await FactImports(database).run(
                command_line_actor(Role.FINANCE), content, file.name, keep, dry_run=dry_run
            )
        for error in errors:
            typer.echo(f"{error.line}  {error.column or '-'}  {both(error.reason, settings.locale)}", err=True)
        if found.refused:
            zh = f"{found.rows} 行中 {found.refused} 行不对，未做任何改动"
            say(settings, Text(zh, f"{found.refused} of {found.rows} rows are wrong; nothing was changed"), err=True)
            raise typer.Exit(1)
        if dry_run:
            say(settings, Text(f"检查完毕，{found.rows} 行可导入", f"{found.rows} rows are good"))
            return
        zh = f"{found.rows} 行：新登记 {found.new}，早已登记 {found.known}"
        say(settings, Text(zh, f"{found.rows} rows: {found.new} noted, {found.known} known before"))

    with_database(work)
