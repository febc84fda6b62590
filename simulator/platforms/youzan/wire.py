"""How Youzan writes things: yuan strings, local times, ciphertext, signatures.

Sources: doc.youzanyun.com as quoted by public notes [S], and captured pushes in public code [S].
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from hashlib import md5
from typing import Any
from urllib.parse import quote_plus

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from simulator.seeding import CHINA

CIPHERTEXT_TAIL = "$1$"
"""Ciphertext looks like `$<base64>$1$` [S]; the cipher behind it is Youzan's secret, ours is a stand-in [U]."""
_FIXED_IV = bytes(16)
"""Equal plaintexts of a shop have equal ciphertexts on the platform [S], hence no random IV."""


def yuan(amount_minor: int) -> str:
    """Fen as the yuan string of orders and refunds, "12.90"."""
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def local(at: datetime | None) -> str:
    """An instant as `yyyy-MM-dd HH:mm:ss` in China, "" for none."""
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}" if at else ""


def instant(text: str) -> datetime:
    """`yyyy-MM-dd HH:mm:ss` in China as an instant. ValueError otherwise."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA).astimezone(UTC)


def compact(value: Any) -> str:
    """JSON as the platform writes it: compact, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def url_encoded(text: str) -> str:
    """Text as Java's URLEncoder writes it (space → +), which is how `msg` travels [S]."""
    return quote_plus(text, safe="*").replace("~", "%7E")


def event_sign(client_id: str, body: bytes, client_secret: str) -> str:
    """Header `Event-Sign`: md5(client_id + raw body + client_secret), lower-case hex [S]."""
    return md5(client_id.encode() + body + client_secret.encode(), usedforsecurity=False).hexdigest()


def body_sign(client_id: str, msg: str, client_secret: str) -> str:
    """The `sign` inside the body: md5(client_id + msg + client_secret); the header is what counts [S]."""
    return md5((client_id + msg + client_secret).encode(), usedforsecurity=False).hexdigest()


def conceal(data_key: str, text: str) -> str:
    """Personal data as the shop's ciphertext, `$…$1$`."""
    padder = PKCS7(128).padder()
    encryptor = _cipher(data_key).encryptor()
    sealed = encryptor.update(padder.update(text.encode()) + padder.finalize()) + encryptor.finalize()
    return f"${base64.b64encode(sealed).decode()}{CIPHERTEXT_TAIL}"


def reveal(data_key: str, ciphertext: str) -> str:
    """The plaintext of `conceal`. ValueError if it is not this shop's ciphertext."""
    if not ciphertext.startswith("$") or not ciphertext.endswith(CIPHERTEXT_TAIL):
        raise ValueError("not a ciphertext")
    sealed = base64.b64decode(ciphertext[1 : -len(CIPHERTEXT_TAIL)], validate=True)
    decryptor = _cipher(data_key).decryptor()
    unpadder = PKCS7(128).unpadder()
    padded = decryptor.update(sealed) + decryptor.finalize()
    return (unpadder.update(padded) + unpadder.finalize()).decode()


def _cipher(data_key: str) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(bytes.fromhex(data_key)), modes.CBC(_FIXED_IV))
