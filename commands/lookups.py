"""`tandem lookup …`: people whom a platform was asked about in vain."""

from datetime import datetime
from typing import Annotated, Any, get_args

import typer

from commands.database import LARGEST_NUMBER, command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from domain.problems import Text, ValidationProblem
from runtime.settings import Settings
from services.failed_lookups import FailedLookupService
from storage.engine import Database
from storage.failed_lookups import LookupFilter, LookupState

lookup = typer.Typer(help="向平台逐人查询失败的 / people whom a platform was asked about in vain", no_args_is_help=True)

Ids = Annotated[list[int] | None, typer.Argument(help="标识编号 / numbers of keys", min=1, max=LARGEST_NUMBER)]
Platform = Annotated[str | None, typer.Option("--platform", help="平台 / platform")]
Account = Annotated[str | None, typer.Option("--account", help="账号，如 wecom/corp / account, as wecom/corp")]
State = Annotated[str | None, typer.Option("--state", help="已放弃或会再试 / given_up or retrying")]
Like = Annotated[str | None, typer.Option("--like", help="原因包含 / a part of the reason")]
Before = Annotated[datetime | None, typer.Option("--before", help="早于（本地时间）/ asked before (local time)")]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


@lookup.command("list")
def list_lookups(
    platform: Platform = None,
    account: Account = None,
    state: State = None,
    like: Like = None,
    as_json: AsJson = False,
) -> None:
    """列出失败的查询；标识打码 / list them; keys are masked."""
    wanted = LookupFilter(None, platform, account, _state(state), like)

    async def work(database: Database, _: Settings) -> None:
        service = FailedLookupService(database)
        found = await all_pages(lambda page: service.list(command_line_actor(), wanted, page))
        show_rows(
            [
                {
                    "id": each.id,
                    "account": each.account_id,
                    "customer": str(each.customer),
                    "key": f"{each.kind}/{each.value or '?'}",
                    "state": each.state,
                    "attempts": each.attempts,
                    "problem": each.problem,
                }
                for each in found
            ],
            as_json=as_json,
        )

    with_database(work)


@lookup.command("retry")
def retry_lookups(
    ids: Ids = None,
    platform: Platform = None,
    account: Account = None,
    state: State = None,
    like: Like = None,
    before: Before = None,
) -> None:
    """再次查询：按编号或条件 / ask again: by number, or by what they have in common."""
    if not ids and not any((platform, account, state, like, before)):
        raise ValidationProblem(Text("请给出编号或至少一个条件", "Give numbers of keys, or one condition at least"))
    until = before.astimezone() if before else None
    wanted = LookupFilter(ids or None, platform, account, _state(state), like, until)

    async def work(database: Database, settings: Settings) -> None:
        moved = await FailedLookupService(database).ask_again(command_line_actor(), wanted)
        zh, en = ("，还有剩余，请再次执行", "; there may be more, repeat the command") if moved.more else ("", "")
        say(settings, Text(f"再次查询：{moved.found} 人{zh}", f"asked about again: {moved.found}{en}"))

    with_database(work)


def _state(given: str | None) -> LookupState | None:
    known: dict[str, Any] = {each: each for each in get_args(LookupState)}
    if given is not None and given not in known:
        raise ValidationProblem(
            Text("--state 应为 given_up 或 retrying", "--state must be given_up or retrying"), state=given
        )
    state: LookupState | None = known[given] if given is not None else None
    return state
