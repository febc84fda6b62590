"""Exact numbers of settlement: whole numbers over fixed denominators, rounded once, by a named rule.

A base (what somebody did) is kept in ten-thousandths, because order lines may be weighted; a rate in millionths. Their
product is an *exact sum* in ten-thousand-millionths of a minor unit. Nothing is ever a float, and nothing is lost until
`rounded`.
"""

from typing import Literal

WEIGHT = 10_000
"""Of a whole: a line that counts one and a half times has the weight 15,000."""
RATE = 1_000_000
"""Of a whole: five percent are 50,000. A sum for each unit is so many minor units times this."""
EXACT = WEIGHT * RATE
"""Of a minor unit: the denominator of an exact sum."""

Rounding = Literal["half-away", "half-even", "down", "up"]
ROUNDINGS: tuple[Rounding, ...] = ("half-away", "half-even", "down", "up")


def rounded(numerator: int, denominator: int = EXACT, *, grain: int = 1, rule: Rounding = "half-away") -> int:
    """The quotient in whole units, a multiple of `grain`.

    rule: `half-away` from zero (the usual one for money), `half-even`, `down` towards zero, `up` away from zero. All of
    them are odd functions: what is rounded for a purchase is undone exactly for its return.
    """
    unit = denominator * grain
    whole, rest = divmod(abs(numerator), unit)
    match rule:
        case "half-away":
            more = 2 * rest >= unit
        case "half-even":
            more = 2 * rest > unit or (2 * rest == unit and whole % 2 == 1)
        case "down":
            more = False
        case "up":
            more = rest > 0
    found = (whole + more) * grain
    return -found if numerator < 0 else found
