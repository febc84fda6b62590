"""Field encryption: personal data and credentials are unreadable in tables, dumps and replicas.

AES-256-GCM with a fresh nonce per value. The ciphertext names its key, and is bound to its `table.column`, so that it
cannot be moved to another column. Keys are HKDF-derived per purpose from the keys of the setting: a field key and an
audit key never coincide.

Rotation: put a new key in front of the setting; new values use it, old ones stay readable; `storage.rekey.rekey`
rewrites them; then the old key may go (audit entries are never rewritten: keep it while they must be readable).

Stored layout: `0x01 | length of key id | key id | 12-byte nonce | ciphertext and 16-byte tag`. Of columns that were in
plain text once: `0x00 | plaintext`, until they are rewritten.
"""

import hmac
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator

from domain.ids import canonical_json
from domain.problems import ConfigurationProblem, RuntimeProblem, Text

KEY_BYTES = 32
_LAYOUT = 1
_NONCE_BYTES = 12
_TAG_BYTES = 16
_PLAIN = b"\x00"
_ONCE_PLAIN = frozenset({"consents.source", "identity_decisions.reason", "suppressions.note", "tag_marks.reason"})
"""Columns that 0070 of the schema began to encrypt. Nothing else is read that no key vouches for."""
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")


class Keyring:
    """Keys by id; the first one writes, all of them read."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise _bad_keys(Text("至少需要一个密钥", "at least one key is needed"))
        for key_id, key in keys.items():
            if not _KEY_ID.fullmatch(key_id):
                raise _bad_keys(
                    Text(
                        f"密钥编号“{key_id}”只能由 1 到 32 个字母、数字、点、下划线或连字符组成",
                        f"the key id “{key_id}” must be 1 to 32 letters, digits, dots, underscores or hyphens",
                    )
                )
            if len(key) != KEY_BYTES:
                raise _bad_keys(
                    Text(
                        f"密钥 {key_id} 应为 {KEY_BYTES} 字节，实际为 {len(key)} 字节",
                        f"key {key_id} has {len(key)} bytes, not {KEY_BYTES}",
                    )
                )
        self._keys = dict(keys)
        self.current_id = next(iter(self._keys))
        self._derive = lru_cache(maxsize=256)(self._derive_key)
        self._cipher = lru_cache(maxsize=64)(lambda key_id: AESGCM(self._derive(key_id, "field")))

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def encrypt(self, plaintext: bytes, context: str) -> bytes:
        """The stored form of a value that belongs to `context` (`table.column`)."""
        header = self.header(self.current_id)
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + self._cipher(self.current_id).encrypt(nonce, plaintext, _bound_to(header, context))

    def decrypt(self, stored: bytes, context: str) -> bytes:
        """The value behind a stored form.

        :raises ConfigurationProblem: its key is not in the keyring any more.
        :raises RuntimeProblem: it was altered, belongs to another column, or its key has another value today.
        """
        if stored[:1] == _PLAIN and context in _ONCE_PLAIN:
            return stored[1:]
        key_id, header_length = _read_header(stored, context)
        if key_id not in self._keys:
            raise ConfigurationProblem(
                Text(
                    f"{context} 的数据由密钥“{key_id}”加密，而当前设置中没有它。"
                    "请把该密钥加回 TANDEM_FIELD_KEYS 的末尾。",
                    f"Data in {context} was encrypted with the key “{key_id}”, which the settings do not hold. "
                    "Put it back at the end of TANDEM_FIELD_KEYS.",
                ),
                key=key_id,
            )
        nonce, sealed = stored[header_length : header_length + _NONCE_BYTES], stored[header_length + _NONCE_BYTES :]
        try:
            return self._cipher(key_id).decrypt(nonce, sealed, _bound_to(stored[:header_length], context))
        except InvalidTag:
            raise _unreadable(context) from None

    def mac(self, purpose: str, message: bytes, *, key_id: str | None = None) -> bytes:
        """HMAC-SHA256 of a message under this purpose's own key; for chains and for looking up encrypted values.

        :raises ConfigurationProblem: the named key is not in the keyring.
        """
        key_id = key_id or self.current_id
        if key_id not in self._keys:
            raise _bad_keys(Text(f"没有密钥“{key_id}”", f"there is no key “{key_id}”"))
        return hmac.digest(self._derive(key_id, purpose), message, "sha256")

    @staticmethod
    def header(key_id: str) -> bytes:
        """The first bytes of every value that this key wrote."""
        return bytes((_LAYOUT, len(key_id))) + key_id.encode()

    def _derive_key(self, key_id: str, purpose: str) -> bytes:
        derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"tandem/" + purpose.encode())
        return derivation.derive(self._keys[key_id])


def _bound_to(header: bytes, context: str) -> bytes:
    return header + b"\x00" + context.encode()


def _read_header(stored: bytes, context: str) -> tuple[str, int]:
    length = 2 + stored[1] if len(stored) > 2 and stored[0] == _LAYOUT else 0
    if not length or len(stored) < length + _NONCE_BYTES + _TAG_BYTES:
        raise _unreadable(context)
    return stored[2:length].decode("ascii", "replace"), length


def _unreadable(context: str) -> RuntimeProblem:
    return RuntimeProblem(
        Text(
            f"{context} 中的加密数据无法读取：内容被改动，或密钥的值不是写入时的那一个",
            f"Encrypted data in {context} cannot be read: it was altered, or its key has another "
            "value than when it was written",
        )
    )


def _bad_keys(reason: Text) -> ConfigurationProblem:
    return ConfigurationProblem(
        Text(
            f"字段加密密钥设置（TANDEM_FIELD_KEYS）不正确：{reason.zh}。"
            "格式：编号:base64(32 字节)，逗号分隔，最新的在前。",
            f"The field keys (TANDEM_FIELD_KEYS) are wrong: {reason.en}. Format: id:base64 of 32 bytes, "
            "separated by commas, the newest first.",
        )
    )


# Each engine has a dialect of its own, so two databases in one process can have different keys.
_keyrings: WeakKeyDictionary[Dialect, Keyring] = WeakKeyDictionary()


def use_keyring(dialect: Dialect, keyring: Keyring) -> None:
    """Let the encrypted columns of an engine use these keys."""
    _keyrings[dialect] = keyring


def _keyring_of(dialect: Dialect) -> Keyring:
    try:
        return _keyrings[dialect]
    except KeyError:
        raise _bad_keys(Text("此连接未设置密钥", "this connection was given none")) from None


class _Encrypted(TypeDecorator[Any], ABC):
    """A `bytea` column whose values are encrypted on the way in and decrypted on the way out; NULL stays NULL."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, context: str) -> None:
        super().__init__()
        self.context = context

    @abstractmethod
    def encode(self, value: Any) -> bytes: ...

    @abstractmethod
    def decode(self, plaintext: bytes) -> Any: ...

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        return None if value is None else _keyring_of(dialect).encrypt(self.encode(value), self.context)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.decode(_keyring_of(dialect).decrypt(bytes(value), self.context))


class EncryptedText(_Encrypted):
    """A string, encrypted. `context` is `table.column`."""

    cache_ok = True

    def encode(self, value: str) -> bytes:
        return value.encode()

    def decode(self, plaintext: bytes) -> str:
        return plaintext.decode()


class EncryptedBytes(_Encrypted):
    """Bytes, encrypted. `context` is `table.column`."""

    cache_ok = True

    def encode(self, value: bytes) -> bytes:
        return value

    def decode(self, plaintext: bytes) -> bytes:
        return plaintext


class EncryptedJson(_Encrypted):
    """A JSON value, encrypted. `context` is `table.column`."""

    cache_ok = True

    def encode(self, value: Any) -> bytes:
        return canonical_json(value)

    def decode(self, plaintext: bytes) -> Any:
        return json.loads(plaintext)


def encrypted_type(column_type: Any) -> _Encrypted | None:
    """The encrypted type of a column, None for one in plain text."""
    return column_type if isinstance(column_type, _Encrypted) else None
