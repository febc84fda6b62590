"""The functions that make a stream of outputs, or take one apart: `range`, `limit`, `until`, `walk`, `paths`.

Factories as in `filters.py`. Source: the jq 1.8 manual, "Generators and iterators", "Builtin operators and functions".
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import Any

from domain.dsl.expressions.code import NOTHING, Code, Factory, Frame, optional, single, stream
from domain.dsl.expressions.failures import Failure
from domain.dsl.expressions.paths import all_paths
from domain.dsl.expressions.values import is_number, is_truthy, number


def _first(arguments: Sequence[Code], _offset: int) -> Code:
    return optional(arguments[0].first, arguments[0].cost + 1)


def _last(arguments: Sequence[Code], _offset: int) -> Code:
    return optional(arguments[0].last, arguments[0].cost + 1)


def _is_empty(arguments: Sequence[Code], _offset: int) -> Code:
    body = arguments[0]
    return single(lambda value, frame: body.first(value, frame) is NOTHING, body.cost + 1)


def _sliced(name: str, cut: Callable[[Iterator[Any], int], Iterator[Any]]) -> Factory:
    """`limit`, `skip`, `nth`: some of a filter's outputs, by a count that must not be negative."""

    def factory(arguments: Sequence[Code], offset: int) -> Code:
        counts, body = arguments

        def many(value: Any, frame: Frame) -> Iterator[Any]:
            for count in counts.many(value, frame):
                if not is_number(count) or count != count:
                    raise Failure(f"{name} 的个数必须是数字", f"{name} requires a number").at(offset)
                if count < 0:
                    raise Failure(f"{name} 的个数不能为负", f"{name} doesn't support negative count").at(offset)
                whole = -int(-min(count, 2**31) // 1)
                if whole or name != "limit":
                    frame.meter.spend(body.cost + 1)
                    yield from cut(body.many(value, frame), whole)

        return stream(many, counts.cost + 1)

    return factory


def _until(arguments: Sequence[Code], _offset: int) -> Code:
    """Changes the value until the condition holds; the first output of either filter counts."""
    condition, update = arguments
    price = condition.cost + update.cost + 1

    def maybe(value: Any, frame: Frame) -> Any:
        while value is not NOTHING:
            frame.meter.spend(price)
            chosen = condition.first(value, frame)
            if chosen is NOTHING:
                return NOTHING
            if is_truthy(chosen):
                return value
            value = update.first(value, frame)
        return NOTHING

    return optional(maybe, 1)


def _while(arguments: Sequence[Code], _offset: int) -> Code:
    """Yields and changes the value while the condition holds; the first output of either filter counts."""
    condition, update = arguments
    price = condition.cost + update.cost + 1

    def many(value: Any, frame: Frame) -> Iterator[Any]:
        while value is not NOTHING:
            frame.meter.spend(price)
            chosen = condition.first(value, frame)
            if chosen is NOTHING or not is_truthy(chosen):
                return
            yield value
            value = update.first(value, frame)

    return stream(many, 1)


def _range(arguments: Sequence[Code], offset: int) -> Code:
    bounds = [single(lambda _value, _frame: 0, 0), arguments[0]] if len(arguments) == 1 else list(arguments)
    if len(bounds) == 2:
        bounds.append(single(lambda _value, _frame: 1, 0))

    def many(value: Any, frame: Frame) -> Iterator[Any]:
        for start, end, step in product(*(list(bound.many(value, frame)) for bound in bounds)):
            if not (is_number(start) and is_number(end) and is_number(step)):
                raise Failure("range 的参数必须是数字", "Range bounds must be numeric").at(offset)
            at = start
            while at < end if step > 0 else at > end and step < 0:
                frame.meter.spend(1)
                yield at
                at = number(at + step)

    return stream(many, sum(bound.cost for bound in bounds) + 1)


def _walk(arguments: Sequence[Code], _offset: int) -> Code:
    body = arguments[0]
    price = body.cost + 5

    def walked(value: Any, frame: Frame, depth: int) -> Iterator[Any]:
        frame.meter.spend(price)
        if isinstance(value, list):
            inner = frame.meter.descend(depth)
            value = [out for item in value for out in walked(item, frame, inner)]
        elif isinstance(value, dict):
            inner = frame.meter.descend(depth)
            changed = ((name, next(walked(item, frame, inner), NOTHING)) for name, item in value.items())
            value = {name: new for name, new in changed if new is not NOTHING}
        yield from body.many(value, frame)

    return stream(lambda value, frame: walked(value, frame, 0), 1)


def _paths(arguments: Sequence[Code], _offset: int) -> Code:
    condition = arguments[0] if arguments else None

    def many(value: Any, frame: Frame) -> Iterator[Any]:
        for path, held in all_paths(value, frame.meter):
            frame.meter.allocate_items(len(path))
            if not path:
                continue
            if condition is None:
                yield list(path)
                continue
            frame.meter.spend(condition.cost)
            for chosen in condition.many(held, frame):
                if is_truthy(chosen):
                    yield list(path)

    return stream(many, 1)


def _leaf_paths(_arguments: Sequence[Code], offset: int) -> Code:
    scalar = single(lambda value, _frame: not isinstance(value, (list, dict)), 1)
    return _paths([scalar], offset)


GENERATOR_FUNCTIONS: dict[tuple[str, int], Factory] = {
    ("first", 1): _first,
    ("last", 1): _last,
    ("nth", 2): _sliced("nth", lambda outputs, count: islice(outputs, count, count + 1)),
    ("limit", 2): _sliced("limit", islice),
    ("skip", 2): _sliced("skip", lambda outputs, count: islice(outputs, count, None)),
    ("isempty", 1): _is_empty,
    ("until", 2): _until,
    ("while", 2): _while,
    ("range", 1): _range,
    ("range", 2): _range,
    ("range", 3): _range,
    ("walk", 1): _walk,
    ("paths", 0): _paths,
    ("paths", 1): _paths,
    ("leaf_paths", 0): _leaf_paths,
}
