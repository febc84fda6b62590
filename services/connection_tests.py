"""Connection tests: an account's settings tried on the platform itself, without changing anything there."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from connectors.accounts import Account as ConnectedAccount
from connectors.connection_report import ConnectionFault, ConnectionReport
from connectors.http import Link, open_client
from connectors.registry import ConnectorRegistry
from connectors.tokens import TokenStore
from domain.access import Actor, Permission
from domain.accounts import Account
from domain.organisation import Placement
from domain.problems import RateLimitProblem, Text
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.engine import Database
from storage.unit_of_work import UnitOfWork

DEADLINE_S = 12.0
ANSWER_TIMEOUT_S = 5.0
TESTS_AT_ONCE = 4
CLOCK_TOLERANCE = timedelta(minutes=5)
"""Pushes and signed requests are refused when the clocks differ by some minutes more: 6 at JD, 10 elsewhere."""


class ConnectionTests:
    """tokens: where the workers keep theirs. deadline_s: how long one test may take, whatever the platform does; a
    token that is being fetched by then is still saved."""

    def __init__(
        self, database: Database, connectors: ConnectorRegistry, tokens: TokenStore, *, deadline_s: float = DEADLINE_S
    ) -> None:
        self._database = database
        self._connectors = connectors
        self._tokens = tokens
        self._deadline_s = deadline_s
        self._slots = asyncio.Semaphore(TESTS_AT_ONCE)

    async def test(self, actor: Actor, account_id: str) -> ConnectionReport:
        """Whether the account can be used, with its settings as they are stored now.

        :raises NotFoundProblem: there is no such account within the actor's data scope.
        :raises RateLimitProblem: too many tests are under way in this process.
        """
        actor.require(Permission.ACCOUNTS_MANAGE)
        async with UnitOfWork(self._database) as work:
            account = await Accounts(work).require(account_id, actor.scope)
            credentials = await Accounts(work).credentials(account_id) if account.active else {}
        report = await self._report(account, credentials)
        async with UnitOfWork(self._database) as work:
            detail = {"ok": report.ok, "fault": report.fault}
            place = Placement(account.unit_path, account.id)
            await AuditLog(work).record(actor, "account.test", f"account:{account_id}", detail, place)
        return report

    async def _report(self, account: Account, credentials: Mapping[str, str]) -> ConnectionReport:
        if not account.active:
            return _disconnected(account)
        if account.platform not in self._connectors:
            return _without_connector(account)
        if self._slots.locked():
            raise RateLimitProblem(
                Text(
                    "正在进行的连接测试太多，请稍后再试", "Too many connection tests are under way: try again shortly"
                ),
                retry_after_s=self._deadline_s,
            )
        settings: dict[str, Any] = {**account.settings, **credentials}
        async with self._slots:
            return await self._try(ConnectedAccount(account.platform, account.slug, settings))

    async def _try(self, account: ConnectedAccount) -> ConnectionReport:
        clock = _PlatformClock(self._database)
        try:
            async with asyncio.timeout(self._deadline_s), open_client() as http:
                http.event_hooks = {"response": [clock.note]}
                link = Link(http, self._tokens, self._database.clock, ANSWER_TIMEOUT_S)
                report = await self._connectors[account.platform].test_connection(account, link)
        except TimeoutError:
            return _too_slow(account.platform, self._deadline_s)
        return clock.report() or report


class _PlatformClock:
    """How far our clock is from the platform's, by the `Date` of its answers (RFC 9110, 6.6.1)."""

    def __init__(self, database: Database) -> None:
        self._now = database.clock
        self._nearest: timedelta | None = None

    async def note(self, response: httpx.Response) -> None:
        try:
            theirs = parsedate_to_datetime(response.headers.get("date", ""))
        except (TypeError, ValueError):
            return
        ahead = self._now() - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC))
        if self._nearest is None or abs(ahead) < abs(self._nearest):
            self._nearest = ahead

    def report(self) -> ConnectionReport | None:
        """What to say instead of anything else while our clock is wrong; None when it is right, or nobody knows."""
        if self._nearest is None or abs(self._nearest) < CLOCK_TOLERANCE:
            return None
        minutes = round(abs(self._nearest) / timedelta(minutes=1))
        zh, en = ("快", "fast") if self._nearest > timedelta() else ("慢", "slow")
        return ConnectionReport(
            False,
            Text(
                f"本机时钟比平台{zh}约 {minutes} 分钟，推送与签名会因此被拒绝",
                f"This machine's clock is about {minutes} minutes {en}: pushes and signatures are refused for it",
            ),
            Text("启用时间同步（NTP）后再测", "Switch on time synchronisation (NTP), then test again"),
            ConnectionFault.CLOCK,
        )


def _disconnected(account: Account) -> ConnectionReport:
    return ConnectionReport(
        False,
        Text(f"账号 {account.id} 已停用", f"The account {account.id} is disconnected"),
        Text("先启用账号，再测", "Reconnect it, then test again"),
        ConnectionFault.DISCONNECTED,
    )


def _without_connector(account: Account) -> ConnectionReport:
    return ConnectionReport(
        False,
        Text(f"没有平台 {account.platform} 的连接器", f"There is no connector for {account.platform}"),
        Text("安装它的连接器并重启各进程", "Install its connector and restart every process"),
        ConnectionFault.SETTINGS,
    )


def _too_slow(platform: str, deadline_s: float) -> ConnectionReport:
    return ConnectionReport(
        False,
        Text(
            f"平台 {platform} 在 {deadline_s:g} 秒内没有答完",
            f"{platform} did not finish within {deadline_s:g} seconds",
        ),
        Text("检查本机到平台的网络，稍后再测", "Check the network between here and the platform, then test again"),
        ConnectionFault.NETWORK,
    )
