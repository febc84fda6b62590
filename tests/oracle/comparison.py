"""Engine and oracle beside each other, shape by shape."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import date
from typing import NamedTuple

from tests.oracle.engine import Engine
from tests.oracle.recompute import Cents
from tests.oracle.shapes import Shape

HEADING = ("shape", "periods", "payees", "lines", "sums", "cents compared", "differing")
_SHOWN = 3

Oracle = Callable[[Shape, date], Awaitable[tuple[Cents, int]]]
"""What `recompute.recomputed` says of a shape and the period of a day."""


class Compared(NamedTuple):
    """payees: who gets anything; lines: that the oracle looked at; sums: by payee, period and component, one side at
    least not nothing; cents: all of them together, signs left out; differing: sums that are not equal; examples: some
    of those."""

    shape: str
    periods: int
    payees: int
    lines: int
    sums: int
    cents: int
    differing: int
    examples: list[str]

    def row(self) -> tuple[object, ...]:
        return self[: len(HEADING)]


async def compared(engine: Engine, oracle: Oracle, shapes: Iterable[Shape]) -> AsyncIterator[Compared]:
    """Each shape, as soon as both are through with it."""
    for shape in shapes:
        yield await _compared(engine, oracle, shape)


async def _compared(engine: Engine, oracle: Oracle, shape: Shape) -> Compared:
    name = await engine.publish(shape)
    payees: set[str] = set()
    lines = sums = cents = differing = 0
    examples: list[str] = []
    for day in shape.days:
        found, (wanted, looked_at) = await asyncio.gather(engine.computed(shape, name, day), oracle(shape, day))
        lines += looked_at
        for key in sorted(wanted.keys() | found.cents.keys()):
            ours, theirs = found.cents.get(key, 0), wanted.get(key, 0)
            if ours == theirs == 0:
                continue
            payees.add(key[0])
            sums += 1
            cents += max(abs(ours), abs(theirs))
            if ours != theirs:
                differing += 1
                examples.append(f"{shape.name}, {day}: {key[1]} of {key[0]}: engine {ours}, oracle {theirs}")
        if found.total != sum(wanted.values()):
            differing += 1
            examples.append(f"{shape.name}, {day}: all of it: engine {found.total}, oracle {sum(wanted.values())}")
    return Compared(shape.name, len(shape.days), len(payees), lines, sums, cents, differing, examples[:_SHOWN])
