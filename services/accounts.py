"""Accounts on platforms: connect, change, rotate credentials, disconnect. Credentials go in and never come out to a
person."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.accounts import Account as ConnectedAccount
from connectors.accounts import described, refuse_secrets
from connectors.registry import Connector, ConnectorRegistry
from connectors.tokens import names_without_grant
from domain.access import Actor, Permission
from domain.accounts import Account, AccountPlatform, NewAccount
from domain.organisation import Placement
from domain.problems import AuthorizationProblem, ConfigurationProblem, Text, ValidationProblem
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.engine import Database
from storage.organisation import Units
from storage.paging import Page, PageRequest
from storage.platform_tokens import PlatformTokens
from storage.unit_of_work import UnitOfWork


class PlatformAccounts:
    """The connected shops and corps. Every method for a person raises AuthorizationProblem when it is not allowed.

    connectors: what they ask for is checked when an account is connected; without them anything is taken.
    """

    def __init__(self, database: Database, connectors: ConnectorRegistry | None = None) -> None:
        self._database = database
        self._connectors = connectors

    async def connect(self, actor: Actor, new: NewAccount) -> Account:
        """Connect a shop or corp.

        :raises ConflictProblem: it is there. :raises NotFoundProblem: an unknown unit or platform.
        :raises ConfigurationProblem: its connector asks for something else, a secret stands among the settings, or
            they name an account that is not here; the wrong fields are named.
        """
        actor.require(Permission.ACCOUNTS_MANAGE)
        self._refuse_secrets(new.platform, new.settings)
        named = self._check(new.platform, new.slug, {**new.settings, **new.credentials})
        if not actor.sees(Placement(new.unit_path, new.id)):
            raise AuthorizationProblem(
                Text(
                    f"{new.id} 或组织单元 {new.unit_path} 不在您的数据范围内",
                    f"{new.id}, or the unit {new.unit_path}, is not within your data scope",
                )
            )
        async with UnitOfWork(self._database) as work:
            await Units(work).require(new.unit_path)
            await _require_named(work, new.platform, new.slug, named)
            account = await Accounts(work).add(new)
            await _record(work, actor, "account.connect", account)
        return account

    async def rotate(self, actor: Actor, account_id: str, credentials: Mapping[str, str]) -> Account:
        """Replace the credentials, all of them; raises NotFoundProblem, also for one out of scope.

        :raises ConfigurationProblem: its connector asks for something else; nothing was changed.
        """
        actor.require(Permission.ACCOUNTS_MANAGE)
        if not credentials:
            raise ValidationProblem(Text("新的凭据不能为空", "The new credentials are empty"))
        async with UnitOfWork(self._database) as work:
            account = await Accounts(work).rotate(account_id, credentials, actor.scope)
            self._check(account.platform, account.slug, {**account.settings, **credentials})
            await _forget_tokens_without_grant(work, account)
            await _record(work, actor, "account.rotate", account)
        return account

    async def change(
        self, actor: Actor, account_id: str, *, name: str | None = None, settings: Mapping[str, Any]
    ) -> Account:
        """Give an account another name, and other values for some of its settings; None takes a setting away.

        Raises NotFoundProblem, also for one out of scope.

        :raises ConfigurationProblem: its connector asks for something else, or what was given is a secret, stands
            among the credentials or names an account that is not here; nothing was changed.
        """
        actor.require(Permission.ACCOUNTS_MANAGE)
        if name is None and not settings:
            raise ValidationProblem(Text("没有要修改的内容", "There is nothing to change"))
        given = [member for member, value in settings.items() if value is not None]
        async with UnitOfWork(self._database) as work:
            accounts = Accounts(work)
            account = await accounts.change(account_id, name, settings, actor.scope)
            self._refuse_secrets(account.platform, given)
            credentials = await accounts.credentials(account_id, disconnected=True)
            _refuse_twice_given(account, set(given) & set(credentials))
            named = self._check(account.platform, account.slug, {**account.settings, **credentials})
            await _require_named(
                work, account.platform, account.slug, {name: named[name] for name in named if name in given}
            )
            if settings:
                await _forget_tokens_without_grant(work, account)
            detail = {"name": name} if name is not None else {}
            await _record(work, actor, "account.change", account, {**detail, "settings": sorted(settings)})
        return account

    async def set_active(self, actor: Actor, account_id: str, active: bool) -> Account:
        """Disconnect or reconnect; a disconnected account's calls and webhooks are refused. Raises NotFoundProblem."""
        actor.require(Permission.ACCOUNTS_MANAGE)
        async with UnitOfWork(self._database) as work:
            account = await Accounts(work).set_active(account_id, active, actor.scope)
            await _record(work, actor, "account.reconnect" if active else "account.disconnect", account)
        return account

    async def list(self, actor: Actor, page: PageRequest, *, platform: str | None = None) -> Page[Account]:
        """Accounts within the actor's data scope."""
        actor.require(Permission.ACCOUNTS_READ)
        async with UnitOfWork(self._database) as work:
            return await Accounts(work).list(actor.scope, page, platform=platform)

    async def show(self, actor: Actor, account_id: str) -> Account:
        """One account; raises NotFoundProblem, also for one out of scope."""
        actor.require(Permission.ACCOUNTS_READ)
        async with UnitOfWork(self._database) as work:
            return await Accounts(work).require(account_id, actor.scope)

    def platforms(self, actor: Actor) -> Sequence[AccountPlatform]:
        """The platforms whose accounts can be connected, and what each asks of one."""
        actor.require(Permission.ACCOUNTS_READ)
        return account_platforms(self._connectors or {})

    async def credentials(self, account_id: str) -> Mapping[str, str]:
        """For connectors, never for an answer to a person. Raises NotFoundProblem for unknown or disconnected ones."""
        async with UnitOfWork(self._database) as work:
            return await Accounts(work).credentials(account_id)

    def _refuse_secrets(self, platform: str, shown: Iterable[str]) -> None:
        if self._connectors is not None:
            refuse_secrets(self._connectors.for_platform(platform).settings, shown)

    def _check(self, platform: str, slug: str, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """The other accounts that the settings name, by field."""
        if self._connectors is None:
            return {}
        connector = self._connectors.for_platform(platform)
        return ConnectedAccount(platform, slug, settings).parse_settings(connector.settings).accounts_named()


def account_platforms(connectors: Mapping[str, Connector]) -> Sequence[AccountPlatform]:
    """What these connectors ask of an account, by platform."""
    return [AccountPlatform(name, each.title, described(each.settings)) for name, each in sorted(connectors.items())]


async def _forget_tokens_without_grant(work: UnitOfWork, account: Account) -> None:
    """A token that does not tell which authorisation it came of must not be taken for one of what is set now: another
    shop may be named by a credential or by a setting."""
    await PlatformTokens(work).forget([name.key for name in names_without_grant(account.platform, account.slug)])


async def _require_named(work: UnitOfWork, platform: str, slug: str, named: Mapping[str, str]) -> None:
    """Refuse to name accounts that are not here: whatever comes in with their names would be nobody's."""
    there = {f"{platform}/{slug}", *(await Accounts(work).ids())} if named else set()
    for name, account_id in named.items():
        if account_id not in there:
            raise ConfigurationProblem(
                Text(
                    f"账号 {platform}/{slug} 的设置 {name}：没有账号 {account_id}，请改为已接入的账号，或先接入它",
                    f"{name} of {platform}/{slug}: there is no account {account_id}: name a connected one, or connect "
                    "it first",
                ),
                account=slug,
                platform=platform,
                retryable=False,
            )


def _refuse_twice_given(account: Account, names: Iterable[str]) -> None:
    if twice := ", ".join(sorted(names)):
        raise ConfigurationProblem(
            Text(
                f"账号 {account.id} 的 {twice} 在凭据中：请用轮换更换凭据",
                f"{twice} of {account.id} is among its credentials: rotate them instead",
            ),
            account=account.slug,
            platform=account.platform,
            retryable=False,
        )


async def _record(
    work: UnitOfWork, actor: Actor, action: str, account: Account, detail: Mapping[str, Any] | None = None
) -> None:
    if detail is None:
        detail = {"credentials": list(account.credential_names)}
    place = Placement(account.unit_path, account.id)
    await AuditLog(work).record(actor, action, f"account:{account.id}", dict(detail), place)
