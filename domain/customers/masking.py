"""A key as people see it who may not see it whole: enough to tell two apart, too little to use it."""

_DOTS = "****"


def masked_key(kind: str, value: str) -> str:
    """`+86138****8000`, `oABC****wxyz`; short values show their last character only."""
    if kind == "phone" and len(value) >= 11:
        return value[:6] + _DOTS + value[-4:]
    if len(value) >= 12:
        return value[:4] + _DOTS + value[-4:]
    return _DOTS + value[-1:]
