"""What the linter lets a scheme promise holds for every base and score, and what it refuses does fall somewhere."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.settlement.evaluation import Doings, earned_alone
from domain.settlement.exact import WEIGHT
from domain.settlement.scheme import Scheme
from domain.settlement.scheme_reading import read_scheme

_MARKS = st.lists(st.integers(1, 60), min_size=1, max_size=4, unique=True).map(sorted)
_FEN = st.integers(0, 500)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


@st.composite
def _formula(draw: Any) -> dict[str, Any]:
    kind = draw(st.sampled_from(["graduated", "volume", "bonus", "every step"]))
    worth = "each" if kind in ("graduated", "volume") else "pays"
    marks = [0, *draw(_MARKS)] if worth == "each" else draw(_MARKS)
    steps = [{"from": mark, worth: _yuan(draw(_FEN))} for mark in marks]
    if worth == "each":
        return {"tiers": {kind: steps}}
    return {"bonus": {"steps": steps, "each": kind == "every step"}}


@st.composite
def _components(draw: Any) -> dict[str, Any]:
    made = {"name": "a", "title": "a", "of": "quantity", "promise": "rising", **draw(_formula())}
    if draw(st.booleans()):
        steps = [{"from": mark, "times": _yuan(draw(st.integers(0, 300)))} for mark in [0, *draw(_MARKS)]]
        made["factor"] = {"score": "care", "steps": steps}
    if draw(st.booleans()):
        made["cap"] = _yuan(draw(st.integers(1, 20_000)))
    return made


def _read(component: dict[str, Any]) -> Scheme | None:
    head = {"name": "s", "title": "s", "cycle": "month", "from": "2026-01-01"}
    found = read_scheme({"scheme": {**head, "earns": [component]}})
    assert {each.code for each in found.remarks} <= {"broken-promise"}
    return found.scheme


def _amount(scheme: Scheme, base: int, score: int) -> int:
    """base: in `exact.WEIGHT`."""
    (earned,) = earned_alone(scheme, Doings("", {"a": base}, {}, {"care": score}))
    return earned.amount


@given(_components())
def test_what_may_be_promised_never_falls(component: dict[str, Any]) -> None:
    scheme = _read(component)
    if scheme is None:
        return
    for score in (0, 30, 61):
        amounts = [_amount(scheme, base * WEIGHT, score) for base in range(70)]
        assert amounts == sorted(amounts)
    for base in (0, 1, 30, 61):
        amounts = [_amount(scheme, base * WEIGHT, score) for score in range(70)]
        assert amounts == sorted(amounts)


@given(_formula())
def test_what_may_not_be_promised_falls_somewhere(formula: dict[str, Any]) -> None:
    component = {"name": "a", "title": "a", "of": "quantity", **formula}
    if _read({**component, "promise": "rising"}) is not None:
        return
    found = read_scheme(
        {"scheme": {"name": "s", "title": "s", "cycle": "month", "from": "2026-01-01", "earns": [component]}}
    )
    assert {each.code for each in found.remarks} == {"falling-tiers"}
    assert found.scheme is not None
    around = [_amount(found.scheme, mark * WEIGHT - below, 0) for mark in range(1, 70) for below in (1, 0)]
    assert around != sorted(around)
