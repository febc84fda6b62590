"""Signatures by Standard Webhooks: HMAC-SHA-256 over `id.timestamp.body`, in `webhook-*` headers.

Source: standardwebhooks.com, specification of symmetric signatures (`v1`); the library `standardwebhooks` signs.
"""

import binascii
import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from typing import NamedTuple

from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from connectors.webhooks import Refusal, WebhookRequest
from domain.problems import AuthenticationProblem, Text, ValidationProblem

REPLAY_WINDOW = timedelta(minutes=5)
_LONGEST_ID = 128
_MOST_SIGNATURES = 8
_LEAST_SECRET_BYTES = 16


class Signed(NamedTuple):
    """Who a message says it is. id: the same for every delivery of it."""

    id: str
    sent_at: datetime


def checked_secret(secret: SecretStr) -> SecretStr:
    """For settings: the secret itself; raises ValueError unless it is base64 of 16 bytes or more (after `whsec_`)."""
    try:
        raw = binascii.a2b_base64(secret.get_secret_value().removeprefix("whsec_"))
    except (binascii.Error, ValueError):
        raise ValueError("应为 base64 · this must be base64") from None
    if len(raw) < _LEAST_SECRET_BYTES:
        raise ValueError(f"至少 {_LEAST_SECRET_BYTES} 字节 · this must hold {_LEAST_SECRET_BYTES} bytes or more")
    return secret


def new_secret() -> str:
    """A secret that nobody knows."""
    return "whsec_" + b64encode(token_bytes(24)).decode()


def sign_message(
    secret: SecretStr, message_id: str, sent_at: datetime, body: bytes, *, previous: SecretStr | None = None
) -> dict[str, str]:
    """The headers of a signed message; its body is UTF-8.

    previous: the secret before this one, while receivers change over; they take a message that either of both signed.
    """
    secrets = [secret] if previous is None else [secret, previous]
    signature = " ".join(Webhook(each.get_secret_value()).sign(message_id, sent_at, body.decode()) for each in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": signature,
    }


def check_message(request: WebhookRequest, secrets: Sequence[SecretStr]) -> Signed:
    """Who the message is from, by any of the secrets (the present one, and the one before it).

    :raises AuthenticationProblem: no signature fits, or the time is more than 5 minutes off.
    :raises ValidationProblem: the body is no UTF-8.
    """
    message_id = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "")
    given = request.headers.get("webhook-signature", "").split(" ")[:_MOST_SIGNATURES]
    if not (0 < len(message_id) <= _LONGEST_ID and message_id.isascii() and message_id.isprintable()):
        raise _refused(Text("缺少或不合法的 webhook-id", "webhook-id is missing or not valid"))
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 10):
        raise _refused(Text("缺少或不合法的 webhook-timestamp", "webhook-timestamp is missing or not valid"))
    sent_at = datetime.fromtimestamp(int(timestamp), UTC)
    try:
        body = request.body.decode()
    except UnicodeDecodeError:
        raise ValidationProblem(Text("请求体不是 UTF-8", "The body is no UTF-8"), retryable=False) from None
    expected = [Webhook(secret.get_secret_value()).sign(message_id, sent_at, body) for secret in secrets]
    matches = [hmac.compare_digest(one.encode(), right.encode()) for one in given for right in expected]
    if not any(matches):
        raise _refused(Text("签名不正确，请核对账号的 secret", "Wrong signature; check the account's secret"))
    if abs(request.received_at - sent_at) > REPLAY_WINDOW:
        raise _refused(
            Text(
                "推送的时间与本机相差超过 5 分钟：可能是重放，也请检查服务器时钟",
                "The push's time is more than 5 minutes off: a replay, or a clock is wrong",
            ),
            Refusal.STALE,
        )
    return Signed(message_id, sent_at)


def _refused(text: Text, reason: Refusal = Refusal.SIGNATURE) -> AuthenticationProblem:
    return AuthenticationProblem(text, reason=reason, retryable=False)
