from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.catalog import CATALOG
from domain.retention import TITLES, Kind, RetentionPolicy

NOW = datetime(2026, 11, 11, tzinfo=UTC)
DAYS = st.integers(1, 36_500)


@given(st.builds(RetentionPolicy, *[DAYS] * 6))
def test_an_effect_is_kept_as_long_as_its_run_and_a_payment_as_long_as_an_effect(policy: RetentionPolicy) -> None:
    before = {kind: policy.cutoff(kind, NOW) for kind in Kind}
    assert before[Kind.PAYMENTS] <= before[Kind.EFFECTS] <= before[Kind.RUNS] == before[Kind.HUMAN_TASKS]
    assert before[Kind.PAYMENTS] <= NOW - timedelta(days=policy.payments_days)
    assert before[Kind.EFFECTS] <= NOW - timedelta(days=policy.effects_days)
    assert max(before.values()) <= NOW


def test_every_kind_has_a_title() -> None:
    assert set(TITLES) == set(Kind)


def test_a_call_that_is_told_an_amount_and_changes_the_world_moves_money() -> None:
    """Whoever adds one must say so: its records are kept for years."""
    told = {name for name, call in CATALOG.items() if "amount_minor" in call.input.model_fields}
    acting = {name for name in told if CATALOG[name].effect == "keyed"}
    assert acting
    assert acting == {name for name in acting if CATALOG[name].moves_money}
