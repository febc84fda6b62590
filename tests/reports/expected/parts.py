"""Cells by the keys of their rows, and amounts cut into parts."""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

Cells = defaultdict[tuple[Any, ...], dict[str, Any]]
"""Rows by the values of their key, in the order of the report's key; of the other columns by name."""
Place = TypeVar("Place")
PHONE, MASKED = "13698765432", "136****5432"
"""A number that people wrote into free texts, and how it is shown."""


def cut(amount: int, weights: Mapping[Place, int | Decimal], nowhere: Place) -> dict[Place, int]:
    """An amount in proportion to weights above nothing, to the unit: whoever lost most by cutting off has the rest, the
    first by name of equal ones. What nothing weighs stands nowhere."""
    above = {place: Fraction(weight) for place, weight in weights.items() if weight > 0}
    if not above:
        return {nowhere: amount}
    sign, whole = -1 if amount < 0 else 1, sum(above.values())
    exact = {place: abs(amount) * weight / whole for place, weight in above.items()}
    parts = {place: int(part) for place, part in exact.items()}
    lost = sorted(exact, key=lambda place: (parts[place] - exact[place], place))
    for place in lost[: abs(amount) - sum(parts.values())]:
        parts[place] += 1
    return {place: sign * part for place, part in parts.items()}


def to_unit(exact: Fraction) -> int:
    """The nearest whole number, away from nothing where two are as near."""
    whole = int(abs(exact) + Fraction(1, 2))
    return -whole if exact < 0 else whole
