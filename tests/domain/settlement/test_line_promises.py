"""What may be promised to rise does for every order that grows; what may not falls for some, told at its place."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from domain.settlement.scheme_reading import ReadScheme, read_scheme, scheme_of

_MARKS = ("10.00", "20.00", "30.00")
_HEAD = {"name": "s", "title": "s", "cycle": "month", "from": "2026-01-01"}
_HOW = {"kept": {"rate": "5%"}, "quantity": {"each": "1.00"}, "orders": {"each": "1.00"}}


class Line(NamedTuple):
    category: str
    fen: int


class Order(NamedTuple):
    """channel, first: None is anything that no scheme names, and that nobody knows."""

    channel: str | None
    first: bool | None
    lines: tuple[Line, ...]


def counted(component: Mapping[str, Any], order: Order) -> float:
    """How much an order counts, worked out beside the engine."""
    counting = [line for line in order.lines if fits(component.get("where", {}), order, line)]
    if component["of"] == "orders":
        return weight(component, order, counting) if counting else 0
    worths = ((line.fen if component["of"] == "kept" else 1, line) for line in counting)
    return sum(worth * weight(component, order, [line]) for worth, line in worths)


def weight(component: Mapping[str, Any], order: Order, lines: list[Line]) -> float:
    for each in component.get("weights", ()):
        if any(fits(each.get("where", {}), order, line) for line in lines):
            return float(each["times"])
    return 1


def fits(where: Mapping[str, Any], order: Order, line: Line) -> bool:
    bounds = where.get("order-amount", {})
    amount = sum(each.fen for each in order.lines)
    return (
        ("channel" not in where or order.channel in where["channel"])
        and ("category" not in where or line.category in where["category"])
        and ("first" not in where or order.first is where["first"])
        and amount >= float(bounds.get("at-least", 0)) * 100
        and amount < float(bounds.get("less-than", 10**6)) * 100
    )


def grown(order: Order) -> Iterator[Order]:
    """The order with more in it: a fen more, or a line more."""
    first, *others = order.lines
    yield order._replace(lines=(first._replace(fen=first.fen + 1), *others))
    for category in ("x", "y", "z"):
        yield order._replace(lines=(*order.lines, Line(category, 1)))


def every_order() -> Iterator[Order]:
    """Orders of one and two lines about each mark, of everything that they may be."""
    totals = (1, *(int(float(mark) * 100) - less for mark in _MARKS for less in (1, 0)))
    lines = [*product("xyz"), *product("xyz", "xyz")]
    for channel, first, some, total in product(("a", "b", None), (True, False, None), lines, totals):
        others = tuple(Line(each, 0) for each in some[1:])
        yield Order(channel, first, (Line(some[0], total), *others))


_AMOUNTS = st.sampled_from(
    [
        *({"at-least": mark} for mark in _MARKS),
        *({"less-than": mark} for mark in _MARKS),
        {"at-least": "10.00", "less-than": "20.00"},
        {"at-least": "10.00", "less-than": "30.00"},
    ]
)
_WHERE = {
    "channel": st.sampled_from([["a"], ["a", "b"]]),
    "category": st.sampled_from([["x"], ["y"]]),
    "first": st.booleans(),
    "order-amount": _AMOUNTS,
}
_OWN = {"channel": st.just(["a"]), "category": st.just(["x"]), "first": st.booleans(), "order-amount": _AMOUNTS}
_TIMES = st.sampled_from(["0.5", "1", "2", "3"])


@st.composite
def components(draw: st.DrawFn) -> dict[str, Any]:
    of = draw(st.sampled_from([*_HOW]))
    made: dict[str, Any] = {"name": "a", "title": "a", "of": of, "promise": "rising", **_HOW[of]}
    if where := draw(st.fixed_dictionaries({}, optional=_OWN)):
        made["where"] = where
    weights = draw(st.lists(st.tuples(st.fixed_dictionaries({}, optional=_WHERE), _TIMES), max_size=3))
    if weights:
        made["weights"] = [{**({"where": where} if where else {}), "times": times} for where, times in weights]
    return made


def read(component: Mapping[str, Any]) -> ReadScheme:
    found = read_scheme({"scheme": {**_HEAD, "earns": [component]}})
    assert {each.code for each in found.remarks} <= {"broken-promise"}
    return found


def component_of(text: str) -> dict[str, Any]:
    return {"name": "a", "title": "a", "promise": "rising", **yaml.safe_load(f"{{{text}}}")}


@given(components())
@example(component_of("of: kept, rate: '5%', where: {order-amount: {less-than: '10.00'}}"))
@example(component_of("of: kept, rate: '5%', weights: [{where: {order-amount: {at-least: '10.00'}}, times: '0.5'}]"))
@example(component_of("of: orders, each: '1.00', weights: [{where: {category: [x]}, times: '0.5'}]"))
@example(
    component_of(
        "of: orders, each: '1.00', where: {category: [x]}, weights: [{where: {first: false, category: [x], "
        "order-amount: {less-than: '10.00'}}, times: '0.5'}]"
    )
)
def test_an_order_that_grows_never_counts_less_where_it_is_promised_and_does_where_that_is_refused(
    component: dict[str, Any],
) -> None:
    falls = any(
        counted(component, more) < counted(component, order) for order in every_order() for more in grown(order)
    )
    assert (read(component).scheme is None) == falls


@pytest.mark.parametrize(
    ("component", "place", "zh", "en"),
    [
        (
            "of: kept, rate: '5%', where: {order-amount: {less-than: '5000.00'}}",
            "where/order-amount",
            "达到 5000.00 就不再计",
            "reaches 5000.00 counts no more",
        ),
        (
            "of: kept, rate: '5%', weights: [{where: {order-amount: {at-least: '80.00'}}, times: '0.5'}]",
            "weights/0",
            "达到 80.00 后由 1 倍降为 0.5 倍",
            "reaches 80.00 counts 0.5 times, and 1 below",
        ),
        (
            "of: quantity, each: '1.00', weights: [{where: {first: true}, times: 2}, "
            "{where: {order-amount: {less-than: '80.00'}}, times: '1.5'}]",
            "weights/1",
            "达到 80.00 后由 1.5 倍降为 1 倍",
            "reaches 80.00 counts 1 times, and 1.5 below",
        ),
        (
            "of: orders, each: '8.00', weights: [{where: {category: [shoe]}, times: '0.5'}]",
            "weights/0",
            "再有一行符合，就由 1 倍降为 0.5 倍",
            "counts 0.5 times instead of 1",
        ),
        (
            "of: fx-difference, rate: '5%', where: {order-amount: {at-least: '80.00'}}",
            "where/order-amount",
            "汇兑差额可为负",
            "may be negative",
        ),
    ],
)
def test_what_falls_is_told_at_its_place(component: str, place: str, zh: str, en: str) -> None:
    (remark,) = read(component_of(component)).remarks
    assert remark.pointer == f"/scheme/earns/0/{place}"
    assert zh in remark.message.zh
    assert en in remark.message.en
    unpromised = {key: value for key, value in component_of(component).items() if key != "promise"}
    assert read(unpromised).remarks == []
    assert scheme_of({**_HEAD, "earns": [component_of(component)]}).components[0].rising, "as it was taken in"


def test_twenty_weights_that_only_rise_may_be_promised() -> None:
    marks = [f"{100 + number}.00" for number in range(20)]
    weights = [
        {"where": {"category": [m], "order-amount": {"at-least": m}}, "times": 100 - n} for n, m in enumerate(marks)
    ]
    found = read({**component_of("of: orders, each: '1.00'"), "weights": weights})
    assert found.scheme is not None
