"""What a base earns: the examples that others published, and the laws that hold for every scheme."""

from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.settlement.exact import EXACT, RATE, ROUNDINGS, WEIGHT, Rounding, rounded
from domain.settlement.formulas import Bonus, Fixed, Formula, Package, Proportion, Step, Tiers

BASES = st.integers(0, 10**13).map(lambda base: base * 7 % (10**13))
RATES = st.integers(0, RATE)


def yuan(formula: Formula, units: int) -> Fraction:
    """What whole units earn, in major units of a currency with cents."""
    return Fraction(formula.earned(units * WEIGHT), EXACT * 100)


def each(amount: str) -> int:
    """The rate that pays so much for each unit."""
    return int(Fraction(amount) * 100 * RATE)


def tiers(kind: str, *steps: tuple[int, str]) -> Tiers:
    made = tuple(Step(mark, each(worth)) for mark, worth in steps)
    return Tiers("graduated" if kind == "graduated" else "volume", made)


@pytest.mark.parametrize(("units", "wanted"), [(1, "7"), (5, "35"), (6, "39"), (20, "120"), (25, "150")])
def test_stripe_s_volume_tiers(units: int, wanted: str) -> None:
    """Stripe's tiers end with their last unit; ours begin with their first."""
    assert yuan(tiers("volume", (0, "7"), (6, "6.5"), (11, "6")), units) == Fraction(wanted)


@pytest.mark.parametrize(("units", "wanted"), [(5, "35"), (6, "41.5"), (20, "127.5"), (25, "157.5")])
def test_stripe_s_graduated_tiers(units: int, wanted: str) -> None:
    """Unit number six is the first of the slice that begins at five."""
    assert yuan(tiers("graduated", (0, "7"), (5, "6.5"), (10, "6")), units) == Fraction(wanted)


@pytest.mark.parametrize(("units", "wanted"), [(0, 2), (1, 12), (10, 102), (11, 110), (12, 115), (20, 155), (21, 163)])
def test_lago_s_graduated_charge_with_flat_fees(units: int, wanted: int) -> None:
    slices = Tiers("graduated", (Step(0, each("10"), 200), Step(10, each("5"), 300), Step(20, each("5"), 300)))
    assert yuan(slices, units) == wanted


@pytest.mark.parametrize(("units", "wanted"), [(0, 2), (9, 92), (10, 53), (19, 98), (20, 61)])
def test_of_volume_tiers_the_flat_fee_of_the_one_that_was_reached_is_due(units: int, wanted: int) -> None:
    steps = (Step(0, each("10"), 200), Step(10, each("5"), 300), Step(20, each("3"), 100))
    assert yuan(Tiers("volume", steps), units) == wanted


@pytest.mark.parametrize(("free", "wanted"), [(0, 1300), (10, 1200), (200, 0)])
def test_lago_s_package(free: int, wanted: int) -> None:
    assert yuan(Package(10, 10_000, free), 121) == wanted


def test_a_bonus_pays_the_highest_mark_or_every_mark() -> None:
    steps = (Step(5, 1_000), Step(10, 5_000))
    assert [yuan(Bonus(steps), units) for units in (4, 5, 9, 10)] == [0, 10, 10, 50]
    assert [yuan(Bonus(steps, each=True), units) for units in (4, 5, 9, 10)] == [0, 10, 10, 60]
    assert yuan(Fixed(300_000), 0) == 3000


@given(BASES, BASES, st.lists(st.tuples(st.integers(1, 10**6), RATES), min_size=1, max_size=6), RATES)
def test_graduated_tiers_never_fall(one: int, other: int, rows: list[tuple[int, int]], first: int) -> None:
    marks = dict(rows)
    formula = Tiers("graduated", (Step(0, first, 7), *(Step(mark, marks[mark], mark % 11) for mark in sorted(marks))))
    low, high = sorted((one, other))
    assert formula.earned(low) <= formula.earned(high)


@given(st.lists(st.integers(0, 10**9), max_size=8), st.lists(st.tuples(st.integers(1, 10**5), RATES), max_size=4))
def test_increments_over_any_cut_of_a_period_come_to_the_whole(parts: list[int], rows: list[tuple[int, int]]) -> None:
    marks = dict(rows)
    formula = Tiers("graduated", (Step(0, 10_000), *(Step(mark, marks[mark]) for mark in sorted(marks))))
    bases = list(accumulate(parts, initial=0))
    increments = [rounded(formula.earned(now)) - rounded(formula.earned(before)) for before, now in pairwise(bases)]
    assert sum(increments) == rounded(formula.earned(sum(parts)))
    assert all(each >= 0 for each in increments)


@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 10**9)), min_size=1, max_size=8), RATES, RATES)
def test_a_refund_is_a_recomputed_difference_and_a_full_one_undoes_everything(
    orders: list[tuple[int, int]], low: int, high: int
) -> None:
    """Never the average rate: what a partial refund takes back depends on the tier that the base falls to."""
    formula = Tiers("graduated", (Step(0, low), Step(10**6, high)))
    base = booked = 0
    for sold, _ in orders:
        base += sold * WEIGHT
        booked = rounded(formula.earned(base))
    for sold, back in orders:
        base -= min(back, sold) * WEIGHT
        difference = rounded(formula.earned(base)) - booked
        assert difference <= 0
        booked += difference
    left = sum(sold - min(back, sold) for sold, back in orders)
    assert booked == rounded(formula.earned(left * WEIGHT))
    assert rounded(formula.earned(base - left * WEIGHT)) == 0


def test_volume_tiers_may_drop_at_a_mark_where_rates_fall() -> None:
    formula = Tiers("volume", (Step(0, 50_000), Step(1_000, 40_000)))
    assert formula.earned(999 * WEIGHT) > formula.earned(1_000 * WEIGHT)


@given(BASES, RATES)
def test_tiers_of_one_rate_are_a_proportion(base: int, rate: int) -> None:
    steps = (Step(0, rate), Step(1_000, rate), Step(99_999, rate))
    wanted = Proportion(rate).earned(base)
    assert Tiers("graduated", steps).earned(base) == Tiers("volume", steps).earned(base) == wanted


@given(st.integers(-(10**24), 10**24), st.sampled_from(ROUNDINGS), st.sampled_from([1, 10, 100]))
def test_rounding_is_odd_near_and_on_the_grain(numerator: int, rule: Rounding, grain: int) -> None:
    found = rounded(numerator, grain=grain, rule=rule)
    assert found % grain == 0
    assert rounded(-numerator, grain=grain, rule=rule) == -found
    assert abs(Fraction(numerator, EXACT) - found) < grain
    if rule.startswith("half"):
        assert abs(Fraction(numerator, EXACT) - found) <= Fraction(grain, 2)


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("half-away", (1, 2, 3, -1, -2)),
        ("half-even", (0, 2, 2, 0, -2)),
        ("down", (0, 1, 2, 0, -1)),
        ("up", (1, 2, 3, -1, -2)),
    ],
)
def test_halves_go_where_the_rule_says(rule: Rounding, wanted: tuple[int, ...]) -> None:
    assert tuple(rounded(half, 2, rule=rule) for half in (1, 3, 5, -1, -3)) == wanted
