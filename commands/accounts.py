"""`tandem account …`: connected shops and corps, and whether they can be used."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from commands.database import command_line_actor, say, with_database
from commands.hidden_input import read_hidden_members
from commands.listing import all_pages, show_rows
from connectors.accounts import settings_from_texts
from connectors.connection_report import ConnectionReport
from connectors.loading import load_connectors
from connectors.registry import ConnectorRegistry
from domain.accounts import AccountField, AccountPlatform, NewAccount
from domain.catalog import CATALOG
from domain.problems import Text, ValidationProblem
from domain.validation_texts import reasons
from runtime.settings import Settings
from services.accounts import PlatformAccounts, account_platforms
from services.connection_tests import ConnectionTests
from services.platform_tokens import StoredTokens
from storage.engine import Database

account = typer.Typer(help="平台账号 / accounts on platforms", no_args_is_help=True)

AccountId = Annotated[str, typer.Argument(metavar="ACCOUNT", help="平台/账号 / platform/slug: youzan/flagship")]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]
Settable = Annotated[
    list[str] | None,
    typer.Option("--setting", metavar="NAME=VALUE", help="不保密的参数，可重复 / what is no secret, repeatable"),
]
_CREDENTIALS = Text("凭据", "Credentials")
_EXAMPLE = {"client_id": "…", "client_secret": "…"}


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


@account.command("show")
def show_account(account_id: AccountId, as_json: AsJson = False) -> None:
    """查看一个账号：参数，及凭据的名称 / show an account: its settings, and the names of its credentials."""

    async def work(database: Database, _: Settings) -> None:
        found = await PlatformAccounts(database).show(command_line_actor(), account_id)
        shown = found.model_dump(mode="json")
        if as_json:
            typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
            return
        settings = {f"settings.{name}": value for name, value in shown.pop("settings").items()}
        show_rows([{"": name, "value": value} for name, value in (shown | settings).items()], as_json=False)

    with_database(work)


@account.command("fields")
def show_fields(
    platform: Annotated[str | None, typer.Argument(help="平台；省略则列出平台 / a platform; else all of them")] = None,
    as_json: AsJson = False,
) -> None:
    """接入一个平台的账号要填什么 / what an account of a platform needs."""
    connectors = load_connectors(CATALOG)
    wanted = connectors if platform is None else {platform: connectors.for_platform(platform)}
    found = account_platforms(wanted)
    if as_json:
        typer.echo(json.dumps([_platform_shown(each) for each in found], ensure_ascii=False, indent=2))
    elif platform is None:
        show_rows([{"platform": each.platform, "title": _both(each.title)} for each in found], as_json=False)
    else:
        show_rows([_field_row(field) for each in found for field in each.fields], as_json=False)


@account.command("connect")
def connect(
    account_id: AccountId,
    name: Annotated[str, typer.Option("--name", help="显示名称 / the name people see")],
    unit: Annotated[str, typer.Option("--unit", help="所属组织单元 / organisation unit")] = "/",
    settings: Settable = None,
) -> None:
    """接入店铺或企业；凭据为 JSON，从标准输入或提示读取 / connect a shop or corp; its credentials, as JSON, come from
    stdin or a prompt."""
    platform, _, slug = account_id.partition("/")
    connectors = load_connectors(CATALOG)
    typed = _typed(connectors, platform, settings)
    credentials = read_hidden_members(_CREDENTIALS, _EXAMPLE)
    try:
        new = NewAccount(
            platform=platform,
            slug=slug,
            name=name,
            unit_path=unit,
            credentials=credentials,
            settings=typed,
        )
    except ValidationError as error:
        why = reasons(error)
        raise ValidationProblem(Text(f"账号不正确：{why.zh}", f"Wrong account: {why.en}")) from None

    async def work(database: Database, settings: Settings) -> None:
        await PlatformAccounts(database, connectors).connect(command_line_actor(), new)
        say(settings, Text(f"已接入 {new.id}", f"{new.id} connected"))

    with_database(work)


@account.command("set")
def change(
    account_id: AccountId,
    name: Annotated[str | None, typer.Option("--name", help="新的显示名称 / its new name")] = None,
    settings: Settable = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", metavar="NAME", help="删除该参数，可重复 / take it away, repeatable")
    ] = None,
) -> None:
    """修改名称与不保密的参数，其余不变 / change its name and what is no secret; the rest stays."""
    if name is not None and not 0 < len(name) <= 100:
        raise ValidationProblem(Text("名称应为 1 至 100 个字符", "A name has 1 to 100 characters"))
    connectors = load_connectors(CATALOG)
    changed = {**dict.fromkeys(unset or ()), **_typed(connectors, account_id.partition("/")[0], settings)}

    async def work(database: Database, settings: Settings) -> None:
        accounts = PlatformAccounts(database, connectors)
        await accounts.change(command_line_actor(), account_id, name=name, settings=changed)
        say(settings, Text(f"已修改 {account_id}", f"{account_id} changed"))

    with_database(work)


@account.command("rotate")
def rotate(account_id: AccountId) -> None:
    """整套更换凭据；JSON，从标准输入或提示读取 / replace all credentials; JSON from stdin or a prompt."""
    credentials = read_hidden_members(_CREDENTIALS, _EXAMPLE)

    async def work(database: Database, settings: Settings) -> None:
        accounts = PlatformAccounts(database, load_connectors(CATALOG))
        await accounts.rotate(command_line_actor(), account_id, credentials)
        say(settings, Text(f"已更换 {account_id} 的凭据", f"the credentials of {account_id} were replaced"))

    with_database(work)


@account.command("disconnect")
def disconnect(account_id: AccountId) -> None:
    """停用账号：之后它的调用与推送都会被拒绝 / disconnect: its calls and pushes are refused from now on."""
    _set_active(account_id, False, Text(f"已停用 {account_id}", f"{account_id} disconnected"))


@account.command("reconnect")
def reconnect(account_id: AccountId) -> None:
    """启用已停用的账号 / let a disconnected account work again."""
    _set_active(account_id, True, Text(f"已启用 {account_id}", f"{account_id} reconnected"))


@account.command("test")
def try_account(
    account_id: AccountId,
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


def _set_active(account_id: str, active: bool, done: Text) -> None:
    async def work(database: Database, settings: Settings) -> None:
        await PlatformAccounts(database).set_active(command_line_actor(), account_id, active)
        say(settings, done)

    with_database(work)


def _platform_shown(platform: AccountPlatform) -> dict[str, Any]:
    fields = [asdict(each) | {"about": each.about.as_dict() if each.about else None} for each in platform.fields]
    return {"platform": platform.platform, "title": platform.title.as_dict(), "fields": fields}


def _field_row(field: AccountField) -> dict[str, Any]:
    """secret: among the credentials from stdin; any other is a --setting."""
    default = None if field.default in (None, "") else json.dumps(field.default, ensure_ascii=False)
    return {
        "field": field.name,
        "required": field.required,
        "secret": field.secret,
        "type": "|".join(field.choices) or field.type,
        "default": default,
        "about": _both(field.about) if field.about else None,
    }


def _both(text: Text) -> str:
    return f"{text.zh} · {text.en}"


def _typed(connectors: ConnectorRegistry, platform: str, given: list[str] | None) -> dict[str, Any]:
    """The settings of `--setting`, each as its platform's connector wants it; raises NotFoundProblem without one."""
    texts: dict[str, str] = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise ValidationProblem(
                Text(f"--setting 应为 NAME=VALUE，而不是 {each}", f"--setting must be NAME=VALUE, not {each}")
            )
        texts[name] = value
    return settings_from_texts(connectors.for_platform(platform).settings, texts) if texts else {}
