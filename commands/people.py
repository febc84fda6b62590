"""`tandem user …`: who may come in, and what they may do.

The commands work on the database itself, so whoever holds its address and keys may use them; each change is audited
under the account of the machine.
"""

from typing import Annotated, Any

import typer
from pydantic import ValidationError

from commands.database import command_line_actor, open_access, say, with_database
from commands.hidden_input import read_hidden
from commands.listing import all_pages, show_rows
from domain.access import Role, Scope
from domain.people import NewUser
from domain.problems import Text, ValidationProblem
from runtime.settings import Settings
from services.people import People
from storage.engine import Database

user = typer.Typer(help="用户 / users", no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="登录名 / login")]
Roles = Annotated[list[Role], typer.Option("--role", help="角色，可重复 / role, repeatable")]
Queues = Annotated[list[str] | None, typer.Option("--queue", help="工作队列，可重复 / work queue served, repeatable")]
ScopeOption = Annotated[
    str,
    typer.Option(
        "--scope",
        help="数据范围 / data scope: everything | own | branch:/east/store-0017/ | shops:youzan/flagship,wecom/main",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


@user.command("add")
def add_user(
    login: Login,
    name: Annotated[str, typer.Option("--name", help="姓名 / the person's name")],
    roles: Roles,
    scope: ScopeOption,
    unit: Annotated[str, typer.Option("--unit", help="所属组织单元 / organisation unit")] = "/",
    queues: Queues = None,
    no_password: Annotated[bool, typer.Option("--no-password", help="只用令牌访问 / tokens only")] = False,
) -> None:
    """新建用户；密码从标准输入或提示读取 / add a user; the password comes from stdin or a prompt."""
    new = _new_user(
        login=login, name=name, roles=roles, scope=_scope(scope, login), unit_path=unit, queues=queues or ()
    )
    password = None if no_password else read_hidden(Text("密码", "Password"), confirm=True)

    async def work(database: Database, settings: Settings) -> None:
        people = People(database, open_access(settings, database))
        created = await people.create(command_line_actor(), new, password)
        say(settings, Text(f"已创建用户 {created.login}", f"user {created.login} created"))

    with_database(work)


@user.command("list")
def list_users(as_json: AsJson = False) -> None:
    """列出用户 / list users."""

    async def work(database: Database, settings: Settings) -> None:
        people, actor = People(database, open_access(settings, database)), command_line_actor()
        found = await all_pages(lambda page: people.list(actor, page))
        show_rows(
            [
                {
                    "login": person.login,
                    "name": person.name,
                    "roles": sorted(person.roles),
                    "scope": _scope_text(person.scope),
                    "queues": sorted(person.queues),
                    "active": person.active,
                }
                for person in found
            ],
            as_json=as_json,
        )

    with_database(work)


@user.command("disable")
def disable_user(login: Login) -> None:
    """停用用户并撤销其全部令牌 / lock a user out and revoke all tokens."""

    async def work(database: Database, settings: Settings) -> None:
        await People(database, open_access(settings, database)).disable(command_line_actor(), login)
        say(settings, Text(f"已停用 {login}，会话与令牌均已失效", f"{login} is locked out, tokens ended"))

    with_database(work)


@user.command("enable")
def enable_user(login: Login) -> None:
    """恢复被停用的用户 / let a disabled user in again."""

    async def work(database: Database, settings: Settings) -> None:
        await People(database, open_access(settings, database)).enable(command_line_actor(), login)
        say(settings, Text(f"已恢复 {login}", f"{login} may log in again"))

    with_database(work)


@user.command("password")
def set_password(login: Login) -> None:
    """重设密码，从标准输入或提示读取 / set a password, from stdin or a prompt."""
    password = read_hidden(Text("新密码", "New password"), confirm=True)

    async def work(database: Database, settings: Settings) -> None:
        await People(database, open_access(settings, database)).set_password(command_line_actor(), login, password)
        say(settings, Text(f"已重设 {login} 的密码", f"the password of {login} is set"))

    with_database(work)


@user.command("roles")
def change_rights(
    login: Login,
    roles: Annotated[list[Role] | None, typer.Option("--role", help="新的角色，可重复 / the new roles")] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="新的数据范围 / the new data scope")] = None,
    queues: Annotated[list[str] | None, typer.Option("--queue", help="新的工作队列 / the new work queues")] = None,
) -> None:
    """修改角色、数据范围或队列；未给出的保持不变 / change roles, scope or queues; what is not given stays."""
    new_scope = None if scope is None else _scope(scope, login)

    async def work(database: Database, settings: Settings) -> None:
        after = await People(database, open_access(settings, database)).change_rights(
            command_line_actor(),
            login,
            roles=frozenset(roles) if roles else None,
            scope=new_scope,
            queues=frozenset(queues) if queues else None,
        )
        rights = f"{', '.join(sorted(after.roles))} · {_scope_text(after.scope)} · {', '.join(sorted(after.queues))}"
        say(settings, Text(f"{login} 现为：{rights}", f"{login} is now: {rights}"))

    with_database(work)


def _new_user(**fields: Any) -> NewUser:
    try:
        return NewUser(**fields)
    except ValidationError as error:
        wrong = ", ".join(sorted({str(item["loc"][0]) for item in error.errors()}))
        raise ValidationProblem(
            Text(
                f"用户信息不正确：{wrong}。登录名用小写字母、数字和 . _ -（2 至 63 个）；姓名 1 至 100 字；"
                "组织单元形如 / 或 /east/store-0017/；至少一个角色。",
                f"Wrong user details: {wrong}. A login has 2 to 63 small letters, digits and . _ -; a name 1 to 100 "
                "characters; a unit looks like / or /east/store-0017/; there is at least one role.",
            )
        ) from None


def _scope(text: str, login: str) -> Scope:
    kind, _, rest = text.partition(":")
    try:
        if kind == "branch":
            return Scope.of_branch(rest)
        if kind == "shops":
            return Scope.of_accounts(*filter(None, rest.split(",")))
        if text in ("everything", "own"):
            return Scope.everything() if text == "everything" else Scope.of_own_customers(login)
    except ValidationError:
        pass
    raise ValidationProblem(
        Text(
            f"数据范围“{text}”不正确。可用：everything（全部）、own（仅本人客户）、branch:/east/（一个分支）、"
            "shops:youzan/flagship,wecom/main（指定店铺）",
            f"“{text}” is no data scope. Use everything, own, branch:/east/ or shops:youzan/flagship,wecom/main",
        )
    )


def _scope_text(scope: Scope) -> str:
    if scope.kind == "branch":
        return f"branch:{scope.branch}"
    return f"shops:{','.join(sorted(scope.accounts))}" if scope.kind == "accounts" else scope.kind
