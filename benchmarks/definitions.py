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


def long_definition() -> str:
    """A sound definition of about 300 lines: calls, switches, sets, an expression in every third line."""
    steps = (_LINES - _HEAD.count("\n")) // _STEP.count("\n")
    return _HEAD + "".join(_STEP.format(n=number) for number in range(1, steps + 1))


async def measure() -> list[Figure]:
    """Lint, parse and compile, against reading the YAML alone."""
    text = long_definition()
    errors = [found for found in lint(text) if found.severity == "error"]
    if errors:
        raise AssertionError(f"the definition to measure with is wrong: {errors[0]}")
    definition = parse_definition(text)
    works: dict[str, Callable[[], Any]] = {
        "lint": lambda: lint(text),
        "parse": lambda: parse_definition(text),
        "compile": lambda: Program(definition.flow, definition.data),
        "read": lambda: yaml.safe_load(text),
    }
    values: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(_ROUNDS):
        for name, work in works.items():
            begun = time.perf_counter()
            work()
            values[name].append((time.perf_counter() - begun) * 1_000)
    read = values["read"]
    return [
        Figure("lint, every finding", values["lint"], "ms", "lower", read, "PyYAML", aim=50),
        Figure("parse to a typed flow", values["parse"], "ms", "lower", read, "PyYAML"),
        Figure("compile to a program", values["compile"], "ms", "lower", read, "PyYAML"),
        Figure("PyYAML alone", read, "ms", "lower"),
    ]
