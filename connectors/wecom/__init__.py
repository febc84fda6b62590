"""WeCom (企业微信): a corp's customers, their tags, messages to them and to staff."""

import asyncio
import base64
import secrets
from dataclasses import replace

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.http import Link, open_client
from connectors.readable_streams import reading, try_all
from connectors.webhooks import Verified, WebhookRequest
from connectors.wechat.answering import AnswersCallbacks
from connectors.wecom.api import PLATFORM, REQUESTS_PER_SECOND, WecomApi
from connectors.wecom.archive import ARCHIVED, ChatArchive, archive_events
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
        "在管理后台“客户联系 → API”中授予可调用的应用（客户与企业客户标签），并设置可使用客户联系的成员",
        "In the admin console, under customer contact, allow the application to call it, customers and corp tags, and "
        "name who may use it",
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


_WITHOUT_THE_ARCHIVE = Text(
    "核对 archive_url 与 archive_secret，并确认会话存档接口程序正在运行；不读聊天的，删去 archive_url",
    "Check archive_url and archive_secret, and that the archive's port runs; leave archive_url out to read no chats",
)
_ARCHIVE_HINTS = {
    ConnectionFault.CREDENTIALS: _WITHOUT_THE_ARCHIVE,
    ConnectionFault.PERMISSION: Text(
        "在管理后台开通“会话内容存档”，并核对 archive_url 与 archive_secret",
        "Switch on the chat archive in the admin console, and check archive_url and archive_secret",
    ),
    ConnectionFault.NETWORK: _WITHOUT_THE_ARCHIVE,
    ConnectionFault.PLATFORM: _WITHOUT_THE_ARCHIVE,
    ConnectionFault.ADDRESS: Text(
        "在管理后台“会话内容存档”的可信 IP 中加入接口程序所在机器的 IP",
        "Add the IP of the machine that the port runs on to the chat archive's trusted IPs in the admin console",
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
        """Fetches the token of each application, asks who may have customers and which tags there are, and for one
        message of the chat archive where there is one; all at once, as a test has not long."""
        try:
            # The platform gives out the same token while it lives, so asking for it disturbs nobody.
            corp = self.open(account, link.without_tokens())
        except ProblemError as error:
            return explain(error, _CONTACT_HINTS)
        told = await asyncio.gather(
            _contact_fault(corp), _archive_fault(account, link), _agent_fault(corp.api), return_exceptions=True
        )
        for each in told:
            if isinstance(each, BaseException):
                raise each
            if each is not None:
                return each
        if not _has_agent(corp.api):
            return ConnectionReport(
                True,
                Text("连接正常，可以读取客户", "It works: customers can be read"),
                Text(
                    "没有填写 agent_id 与 agent_secret，不能通知成员",
                    "There is no agent_id and agent_secret: staff cannot be notified",
                ),
            )
        return ConnectionReport(
            True,
            Text("连接正常，可以读取客户、通知成员", "It works: customers can be read and staff can be notified"),
        )


async def _contact_fault(corp: WecomCorp) -> ConnectionReport | None:
    async def members() -> None:
        with reading(Text("客户", "Customers")):
            await corp.api.get("externalcontact/get_follow_user_list", {})

    async def tags() -> None:
        with reading(Text("企业标签", "Corp tags")):
            await corp.tag_numbers()

    try:
        await try_all(members, tags)
    except ProblemError as error:
        return explain(error, _CONTACT_HINTS | _ADDRESS_HINTS)
    return None


async def _archive_fault(account: Account, link: Link) -> ConnectionReport | None:
    try:
        # The port is the merchant's own, often beside us: by a client of its own, its clock is not taken for WeCom's.
        async with open_client() as http:
            await ChatArchive(account, replace(link, http=http)).try_reading()
    except ProblemError as error:
        report = explain(error, _ARCHIVE_HINTS)
        zh, en = report.message.zh, report.message.en
        return replace(report, message=Text(f"会话存档无法读取：{zh}", f"The chat archive cannot be read: {en}"))
    return None


async def _agent_fault(api: WecomApi) -> ConnectionReport | None:
    if not _has_agent(api):
        return None
    try:
        await api.sign_in("agent")
    except ProblemError as error:
        return explain(error, _AGENT_HINTS | _ADDRESS_HINTS)
    return None


def _has_agent(api: WecomApi) -> bool:
    return api.settings.agent_secret is not None and api.settings.agent_id is not None
