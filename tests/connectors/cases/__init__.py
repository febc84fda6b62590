"""The rows of the contract table, one module a platform, each with its `CASE`."""

from importlib import import_module
from pkgutil import iter_modules

from tests.connectors.case import Case, Effect, Pushes

CASES: tuple[Case, ...] = tuple(import_module(f"{__name__}.{module.name}").CASE for module in iter_modules(__path__))
ACTING: tuple[tuple[Case, Effect], ...] = tuple((case, case.effect) for case in CASES if case.effect is not None)
PUSHING: tuple[tuple[Case, Pushes], ...] = tuple((case, case.pushes) for case in CASES if case.pushes is not None)
RECEIVING = ("generic", "site")
"""Connectors that make no calls: tests of their own (`test_generic.py`, `test_site.py`) say what they take."""
