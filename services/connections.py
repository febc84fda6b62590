"""From an account's name in a flow or an address to the account as its connector needs it."""

import time
from typing import Any

from connectors.accounts import Account
from domain.access import Scope
from domain.problems import NotFoundProblem, Text, ValidationProblem
from storage.accounts import Accounts
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork

KEPT_S = 30.0
"""How long a process works with credentials it has read: a rotation is everywhere after half a minute."""


class Connections:
    """Connected accounts with their decrypted credentials, for connectors only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[tuple[str, str | None], tuple[float, Account]] = {}

    async def account(self, platform: str, slug: str | None) -> Account:
        """The account of that slug; the platform's only one when none is named.

        Raises NotFoundProblem when it is unknown or disconnected, ValidationProblem when there are several to choose
        from and none is named.
        """
        kept = self._kept.get((platform, slug))
        if kept is not None and time.monotonic() - kept[0] < KEPT_S:
            return kept[1]
        account = await self._read(platform, slug)
        self._kept[(platform, slug)] = (time.monotonic(), account)
        return account

    async def _read(self, platform: str, slug: str | None) -> Account:
        async with UnitOfWork(self._database) as work:
            accounts = Accounts(work)
            if slug is None:
                slug = await self._only_one(accounts, platform)
            known = await accounts.require(f"{platform}/{slug}")
            credentials = await accounts.credentials(known.id)
        settings: dict[str, Any] = {**known.settings, **credentials}
        return Account(platform, slug, settings)

    async def _only_one(self, accounts: Accounts, platform: str) -> str:
        page = await accounts.list(Scope.everything(), PageRequest(size=20), platform=platform)
        active = [account.slug for account in page.items if account.active]
        if not active:
            raise NotFoundProblem(
                Text(f"平台 {platform} 还没有接入账号", f"No account of {platform} is connected"), retryable=False
            )
        if len(active) > 1:
            names = ", ".join(active)
            raise ValidationProblem(
                Text(
                    f"平台 {platform} 有多个账号（{names}），请用 account 指明",
                    f"{platform} has several accounts ({names}); say which with `account`",
                ),
                retryable=False,
            )
        return active[0]
