import pytest

from domain.catalog import CATALOG
from domain.dsl.definition import parse_definition
from domain.dsl.dry_run import RunResult, Scenario, dry_run
from domain.dsl.program import Program

_HEAD = "document: {dsl: '1.0.3', namespace: test, name: circle, version: 1.0.0}\ndo:\n"


def _rehearse(tasks: str, most_steps: int = 500) -> RunResult:
    definition = parse_definition(_HEAD + tasks)
    return dry_run(Program(definition.flow, definition.data), CATALOG, Scenario(most_steps=most_steps))


@pytest.mark.parametrize(
    "tasks",
    [
        "- again: {wait: {seconds: 1}, then: again}",
        "- try:\n    try:\n      - again: {wait: {seconds: 1}, then: again}\n    catch: {do: [{c: {set: {a: 1}}}]}",
    ],
)
def test_a_flow_that_waits_in_circles_is_given_up(tasks: str) -> None:
    result = _rehearse(tasks)
    assert result.status == "faulted"
    assert result.error is not None
    assert "look for a circle" in result.error["detail"]


def test_a_flow_of_as_many_steps_as_allowed_ends_by_itself() -> None:
    result = _rehearse("- a: {set: {a: 1}}\n- b: {wait: {days: 90}}\n- c: {set: {c: 3}}", most_steps=4)
    assert (result.status, result.output, result.virtual_s) == ("completed", {"c": 3}, 90 * 86400)
