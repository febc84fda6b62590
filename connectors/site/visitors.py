"""Who a visitor is, as the merchant's server says it: claims signed for one site until a moment.

`base64url(JSON claims) + "." + base64url(HMAC-SHA-256(secret, site + "." + first part))`, without padding. Claims:
`exp` (Unix seconds) and at least one of `member_id`, `phone`, `unionid`. Anybody can read them, nobody can forge them.
"""

import binascii
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from connectors.payloads import parse_json_object
from connectors.webhooks import Refusal
from domain.problems import AuthenticationProblem, ProblemError, Text

LONGEST_LIFE = timedelta(days=31)
_LONGEST_TOKEN = 2_048


class Visitor(BaseModel):
    """The claims. phone: as people write it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exp: int = Field(gt=0, lt=4_102_444_800)
    member_id: str | None = Field(default=None, min_length=1, max_length=64)
    phone: str | None = Field(default=None, min_length=1, max_length=32)
    unionid: str | None = Field(default=None, min_length=1, max_length=64)


def sign_visitor(secret: SecretStr, site: str, claims: Mapping[str, Any]) -> str:
    """The signed text for a site's slug."""
    payload = _encoded(json.dumps(dict(claims), separators=(",", ":"), ensure_ascii=False).encode())
    return f"{payload}.{_encoded(_signature(secret, site, payload))}"


def read_visitor(secret: SecretStr, site: str, signed: str, now: datetime) -> Visitor:
    """The claims of a signed text.

    :raises AuthenticationProblem: not signed by this site's secret, for another site, over, or good for too long.
    """
    payload, _, signature = signed.partition(".")
    given = _decoded(signature) if len(signed) <= _LONGEST_TOKEN else None
    if given is None or not hmac.compare_digest(given, _signature(secret, site, payload)):
        raise _refused(Text("访客签名不正确", "The visitor's signature is wrong"))
    try:
        visitor = Visitor.model_validate(parse_json_object(_decoded(payload) or b""))
    except (ValidationError, ProblemError):
        raise _refused(Text("访客签名的内容不正确", "The signed claims of the visitor are wrong")) from None
    ends = datetime.fromtimestamp(visitor.exp, UTC)
    if ends < now:
        raise _refused(Text("访客签名已过期", "The visitor's signature is over"))
    if ends > now + LONGEST_LIFE:
        raise _refused(Text("访客签名的有效期超过 31 天", "The visitor's signature is good for more than 31 days"))
    return visitor


def _signature(secret: SecretStr, site: str, payload: str) -> bytes:
    key = binascii.a2b_base64(secret.get_secret_value().removeprefix("whsec_"))
    return hmac.new(key, f"{site}.{payload}".encode(), hashlib.sha256).digest()


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes | None:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None


def _refused(text: Text) -> AuthenticationProblem:
    return AuthenticationProblem(text, reason=Refusal.SIGNATURE, retryable=False)
