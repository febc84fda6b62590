from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.runs import ENDED_PHASES, Phase, run_id_of, subject_id, supersedes

T = datetime(2026, 11, 11, tzinfo=UTC)
PHASES: tuple[Phase, ...] = get_args(Phase)


@pytest.mark.parametrize(
    ("phase", "at", "known", "known_at", "news"),
    [
        ("waiting", T, "running", None, True),
        ("waiting", T + timedelta(seconds=1), "running", T, True),
        ("waiting", T - timedelta(seconds=1), "suspended", T, False),
        ("completed", T, "waiting", T, True),
        ("waiting", T, "waiting", T, False),
        ("running", T, "completed", T, False),
    ],
)
def test_a_report_is_news_when_it_is_newer(
    phase: Phase, at: datetime, known: Phase, known_at: datetime | None, news: bool
) -> None:
    assert supersedes(phase, at, known, known_at) is news


@given(st.sampled_from(PHASES), st.sampled_from(ENDED_PHASES), st.integers(-60, 60))
def test_nothing_overwrites_an_end(phase: Phase, ended: Phase, seconds: int) -> None:
    assert not supersedes(phase, T + timedelta(seconds=seconds), ended, T)


def test_ids_and_subjects() -> None:
    assert run_id_of("apparel", "return-refund", "R1") == "flow/apparel/return-refund/R1"
    assert subject_id(("order:7", "customer:wecom/42"), "customer") == "wecom/42"
    assert subject_id(("order:7",), "customer") is None
