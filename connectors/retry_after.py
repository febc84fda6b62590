"""How long a service asks to be left alone: `Retry-After`, in seconds or as a date. Source: RFC 9110, 10.2.3."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MOST_DIGITS = 9


def asked_wait_s(headers: Mapping[str, str], now: datetime, longest_s: float) -> float | None:
    """Seconds from now, never more than `longest_s` and never negative; None when nothing readable is asked."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        seconds = float(text[:_MOST_DIGITS])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), longest_s)
