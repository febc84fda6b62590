"""`tandem migrate`: bring the database to the newest schema."""

from typing import Annotated

import typer

from commands.console import both
from domain.problems import Text
from runtime.configuration import connected_settings
from runtime.settings_source import read_settings
from storage.migrations import pending, upgrade


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="只检查，不修改；有待执行的迁移时退出码为 1 / only look; exit 1 when behind")
    ] = False,
) -> None:
    """升级数据库结构 / bring the database to the newest schema."""
    settings = read_settings()
    if settings.embedded_database:
        settings = connected_settings()
    url = settings.required_database_url()
    waiting = pending(url)
    if not waiting:
        typer.echo(both(Text("数据库结构已是最新", "The database schema is up to date"), settings.locale))
    if not check:
        upgrade(url)
    for name in waiting:
        done = Text(f"待执行 {name}", f"pending {name}") if check else Text(f"已执行 {name}", f"applied {name}")
        typer.echo(both(done, settings.locale))
    if check and waiting:
        raise typer.Exit(1)
