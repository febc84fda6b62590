"""Nicknames and names in the one form in which two of them are compared."""

import unicodedata
from collections.abc import Mapping
from typing import Any

CONSIGNEES = frozenset({"meituan", "eleme"})
"""Platforms that tell as a buyer's nickname who takes the goods in: a real name, and not always the buyer's."""


def normalised(nickname: str) -> str:
    """A name without what people do not see or type: width, case, spaces. `Ｌｉ　Na` and `li na` are one."""
    return "".join(unicodedata.normalize("NFKC", nickname).casefold().split())


def buyers_nickname(platform: str, buyer: Mapping[str, Any] | None) -> str:
    """The nickname of an order's buyer, normalised; empty without one that the platform tells whole."""
    nickname = (buyer or {}).get("nickname")
    whole = normalised(nickname) if isinstance(nickname, str) and platform not in CONSIGNEES else ""
    return "" if "*" in whole else whole
