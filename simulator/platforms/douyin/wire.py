"""How Douyin writes things: signatures, sorted JSON, ciphertext with a search index.

Sources: op.jinritemai.com, calling conventions, message service and encryption, as quoted by public SDKs [S].
"""

from __future__ import annotations

import base64
import hmac
import json
from datetime import datetime
from hashlib import md5, sha256
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

PHONE, TEXT, ADDRESS = "$", "#", "~"
"""Marks of a ciphertext by what it holds: `$index$cipher$1$$`, `#index#cipher#1#`, `~index~cipher~1~` [S]."""


def compact(value: Any) -> str:
    """JSON as the platform writes it: compact, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_sorted(text: str) -> bool:
    """Whether parameters are written as the platform wants them signed: sorted on every level, compact, unescaped."""
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return text == json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def request_sign(app_key: str, method: str, params: str, timestamp: str, version: str, app_secret: str) -> str:
    """Hex HMAC-SHA256 over the named values between two secrets."""
    text = f"{app_secret}app_key{app_key}method{method}param_json{params}timestamp{timestamp}v{version}{app_secret}"
    return hmac.new(app_secret.encode(), text.encode(), sha256).hexdigest()


def event_sign(app_key: str, body: bytes, app_secret: str) -> str:
    """Header `event-sign`: md5(app_key + raw body + app_secret), lower-case hex."""
    return md5(app_key.encode() + body + app_secret.encode(), usedforsecurity=False).hexdigest()


def conceal(data_key: str, text: str, mark: str, salt: str) -> str:
    """Personal data as the shop's ciphertext: equal texts have an equal index and, by the salt, another cipher [U]."""
    index = base64.b64encode(hmac.new(bytes.fromhex(data_key), text.encode(), sha256).digest()[:12]).decode()
    iv = sha256(salt.encode()).digest()[:16]
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(bytes.fromhex(data_key)), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padder.update(text.encode()) + padder.finalize()) + encryptor.finalize()
    tail = f"{mark}1{mark}{mark if mark == PHONE else ''}"
    return f"{mark}{index}{mark}{base64.b64encode(iv + sealed).decode()}{tail}"


def seconds(at: datetime | None) -> int:
    """An instant in whole seconds; 0 for none."""
    return int(at.timestamp()) if at else 0


def number(text: str) -> int:
    """An id that the platform writes as a number, which is what its digits make; 0 for none."""
    digits = "".join(letter for letter in text if letter in "0123456789")
    return int(digits) if digits else 0
