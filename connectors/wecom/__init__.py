"""WeCom (企业微信): a corp's customers, their tags, messages to them and to staff."""

import base64
import secrets

from connectors.accounts import Account
from connectors.http import Link
from connectors.registry import ConnectionReport, explain
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, refusal_text
from connectors.wecom.api import PLATFORM
from connectors.wecom.callbacks import callback_events, uses_callback, verify_callback
from connectors.wecom.client import WecomCorp
from connectors.wecom.settings import WecomSettings
from domain.calls import AnyCall
from domain.catalog.wecom import WECOM_CALLS, WECOM_QUEUE
from domain.events import Event
from domain.problems import AuthenticationProblem, AuthorizationProblem, ProblemError, Text

_HINTS = {
    AuthenticationProblem: Text(
        "核对企业 ID 与“客户联系”的 secret", "Check the corp id and the customer-contact secret"
    ),
    AuthorizationProblem: Text(
        "在管理后台把本机 IP 加入可信 IP，并授予客户联系权限",
        "Add this server to the trusted IPs and grant customer contact in the admin console",
    ),
}


class WecomConnector:
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("企业微信", "WeCom")
    queue = WECOM_QUEUE
    # The tightest limit is 20,000 requests a minute from one address, and a call takes up to four.
    requests_per_second = 80.0
    settings = WecomSettings
    nobody = Account(
        PLATFORM,
        "",
        {
            "corp_id": secrets.token_hex(9),
            "contact_secret": secrets.token_hex(16),
            "token": secrets.token_hex(16),
            "encoding_aes_key": base64.b64encode(secrets.token_bytes(32)).decode().rstrip("="),
        },
    )
    calls: tuple[AnyCall, ...] = WECOM_CALLS
    client = WecomCorp

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        return verify_callback(request, account)

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, b"success" if verified.echo is None else verified.echo, "text/plain")

    def refuse(self, problem: ProblemError) -> PushAnswer:
        # Whatever is not 200 counts as failed, and is sent again up to three times [S].
        return PushAnswer(problem.problem.status, refusal_text(problem).encode(), "text/plain")

    def uses(self, kind: str) -> bool:
        return uses_callback(kind)

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        return callback_events(record, account)

    def open(self, account: Account, link: Link) -> WecomCorp:
        return WecomCorp(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Fetches a token and asks who may have customers."""
        try:
            await self.open(account, link).api.get("externalcontact/get_follow_user_list", {})
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, Text("连接正常，可以读取客户", "It works: customers can be read"))
