"""When a grading has to be looked at again."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.tags import EVERY_KIND
from domain.tags.grading import LiveGrading

SHIPPED = [
    document["grading"]
    for path in sorted(Path("definitions/grades").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text("utf-8"))
]
ORDERED = {"orders": {"count": {"at-least": 1}}}


@pytest.mark.parametrize("grading", SHIPPED, ids=lambda grading: grading["name"])
def test_who_comes_to_be_known_by_anything_gets_a_grade(grading: dict[str, Any]) -> None:
    assert LiveGrading.of(grading).looks_at == EVERY_KIND


def test_one_that_says_nothing_of_strangers_looks_at_what_its_conditions_ask_about() -> None:
    body = {"name": "g", "version": "1", "title": {"zh": "g"}, "stages": [{"name": "买过", "when": ORDERED}]}
    looks_at = LiveGrading.of(body).looks_at
    assert "orders" in looks_at
    assert "chat" not in looks_at
