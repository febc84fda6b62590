"""What a contained expression costs, against the jq that contains nothing."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jq
import purejq

from benchmarks.figures import Figure
from domain.dsl.expressions import Expression, compile_condition, compile_expression
from domain.problems import ExpressionProblem

TITLE = "Expressions: one evaluation, compiled before"
NOTE = "baselines: purejq without limits, and jq in C as its Python binding serves it (both compiled before)"
_ROUNDS = 5
_STOPS = 3
_SLICE_S = 0.04
_NOW = datetime(2026, 11, 11, tzinfo=UTC)
_ORDER: dict[str, Any] = {
    "order": {"id": "E2026112300001", "amount_minor": 62_900, "status": "paid"},
    "buyer": {"name": "小王", "tags": ["vip", "shanghai", "new"]},
    "items": [{"sku": f"S{number}", "weight_g": 250 * number, "num": 2} for number in range(1, 6)],
}
_COMMON = (
    ("a field", ".order.amount_minor"),
    ("a condition", '.order.amount_minor >= 50000 and .order.status == "paid"'),
    ("a text", '"订单 \\(.order.id) 共 \\(.items | length) 件"'),
    ("a sum over a list", "[.items[] | .num * .weight_g] | add"),
    ("an object", '{ id: .order.id, skus: [.items[].sku], vip: (.buyer.tags | any(. == "vip")) }'),
)
_HOSTILE = (
    ("loops in loops", "[range(1000) | [range(1000) | . * 2] | add] | add"),
    ("a list without end", "[repeat(1)] | length"),
    ("a text that doubles", '[limit(60; "ab" | recurse(. + .))] | last | length'),
)


async def measure() -> list[Figure]:
    """The common ones against both jqs, and how soon a hostile one is stopped."""
    figures = []
    for name, source in _COMMON:
        ours, uncontained, c = _in_turns(*_evaluations(source))
        figures += [
            Figure(name, ours, "µs", "lower", uncontained, "purejq", aim=40),
            Figure("  against C", ours, "µs", "lower", c, "jq in C"),
        ]
    for name, source in _HOSTILE:
        figures.append(Figure(f"stopped or refused: {name}", [_stopped(source) for _ in range(_STOPS)], "ms", "lower"))
    return figures


def _evaluations(source: str) -> tuple[Callable[[], Any], ...]:
    contained: Expression = compile_condition(source)
    pure: Any = purejq
    uncontained, in_c = pure.compile(source), jq.compile(source)
    return (
        lambda: contained.evaluate(_ORDER, {}, now=_NOW),
        lambda: uncontained.first(_ORDER),
        lambda: in_c.input_value(_ORDER).first(),
    )


def _in_turns(*works: Callable[[], Any]) -> list[list[float]]:
    """Microseconds of one call of each, a time slice for each in turn."""
    values: list[list[float]] = [[] for _ in works]
    for _ in range(_ROUNDS):
        for work, found in zip(works, values, strict=True):
            found.append(_microseconds(work))
    return values


def _microseconds(work: Callable[[], Any]) -> float:
    work()
    count, begun = 0, time.perf_counter()
    end = begun + _SLICE_S
    while time.perf_counter() < end:
        for _ in range(20):
            work()
        count += 20
    return (time.perf_counter() - begun) / count * 1_000_000


def _stopped(source: str) -> float:
    begun = time.perf_counter()
    try:
        compile_expression(source).evaluate(_ORDER, {}, now=_NOW)
    except ExpressionProblem:
        return (time.perf_counter() - begun) * 1_000
    raise AssertionError(f"{source} was not stopped")
