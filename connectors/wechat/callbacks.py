"""WeChat's callbacks: is it from them, for us, and what does it say? In plain and in safe mode, as XML or as JSON.

Source: developers.weixin.qq.com, receiving messages and message encryption [O].
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.callback_crypto import CallbackCipher, check_callback_signature
from connectors.payloads import parse_flat_xml, parse_json_object
from connectors.reading import anomaly, not_from_the_future, text, whole_number
from connectors.webhooks import Refusal, Verified, WebhookRequest, read_or_keep
from connectors.wechat.settings import WechatSettings
from domain.ids import canonical_json, content_digest
from domain.problems import AuthenticationProblem, Text, ValidationProblem

REPLAY_WINDOW = timedelta(minutes=10)
_LAST_SECOND = 4_102_444_800


def verify_callback(request: WebhookRequest, settings: WechatSettings) -> Verified:
    """The callback in plain text, once its signature, its time and its receiver are right; a GET asks for the echo."""
    sent_at = _fresh(request.query.get("timestamp", ""), request.received_at)
    if request.method.upper() == "GET":
        _check(request, settings, "signature")
        echo = request.query.get("echostr", "").encode()
        return Verified("url_verification", echo, "", request.received_at, sent_at, echo=echo)
    payload = _opened(request, settings)
    if settings.encoding_aes_key is None:
        # In plain mode no signature covers the body: what cannot be read of it may be anybody's, and is refused.
        return read_callback(Verified("", payload, "", request.received_at, sent_at))
    return read_or_keep(request, payload, read_callback, sent_at)


def read_callback(kept: Verified) -> Verified:
    """What a callback says, opened."""
    fields = read_fields(kept.payload)
    # A repeated delivery is sealed anew but says the same, time and number of the message included.
    key = content_digest(canonical_json(fields))
    return Verified(_kind(fields), kept.payload, key, kept.received_at, kept.sent_at)


def read_fields(payload: bytes) -> dict[str, str]:
    """The fields of a callback by name, `Parent.Child` for what lies deeper. Raises ValidationProblem."""
    if payload.lstrip()[:1] == b"{":
        return dict(_flat("", parse_json_object(payload)))
    return parse_flat_xml(payload)


def created_at(fields: Mapping[str, str], received_at: datetime) -> datetime:
    """When the callback says that it happened."""
    seconds = whole_number(fields, "CreateTime")
    if not 0 < seconds < _LAST_SECOND:
        raise anomaly("CreateTime", Text("不是有效的时间", "is no valid time"))
    happened = datetime.fromtimestamp(seconds, UTC)
    not_from_the_future(happened, received_at, "CreateTime")
    return happened


def _opened(request: WebhookRequest, settings: WechatSettings) -> bytes:
    if settings.encoding_aes_key is None:
        _check(request, settings, "signature")
        if "Encrypt" in read_fields(request.body):
            raise ValidationProblem(
                Text(
                    "收到加密回调，请在账号设置中填写 encoding_aes_key",
                    "The callback is sealed; enter encoding_aes_key in the account's settings",
                ),
                retryable=False,
            )
        return request.body
    encrypted = read_fields(request.body).get("Encrypt", "")
    if not encrypted:
        raise AuthenticationProblem(
            Text(
                "账号使用安全模式，不接受明文回调，请在公众平台改为安全模式",
                "The account is in safe mode, so a plain callback is not believed: set safe mode on the platform",
            ),
            retryable=False,
            reason=Refusal.SIGNATURE,
        )
    _check(request, settings, "msg_signature", encrypted)
    return CallbackCipher(settings.encoding_aes_key.get_secret_value(), settings.app_id).open(encrypted)


def _check(request: WebhookRequest, settings: WechatSettings, name: str, encrypted: str = "") -> None:
    query = request.query
    check_callback_signature(
        query.get(name, ""),
        settings.token.get_secret_value(),
        query.get("timestamp", ""),
        query.get("nonce", ""),
        encrypted,
    )


def _kind(fields: Mapping[str, str]) -> str:
    if fields.get("MsgType", "event") == "event":
        return text(fields, "Event", limit=64)
    return text(fields, "MsgType", limit=64)


def _flat(prefix: str, value: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, item in value.items():
        path = f"{prefix}{name}"
        if isinstance(item, Mapping):
            found += _flat(f"{path}.", item)
        elif isinstance(item, bool):
            found.append((path, str(int(item))))
        elif item is not None and not isinstance(item, list):
            found.append((path, str(item)))
    return found


def _fresh(timestamp: str, received_at: datetime) -> datetime:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 10):
        raise ValidationProblem(Text("回调的 timestamp 无效", "The callback's timestamp is not valid"), retryable=False)
    sent_at = datetime.fromtimestamp(int(timestamp), UTC)
    if abs(received_at - sent_at) > REPLAY_WINDOW:
        raise AuthenticationProblem(
            Text(
                "回调的时间与本机相差超过 10 分钟：可能是重放，也请检查服务器时钟",
                "The callback's time is more than 10 minutes off: a replay, or the server's clock is wrong",
            ),
            retryable=False,
            reason=Refusal.STALE,
        )
    return sent_at
