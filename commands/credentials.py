"""`tandem token …` and `tandem secret …`: what programs come in with, and what flows go out with."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from commands.database import command_line_actor, open_access, say, with_database
from commands.hidden_input import read_hidden, read_hidden_members
from commands.listing import all_pages, show_rows
from domain.access import Permission
from domain.events import rfc3339
from domain.problems import Text
from runtime.settings import Settings
from services.secrets import SecretStore
from storage.engine import Database
from storage.rekey import rekey
from storage.secrets import SecretDescription

token = typer.Typer(help="访问令牌 / API tokens", no_args_is_help=True)
secret = typer.Typer(help="流程使用的密钥 / secrets that flows use", no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="登录名 / login")]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


@token.command("issue")
def issue_token(
    login: Login,
    name: Annotated[str, typer.Option("--name", help="用途 / what it is for")],
    permissions: Annotated[
        list[Permission] | None,
        typer.Option("--permission", help="仅限此权限，可重复 / only this permission, repeatable"),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="有效天数 / days it is valid")] = 90,
) -> None:
    """签发令牌；只显示这一次 / issue a token; it is shown this once."""

    async def work(database: Database, settings: Settings) -> None:
        issued = await open_access(settings, database).issue_token(
            command_line_actor(),
            name,
            login=login,
            scopes=frozenset(permissions) if permissions else None,
            life=timedelta(days=days),
        )
        until = rfc3339(issued.token.expires_at)
        say(settings, Text(f"有效期至 {until}，请立即保存：", f"valid until {until}; keep it now:"), err=True)
        typer.echo(issued.text)

    with_database(work)


@token.command("list")
def list_tokens(
    login: Annotated[str | None, typer.Option("--login", help="只看此用户 / of this user only")] = None,
    as_json: AsJson = False,
) -> None:
    """列出令牌（不含密文）/ list tokens, without their secrets."""

    async def work(database: Database, settings: Settings) -> None:
        access, actor = open_access(settings, database), command_line_actor()
        found = await all_pages(lambda page: access.list_tokens(actor, page, login=login))
        show_rows(
            [
                {
                    "prefix": one.prefix,
                    "login": one.login,
                    "name": one.name,
                    "permissions": "*" if one.scopes is None else sorted(one.scopes),
                    "expires": rfc3339(one.expires_at),
                    "last used": rfc3339(one.last_used_at) if one.last_used_at else None,
                    "usable": one.usable(database.clock()),
                }
                for one in found
            ],
            as_json=as_json,
        )

    with_database(work)


@token.command("revoke")
def revoke_token(
    prefix: Annotated[str, typer.Argument(help="令牌前缀 / prefix, see token list")],
) -> None:
    """撤销令牌 / revoke a token."""

    async def work(database: Database, settings: Settings) -> None:
        await open_access(settings, database).revoke_token(command_line_actor(), prefix)
        say(settings, Text(f"已撤销令牌 {prefix}", f"token {prefix} revoked"))

    with_database(work)


@secret.command("set")
def set_secret(
    name: Annotated[str, typer.Argument(help="流程中使用的名称 / the name that flows use")],
    as_json: Annotated[
        bool, typer.Option("--json", help='值为成员的 JSON 对象 / the value is an object: {"key": "…", "secret": "…"}')
    ] = False,
) -> None:
    """保存密钥；值从标准输入或提示读取 / store a secret; the value comes from stdin or a prompt."""
    what = Text(f"{name} 的值", f"Value of {name}")
    value = read_hidden_members(what, {"key": "…", "secret": "…"}) if as_json else read_hidden(what)

    async def work(database: Database, settings: Settings) -> None:
        await SecretStore(database).set(command_line_actor(), name, value)
        say(settings, Text(f"已保存密钥 {name}", f"secret {name} stored"))

    with_database(work)


@secret.command("list")
def list_secrets(as_json: AsJson = False) -> None:
    """列出密钥名称（不含值）/ list the names of secrets, never their values."""

    def shown(one: SecretDescription) -> dict[str, Any]:
        members = None if one.members is None else list(one.members)
        return {"name": one.name, "members": members, "updated": rfc3339(one.updated_at), "by": one.updated_by}

    async def work(database: Database, _: Settings) -> None:
        found = await SecretStore(database).list(command_line_actor())
        show_rows([shown(one) for one in found], as_json=as_json)

    with_database(work)


@secret.command("remove")
def remove_secret(name: Annotated[str, typer.Argument(help="名称 / name")]) -> None:
    """删除密钥 / remove a secret."""

    async def work(database: Database, settings: Settings) -> None:
        await SecretStore(database).remove(command_line_actor(), name)
        say(settings, Text(f"已删除密钥 {name}", f"secret {name} removed"))

    with_database(work)


@secret.command("rekey")
def rekey_fields() -> None:
    """用最新的字段密钥重写所有加密数据 / rewrite every encrypted field with the newest field key."""

    async def work(database: Database, settings: Settings) -> None:
        counts = await rekey(database)
        for place, count in sorted(counts.items()):
            typer.echo(f"{place}: {count}")
        current, total = database.keyring.current_id, sum(counts.values())
        say(settings, Text(f"已用密钥 {current} 重写 {total} 项", f"{total} values rewritten with the key {current}"))

    with_database(work)
