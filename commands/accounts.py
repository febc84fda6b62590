"""`tandem account …`: connected shops and corps, and whether they can be used."""

import json
from typing import Annotated

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from connectors.connection_report import ConnectionReport
from connectors.loading import load_connectors
from domain.catalog import CATALOG
from runtime.settings import Settings
from services.accounts import PlatformAccounts
from services.connection_tests import ConnectionTests
from services.platform_tokens import StoredTokens
from storage.engine import Database

account = typer.Typer(help="平台账号 / accounts on platforms", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


@account.command("list")
def list_accounts(as_json: AsJson = False) -> None:
    """列出账号（不含凭据）/ list accounts, without their credentials."""

    async def work(database: Database, _: Settings) -> None:
        accounts, actor = PlatformAccounts(database), command_line_actor()
        found = await all_pages(lambda page: accounts.list(actor, page))
        show_rows(
            [{"account": one.id, "name": one.name, "unit": one.unit_path, "active": one.active} for one in found],
            as_json=as_json,
        )

    with_database(work)


@account.command("test")
def try_account(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT", help="平台/账号 / platform/slug: youzan/flagship")],
    as_json: AsJson = False,
) -> None:
    """在平台上测试账号的凭据，不改变任何数据；不可用时退出码为 1 / try an account's credentials on the platform."""

    async def work(database: Database, settings: Settings) -> ConnectionReport:
        tests = ConnectionTests(database, load_connectors(CATALOG), StoredTokens(database))
        report = await tests.test(command_line_actor(), account_id)
        if as_json:
            content = {
                "ok": report.ok,
                "fault": report.fault,
                "message": report.message.as_dict(),
                "hint": report.hint.as_dict() if report.hint else None,
            }
            typer.echo(json.dumps(content, ensure_ascii=False, indent=2))
        else:
            for text in filter(None, (report.message, report.hint)):
                say(settings, text)
        return report

    if not with_database(work).ok:
        raise typer.Exit(1)
