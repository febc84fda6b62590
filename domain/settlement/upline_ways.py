"""The ways in which a scheme lets somebody above earn by those below them."""

from collections.abc import Sequence
from typing import NamedTuple

from domain.settlement.scheme import Scheme


class UplineWay(NamedTuple):
    """level: how far above, 1 being the nearest. above, below: the roles that earn by it, and those that it is earned
    by; empty for all."""

    level: int
    above: tuple[str, ...]
    below: tuple[str, ...]


def upline_ways(scheme: Scheme) -> Sequence[UplineWay]:
    """Every way, in the order of the scheme; none by a share of nothing."""
    roles = {each.name: each.roles for each in scheme.components}
    found: list[UplineWay] = []
    for each in scheme.components:
        if each.override is not None:
            below = roles.get(each.override.component, ())
            rates = enumerate(each.override.rates, start=1)
            found += [UplineWay(level, each.roles, below) for level, rate in rates if rate]
        elif each.level:
            found.append(UplineWay(each.level, each.roles, ()))
    return found
