"""What several examples hold."""

from typing import Any

AT = "2026-11-11T00:00:00Z"
DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
EVENT = {
    "specversion": "1.0",
    "id": "a-1",
    "source": "/pos/store-0017",
    "type": "com.example.visit",
    "subject": "customer:42",
    "data": {"seconds": 300},
}


def page(*items: Any) -> dict[str, Any]:
    return {"items": list(items), "next_cursor": None}
