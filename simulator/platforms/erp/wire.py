"""Standard Webhooks by hand: HMAC-SHA-256 over `id.timestamp.content`.

Source: standardwebhooks.com [O].
"""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256


def secret_of(seed: str) -> str:
    """A secret in the form that the specification gives it."""
    return "whsec_" + base64.b64encode(sha256(seed.encode()).digest()[:24]).decode()


def headers(secret: str, message_id: str, timestamp: int, content: bytes) -> dict[str, str]:
    """The signed headers of a message."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.new(key, f"{message_id}.{timestamp}.".encode() + content, sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }
