"""How API v3 refuses."""

from __future__ import annotations


class Refused(Exception):
    """A refusal: an HTTP status with a code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
