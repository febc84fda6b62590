"""Nicknames and names in the one form in which two of them are compared."""

import unicodedata


def normalised(nickname: str) -> str:
    """A name without what people do not see or type: width, case, spaces. `Ｌｉ　Na` and `li na` are one."""
    return "".join(unicodedata.normalize("NFKC", nickname).casefold().split())
