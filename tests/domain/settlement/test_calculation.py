"""A calculation against a recomputation by hand; cut into parts, in any order, it stays the same."""

from collections import defaultdict
from fractions import Fraction
from random import Random
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.settlement.calculation import (
    BOUNDS,
    Earned,
    Known,
    Member,
    bounds_of,
    digest_of,
    first_pass,
    second_pass,
)
from domain.settlement.exact import WEIGHT
from domain.settlement.levels import AllowedLevels, LevelLimit
from domain.settlement.scheme import Scheme
from domain.settlement.scheme_reading import read_scheme

THREE_LEVELS = LevelLimit(AllowedLevels(levels=3, allowed_by="legal", reason="a test"))
TEXT = """
scheme:
  name: s
  title: s
  cycle: month
  from: 2026-01-01
  levels: 3
  payees: { roles: [promoter, city] }
  cap: '5000.00'
  floor: '1.00'
  earns:
    - name: sales
      title: 推广
      of: kept
      roles: [promoter]
      tiers: { graduated: [{ from: '0.00', rate: '5%' }, { from: '1000.00', rate: '8.25%' }] }
    - { name: deals, title: 单, of: orders, each: '0.37' }
    - { name: below, title: 下级业绩, of: kept, level: 1, rate: '1.111%' }
    - { name: share, title: 返利, overrides: { of: sales, levels: ['10%', '3.3333%'] } }
"""


def the_scheme() -> Scheme:
    found = read_scheme(yaml.safe_load(TEXT), level_limit=THREE_LEVELS)
    assert found.scheme is not None, found.remarks
    return found.scheme


SCHEME = the_scheme()


def a_tree(pick: Random, count: int) -> tuple[list[Member], dict[int, Known]]:
    """Payees, each below an earlier one or nobody, and what they sold."""
    above = {payee: pick.choice([None, *range(1, payee)]) if payee > 1 else None for payee in range(1, count + 1)}
    members, known = [], {}
    for payee in above:
        uplines: list[int] = []
        at = above[payee]
        while at is not None and len(uplines) < 2:
            uplines.append(at)
            at = above[at]
        members.append(Member(payee, pick.choice(("promoter", "city")), tuple(uplines)))
        if pick.random() < 0.8:
            kept = pick.randrange(-50_000, 9_000_000) * WEIGHT
            deals = pick.randrange(0, 40) * WEIGHT
            known[payee] = Known({"sales": kept, "deals": deals, "below": kept})
    return members, known


def computed(members: list[Member], known: dict[int, Known], parts: int, pick: Random) -> list[Earned]:
    """In so many parts, one after the other in any order, some of them twice."""
    cut = [[each for each in members if each.payee % parts == part] for part in range(parts)]
    order = pick.sample(range(parts), parts)
    passed, found = {}, {}
    for part in [*order, order[0]]:
        found[part], passed[part] = first_pass(SCHEME, pick.sample(cut[part], len(cut[part])), known)
    seen = [each for part in passed.values() for each in part]
    pick.shuffle(seen)
    for part in [*order, order[-1]]:
        own = {each.payee for each in cut[part]}
        second = second_pass(SCHEME, cut[part], known, [each for each in seen if each.upline in own])
        found[part] = [each for each in found[part] if each.component in ("sales", "deals")] + second
    everything = [each for part in found.values() for each in part]
    totals: dict[int, int] = defaultdict(int)
    for each in everything:
        totals[each.payee] += each.amount
    return everything + bounds_of(SCHEME, members, totals)


def _round(value: Fraction) -> int:
    size = int(abs(value) + Fraction(1, 2))
    return -size if value < 0 else size


def by_hand(members: list[Member], known: dict[int, Known]) -> dict[int, int]:
    """Everybody's sum, by fractions and recursion."""
    role = {each.payee: each.role for each in members}
    kept = {payee: Fraction(each.bases["sales"], WEIGHT) for payee, each in known.items()}
    deals = {payee: Fraction(each.bases["deals"], WEIGHT) for payee, each in known.items()}

    def sales(payee: int) -> int:
        base = kept.get(payee, Fraction(0))
        if role[payee] != "promoter":
            return 0
        low, high = max(min(base, Fraction(100_000)), Fraction(0)), max(base - 100_000, Fraction(0))
        return _round(low * Fraction(5, 100) + high * Fraction(825, 10_000))

    sums: dict[int, int] = {}
    for payee in role:
        nearest = [each.payee for each in members if each.uplines[:1] == (payee,)]
        second = [each.payee for each in members if each.uplines[1:2] == (payee,)]
        total = sales(payee) + _round(deals.get(payee, Fraction(0)) * 37)
        total += _round(sum((kept.get(each, Fraction(0)) for each in nearest), Fraction(0)) * Fraction(1_111, 100_000))
        total += _round(Fraction(sum(map(sales, nearest)), 10) + sum(map(sales, second)) * Fraction(33_333, 1_000_000))
        sums[payee] = min(max(total, 100), 500_000)
    return sums


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 40), st.integers(1, 7), st.randoms(use_true_random=False))
def test_parts_and_order_change_nothing_and_everything_is_as_by_hand(count: int, parts: int, pick: Random) -> None:
    members, known = a_tree(pick, count)
    whole = computed(members, known, 1, pick)
    assert digest_of(computed(members, known, parts, pick)) == digest_of(whole)
    sums: dict[int, int] = defaultdict(int)
    for each in whole:
        sums[each.payee] += each.amount
    assert dict(sums) == by_hand(members, known)


def test_what_is_nothing_is_not_told() -> None:
    members = [Member(1, "promoter"), Member(2, "promoter", (1,))]
    assert first_pass(SCHEME, members, {}) == ([], [])
    assert second_pass(SCHEME, members, {}, []) == []
    assert bounds_of(SCHEME, members, {}) == [Earned(1, BOUNDS, 0, 100), Earned(2, BOUNDS, 0, 100)]


def test_a_digest_is_of_what_there_is_and_not_of_its_order() -> None:
    rows: list[Any] = [Earned(2, "a", 0, 1), Earned(1, "a", 0, 1)]
    assert digest_of(rows) == digest_of(rows[::-1])
    assert digest_of(rows) != digest_of([*rows, rows[0]])
    assert digest_of(rows) != digest_of([Earned(2, "a", 0, 1), Earned(1, "a", 1, 1)])
