"""How an OAuth 2 client shows who it is, and how a token request is written.

Source: RFC 6749, 2.3 (secrets); RFC 7521 and RFC 7523 (signed assertions); OpenID Connect Core 1.0, 9 (names of the
methods).
"""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from domain.catalog.web import OAuth2Client, TokenRequestEncoding

Fields = dict[str, str | list[str]]

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFETIME_S = 60


def prove_client(client: OAuth2Client, audience: str) -> tuple[Mapping[str, str], Fields]:
    """Headers and fields that authenticate the client. audience: the endpoint that an assertion is made out to."""
    identity = client.id or ""
    secret = client.secret.get_secret_value() if client.secret else ""
    match client.authentication:
        case "client_secret_basic":
            pair = f"{quote(identity, safe='')}:{quote(secret, safe='')}"
            return {"authorization": "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")}, {}
        case "client_secret_post":
            return {}, {"client_id": identity, "client_secret": secret}
        case "client_secret_jwt" | "private_key_jwt":
            assertion = (
                client.assertion.get_secret_value() if client.assertion else sign_assertion(identity, secret, audience)
            )
            return {}, {
                "client_id": identity,
                "client_assertion_type": _JWT_BEARER,
                "client_assertion": assertion,
            }
        case "none":
            return {}, {"client_id": identity} if identity else {}


def sign_assertion(identity: str, secret: str, audience: str) -> str:
    """A JWT, signed with the client's secret (HS256), that is good once and for one minute."""
    issued_at = int(time.time())
    claims = {
        "iss": identity,
        "sub": identity,
        "aud": audience,
        "jti": str(uuid.uuid4()),
        "iat": issued_at,
        "exp": issued_at + _ASSERTION_LIFETIME_S,
    }
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
    signature = hmac.new(secret.encode("utf-8"), signed.encode("ascii"), hashlib.sha256).digest()
    return f"{signed}.{_base64url(signature)}"


def write_fields(fields: Fields, encoding: TokenRequestEncoding) -> tuple[bytes, str]:
    """The body of a token request and its content type. A list repeats the field in a form."""
    if encoding == "application/json":
        plain = {
            name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in fields.items()
        }
        return json.dumps(plain).encode("utf-8"), encoding
    return urlencode(fields, doseq=True).encode("ascii"), encoding


def _segment(claims: Mapping[str, object]) -> str:
    return _base64url(json.dumps(claims, separators=(",", ":")).encode("utf-8"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
