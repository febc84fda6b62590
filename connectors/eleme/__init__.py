"""Ele.me (饿了么): a caterer's takeaway and dine-in orders. All of its wire is unverified: see `wire.UNVERIFIED`."""

import secrets
from datetime import UTC, datetime

from connectors.accounts import Account
from connectors.catering.client import CateringShop, streams_of
from connectors.catering.connector import CateringConnector
from connectors.connection_report import ConnectionFault
from connectors.eleme.gateway import ElemeGateway, ElemeSettings, push_sign
from connectors.eleme.wire import PLATFORM, UNVERIFIED
from connectors.http import Link
from connectors.payloads import parse_json_object
from connectors.reading import text, whole_number
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, json_answer, refusal_text
from domain.calls import AnyCall
from domain.catalog.catering import ELEME_CALLS, ELEME_QUEUE
from domain.problems import ProblemError, Text, ValidationProblem

_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 app_key、app_secret 与门店编号 shop_id，并校准服务器时钟",
        "Check app_key, app_secret and the shop's shop_id, and this machine's clock",
    ),
    ConnectionFault.PERMISSION: Text(
        "在饿了么开放平台申请订单、退款与菜品权限",
        "Apply for orders, refunds and dishes on the open platform",
    ),
}
_LATEST_MS = 4_102_444_800_000


class ElemeShop(CateringShop):
    """One shop on Ele.me."""

    streams = streams_of(UNVERIFIED.shared)

    def __init__(self, account: Account, link: Link) -> None:
        super().__init__(account, link, UNVERIFIED.shared, ElemeGateway(account, link))


class ElemeConnector(CateringConnector):
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
    wire = UNVERIFIED.shared
    acknowledgement = UNVERIFIED.acknowledgement
    hints = _HINTS

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        settings = account.parse_settings(ElemeSettings)
        body = parse_json_object(request.body)
        given = str(body.pop("signature", ""))
        right = push_sign(body, settings.app_secret.get_secret_value())
        self.check_signature(given, right)
        self.check_receiver(
            whole_number(body, "shopId") == settings.shop_id and str(body.get("appId")) == settings.app_key
        )
        milliseconds = whole_number(body, "timestamp")
        if not 0 < milliseconds < _LATEST_MS:
            raise ValidationProblem(Text("推送的 timestamp 无效", "The push's timestamp is not valid"), retryable=False)
        sent_at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        self.check_age(sent_at, request.received_at)
        return Verified(
            text(body, "type", limit=16), request.body, text(body, "requestId"), request.received_at, sent_at
        )

    def refuse(self, problem: ProblemError) -> PushAnswer:
        return json_answer(problem.problem.status, {"message": refusal_text(problem)})

    def content(self, payload: bytes) -> bytes:
        return text(parse_json_object(payload), "message", limit=500_000).encode()

    def open(self, account: Account, link: Link) -> ElemeShop:
        return ElemeShop(account, link)
