"""Putting compiled expressions together: one after the other, every combination of several, the first that decides.

Each keeps to the cheapest form that its parts allow, see `code.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from domain.dsl.expressions.code import NOTHING, Code, Frame, One, optional, single, stream
from domain.dsl.expressions.failures import Failure
from domain.dsl.expressions.values import is_truthy

Operation = Callable[..., Any]


def constantly(value: Any) -> One:
    return lambda _value, _frame: value


def constant(value: Any) -> Code:
    return single(constantly(value), 1)


def piped(left: Code, right: Code) -> Code:
    """`left | right`: the right side runs once for each output of the left."""
    cost = left.cost + right.cost
    if left.one is not None:
        before = left.one
        if right.one is not None:
            after = right.one
            return single(lambda value, frame: after(before(value, frame), frame), cost)
        if right.maybe is not None:
            perhaps = right.maybe
            return optional(lambda value, frame: perhaps(before(value, frame), frame), cost)
        several = right.many
        return stream(lambda value, frame: several(before(value, frame), frame), cost)
    if left.maybe is not None and right.maybe is not None:
        attempt, perhaps = left.maybe, right.maybe

        def maybe(value: Any, frame: Frame) -> Any:
            between = attempt(value, frame)
            return NOTHING if between is NOTHING else perhaps(between, frame)

        return optional(maybe, cost)
    price, sources, one, many = right.cost + 1, left.many, right.one, right.many
    if one is not None:

        def each_one(value: Any, frame: Frame) -> Iterator[Any]:
            for between in sources(value, frame):
                frame.meter.spend(price)
                yield one(between, frame)

        return stream(each_one, left.cost)

    def each_many(value: Any, frame: Frame) -> Iterator[Any]:
        for between in sources(value, frame):
            frame.meter.spend(price)
            yield from many(between, frame)

    return stream(each_many, left.cost)


def combined(operation: Operation, parts: Sequence[Code], offset: int, *, last_outermost: bool = True) -> Code:
    """`operation(*outputs, meter)` for every combination of the parts' outputs."""
    cost = sum(part.cost for part in parts) + 1
    ones = [part.one for part in parts if part.one is not None]
    if len(ones) == len(parts):
        return single(_applied(operation, ones, offset), cost)
    ordered = list(reversed(parts)) if last_outermost else list(parts)

    def many(value: Any, frame: Frame) -> Iterator[Any]:
        for outputs in _combinations(ordered, value, frame):
            try:
                result = operation(*(reversed(outputs) if last_outermost else outputs), frame.meter)
            except Failure as failure:
                raise failure.at(offset) from None
            yield result

    return stream(many, cost)


def _applied(operation: Operation, ones: list[One], offset: int) -> One:
    if len(ones) == 2:
        first, second = ones

        def binary(value: Any, frame: Frame) -> Any:
            try:
                return operation(first(value, frame), second(value, frame), frame.meter)
            except Failure as failure:
                raise failure.at(offset) from None

        return binary

    def one(value: Any, frame: Frame) -> Any:
        try:
            return operation(*[part(value, frame) for part in ones], frame.meter)
        except Failure as failure:
            raise failure.at(offset) from None

    return one


def _combinations(parts: list[Code], value: Any, frame: Frame) -> Iterator[tuple[Any, ...]]:
    """Every combination of outputs, the first part's outermost; nothing is run before it is needed."""
    head, rest = parts[0], parts[1:]
    price = sum(part.cost for part in rest) + 4
    for output in head.many(value, frame) if head.one is None else (head.one(value, frame),):
        frame.meter.spend(price)
        for others in _combinations(rest, value, frame) if rest else ((),):
            yield (output, *others)


def logical(left: Code, right: Code, *, decides: bool) -> Code:
    """`and`, `or`: the left side alone decides when it is `decides`."""
    cost = left.cost + right.cost + 1
    if left.one is not None and right.one is not None:
        first, second = left.one, right.one

        def one(value: Any, frame: Frame) -> Any:
            result = first(value, frame)
            if (result is not None and result is not False) is decides:
                return decides
            result = second(value, frame)
            return result is not None and result is not False

        return single(one, cost)

    def many(value: Any, frame: Frame) -> Iterator[Any]:
        for result in left.many(value, frame):
            frame.meter.spend(right.cost + 1)
            if is_truthy(result) is decides:
                yield decides
            else:
                yield from map(is_truthy, right.many(value, frame))

    return stream(many, cost)
