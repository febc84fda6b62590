"""An invisible mark at the end of a message, so that it can be recognised in the platform's list of sent messages.

WeCom has no idempotency key for messages. Twenty zero-width characters carry forty bits of the effect's key; the reader
sees nothing of them. Whether the platform keeps them is not documented [U]: a message found without any mark is taken
for ours when its text and its receiver are, so that nothing is ever sent twice either way.
"""

import hashlib

_DIGITS = "\u200b\u200c\u2060\u2063"
_LENGTH = 20


def mark_of(key: str) -> str:
    """The characters that a message of this key ends with, whatever it says."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:5], "big")
    return "".join(_DIGITS[number >> 2 * place & 3] for place in range(_LENGTH))


def marked(text: str, key: str) -> str:
    """The text with the mark of the key."""
    return text + mark_of(key)


def mark_in(text: str) -> str | None:
    """The mark that a text ends with; None where it has none."""
    tail = text[-_LENGTH:]
    return tail if len(tail) == _LENGTH and all(character in _DIGITS for character in tail) else None


def unmarked(text: str) -> str:
    """The text as its author wrote it, any mark taken off."""
    return text if mark_in(text) is None else text[:-_LENGTH]
