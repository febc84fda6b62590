"""`tandem database …`: how much the database holds, and deleting what is over."""

from typing import Annotated, Any

import typer

from commands.console import both
from commands.database import command_line_actor, say, with_database
from commands.listing import show_rows
from domain.problems import Text
from domain.retention import TITLES, Kind
from runtime.settings import Settings
from services.retention import RetentionService
from storage.engine import Database
from storage.sizes import table_sizes
from storage.unit_of_work import UnitOfWork

database = typer.Typer(help="数据库 / database", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]
_MB = 1_000_000


@database.command("size")
def show_size(as_json: AsJson = False) -> None:
    """各表占用的空间，行数为估计值 / space by table; the rows are estimates."""

    async def work(database: Database, _: Settings) -> None:
        async with UnitOfWork(database) as unit:
            sizes = await table_sizes(unit)
        show_rows(
            [{"table": one.name, "rows": one.rows, "MB": round(one.size_bytes / _MB, 1)} for one in sizes],
            as_json=as_json,
        )

    with_database(work)


@database.command("purge")
def purge_over(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只统计，不删除 / only count, delete nothing")] = False,
    as_json: AsJson = False,
) -> None:
    """删除超过保留期的数据（工作进程每小时也会做）/ delete what is over; workers do it every hour too."""

    async def work(database: Database, settings: Settings) -> None:
        retention = RetentionService(database, settings.retention)
        if dry_run:
            rows = await retention.due()
        else:
            rows = (await retention.purge(command_line_actor())).rows
        total = sum(rows.values())
        show_rows([_line(kind, rows, retention, settings) for kind in Kind], as_json=as_json)
        done = (
            Text(f"应删除 {total} 行", f"{total} rows are due")
            if dry_run
            else Text(f"已删除 {total} 行", f"{total} rows deleted")
        )
        say(settings, done, err=True)

    with_database(work)


def _line(kind: Kind, rows: dict[Kind, int], retention: RetentionService, settings: Settings) -> dict[str, Any]:
    return {
        "kind": kind.value,
        "what": both(TITLES[kind], settings.locale),
        "days": retention.policy.days(kind),
        "rows": rows.get(kind, 0),
    }
