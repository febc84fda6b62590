"""The oracle in a process of its own, so that both sides compute at once."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date
from multiprocessing import get_context

from tests.oracle.books import Books
from tests.oracle.comparison import Oracle
from tests.oracle.crowd import a_crowd
from tests.oracle.recompute import Cents, recomputed
from tests.oracle.shapes import Shape


@contextmanager
def oracle_apart(lines: int, payees: int, seed: str) -> Iterator[Oracle]:
    """It makes the crowd once more, from the same seed."""
    spawning = get_context("spawn")
    with ProcessPoolExecutor(1, spawning, initializer=_remember, initargs=(lines, payees, seed)) as process:

        async def oracle(shape: Shape, day: date) -> tuple[Cents, int]:
            return await asyncio.get_running_loop().run_in_executor(process, _recomputed, shape, day)

        yield oracle


_books: list[Books] = []
"""In the oracle's process: what it knows."""


def _remember(lines: int, payees: int, seed: str) -> None:
    _books.append(a_crowd(lines, payees, seed).books)


def _recomputed(shape: Shape, day: date) -> tuple[Cents, int]:
    return recomputed(shape.text, day, _books[0], shape.cycle)
