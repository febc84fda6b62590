"""A figure of `make bench ARGS=ingest` is of work that was done."""

from collections.abc import Mapping

import pytest

from benchmarks.ingest import require_done


def test_all_that_was_fed_is_done() -> None:
    require_done(3, {"done": 3})


@pytest.mark.parametrize(
    "states", [{}, {"done": 2}, {"done": 4}, {"done": 2, "quarantined": 1}, {"done": 3, "waiting": 1}]
)
def test_what_was_lost_doubled_or_set_aside_gives_no_figure(states: Mapping[str, int]) -> None:
    with pytest.raises(RuntimeError, match="3 pushes were fed"):
        require_done(3, states)
