"""`tandem quarantine …`: pushes that could not be read."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.database import LARGEST_NUMBER, command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from connectors.loading import load_connectors
from domain.catalog import CATALOG
from domain.exact_json import read_exactly
from domain.problems import Text, ValidationProblem
from runtime.settings import Settings
from services.push_reading import PushReader
from services.quarantine import Moved, QuarantineService
from storage.engine import Database
from storage.quarantine import QuarantineFilter

quarantine = typer.Typer(help="无法解析的推送 / pushes that could not be read", no_args_is_help=True)

Ids = Annotated[list[int] | None, typer.Argument(help="推送编号 / numbers of pushes", min=1, max=LARGEST_NUMBER)]
Platform = Annotated[str | None, typer.Option("--platform", help="平台 / platform")]
Account = Annotated[str | None, typer.Option("--account", help="账号 / the account's short name")]
Kind = Annotated[str | None, typer.Option("--kind", help="推送类型 / kind of push")]
Like = Annotated[str | None, typer.Option("--like", help="原因包含 / a part of the reason it is there")]
Before = Annotated[datetime | None, typer.Option("--before", help="早于（本地时间）/ came before (local time)")]
Reason = Annotated[str, typer.Option("--reason", help="为什么，写入审计 / why; audited")]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


@quarantine.command("list")
def list_pushes(
    platform: Platform = None,
    account: Account = None,
    kind: Kind = None,
    like: Like = None,
    as_json: AsJson = False,
) -> None:
    """列出，最早在前；不含内容 / list them, the oldest first, without their content."""
    wanted = QuarantineFilter(None, platform, account, kind, like)

    async def work(database: Database, _: Settings) -> None:
        service = _service(database)
        found = await all_pages(lambda page: service.list(command_line_actor(), wanted, page))
        rows = [
            {
                "id": each.id,
                "account": f"{each.push.platform}/{each.push.account}",
                "kind": each.push.kind,
                "received": each.push.received_at.isoformat(timespec="seconds"),
                "reason": each.reason,
            }
            for each in found
        ]
        show_rows(rows, as_json=as_json)

    with_database(work)


@quarantine.command("groups")
def list_groups(as_json: AsJson = False) -> None:
    """按原因汇总 / what they have in common."""

    async def work(database: Database, _: Settings) -> None:
        groups = await _service(database).groups(command_line_actor())
        rows = [
            {
                "count": each.count,
                "account": f"{each.platform}/{each.account}",
                "kind": each.kind,
                "oldest": each.oldest.isoformat(timespec="seconds"),
                "reason": each.reason,
            }
            for each in groups
        ]
        show_rows(rows, as_json=as_json)

    with_database(work)


@quarantine.command("show")
def show_push(
    number: Annotated[int, typer.Argument(help="推送编号 / its number", min=1, max=LARGEST_NUMBER)],
    unmask: Annotated[
        str | None, typer.Option("--unmask", help="查看明文的原因，写入审计 / why you need the clear text; audited")
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="收到的原始字节（base64），须与 --unmask 同用 / the bytes as they came, in base64"),
    ] = False,
) -> None:
    """显示内容，个人信息打码 / show what came, masked."""

    async def work(database: Database, settings: Settings) -> None:
        found = await _service(database).show(command_line_actor(), number, unmask_for=unmask, raw=raw)
        if found.content is None:
            hint = Text(
                f"内容不是 JSON（{found.media}），无法打码；请用 --unmask 原因 查看明文",
                f"The content is no JSON ({found.media}) and cannot be masked; --unmask REASON shows it in clear",
            )
            say(settings, hint, err=True)
        else:
            json_text = json.dumps(found.content, ensure_ascii=False, indent=2)
            typer.echo(json_text if found.media == "json" else found.content)

    with_database(work)


@quarantine.command("correct")
def correct_pushes(
    reason: Reason,
    number: Annotated[int | None, typer.Argument(help="推送编号 / its number", min=1, max=LARGEST_NUMBER)] = None,
    patch: Annotated[
        str | None, typer.Option("--patch", help="要修改的字段（JSON，RFC 7396）/ members to change, as JSON")
    ] = None,
    content: Annotated[
        Path | None, typer.Option("--content", help="完整的新内容 / a file with all of it", exists=True, dir_okay=False)
    ] = None,
    platform: Platform = None,
    account: Account = None,
    kind: Kind = None,
    like: Like = None,
    before: Before = None,
) -> None:
    """更正后重新解析，一条或按条件；仍无法解析的不变 / correct one or many; what still cannot be read stays."""
    if (patch is None) == (content is None):
        raise ValidationProblem(Text("请给出 --patch 或 --content 之一", "Give either --patch or --content"))
    correction = _json(patch) if patch is not None else _text(content)
    if number is None:
        wanted = _chosen(None, platform, account, kind, like, before)
        if content is not None:
            raise ValidationProblem(
                Text("--content 只能更正一条，请给出推送编号", "--content corrects a single push: give its number")
            )
        _correct_all(wanted, correction, reason)
        return
    if any((platform, account, kind, like, before)):
        raise ValidationProblem(Text("请给出推送编号或条件之一", "Give either the number of a push or conditions"))

    async def work(database: Database, settings: Settings) -> None:
        new = await _service(database).correct(
            command_line_actor(), number, correction, reason, whole=content is not None
        )
        say(settings, Text(f"已更正，将作为推送 {new} 解析", f"corrected; it is read as push {new}"))

    with_database(work)


def _correct_all(wanted: QuarantineFilter, patch: Any, reason: str) -> None:
    async def work(database: Database, settings: Settings) -> None:
        corrected, refused, cursor = 0, 0, None
        while True:
            done = await _service(database).correct_all(command_line_actor(), wanted, patch, reason, cursor=cursor)
            if done.problem and not refused:
                say(settings, Text(f"未更正 {done.problem}", f"not corrected: {done.problem}"), err=True)
            corrected, refused, cursor = corrected + done.corrected, refused + done.refused, done.next_cursor
            if cursor is None:
                break
        say(
            settings,
            Text(f"已更正 {corrected} 条，{refused} 条未变", f"corrected: {corrected}, as they were: {refused}"),
        )

    with_database(work)


@quarantine.command("retry")
def retry_pushes(
    ids: Ids = None,
    platform: Platform = None,
    account: Account = None,
    kind: Kind = None,
    like: Like = None,
    before: Before = None,
) -> None:
    """重新解析：按编号或条件 / read them again: by number, or by what they have in common."""
    wanted = _chosen(ids, platform, account, kind, like, before)

    async def work(database: Database, settings: Settings) -> None:
        _tell(settings, await _service(database).redrive(command_line_actor(), wanted), Text("重新解析", "read again"))

    with_database(work)


@quarantine.command("put-away")
def put_pushes_away(
    reason: Reason,
    ids: Ids = None,
    platform: Platform = None,
    account: Account = None,
    kind: Kind = None,
    like: Like = None,
    before: Before = None,
) -> None:
    """不再解析，按保留期删除 / be done with them; they are deleted by age."""
    wanted = _chosen(ids, platform, account, kind, like, before)

    async def work(database: Database, settings: Settings) -> None:
        moved = await _service(database).put_away(command_line_actor(), wanted, reason)
        _tell(settings, moved, Text("已搁置", "put away"))

    with_database(work)


def _service(database: Database) -> QuarantineService:
    return QuarantineService(database, PushReader(load_connectors(CATALOG)), CATALOG.masking())


def _chosen(
    ids: list[int] | None,
    platform: str | None,
    account: str | None,
    kind: str | None,
    like: str | None,
    before: datetime | None,
) -> QuarantineFilter:
    if not ids and not any((platform, account, kind, like, before)):
        raise ValidationProblem(
            Text("请给出推送编号或至少一个条件", "Give numbers of pushes, or one condition at least")
        )
    until = before.astimezone() if before else None
    return QuarantineFilter(ids or None, platform, account, kind, like, None, until)


def _json(text: str) -> dict[str, Any]:
    try:
        value = read_exactly(text)
    except (ValueError, RecursionError) as error:
        raise ValidationProblem(Text(f"--patch 不是 JSON：{error}", f"--patch is no JSON: {error}")) from None
    if not isinstance(value, dict) or not value:
        raise ValidationProblem(Text("--patch 应为 JSON 对象", "--patch must be a JSON object"))
    return value


def _text(file: Path | None) -> str:
    try:
        return file.read_text("utf-8") if file else ""
    except UnicodeDecodeError:
        raise ValidationProblem(Text(f"{file} 不是 UTF-8 文本", f"{file} is no UTF-8 text")) from None


def _tell(settings: Settings, moved: Moved, what: Text) -> None:
    rest_zh, rest_en = ("，还有剩余，请再次执行", "; there may be more, repeat the command") if moved.more else ("", "")
    say(settings, Text(f"{what.zh}：{moved.found} 条{rest_zh}", f"{what.en}: {moved.found}{rest_en}"))
