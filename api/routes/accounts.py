"""Connected shops and corps. Credentials go in and never come out."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Path, status
from pydantic import BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.paging import PageOf, Paging, Word
from api.routes.definitions import Sentence
from api.routing import router
from connectors.connection_report import ConnectionFault
from domain.access import Actor, Permission
from domain.accounts import Account, AccountTitle, NewAccount
from domain.problems import Text

accounts = router("/api/v1/accounts", "accounts")

Platform = Annotated[str, Path(max_length=64, examples=["youzan"])]
Slug = Annotated[str, Path(max_length=64, examples=["demo-apparel"])]
Reader = Annotated[Actor, requires(Permission.ACCOUNTS_READ)]
Steward = Annotated[Actor, requires(Permission.ACCOUNTS_MANAGE)]
Credential = Annotated[str, Field(min_length=1, max_length=8_192)]


class CredentialsIn(BaseModel):
    """All credentials anew, by the names the connector asks for."""

    model_config = ConfigDict(extra="forbid")

    credentials: dict[Annotated[str, Field(max_length=64)], Credential] = Field(min_length=1, max_length=50)


class AccountChange(BaseModel):
    """What is to be another from now on. settings: only those that change; null takes one away."""

    model_config = ConfigDict(extra="forbid")

    name: AccountTitle | None = None
    settings: dict[Annotated[str, Field(max_length=64)], Any] = Field(default={}, max_length=50)


class AccountFieldOut(BaseModel):
    """One thing that a platform's connector asks of an account.

    secret: it belongs into `credentials`, else into `settings`. type: as JSON calls it; choices: the words it may be,
    empty when any; default: what holds when it is left out. about: null where a connector says nothing of it.
    """

    name: str
    secret: bool
    required: bool
    type: str
    choices: tuple[str, ...]
    default: Any
    about: Sentence | None


class AccountPlatformOut(BaseModel):
    """A platform whose accounts can be connected."""

    platform: str
    title: Sentence
    fields: tuple[AccountFieldOut, ...]


class AccountPlatformsOut(BaseModel):
    """Every platform, by name."""

    items: tuple[AccountPlatformOut, ...]


class ConnectionReportOut(BaseModel):
    """Whether the account can be used. fault: whose trouble it is; hint: what to do, or what is still lacking."""

    ok: bool
    fault: ConnectionFault | None
    message: Sentence
    hint: Sentence | None


@accounts.post("", status_code=status.HTTP_201_CREATED, summary="接入账号 · Connect an account")
async def connect_account(new: NewAccount, actor: Steward, deps: Deps) -> Account:
    """接入一个店铺或企业；凭据加密保存，不再返回。· Connects a shop or corp; its credentials are never shown again."""
    return await deps.accounts.connect(actor, new)


@accounts.get("", summary="查询账号 · List accounts")
async def list_accounts(actor: Reader, deps: Deps, page: Paging, platform: Word | None = None) -> PageOf[Account]:
    """数据范围内的账号。· Accounts within one's data scope."""
    found: Any = await deps.accounts.list(actor, page, platform=platform)
    return PageOf[Account].model_validate(found)


@accounts.get("/platforms", summary="平台与接入参数 · Platforms and what their accounts need")
async def list_account_platforms(actor: Reader, deps: Deps) -> AccountPlatformsOut:
    """可接入的平台，及每个平台的参数：哪些必填、哪些是凭据、含义是什么；含已安装的连接器。

    The platforms that can be connected, installed connectors too, and what each asks of an account: what is required,
    what is a credential, what it means.
    """
    items = [
        AccountPlatformOut(
            platform=each.platform,
            title=_sentence(each.title),
            fields=tuple(
                AccountFieldOut(**(asdict(field) | {"about": _sentence(field.about) if field.about else None}))
                for field in each.fields
            ),
        )
        for each in deps.accounts.platforms(actor)
    ]
    return AccountPlatformsOut(items=tuple(items))


@accounts.get("/{platform}/{slug}", summary="查看账号 · Show an account")
async def show_account(platform: Platform, slug: Slug, actor: Reader, deps: Deps) -> Account:
    """账号与凭据的名称。· The account, and its credentials' names."""
    return await deps.accounts.show(actor, f"{platform}/{slug}")


@accounts.patch("/{platform}/{slug}", summary="修改账号 · Change an account")
async def change_account(platform: Platform, slug: Slug, wanted: AccountChange, actor: Steward, deps: Deps) -> Account:
    """名称与不保密的参数；没有写的保持不变，null 表示删除。各进程在半分钟内生效。

    Its name and what is no secret. What is not given stays as it is, null takes it away; every process goes by it
    within half a minute.
    """
    return await deps.accounts.change(actor, f"{platform}/{slug}", name=wanted.name, settings=wanted.settings)


@accounts.put("/{platform}/{slug}/credentials", summary="更换凭据 · Rotate credentials")
async def rotate_account_credentials(
    platform: Platform, slug: Slug, wanted: CredentialsIn, actor: Steward, deps: Deps
) -> Account:
    """整套替换；各进程在半分钟内生效。· Replaces all of them; every process uses them within half a minute."""
    return await deps.accounts.rotate(actor, f"{platform}/{slug}", wanted.credentials)


@accounts.post("/{platform}/{slug}/disconnect", summary="停用账号 · Disconnect an account")
async def disconnect_account(platform: Platform, slug: Slug, actor: Steward, deps: Deps) -> Account:
    """之后它的调用与推送都会被拒绝。· Its calls and pushes are refused from now on."""
    return await deps.accounts.set_active(actor, f"{platform}/{slug}", False)


@accounts.post("/{platform}/{slug}/reconnect", summary="启用账号 · Reconnect an account")
async def reconnect_account(platform: Platform, slug: Slug, actor: Steward, deps: Deps) -> Account:
    """恢复已停用的账号。· Lets a disconnected account work again."""
    return await deps.accounts.set_active(actor, f"{platform}/{slug}", True)


@accounts.post("/{platform}/{slug}/test", summary="测试连接 · Test the connection")
async def test_account_connection(platform: Platform, slug: Slug, actor: Steward, deps: Deps) -> ConnectionReportOut:
    """用已保存的凭据真实调用平台，不改变任何数据；最多 12 秒。

    Calls the platform with the credentials as they are stored, changes nothing there, and takes at most 12 seconds.
    """
    report = await deps.connection_tests.test(actor, f"{platform}/{slug}")
    return ConnectionReportOut(
        ok=report.ok,
        fault=report.fault,
        message=_sentence(report.message),
        hint=_sentence(report.hint) if report.hint else None,
    )


def _sentence(text: Text) -> Sentence:
    return Sentence(**text.as_dict())
