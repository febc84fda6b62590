"""`tandem stream …`: how well platforms are read, and reading them now."""

from datetime import datetime
from typing import Annotated

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from connectors.loading import load_connectors
from domain.catalog import CATALOG
from domain.problems import Text
from runtime.connections import connect_temporal
from runtime.settings import Settings
from services.pull_reports import PullReports
from services.stream_readings import StreamReadings, Task
from storage.engine import Database
from storage.paging import LARGEST_PAGE, PageRequest

stream = typer.Typer(help="平台数据的拉取与比对 / how well platforms are read", no_args_is_help=True)

Account = Annotated[str | None, typer.Option("--account", help="账号，如 wecom/corp / account, as wecom/corp")]
Name = Annotated[str | None, typer.Option("--stream", help="数据流，如 orders / stream, as orders")]
Newest = Annotated[int, typer.Option("--newest", help="最近几次 / how many", min=1, max=LARGEST_PAGE)]
OneAccount = Annotated[str, typer.Argument(help="账号，如 wecom/corp / account, as wecom/corp")]
OneStream = Annotated[str, typer.Argument(help="数据流，如 orders / stream, as orders")]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


@stream.command("list")
def list_streams(account: Account = None, as_json: AsJson = False) -> None:
    """各数据流拉取到何时、因何停下 / up to when each stream was read, and why it stopped."""

    async def work(database: Database, _: Settings) -> None:
        reports = PullReports(database)
        found = await all_pages(lambda page: reports.streams(command_line_actor(), page, account_id=account))
        show_rows(
            [
                {
                    "account": each.account_id,
                    "stream": each.stream,
                    "reached_at": _told(each.reached_at),
                    "records": each.records,
                    "missed": each.missed,
                    "problem_since": _told(each.problem_since),
                    "problem": each.problem,
                }
                for each in found
            ],
            as_json=as_json,
        )

    with_database(work)


@stream.command("read")
def read_stream(account: OneAccount, name: OneStream) -> None:
    """立即拉取一个数据流 / read a stream now."""
    _ask(account, name, "pull")


@stream.command("compare")
def compare_stream(account: OneAccount, name: OneStream) -> None:
    """立即比对最近两天并补正 / compare the last two days of a stream now, and mend what differs."""
    _ask(account, name, "compare")


@stream.command("comparisons")
def list_comparisons(account: Account = None, name: Name = None, newest: Newest = 50, as_json: AsJson = False) -> None:
    """每夜与平台比对的结果，最新的在前 / what the nightly comparisons found, the newest first."""

    async def work(database: Database, _: Settings) -> None:
        page = PageRequest(newest)
        found = await PullReports(database).comparisons(command_line_actor(), page, account_id=account, stream=name)
        show_rows(
            [
                {
                    "account": each.account_id,
                    "stream": each.stream,
                    "compared_at": _told(each.compared_at),
                    "records": each.records,
                    "missing": each.missing,
                    "differing": each.differing,
                    "unread": each.unread,
                    "accuracy": each.accuracy,
                    "state": each.state,
                    "problem": each.problem,
                }
                for each in found.items
            ],
            as_json=as_json,
        )

    with_database(work)


def _told(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at is not None else None


def _ask(account: str, name: str, task: Task) -> None:
    async def work(database: Database, settings: Settings) -> None:
        client = await connect_temporal(settings, database)
        await StreamReadings(database, client, load_connectors(CATALOG)).ask(command_line_actor(), account, name, task)
        done = Text("已开始，结果见 tandem stream list、comparisons", "begun; tandem stream list and comparisons tell")
        say(settings, done)

    with_database(work)
