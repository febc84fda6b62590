from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.runs import ENDED_PHASES, run_id_of, subject_id, supersedes

T = datetime(2026, 11, 11, tzinfo=UTC)
PHASES = ["pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed"]


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
    phase: str, at: datetime, known: str, known_at: datetime | None, news: bool
) -> None:
    assert supersedes(phase, at, known, known_at) is news  # type: ignore[arg-type]


@given(st.sampled_from(PHASES), st.sampled_from(ENDED_PHASES), st.integers(-60, 60))
def test_nothing_overwrites_an_end(phase: str, ended: str, seconds: int) -> None:
    assert not supersedes(phase, T + timedelta(seconds=seconds), ended, T)  # type: ignore[arg-type]


def test_ids_and_subjects() -> None:
    assert run_id_of("apparel", "return-refund", "R1") == "flow/apparel/return-refund/R1"
    assert subject_id(("order:7", "customer:wecom/42"), "customer") == "wecom/42"
    assert subject_id(("order:7",), "customer") is None
