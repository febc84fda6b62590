"""Versions of a rule spread over customers: who has which, and whose is another one after a change."""

from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.releases import BUCKETS, ReleaseState, choose_version
from domain.tags import LiveRule
from domain.tags.in_force import NO_BUCKETS, Buckets, InForce, Spread, moved

STABLE = LiveRule("r", "1.0.0", "标签", None, frozenset())
NEXT = LiveRule("r", "1.1.0", "标签", None, frozenset())
spreads = st.builds(Spread, st.sampled_from(["", "a", "b"]), st.sampled_from(["", "a", "b"]), st.integers(0, BUCKETS))


@given(spreads, spreads)
def test_nobody_outside_what_moved_has_another_text(before: Spread, after: Spread) -> None:
    first, end = moved(before, after)
    changed = [each for each in range(0, BUCKETS, 7) if before.at(each) != after.at(each)]
    assert all(first <= each < end for each in changed)
    # And it is as narrow as one range can be: both of its ends did move.
    ends = [] if (first, end) == NO_BUCKETS else [first, end - 1]
    assert all(before.at(each) != after.at(each) for each in ends)


def test_growing_shrinking_and_publishing_move_only_the_difference() -> None:
    states = [Spread("a"), Spread("a", "b", 1_000), Spread("a", "b", 3_000), Spread("a", "b", 500), Spread("b")]
    ranges = [moved(*each) for each in pairwise(states)]
    assert ranges == [(0, 1_000), (1_000, 3_000), (500, 3_000), (500, BUCKETS)]
    assert moved(Spread("a", "b", 500), Spread("a", "b", 500)) == NO_BUCKETS


def test_what_still_waits_is_looked_at_as_well() -> None:
    assert Buckets(1_000, 3_000).around(Buckets(0, 500)) == (0, 3_000)
    assert NO_BUCKETS.around(Buckets(5, 9)) == Buckets(5, 9).around(NO_BUCKETS) == (5, 9)


@given(st.uuids(), st.sampled_from([0.0, 0.5, 10.0, 50.0, 99.99]))
def test_customers_are_drawn_as_subjects_of_flows_are(customer: UUID, share: float) -> None:
    each = InForce(STABLE, "a", NEXT, "b", round(share * 100))
    wanted = choose_version(
        ReleaseState(stable="1.0.0", candidate="1.1.0", share_percent=share), "r", f"customer:{customer}"
    )
    assert each.version_for(customer).version == wanted
    assert [version.version for version, _ in each.parted([customer], Buckets())] == [wanted]
