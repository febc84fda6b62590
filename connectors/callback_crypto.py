"""The callback encryption that WeCom, Official Accounts and WeChat Store share.

AES-256-CBC with the first 16 key bytes as IV, PKCS#7 with blocks of 32; inside: 16 random bytes, the message's length
(4 bytes, big-endian), the message, the receive id. Signature: sha1 of the sorted parts.
Source: developer.work.weixin.qq.com, message encryption; locked to its published samples by the tests.
"""

import base64
import binascii
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from connectors.webhooks import Refusal
from domain.problems import AuthenticationProblem, ConfigurationProblem, Text

_BLOCK_BITS = 256
_SALT_BYTES = 16
_LENGTH_BYTES = 4


def callback_signature(token: str, timestamp: str, nonce: str, encrypted: str = "") -> str:
    """`msg_signature` of an encrypted callback; without `encrypted`, the plain `signature`."""
    joined = "".join(sorted((token, timestamp, nonce, encrypted)))
    return hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest()


def check_callback_signature(given: str, token: str, timestamp: str, nonce: str, encrypted: str = "") -> None:
    """Raises AuthenticationProblem unless the signature is right."""
    expected = callback_signature(token, timestamp, nonce, encrypted)
    if not hmac.compare_digest(expected.encode(), given.lower().encode()):
        raise AuthenticationProblem(
            Text(
                "回调签名不正确，请核对账号设置中的 Token",
                "Wrong callback signature; check the Token in the account's settings",
            ),
            reason=Refusal.SIGNATURE,
            retryable=False,
        )


class CallbackCipher:
    """Opens and seals callback messages of one account. Raises ConfigurationProblem for an impossible key."""

    def __init__(self, encoding_aes_key: str, receive_id: str) -> None:
        try:
            key = base64.b64decode(encoding_aes_key + "=", validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32:
            raise ConfigurationProblem(
                Text(
                    "EncodingAESKey 应为 43 位字母或数字，请在账号设置中更正",
                    "EncodingAESKey must be 43 letters or digits; correct it in the account's settings",
                ),
                retryable=False,
            )
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16]))
        self._receive_id = receive_id

    def open(self, encrypted: str) -> bytes:
        """The message. Raises AuthenticationProblem when it was not sealed with our key, for us."""
        try:
            sealed = base64.b64decode(encrypted, validate=True)
            decryptor = self._cipher.decryptor()
            unpadder = PKCS7(_BLOCK_BITS).unpadder()
            padded = decryptor.update(sealed) + decryptor.finalize()
            plain = unpadder.update(padded) + unpadder.finalize()
        except (binascii.Error, ValueError):
            raise _not_ours() from None
        start = _SALT_BYTES + _LENGTH_BYTES
        end = start + int.from_bytes(plain[_SALT_BYTES:start], "big")
        if len(plain) < start or end > len(plain) or plain[end:] != self._receive_id.encode():
            raise _not_ours()
        return plain[start:end]

    def seal(self, message: bytes, salt: bytes) -> str:
        """The text that travels; `salt` is 16 random bytes."""
        if len(salt) != _SALT_BYTES:
            raise ValueError("the salt has 16 bytes")
        plain = salt + len(message).to_bytes(_LENGTH_BYTES, "big") + message + self._receive_id.encode()
        padder = PKCS7(_BLOCK_BITS).padder()
        encryptor = self._cipher.encryptor()
        padded = padder.update(plain) + padder.finalize()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def _not_ours() -> AuthenticationProblem:
    return AuthenticationProblem(
        Text(
            "回调内容无法用本账号的密钥解开，请核对 EncodingAESKey 与企业或应用标识",
            "The callback cannot be opened with this account's key; check EncodingAESKey and the corp's or app's id",
        ),
        reason=Refusal.RECEIVER,
        retryable=False,
    )
