"""The functions that run a filter over the elements of data: `map`, `select`, `sort_by`, `any` and the like.

Each is a factory: from the compiled arguments and the call's offset to the compiled call. A loop pays its body's cost
each time round, as `code.py` asks.
Source: the jq 1.8 manual, "Builtin operators and functions", "Control Flow".
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import product
from typing import Any

from domain.dsl.expressions.code import NOTHING, Code, Factory, Frame, One, collected, optional, single, stream
from domain.dsl.expressions.failures import Failure
from domain.dsl.expressions.functions import from_entries
from domain.dsl.expressions.generators import GENERATOR_FUNCTIONS
from domain.dsl.expressions.values import (
    array,
    as_text,
    by_order,
    compare,
    elements,
    equal,
    is_truthy,
    kind,
    sorted_by,
    total,
)


def _elements_at(value: Any, offset: int) -> Collection[Any]:
    try:
        return elements(value)
    except Failure as failure:
        raise failure.at(offset) from None


def _array_at(value: Any, offset: int, zh: str, en: str) -> list[Any]:
    try:
        return array(value, zh, en)
    except Failure as failure:
        raise failure.at(offset) from None


def _empty(_arguments: Sequence[Code], _offset: int) -> Code:
    return optional(lambda _value, _frame: NOTHING, 1)


def _select(arguments: Sequence[Code], _offset: int) -> Code:
    condition = arguments[0]
    one, many = condition.one, condition.many
    if one is not None:

        def maybe(value: Any, frame: Frame) -> Any:
            chosen = one(value, frame)
            return NOTHING if chosen is None or chosen is False else value

        return optional(maybe, condition.cost + 1)

    def selected(value: Any, frame: Frame) -> Iterator[Any]:
        for chosen in many(value, frame):
            if is_truthy(chosen):
                yield value

    return stream(selected, condition.cost + 1)


def _of_kinds(*kinds: str) -> Factory:
    def factory(_arguments: Sequence[Code], _offset: int) -> Code:
        return optional(lambda value, _frame: value if kind(value) in kinds else NOTHING, 1)

    return factory


def _map(arguments: Sequence[Code], offset: int) -> Code:
    body = arguments[0]
    price, one, maybe, many = body.cost + 1, body.one, body.maybe, body.many

    def start(value: Any, frame: Frame) -> Collection[Any]:
        items = value if type(value) is list else _elements_at(value, offset)
        frame.meter.spend(price * len(items))
        return items

    if one is not None:

        def map_one(value: Any, frame: Frame) -> Any:
            return [one(item, frame) for item in start(value, frame)]

        return single(map_one, 1)
    if maybe is not None:

        def map_maybe(value: Any, frame: Frame) -> Any:
            return [out for item in start(value, frame) if (out := maybe(item, frame)) is not NOTHING]

        return single(map_maybe, 1)
    return single(lambda value, frame: [out for item in start(value, frame) for out in many(item, frame)], 1)


def _map_values(arguments: Sequence[Code], offset: int) -> Code:
    body = arguments[0]

    def one(value: Any, frame: Frame) -> Any:
        items = _elements_at(value, offset)
        frame.meter.spend((body.cost + 1) * len(items))
        if isinstance(value, dict):
            changed = ((name, body.first(item, frame)) for name, item in value.items())
            return {name: new for name, new in changed if new is not NOTHING}
        return [new for item in items if (new := body.first(item, frame)) is not NOTHING]

    return single(one, 1)


def _with_entries(arguments: Sequence[Code], offset: int) -> Code:
    body = arguments[0]

    def one(value: Any, frame: Frame) -> Any:
        items = _elements_at(value, offset)
        frame.meter.spend((body.cost + 3) * len(items))
        pairs = value.items() if isinstance(value, dict) else enumerate(items)
        entries: list[Any] = []
        for name, item in pairs:
            entries.extend(body.many({"key": name, "value": item}, frame))
        return from_entries(entries, frame.meter)

    return single(one, 1)


def _keys_of(body: Code, items: list[Any], frame: Frame) -> list[Any]:
    frame.meter.spend((body.cost + 1) * len(items))
    key: One = body.one if body.one is not None else collected(body)
    return [key(item, frame) for item in items]


def _by_key(zh: str, en: str, finish: Callable[[list[tuple[Any, Any]], Frame], Any]) -> Factory:
    """A function that sorts by a key first; `finish` makes its answer of the sorted (key, item) pairs."""

    def factory(arguments: Sequence[Code], offset: int) -> Code:
        body = arguments[0]

        def one(value: Any, frame: Frame) -> Any:
            items = _array_at(value, offset, zh, en)
            return finish(sorted_by(_keys_of(body, items, frame), items, frame.meter), frame)

        return single(one, 1)

    return factory


def _groups(pairs: list[tuple[Any, Any]], frame: Frame) -> list[list[Any]]:
    groups: list[list[Any]] = []
    previous: Any = None
    for key, item in pairs:
        frame.meter.spend(1)
        if groups and compare(key, previous, frame.meter) == 0:
            groups[-1].append(item)
        else:
            groups.append([item])
            previous = key
    return groups


def _extreme(*, largest: bool) -> Factory:
    def factory(arguments: Sequence[Code], offset: int) -> Code:
        body = arguments[0]

        def one(value: Any, frame: Frame) -> Any:
            items = _array_at(value, offset, "比较大小", "examined")
            order = by_order(frame.meter)
            keyed = list(zip(map(order, _keys_of(body, items, frame)), items, strict=True))
            if not keyed:
                return None
            if largest:  # jq keeps the last of equals
                return max(reversed(keyed), key=lambda pair: pair[0])[1]
            return min(keyed, key=lambda pair: pair[0])[1]

        return single(one, 1)

    return factory


_IDENTITY = single(lambda value, _frame: value, 0)


def _iterated(offset: int) -> Code:
    def many(value: Any, frame: Frame) -> Iterator[Any]:
        items = _elements_at(value, offset)
        frame.meter.spend(len(items))
        return iter(items)

    return stream(many, 1)


def _quantifier(*, wanted: bool) -> Factory:
    """`any` (an output is truthy) and `all` (none is falsy); stops at the first that decides."""

    def factory(arguments: Sequence[Code], offset: int) -> Code:
        generator = arguments[0] if len(arguments) == 2 else _iterated(offset)
        condition = arguments[-1] if arguments else _IDENTITY
        price = condition.cost + 1

        def one(value: Any, frame: Frame) -> Any:
            for item in generator.many(value, frame):
                frame.meter.spend(price)
                for verdict in condition.many(item, frame):
                    if is_truthy(verdict) is wanted:
                        return wanted
            return not wanted

        return single(one, generator.cost + 1)

    return factory


def _add(arguments: Sequence[Code], _offset: int) -> Code:
    body = arguments[0]
    return single(lambda value, frame: total(body.many(value, frame), frame.meter), body.cost + 1)


def _combinations(_arguments: Sequence[Code], offset: int) -> Code:
    def many(value: Any, frame: Frame) -> Iterator[Any]:
        rows = [_elements_at(row, offset) for row in _array_at(value, offset, "组合", "combined")]
        frame.meter.spend(sum(map(len, rows)))
        for combination in product(*rows):
            frame.meter.spend(len(rows) + 1)
            yield list(combination)

    return stream(many, 1)


def _is_in(arguments: Sequence[Code], _offset: int) -> Code:
    """`IN(s)`: whether the input is among the outputs of `s`; `IN(source; s)`: whether any of source's is."""
    source = arguments[0] if len(arguments) == 2 else _IDENTITY
    choices = arguments[-1]
    price = choices.cost + 1

    def one(value: Any, frame: Frame) -> Any:
        for sought in source.many(value, frame):
            frame.meter.spend(price)
            for choice in choices.many(value, frame):
                frame.meter.spend(1)
                if equal(sought, choice, frame.meter):
                    return True
        return False

    return single(one, source.cost + 1)


def _index_by(arguments: Sequence[Code], offset: int) -> Code:
    rows = arguments[0] if len(arguments) == 2 else _iterated(offset)
    body = arguments[-1]

    def one(value: Any, frame: Frame) -> Any:
        found: dict[str, Any] = {}
        for row in rows.many(value, frame):
            frame.meter.spend(body.cost + 1)
            frame.meter.allocate_members(1)
            for key in body.many(row, frame):
                found[as_text(key, frame.meter)] = row
        return found

    return single(one, rows.cost + 1)


FILTER_FUNCTIONS: dict[tuple[str, int], Factory] = {
    ("empty", 0): _empty,
    ("select", 1): _select,
    ("values", 0): _of_kinds("boolean", "number", "string", "array", "object"),
    ("nulls", 0): _of_kinds("null"),
    ("booleans", 0): _of_kinds("boolean"),
    ("numbers", 0): _of_kinds("number"),
    ("strings", 0): _of_kinds("string"),
    ("arrays", 0): _of_kinds("array"),
    ("objects", 0): _of_kinds("object"),
    ("iterables", 0): _of_kinds("array", "object"),
    ("scalars", 0): _of_kinds("null", "boolean", "number", "string"),
    ("map", 1): _map,
    ("map_values", 1): _map_values,
    ("with_entries", 1): _with_entries,
    ("sort_by", 1): _by_key("排序", "sorted", lambda pairs, _frame: [item for _, item in pairs]),
    ("group_by", 1): _by_key("分组", "grouped", _groups),
    ("unique_by", 1): _by_key(
        "去重", "deduplicated", lambda pairs, frame: [group[0] for group in _groups(pairs, frame)]
    ),
    ("min_by", 1): _extreme(largest=False),
    ("max_by", 1): _extreme(largest=True),
    ("any", 0): _quantifier(wanted=True),
    ("any", 1): _quantifier(wanted=True),
    ("any", 2): _quantifier(wanted=True),
    ("all", 0): _quantifier(wanted=False),
    ("all", 1): _quantifier(wanted=False),
    ("all", 2): _quantifier(wanted=False),
    ("add", 1): _add,
    ("combinations", 0): _combinations,
    ("IN", 1): _is_in,
    ("IN", 2): _is_in,
    ("INDEX", 1): _index_by,
    ("INDEX", 2): _index_by,
    **GENERATOR_FUNCTIONS,
}
