"""Every shape of scheme, to the cent, against an independent program; that it is independent; and that it can differ.

`make oracle` does the same with 200,000 order lines.
"""

import ast
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import get_args

import pytest

from domain.settlement.formula_reading import FORMULA_WORDS
from domain.settlement.line_filters import LINE_FIELDS
from domain.settlement.scheme import BASES, CYCLES
from storage.encryption import Keyring
from storage.engine import Database
from tests.oracle.books import Cycle
from tests.oracle.comparison import compared
from tests.oracle.crowd import Crowd, a_crowd
from tests.oracle.engine import Engine
from tests.oracle.recompute import Cents, recomputed
from tests.oracle.shapes import Shape, all_shapes

LAWS = Path("docs/settlement.md")
CROWD = a_crowd(2_000, 120, "suite")


def some_shapes() -> list[Shape]:
    """Each shape for its first period; of the grains of rounding one for each rule."""
    found = [replace(each, days=each.days[:1]) for each in all_shapes()]
    return [each for each in found if not each.name.startswith("rounding") or each.name.endswith("to 0.05")]


@pytest.fixture(scope="module")
async def engine(module_database_url: str) -> AsyncIterator[Engine]:
    database = Database(module_database_url, Keyring({"k1": b"1" * 32}), pool_size=4)
    found = Engine(database)
    await found.take_in(CROWD)
    yield found
    await database.close()


async def by_hand(shape: Shape, day: date, crowd: Crowd = CROWD) -> tuple[Cents, int]:
    return recomputed(shape.text, day, crowd.books, shape.cycle)


@pytest.mark.parametrize("shape", some_shapes(), ids=lambda shape: shape.name)
async def test_the_engine_comes_to_the_same_cents(engine: Engine, shape: Shape) -> None:
    async for found in compared(engine, by_hand, [shape]):
        assert found.examples == []
        assert found.differing == 0
        assert found.sums > 0, "nothing was compared"


async def test_one_cent_is_seen(engine: Engine) -> None:
    async def wrong(shape: Shape, day: date) -> tuple[Cents, int]:
        cents, lines = await by_hand(shape, day)
        key = max(cents, key=lambda each: cents[each])
        return {**cents, key: cents[key] + 1}, lines

    async for found in compared(engine, wrong, some_shapes()[1:2]):
        assert found.differing == 2, "the sum, and all of it"


def test_the_oracle_shares_nothing_with_the_engine() -> None:
    ours = {"tests.oracle.books"}
    standard = {"collections", "collections.abc", "datetime", "decimal", "functools", "typing", "dataclasses"}
    for name in ("recompute", "books"):
        tree = ast.parse(Path(f"tests/oracle/{name}.py").read_text("utf-8"))
        imported = {
            *(alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names),
            *(str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)),
        }
        assert imported <= {*standard, "yaml", *ours}


def test_there_is_a_shape_for_everything_that_a_scheme_may_say() -> None:
    texts = "\n".join(each.text for each in all_shapes())
    names = {each.name for each in all_shapes()}
    assert {f"base {each}" for each in BASES} <= names
    assert all(re.search(rf"^\s+(- )?{word}:", texts, re.MULTILINE) for word in FORMULA_WORDS)
    assert {f"where {each}" for each in LINE_FIELDS} <= names
    assert {f"cycle {each}" for each in CYCLES} <= names
    assert set(get_args(Cycle)) == set(CYCLES)
    assert {f"{path}" for path in Path("definitions/schemes").glob("*.yaml")} <= names


def test_every_law_that_the_document_tells_has_its_tests() -> None:
    told = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", LAWS.read_text("utf-8"))
    assert len(told) >= 20
    for path, name in told:
        assert re.search(rf"def {name}\(", Path(path).read_text("utf-8")), f"{path} has no {name}"
