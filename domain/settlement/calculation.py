"""A settlement computed in two passes over parts: what everybody earns alone, then what uplines earn by their downline.

Between the passes stands a barrier: what an upline gets to see is added up over all parts first. Every part can be done
again, alone and in any order, and comes to the same.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from domain.settlement.evaluation import Doings, Downline, Earning, bounded, earned_alone, earned_by_downline
from domain.settlement.scheme import Scheme

BOUNDS = "floor-and-cap"
"""The component that brings a payee's sum within the scheme's own floor and cap."""


class Member(NamedTuple):
    """A payee as they stood in the period. uplines: who is above them, the nearest first. is_present: whether they were
    active on any of its days; who was not earns by what they sold and did, and nothing else."""

    payee: int
    role: str
    uplines: tuple[int, ...] = ()
    is_present: bool = True


class Earned(NamedTuple):
    """What a component comes to for a payee. base, amount: as in `evaluation.Earning`."""

    payee: int
    component: str
    base: int
    amount: int


class Passed(NamedTuple):
    """What an upline gets to see of a downline's component at a level: what was sold (`exact.WEIGHT`) and earned."""

    upline: int
    component: str
    level: int
    base: int
    earned: int


class Known(NamedTuple):
    """What is known of a payee's period beside who they are. bases, by_line: of sales and deeds; scores: by name;
    unrounded: as in `evaluation.Doings`."""

    bases: Mapping[str, int] = {}
    by_line: Mapping[str, int] = {}
    scores: Mapping[str, int] = {}
    unrounded: Mapping[str, Fraction] = {}


_NOTHING = Known()


def first_pass(
    scheme: Scheme, members: Iterable[Member], known: Mapping[int, Known]
) -> tuple[list[Earned], list[Passed]]:
    """What members earn alone, and what their uplines get to see of it; both in one order."""
    found: list[Earned] = []
    sold: dict[tuple[int, str, int], int] = defaultdict(int)
    earned: dict[tuple[int, str, int], int] = defaultdict(int)
    shared, looked_at = _overridden(scheme), _looked_at(scheme)
    for member in sorted(members):
        doings = _doings(member, known.get(member.payee, _NOTHING))
        earnings = earned_alone(scheme, doings)
        found += _worth_telling(member.payee, earnings)
        amounts = {each.component: each.amount for each in earnings}
        for level, upline in enumerate(member.uplines, start=1):
            for component in looked_at.get(level, ()):
                sold[upline, component, level] += doings.bases.get(component, 0)
            for component in shared.get(level, ()):
                earned[upline, component, level] += amounts.get(component, 0)
    keys = sorted({key for key, amount in (*sold.items(), *earned.items()) if amount})
    return found, [Passed(*key, sold.get(key, 0), earned.get(key, 0)) for key in keys]


def second_pass(
    scheme: Scheme, members: Iterable[Member], known: Mapping[int, Known], passed: Iterable[Passed]
) -> list[Earned]:
    """What members earn by those below them. passed: all that any part let them see."""
    bases: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    earned: dict[int, dict[tuple[str, int], int]] = defaultdict(lambda: defaultdict(int))
    for each in passed:
        bases[each.upline][each.component] += each.base
        earned[each.upline][each.component, each.level] += each.earned
    found: list[Earned] = []
    for member in sorted(each for each in members if each.is_present):
        doings = _doings(member, known.get(member.payee, _NOTHING))
        downline = Downline(bases.get(member.payee, {}), earned.get(member.payee, {}))
        found += _worth_telling(member.payee, earned_by_downline(scheme, doings, downline))
    return found


def bounds_of(scheme: Scheme, members: Iterable[Member], totals: Mapping[int, int]) -> list[Earned]:
    """What brings each member's sum within the scheme's floor and cap, of who was not present within the cap alone;
    nothing where it is within. totals: of both passes."""
    if scheme.floor is None and scheme.cap is None:
        return []
    found = []
    for member in sorted(members):
        total = totals.get(member.payee, 0)
        if change := bounded(scheme, total, is_present=member.is_present) - total:
            found.append(Earned(member.payee, BOUNDS, total, change))
    return found


def digest_of(rows: Sequence[Earned] | Sequence[Passed] | Sequence[Member]) -> str:
    """Forty hex digits that are the same for the same rows, whatever order they are in."""
    digest = hashlib.sha256()
    for row in sorted(rows):
        digest.update(repr(_told(row) if isinstance(row, Member) else tuple(row)).encode())
    return digest.hexdigest()[:40]


def _told(member: Member) -> tuple[Any, ...]:
    """What a digest is of. Of who is present it is what it was before anybody else could be a member: what was frozen
    then has the same digest for ever."""
    return tuple(member[:-1]) if member.is_present else tuple(member)


def _doings(member: Member, known: Known) -> Doings:
    return Doings(member.role, known.bases, known.by_line, known.scores, known.unrounded, member.is_present)


def _worth_telling(payee: int, earnings: Sequence[Earning]) -> list[Earned]:
    """Without what nothing was done for and nothing is paid for."""
    return [Earned(payee, *each) for each in earnings if each.base or each.amount]


def _overridden(scheme: Scheme) -> Mapping[int, Sequence[str]]:
    """By level, the components that somebody above earns a share of."""
    found: dict[int, set[str]] = defaultdict(set)
    for each in scheme.components:
        if each.override is not None:
            for level in range(1, len(each.override.rates) + 1):
                found[level].add(each.override.component)
    return {level: sorted(names) for level, names in found.items()}


def _looked_at(scheme: Scheme) -> Mapping[int, Sequence[str]]:
    """By level, the components whose base somebody below sells."""
    found: dict[int, list[str]] = defaultdict(list)
    for each in scheme.components:
        if each.level > 0:
            found[each.level].append(each.name)
    return found
