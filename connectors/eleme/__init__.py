"""Ele.me (饿了么): a caterer's takeaway and dine-in orders. All of its wire is unverified: see `wire.UNVERIFIED`."""

import hmac
import json
import secrets
from datetime import UTC, datetime

from connectors.accounts import Account
from connectors.catering.client import CateringShop, streams_of
from connectors.catering.pushes import PULLED, events_of
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.eleme.gateway import ElemeGateway, ElemeSettings, push_sign
from connectors.eleme.wire import PLATFORM, UNVERIFIED
from connectors.http import Link
from connectors.payloads import parse_json_object
from connectors.reading import text, whole_number
from connectors.webhooks import PushAnswer, Refusal, Verified, WebhookRequest, refusal_text
from domain.calls import AnyCall
from domain.catalog.catering import ELEME_CALLS, ELEME_QUEUE
from domain.events import Event
from domain.problems import AuthenticationProblem, ProblemError, Text, ValidationProblem

_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 app_key、app_secret 与门店编号 shop_id，并校准服务器时钟",
        "Check app_key, app_secret and the shop's shop_id, and this machine's clock",
    ),
    ConnectionFault.PERMISSION: Text(
        "在饿了么开放平台申请订单与退款权限，并把本机出口 IP 加入白名单",
        "Apply for orders and refunds on the open platform, and have this machine's address allowed",
    ),
}
_LATEST_MS = 4_102_444_800_000


class ElemeShop(CateringShop):
    """One shop on Ele.me."""

    streams = streams_of(UNVERIFIED.shared)

    def __init__(self, account: Account, link: Link) -> None:
        super().__init__(account, link, UNVERIFIED.shared, ElemeGateway(account, link))


class ElemeConnector:
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("饿了么", "Ele.me")
    queue = ELEME_QUEUE
    # No published figure is known [U].
    requests_per_second = 20.0
    settings = ElemeSettings
    nobody = Account(PLATFORM, "", {"app_key": secrets.token_hex(8), "app_secret": secrets.token_hex(16), "shop_id": 1})
    calls: tuple[AnyCall, ...] = ELEME_CALLS
    client = ElemeShop

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        settings = account.parse_settings(ElemeSettings)
        body = parse_json_object(request.body)
        given = str(body.pop("signature", ""))
        right = push_sign(body, settings.app_secret.get_secret_value())
        if not hmac.compare_digest(given.upper().encode(), right.encode()):
            words = Text("推送签名不正确，请核对 app_secret", "Wrong push signature; check app_secret")
            raise _refused(Refusal.SIGNATURE, words)
        if whole_number(body, "shopId") != settings.shop_id or str(body.get("appId")) != settings.app_key:
            words = Text("推送属于其他门店或应用", "The push belongs to another shop or application")
            raise _refused(Refusal.RECEIVER, words)
        milliseconds = whole_number(body, "timestamp")
        if not 0 < milliseconds < _LATEST_MS:
            raise ValidationProblem(Text("推送的 timestamp 无效", "The push's timestamp is not valid"), retryable=False)
        sent_at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        if abs(request.received_at - sent_at) > UNVERIFIED.shared.window:
            words = Text("推送的时间相差超过 10 分钟", "The push's time is more than 10 minutes off")
            raise _refused(Refusal.STALE, words)
        return Verified(
            text(body, "type", limit=16), request.body, text(body, "requestId"), request.received_at, sent_at
        )

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, UNVERIFIED.acknowledgement, "application/json")

    def refuse(self, problem: ProblemError) -> PushAnswer:
        status = problem.problem.status
        body = json.dumps({"message": refusal_text(problem)}, ensure_ascii=False)
        return PushAnswer(status, body.encode(), "application/json")

    def uses(self, kind: str) -> bool:
        return kind in PULLED or kind in UNVERIFIED.shared.pushes

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        wire = UNVERIFIED.shared
        if record.kind in PULLED:
            return events_of(PULLED[record.kind], parse_json_object(record.payload), wire, record, account)
        kind = wire.pushes.get(record.kind)
        if kind is None:
            return []
        message = text(parse_json_object(record.payload), "message", limit=500_000)
        return events_of(kind, parse_json_object(message.encode()), wire, record, account)

    def open(self, account: Account, link: Link) -> ElemeShop:
        return ElemeShop(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Fetches a token and reads one refund of today."""
        try:
            await self.open(account, link).probe()
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, Text("连接正常，可以读取订单与退款", "It works: orders and refunds can be read"))


def _refused(reason: Refusal, text: Text) -> AuthenticationProblem:
    return AuthenticationProblem(text, reason=reason, retryable=False)
