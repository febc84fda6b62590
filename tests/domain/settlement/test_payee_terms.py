"""Terms from a day on: how a payee stands in a period, and where a cycle may change."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.problems import ValidationProblem
from domain.settlement.payee_terms import PayeeTerms, PeriodStanding, refuse_split_periods, standing_in, with_terms
from domain.settlement.periods import next_common_start, period_of
from domain.settlement.scheme import CYCLES, Cycle, Scheme

FIRST = date(2026, 11, 1)
SOME_DAYS = st.integers(0, 120).map(lambda number: FIRST + timedelta(days=number))
SCHEME = Scheme(
    "stores", "1", "t", "CNY", "month", "paid", date.min, None, ("store",), levels=2, rounding="half-away", grain=1
)


def day(text: str) -> date:
    return date.fromisoformat(f"2026-{text}")


@pytest.mark.parametrize(
    ("terms", "standing"),
    [
        # From before on, until after.
        ([PayeeTerms(day("01-01"), "a")], PeriodStanding("a", None, is_present=True)),
        # The last day on which they were active says in which role.
        ([PayeeTerms(day("01-01"), "a"), PayeeTerms(day("11-30"), "b")], PeriodStanding("b", None, is_present=True)),
        ([PayeeTerms(day("01-01"), "a"), PayeeTerms(day("12-01"), "b")], PeriodStanding("a", None, is_present=True)),
        (
            [PayeeTerms(day("01-01"), "a"), PayeeTerms(day("11-02"), "b", None, active=False)],
            PeriodStanding("a", None, is_present=True),
        ),
        # Gone before it began; not there before it ended.
        (
            [PayeeTerms(day("01-01"), "a"), PayeeTerms(day("11-01"), "b", "day", active=False)],
            PeriodStanding("b", "day", is_present=False),
        ),
        ([PayeeTerms(day("12-01"), "a", "week")], PeriodStanding("a", "week", is_present=False)),
    ],
)
def test_how_a_payee_stands_in_november(terms: list[PayeeTerms], standing: PeriodStanding) -> None:
    assert standing_in(terms, FIRST, day("12-01")) == standing


@given(st.lists(st.tuples(SOME_DAYS, st.sampled_from([None, *CYCLES]), st.booleans()), min_size=1, max_size=6))
def test_no_day_is_in_two_periods_whatever_is_allowed(told: list[tuple[date, Cycle | None, bool]]) -> None:
    terms: list[PayeeTerms] = []
    for since, cycle, active in told:
        tried = with_terms(terms, PayeeTerms(since, "store", cycle, active))
        try:
            refuse_split_periods("S1", tried, since, [SCHEME])
        except ValidationProblem as refused:
            next_day = date.fromisoformat(refused.problem.as_dict()["next_day"])
            assert next_day > since
            continue
        terms = tried
    for number in range(120):
        at = FIRST + timedelta(days=number)
        by = [each for each in CYCLES if (standing_in(terms, *period_of(each, at)).cycle or SCHEME.cycle) == each]
        assert len(by) == 1, "settled by one cycle, and by one only"


@pytest.mark.parametrize(
    ("cycles", "since", "next_day"),
    [
        (("day", "month"), "2026-11-20", "2026-12-01"),
        (("day", "week"), "2026-11-20", "2026-11-23"),
        (("half-month", "month"), "2026-11-16", "2026-12-01"),
        (("week", "month"), "2026-11-20", "2027-02-01"),
        (("day", "half-month"), "2026-11-16", "2026-11-16"),
    ],
)
def test_where_two_cycles_begin_together(cycles: tuple[Cycle, Cycle], since: str, next_day: str) -> None:
    assert next_common_start(cycles, date.fromisoformat(since)) == date.fromisoformat(next_day)


def test_a_change_is_told_where_it_may_be() -> None:
    before, after = PayeeTerms(day("01-01"), "store", "day"), PayeeTerms(day("11-20"), "store")
    with pytest.raises(ValidationProblem) as refused:
        refuse_split_periods("S1", [before, after], after.since, [SCHEME])
    assert "S1" in refused.value.text.zh
    assert "2026-12-01" in refused.value.text.zh
    assert "2026-12-01" in refused.value.text.en
    # Of who takes part in no scheme there are no periods.
    refuse_split_periods("S1", [before._replace(role="x"), after._replace(role="x")], after.since, [SCHEME])
