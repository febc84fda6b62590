"""An example of every operation's body and answer, by operation id."""

from typing import Any

REQUESTS: dict[str, Any] = {}
RESPONSES: dict[str, Any] = {}
