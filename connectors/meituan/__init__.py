"""Meituan (美团): a caterer's takeaway and dine-in orders. All of its wire is unverified: see `wire.UNVERIFIED`."""

import secrets
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from connectors.accounts import Account
from connectors.catering.client import CateringShop, streams_of
from connectors.catering.connector import CateringConnector
from connectors.connection_report import ConnectionFault
from connectors.http import Link
from connectors.meituan.gateway import MeituanGateway, MeituanSettings, sign
from connectors.meituan.wire import PLATFORM, UNVERIFIED
from connectors.reading import optional_text
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, json_answer, refusal_text
from domain.calls import AnyCall
from domain.catalog.catering import MEITUAN_CALLS, MEITUAN_QUEUE
from domain.ids import canonical_json, content_digest
from domain.problems import ProblemError, Text, ValidationProblem
from domain.storable import is_storable

_MOST_PAIRS = 50
_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 app_id、app_secret 与门店编号 shop_id，并校准服务器时钟",
        "Check app_id, app_secret and the shop's shop_id, and this machine's clock",
    ),
    ConnectionFault.PERMISSION: Text(
        "在美团开放平台申请订单、退款与菜品权限",
        "Apply for orders, refunds and dishes on the open platform",
    ),
}


class MeituanShop(CateringShop):
    """One shop on Meituan."""

    streams = streams_of(UNVERIFIED.shared)

    def __init__(self, account: Account, link: Link) -> None:
        super().__init__(account, link, UNVERIFIED.shared, MeituanGateway(account, link))


class MeituanConnector(CateringConnector):
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("美团", "Meituan")
    queue = MEITUAN_QUEUE
    # No published figure is known [U].
    requests_per_second = 20.0
    settings = MeituanSettings
    nobody = Account(
        PLATFORM, "", {"app_id": secrets.token_hex(8), "app_secret": secrets.token_hex(16), "shop_id": "0"}
    )
    calls: tuple[AnyCall, ...] = MEITUAN_CALLS
    client = MeituanShop
    wire = UNVERIFIED.shared
    acknowledgement = UNVERIFIED.acknowledgement
    hints = _HINTS

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        settings = account.parse_settings(MeituanSettings)
        form = _form(request.body)
        given = form.pop("sig", "")
        right = sign("", form, settings.app_secret.get_secret_value())
        self.check_signature(given, right)
        self.check_receiver(form.get("app_id") == settings.app_id and form.get("app_poi_code") == settings.shop_id)
        sent_at = _sent_at(form.get("timestamp", ""))
        self.check_age(sent_at, request.received_at)
        said = {name: value for name, value in form.items() if name != "timestamp"}
        number = optional_text(form, "message_id", limit=128) or content_digest(canonical_json(said))
        kind = optional_text(form, "kind", limit=64) or ""
        return Verified(kind, request.body, number, request.received_at, sent_at)

    def refuse(self, problem: ProblemError) -> PushAnswer:
        return json_answer(problem.problem.status, {"data": "ng", "msg": refusal_text(problem)})

    def content(self, payload: bytes) -> bytes:
        return _form(payload).get("data", "").encode()

    def open(self, account: Account, link: Link) -> MeituanShop:
        return MeituanShop(account, link)


def _form(body: bytes) -> dict[str, str]:
    """The pairs of a form; raises ValidationProblem for one that is none."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            max_num_fields=_MOST_PAIRS,
            errors="strict",
        )
    except ValueError:
        raise ValidationProblem(Text("推送不是有效的表单", "The push is no valid form"), retryable=False) from None
    if not all(is_storable(text) for pair in pairs for text in pair):
        raise ValidationProblem(
            Text("推送含有无法保存的字符", "The push has characters in it that cannot be stored"), retryable=False
        )
    return dict(pairs)


def _sent_at(timestamp: str) -> datetime:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 10):
        raise ValidationProblem(Text("推送的 timestamp 无效", "The push's timestamp is not valid"), retryable=False)
    return datetime.fromtimestamp(int(timestamp), UTC)
