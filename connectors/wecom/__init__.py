"""WeCom (企业微信): a corp's customers, their tags, messages to them and to staff."""

import base64
import secrets

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.http import Link
from connectors.webhooks import Verified, WebhookRequest
from connectors.wechat.answering import AnswersCallbacks
from connectors.wecom.api import PLATFORM, REQUESTS_PER_SECOND
from connectors.wecom.archive import ARCHIVED, archive_events
from connectors.wecom.callbacks import callback_events, read_callback, uses_callback, verify_callback
from connectors.wecom.client import WecomCorp
from connectors.wecom.contact_events import READ_KINDS, read_events
from connectors.wecom.settings import WecomSettings
from domain.calls import AnyCall
from domain.catalog.wecom import WECOM_CALLS, WECOM_QUEUE
from domain.events import Event
from domain.problems import ProblemError, Text

_CONTACT_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 corp_id，以及“客户联系”的 contact_secret", "Check corp_id and the customer-contact secret, contact_secret"
    ),
    ConnectionFault.PERMISSION: Text(
        "在管理后台“客户联系 → API”中授予可调用的应用，并设置可使用客户联系的成员",
        "In the admin console, under customer contact, allow the application to call it, and name who may use it",
    ),
}
_AGENT_HINTS = {
    ConnectionFault.CREDENTIALS: Text("核对应用的 agent_secret", "Check the application's agent_secret"),
}
_ADDRESS_HINTS = {
    ConnectionFault.ADDRESS: Text(
        "在管理后台该应用的“企业可信 IP”中加入消息里的 IP",
        "Add the IP in the message to the application's trusted IPs in the admin console",
    ),
}


class WecomConnector(AnswersCallbacks):
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("企业微信", "WeCom")
    queue = WECOM_QUEUE
    # Per hour 600,000 requests from one address are let in: 166 a second, and a call takes up to four. What is let in
    # of a corp to one interface is held by turns of the interface.
    requests_per_second = REQUESTS_PER_SECOND
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

    def read_push(self, kept: Verified, account: Account) -> Verified:
        return read_callback(kept)

    def uses(self, kind: str) -> bool:
        return uses_callback(kind)

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        if record.kind == ARCHIVED:
            return archive_events(record, account)
        return read_events(record, account) if record.kind in READ_KINDS else callback_events(record, account)

    def open(self, account: Account, link: Link) -> WecomCorp:
        return WecomCorp(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Fetches the token of each application and asks who may have customers."""
        try:
            # The platform gives out the same token while it lives, so asking for it disturbs nobody.
            api = self.open(account, link.without_tokens()).api
            await api.get("externalcontact/get_follow_user_list", {})
        except ProblemError as error:
            return explain(error, _CONTACT_HINTS | _ADDRESS_HINTS)
        if api.settings.agent_secret is None or api.settings.agent_id is None:
            return ConnectionReport(
                True,
                Text("连接正常，可以读取客户", "It works: customers can be read"),
                Text(
                    "没有填写 agent_id 与 agent_secret，不能通知成员",
                    "There is no agent_id and agent_secret: staff cannot be notified",
                ),
            )
        try:
            await api.sign_in("agent")
        except ProblemError as error:
            return explain(error, _AGENT_HINTS | _ADDRESS_HINTS)
        return ConnectionReport(
            True,
            Text("连接正常，可以读取客户、通知成员", "It works: customers can be read and staff can be notified"),
        )
