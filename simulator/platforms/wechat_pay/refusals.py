"""How API v3 refuses."""

from __future__ import annotations

import json

UNSIGNED = frozenset({401, 429, 500})
"""What is answered before the caller is known: a wrong signature, too many calls, trouble of the platform's own. A
limit that the caller has reached is told by 429 as well."""


class Refused(Exception):
    """A refusal: an HTTP status with a code. of_caller: one that can only be said of a caller who is known."""

    def __init__(self, status: int, code: str, message: str, *, of_caller: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.is_signed = of_caller or status not in UNSIGNED

    @property
    def content(self) -> bytes:
        """What is answered."""
        return json.dumps({"code": self.code, "message": self.message}, ensure_ascii=False).encode()
