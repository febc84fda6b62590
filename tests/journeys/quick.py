"""The shipped journeys and the rules of 犹豫型 and 加购未买 with every wait made short, and nothing else changed."""

import re
from pathlib import Path

JOURNEYS = ("new-customer-gift", "third-order", "unpaid-order", "live-coupon", "run-out", "cart-waiting")
_MORNING = re.compile(r"call: wait-until\n +with:\n +at: '10:00'\n")
_WAIT = re.compile(r"timeout: (?:PT30M|P3D)\n")
_WAIT_FOR_NOTHING = frozenset({"cart-waiting"})
"""Journeys that write at once: what they wait for beside that may not end before a message that takes its time."""
PATCH = ".1000"
"""How the short versions end; nobody ships such."""
_VERSION = re.compile(r"(version: '?1\.\d+)\.\d+")


def journey(name: str, pause_s: int) -> str:
    """A journey whose mornings, half hours and days are `pause_s` long, as version 1.x.1000."""
    text = Path(f"definitions/journeys/{name}.yaml").read_text(encoding="utf-8")
    if name not in _WAIT_FOR_NOTHING:
        text = _quick(text, pause_s)
    return _VERSION.sub(rf"\1{PATCH}", _MORNING.sub(f"wait: PT{pause_s}S\n", text))


def rules(pause_s: int) -> dict[str, str]:
    """The rules of 犹豫型 and 加购未买, by name, over the same pause instead of three days and half an hour."""
    both = Path("definitions/tags/hesitation.yaml").read_text(encoding="utf-8").split("---\n")
    short = (re.sub("P3D|PT30M", f"PT{pause_s}S", text) for text in both)
    return dict(zip(("hesitating", "cart-waiting"), (_VERSION.sub(rf"\1{PATCH}", text) for text in short), strict=True))


def _quick(text: str, pause_s: int) -> str:
    return _WAIT.sub(f"timeout: PT{pause_s}S\n", text)
