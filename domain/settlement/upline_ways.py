"""The ways in which a scheme lets somebody above earn by those below them, and how far that is from the buyer."""

from collections.abc import Sequence
from typing import NamedTuple

from domain.settlement.attribution import AttributionRules
from domain.settlement.scheme import LINE_BASES, Scheme


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


class Reach(NamedTuple):
    """How many levels of recruitment lie between a buyer and who earns by them the furthest away, and the roles that
    invitations lead to on the way there; 0 and none where no role is found by invitations."""

    levels: int = 0
    roles: Sequence[str] = ()


def furthest_reach(scheme: Scheme, rules: AttributionRules) -> Reach:
    """How far a scheme pays away from a buyer whose payee is found by invitations.

    A chain of invitations ends at the first payee, so it leads to one of them however many roles are looked for by it;
    what is above that payee goes on from there. Channel codes, stores, influencers and shops are no recruitment.
    """
    recruited = {role: rules.invitations_of(role) for role in rules.roles if not scheme.roles or role in scheme.roles}
    own = [(each.roles, 0) for each in scheme.components if each.base in LINE_BASES and not each.level]
    above = [(way.below, way.level) for way in upline_ways(scheme)]
    found = Reach()
    for roles, level in (*own, *above):
        earned_by = {role: levels for role, levels in recruited.items() if levels and (not roles or role in roles)}
        most = max(earned_by.values(), default=0)
        if most and most + level > found.levels:
            found = Reach(most + level, [role for role, levels in earned_by.items() if levels == most])
    return found
