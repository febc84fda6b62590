"""How soon an author hears what is wrong: parsing and linting a definition of 300 lines."""

import time
from collections.abc import Callable
from typing import Any

import yaml

from benchmarks.figures import Figure
from domain.dsl.definition import parse_definition
from domain.dsl.lint import lint
from domain.dsl.program import Program

TITLE = "Definitions: 300 lines of YAML"
NOTE = "baseline: PyYAML's safe loader in Python on the same text, which finds nothing and keeps no lines"
_ROUNDS = 5
_LINES = 300
_STEP = """\
  - step{n}:
      if: .order.amount_minor > {n}
      call: youzan.get_refund
      with:
        account: ${{ .order.shop }}
        refund_id: ${{ "R-\\(.order.id)-{n}" }}
      timeout:
        after: PT30S
      output:
        as: '{{ order: $input.order, refund: . }}'
  - choose{n}:
      switch:
        - high:
            when: .order.amount_minor >= 50000 and .refund.status == "waiting_seller"
            then: note{n}
        - low:
            then: note{n}
  - note{n}:
      set:
        order: ${{ .order }}
        note: ${{ "step {n} of \\(.order.id)" }}
"""
_HEAD = "document:\n  dsl: '1.0.3'\n  namespace: bench\n  name: long\n  version: '1.0.0'\ndo:\n"


def long_definition(first: int) -> str:
    """A sound definition of about 300 lines: calls, switches, sets, an expression in every third line.

    Its steps are numbered from `first`, so that none of its expressions was compiled for another one.
    """
    steps = (_LINES - _HEAD.count("\n")) // _STEP.count("\n")
    return _HEAD + "".join(_STEP.format(n=number) for number in range(first, first + steps))


async def measure() -> list[Figure]:
    """Lint, parse and compile, against reading the YAML alone."""
    rounds = [_round(number * _LINES) for number in range(_ROUNDS)]
    linted, linted_again, parsed, compiled, read = zip(*rounds, strict=True)
    return [
        Figure("lint, every finding", linted, "ms", "lower", read, "PyYAML", aim=50),
        Figure("lint once more", linted_again, "ms", "lower", read, "PyYAML"),
        Figure("parse to a typed flow", parsed, "ms", "lower", read, "PyYAML"),
        Figure("compile to a program", compiled, "ms", "lower", read, "PyYAML"),
        Figure("PyYAML alone", read, "ms", "lower"),
    ]


def _round(first: int) -> tuple[float, ...]:
    """Milliseconds of linting a text never seen, of the same again, of parsing, compiling and reading it."""
    text = long_definition(first)
    linted, findings = _timed(lambda: lint(text))
    errors = [found for found in findings if found.severity == "error"]
    if errors:
        raise AssertionError(f"the definition to measure with is wrong: {errors[0]}")
    again, _ = _timed(lambda: lint(text))
    parsed, definition = _timed(lambda: parse_definition(text))
    compiled, _ = _timed(lambda: Program(definition.flow, definition.data))
    read, _ = _timed(lambda: yaml.safe_load(text))
    return linted, again, parsed, compiled, read


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = work()
    return (time.perf_counter() - begun) * 1_000, result
