"""One WeCom call, its parameters and its answers.

Source: developer.work.weixin.qq.com, as read in its pages and in public SDKs [O]/[S].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.entities import App, Corp
from simulator.world import World

Json = dict[str, Any]

MESSAGES = {
    0: "ok",
    -1: "system busy",
    40001: "invalid credential",
    40003: "invalid UserID",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40056: "invalid agentid",
    40058: "invalid Request Parameter",
    40068: "invalid tagid",
    40071: "invalid tag name, duplicate",
    40096: "invalid external userid",
    41001: "access_token missing",
    41048: "no customer can be sent to",
    41050: "invalid welcome code",
    41051: "welcome message already sent",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    45009: "api freq out of limit",
    45033: "api concurrent out of limit",
    47001: "data format error",
    48002: "api forbidden",
    60011: "no privilege to access/modify contact/party/agent",
    60020: "not allow to access from your ip",
    84061: "not external contact",
}


class ErrCode(Exception):
    """A refusal: HTTP 200 with an errcode."""

    def __init__(self, code: int, hint: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.hint = hint


def answer(code: int = 0, hint: str = "", **more: Any) -> Json:
    """An answer's body; `errmsg` carries the code's words and a hint."""
    words = MESSAGES.get(code, "unknown")
    return {"errcode": code, "errmsg": f"{words}, {hint}" if hint else words, **more}


@dataclass(frozen=True)
class Call:
    """One call: the corp and app of its token, the query and the JSON body."""

    world: World
    corp: Corp
    app: App
    params: Json

    def text(self, name: str) -> str:
        """A non-empty string parameter. ErrCode 40058 otherwise."""
        value = self.params.get(name)
        if not isinstance(value, str) or not value:
            raise ErrCode(40058, f"{name} is needed")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of strings, empty when absent. ErrCode 40058 for anything else."""
        value = self.params.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ErrCode(40058, f"{name} must be a list of strings")
        return value

    def limit(self, most: int, default: int) -> int:
        """The page size; the default when it is absent or too large, as documented."""
        value = self.params.get("limit")
        return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most else default

    def offset(self) -> int:
        """Where the cursor points. ErrCode 40058 for a cursor that was not given out."""
        cursor = self.params.get("cursor") or ""
        if cursor == "":
            return 0
        prefix, _, number = str(cursor).rpartition(".")
        if prefix != self._cursor_mark() or not number.isdigit():
            raise ErrCode(40058, "invalid cursor")
        return int(number)

    def cursor(self, offset: int, total: int) -> str:
        """The next page's cursor, "" at the end."""
        return f"{self._cursor_mark()}.{offset}" if offset < total else ""

    def record(self, kind: str, subjects: dict[str, str], code: int = 0) -> None:
        """Writes an effect, or with a `code` an attempt, into the ledger."""
        self.world.ledger.record(kind, "wecom", self.corp.id, request=self.params, subjects=subjects, code=code)

    def _cursor_mark(self) -> str:
        return self.world.token("cursor", self.corp.id)[:12]


Handler = Callable[[Call], Json]
