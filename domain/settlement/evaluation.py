"""What payees earn by a scheme: of their own doing first, then by what their downline sold and earned.

Both steps look at one payee at a time, so that payees can be cut into parts, in any order, as often as one likes, and
come to the same. What an upline needs of a downline is added up in between.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from domain.settlement.exact import EXACT, RATE, WEIGHT, rounded
from domain.settlement.scheme import DONE_BASES, Component, Factor, Scheme


class Earning(NamedTuple):
    """What one component comes to for one payee.

    base: in `exact.WEIGHT`; of an override what the downline earned, in minor units. amount: in minor units, less than
    nothing for what is taken off.
    """

    component: str
    base: int
    amount: int


class Doings(NamedTuple):
    """What is known of a payee's own period.

    bases: by component, in `exact.WEIGHT`. by_line: by component of the grain `line`, what its lines came to, rounded
    one by one, in minor units. scores: by name. unrounded: bases that are finer than `exact.WEIGHT`, as exchange
    differences are, to their last decimal. is_present: whether they were active in the period at all.
    """

    role: str
    bases: Mapping[str, int]
    by_line: Mapping[str, int] = {}
    scores: Mapping[str, int] = {}
    unrounded: Mapping[str, Fraction] = {}
    is_present: bool = True


class Downline(NamedTuple):
    """What is known of those below a payee: bases of what they sold, by component of a level; what they earned, by
    component and level, in minor units."""

    bases: Mapping[str, int]
    earned: Mapping[tuple[str, int], int]


def earned_alone(scheme: Scheme, doings: Doings) -> list[Earning]:
    """What a payee earns by their own sales, deeds and scores, in the order of the scheme; who was not present in the
    period by what they sold and did, as an order that is completed after they left."""
    return [
        _earning(scheme, each, _base(each, doings), doings)
        for each in scheme.components
        if each.override is None
        and each.level == 0
        and _is_for(each, doings.role)
        and (doings.is_present or _was_done(each, doings))
    ]


def earned_by_downline(scheme: Scheme, doings: Doings, downline: Downline) -> list[Earning]:
    """What a payee earns by those below them, in the order of the scheme."""
    found = []
    for each in scheme.components:
        if not _is_for(each, doings.role):
            continue
        if each.override is not None:
            parts = [downline.earned.get((each.override.component, level), 0) for level, _ in _levels(each)]
            exact = sum(part * rate for part, (_, rate) in zip(parts, _levels(each), strict=True))
            amount = _settled(scheme, each, exact, RATE, doings)
            found.append(Earning(each.name, sum(parts), amount))
        elif each.level > 0:
            found.append(_earning(scheme, each, downline.bases.get(each.name, 0), doings))
    return found


def bounded(scheme: Scheme, total: int, *, is_present: bool = True) -> int:
    """A payee's sum within the scheme's floor and cap; no floor is there for who was not present."""
    if scheme.floor is not None and is_present:
        total = max(total, scheme.floor)
    return total if scheme.cap is None else min(total, scheme.cap)


def _is_for(component: Component, role: str) -> bool:
    return not component.roles or role in component.roles


def _levels(component: Component) -> list[tuple[int, int]]:
    """The levels of an override, the nearest being 1, and their rates."""
    return list(enumerate(component.override.rates, start=1)) if component.override is not None else []


def _base(component: Component, doings: Doings) -> int:
    match component.base:
        case "period":
            return WEIGHT
        case "score":
            return doings.scores.get(str(component.score), 0) * WEIGHT
        case _:
            return doings.bases.get(component.name, 0)


def _was_done(component: Component, doings: Doings) -> bool:
    """Whether anything was sold or done that counts for a component."""
    told = (doings.bases, doings.by_line, doings.unrounded)
    return component.base in DONE_BASES and any(each.get(component.name) for each in told)


def _earning(scheme: Scheme, component: Component, base: int, doings: Doings) -> Earning:
    if component.grain == "line":
        amount = _settled(scheme, component, doings.by_line.get(component.name, 0), 1, doings)
    else:
        # What is finer than a base can be is earned in proportion: numerator and denominator go their ways.
        fine = doings.unrounded.get(component.name)
        whole, parts = (base, 1) if fine is None else (fine.numerator, fine.denominator)
        # What is due whatever is done is not due to who was not there.
        exact = component.formula.earned(whole) if component.formula is not None and (whole or doings.is_present) else 0
        amount = _settled(scheme, component, exact, EXACT * parts, doings)
    return Earning(component.name, base, amount)


def _settled(scheme: Scheme, component: Component, exact: int, denominator: int, doings: Doings) -> int:
    """An exact sum times the coefficient, rounded once, within floor and cap; less than nothing for a deduction."""
    if component.factor is not None:
        exact, denominator = exact * _times(component.factor, doings.scores), denominator * WEIGHT
    amount = rounded(exact, denominator, grain=scheme.grain, rule=scheme.rounding)
    if component.floor is not None and doings.is_present:
        amount = max(amount, component.floor)
    if component.cap is not None:
        amount = min(amount, component.cap)
    return -amount if component.deducts else amount


def _times(factor: Factor, scores: Mapping[str, int]) -> int:
    score = scores.get(factor.score, 0)
    return next((step.worth for step in reversed(factor.steps) if score >= step.mark), 0)
