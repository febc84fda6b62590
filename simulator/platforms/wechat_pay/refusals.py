"""How API v3 refuses."""

from __future__ import annotations

import json

UNSIGNED = frozenset({401, 429, 500})
"""What is answered before the caller is known: a wrong signature, too many calls, trouble of the platform's own."""


class Refused(Exception):
    """A refusal: an HTTP status with a code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    @property
    def content(self) -> bytes:
        """What is answered."""
        return json.dumps({"code": self.code, "message": self.message}, ensure_ascii=False).encode()
