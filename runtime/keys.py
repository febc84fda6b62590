"""The secrets of an installation: keyrings and the token pepper, made once and kept in files only their owner reads."""

import base64
import binascii
import os
import re
import secrets
from pathlib import Path

_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
KEY_BYTES = 32


def parse_keyring(text: str) -> dict[str, bytes]:
    """Keys by id; the first one is current.

    :raises ValueError: not `kid:base64,kid:base64`, a key that is not 32 bytes long, or an id twice.
    """
    keyring: dict[str, bytes] = {}
    for entry in text.split(","):
        key_id, _, encoded = entry.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise ValueError("a key is not base64") from error
        if not _KEY_ID.fullmatch(key_id) or key_id in keyring or len(key) != KEY_BYTES:
            raise ValueError("a key needs an id of its own and 32 bytes")
        keyring[key_id] = key
    return keyring


def new_keyring() -> str:
    """A keyring with one new key."""
    return f"k{secrets.token_hex(4)}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def new_pepper() -> str:
    return secrets.token_urlsafe(32)


def read_secret(directory: Path, name: str) -> str | None:
    """The secret in a file, or None when there is no such file."""
    try:
        return (directory / name).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def write_secret(directory: Path, name: str, value: str) -> None:
    """Keep a secret in a file of mode 0600, whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = directory / f".{name}.{os.getpid()}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(directory / name)
