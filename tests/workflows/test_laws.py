"""What holds for every flow: it ends the same each time, however often it is interrupted, and is repeated nowhere."""

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.workflows.law_host import World, play
from tests.workflows.random_flows import RandomFlow, random_flows

often = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@often
@given(random_flows())
def test_a_flow_ends_the_same_when_it_is_run_twice(flow: RandomFlow) -> None:
    assert play(flow.program, flow.events, World()) == play(flow.program, flow.events, World())


@often
@given(
    random_flows(),
    st.frozensets(st.integers(1, 25), max_size=4),
    st.frozensets(st.integers(0, 30).map(lambda second: second + 0.1234), min_size=1, max_size=3),
)
def test_a_flow_that_is_interrupted_ends_as_if_it_had_not_been(
    flow: RandomFlow, moves: frozenset[int], moments: frozenset[float]
) -> None:
    program, world = flow.program, World(moves, moments)
    interrupted = play(program, flow.events, world)
    assert interrupted == play(program, flow.events, World())


@often
@given(random_flows(races=False), st.integers(0, 9))
def test_a_run_that_is_taken_up_again_ends_as_if_nothing_had_failed(flow: RandomFlow, number: int) -> None:
    """A call fails once. Whatever was done before is not done again, and the end is the same."""
    program, smooth = flow.program, World()
    expected = play(program, flow.events, smooth)
    assume(smooth.calls)
    world = World(fails=1 + number % len(smooth.calls))
    taken_up = play(program, flow.events, world, retries=1)
    assert (taken_up.output, taken_up.error) == (expected.output, None)
    assert (taken_up.calls, taken_up.emitted) == (expected.calls, expected.emitted)
    assert dict(taken_up.tasks) == dict(expected.tasks)
    assert len(world.calls) == len(smooth.calls) + 1
