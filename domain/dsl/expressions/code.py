"""What an expression is compiled to: plain closures over a value and a frame.

A `Code` produces its outputs in one of three forms, the cheaper ones where the grammar proves them possible:
`one` (always exactly one output), `maybe` (one output or `NOTHING`), `many` (an iterator, always there).
`cost` is the number of steps one run takes outside its loops; whoever runs a code pays its cost first, and a loop pays
its body's cost each time round. That is what makes the count the same on every machine.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from domain.dsl.expressions.meter import Meter


class Frame:
    """What a running expression sees besides its input: the caller's variables, its own, and the meter."""

    __slots__ = ("meter", "slots", "variables")

    def __init__(self, variables: Mapping[str, Any], meter: Meter, slots: dict[int, Any]) -> None:
        self.variables = variables
        self.meter = meter
        self.slots = slots

    def child(self) -> "Frame":
        """A frame for one binding more; slots are never reused, so copying the others is enough."""
        return Frame(self.variables, self.meter, self.slots.copy())


class _Nothing:
    """The type of `NOTHING`."""

    __slots__ = ()


NOTHING = _Nothing()
One = Callable[[Any, Frame], Any]
Many = Callable[[Any, Frame], Iterator[Any]]


class Code:
    """A compiled part of an expression; see the module."""

    __slots__ = ("cost", "many", "maybe", "one")

    def __init__(self, one: One | None, maybe: One | None, many: Many, cost: int) -> None:
        self.one = one
        self.maybe = maybe
        self.many = many
        self.cost = cost

    def first(self, value: Any, frame: Frame) -> Any:
        """The first output, or `NOTHING`."""
        if self.maybe is not None:
            return self.maybe(value, frame)
        return next(self.many(value, frame), NOTHING)

    def last(self, value: Any, frame: Frame) -> Any:
        """The last output, or `NOTHING`."""
        if self.maybe is not None:
            return self.maybe(value, frame)
        tail = deque(self.many(value, frame), maxlen=1)
        return tail[0] if tail else NOTHING


Factory = Callable[[Sequence[Code], int], Code]
"""From the compiled arguments and the call's offset to a compiled call."""


def single(one: One, cost: int) -> Code:
    """Code with exactly one output."""

    def many(value: Any, frame: Frame) -> Iterator[Any]:
        yield one(value, frame)

    return Code(one, one, many, cost)


def optional(maybe: One, cost: int) -> Code:
    """Code with one output or none."""

    def many(value: Any, frame: Frame) -> Iterator[Any]:
        result = maybe(value, frame)
        if result is not NOTHING:
            yield result

    return Code(None, maybe, many, cost)


def present(code: Code) -> Code:
    """The outputs of a code that are not `NOTHING`."""
    if code.one is not None:
        return optional(code.one, code.cost)

    def many(value: Any, frame: Frame) -> Iterator[Any]:
        return (result for result in code.many(value, frame) if result is not NOTHING)

    return stream(many, code.cost)


def stream(many: Many, cost: int) -> Code:
    """Code with any number of outputs."""
    return Code(None, None, many, cost)


def collected(code: Code) -> One:
    """All outputs in an array, as `[code]`; the caller pays `code.cost`."""
    one, many = code.one, code.many
    if one is not None:
        return lambda value, frame: [one(value, frame)]
    return lambda value, frame: list(many(value, frame))
