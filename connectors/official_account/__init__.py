"""WeChat Official Accounts (公众号): followers, channel codes, menus, messages."""

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.http import Link
from connectors.official_account.client import PLATFORM, OfficialAccount
from connectors.official_account.events import account_events, uses_push
from connectors.webhooks import Verified
from connectors.wechat.answering import TakesCallbacks
from connectors.wechat.settings import nobodys_account
from domain.calls import AnyCall
from domain.catalog.official_account import OFFICIAL_ACCOUNT_CALLS, OFFICIAL_ACCOUNT_QUEUE
from domain.events import Event
from domain.problems import ProblemError, Text

_HINTS = {
    ConnectionFault.CREDENTIALS: Text("核对公众号的 app_id 与 app_secret", "Check the account's app_id and app_secret"),
    ConnectionFault.PERMISSION: Text(
        "在公众平台确认账号已认证、有用户管理权限",
        "Check that the account is verified and may manage users",
    ),
}


class OfficialAccountConnector(TakesCallbacks):
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("微信公众号", "WeChat Official Account")
    queue = OFFICIAL_ACCOUNT_QUEUE
    # The daily quotas are the platform's concern; this keeps bursts away from its minute limits [U].
    requests_per_second = 50.0
    nobody = nobodys_account(PLATFORM)
    calls: tuple[AnyCall, ...] = OFFICIAL_ACCOUNT_CALLS
    client = OfficialAccount

    def uses(self, kind: str) -> bool:
        return uses_push(kind)

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        return account_events(record, account)

    def open(self, account: Account, link: Link) -> OfficialAccount:
        return OfficialAccount(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Fetches a token and asks for the first followers."""
        try:
            await self.open(account, link.without_tokens()).api.get("cgi-bin/user/get", {})
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, Text("连接正常，可以读取粉丝", "It works: followers can be read"))
