"""WeCom callback encryption: AES-256-CBC, PKCS#7 to 32 bytes, sha1 over the sorted parts.

Source: developer.work.weixin.qq.com, "加解密方案说明"; locked to the published samples by the tests.
"""

from __future__ import annotations

import base64
from hashlib import sha1

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

_BLOCK_BITS = 256
_RANDOM_BYTES = 16
_LENGTH_BYTES = 4


def signature(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    """`msg_signature` of a callback."""
    parts = sorted((token, timestamp, nonce, encrypted))
    return sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()


def encrypt(encoding_aes_key: str, message: bytes, receive_id: str, random16: bytes) -> str:
    """The Base64 text that travels in <Encrypt>; `random16` is the salt in front."""
    padder = PKCS7(_BLOCK_BITS).padder()
    plain = random16 + len(message).to_bytes(_LENGTH_BYTES, "big") + message + receive_id.encode()
    encryptor = _cipher(encoding_aes_key).encryptor()
    return base64.b64encode(encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()).decode()


def decrypt(encoding_aes_key: str, encrypted: str) -> tuple[bytes, str]:
    """The message and the receive id of an <Encrypt> text. ValueError if it is not one."""
    decryptor = _cipher(encoding_aes_key).decryptor()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    padded = decryptor.update(base64.b64decode(encrypted, validate=True)) + decryptor.finalize()
    plain = (unpadder.update(padded) + unpadder.finalize())[_RANDOM_BYTES:]
    length = int.from_bytes(plain[:_LENGTH_BYTES], "big")
    body = plain[_LENGTH_BYTES:]
    if length > len(body):
        raise ValueError("the message is shorter than its length says")
    return body[:length], body[length:].decode()


def _cipher(encoding_aes_key: str) -> Cipher[modes.CBC]:
    key = base64.b64decode(encoding_aes_key + "=")
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))
