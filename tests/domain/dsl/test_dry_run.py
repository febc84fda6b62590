import pytest

from domain.catalog import CATALOG
from domain.dsl.definition import parse_definition
from domain.dsl.dry_run import RunResult, Scenario, dry_run
from domain.dsl.program import Program
from domain.dsl.secrets import placeholder

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


def test_a_flow_that_is_not_awaited_passes_the_input_on_at_once() -> None:
    # Here, and on the real server in `tests/workflows/test_children.py`: a child that is let go stops the time-skipping
    # server from skipping.
    head = _HEAD.replace("circle", "slow")
    slow, parent = (
        parse_definition(text)
        for text in (
            f"{head}- rest: {{wait: PT1H}}",
            f"{_HEAD}- child: {{run: {{workflow: {{namespace: test, name: slow, version: latest}}, await: false}}}}",
        )
    )
    scenario = Scenario(input={"n": 4}, flows={"test/slow": Program(slow.flow, slow.data)})
    result = dry_run(Program(parent.flow, parent.data), CATALOG, scenario)
    assert (result.status, result.output, result.virtual_s) == ("completed", {"n": 4}, 0)


def test_a_secret_reaches_a_call_as_a_placeholder_by_its_arguments_and_by_input_from() -> None:
    text = _HEAD.replace("do:\n", "use: {secrets: [key, pair]}\ndo:\n") + (
        "- direct: {call: http, with: {method: get, endpoint: 'https://x.example.com/',"
        " headers: {a: '${ \"Bearer \" + $secrets.key }', b: '${ $secrets.pair.user }'}}}\n"
        "- shaped: {input: {from: '{ token: $secrets.key }'}, call: http,"
        " with: {method: get, endpoint: 'https://x.example.com/', headers: {a: '${ .token }'}}}\n"
    )
    definition = parse_definition(text)
    scenario = Scenario(secrets={"key": None, "pair": ("user", "word"), "other": None})
    result = dry_run(Program(definition.flow, definition.data), CATALOG, scenario)
    assert result.error is None
    key = placeholder("key")
    assert [call["arguments"]["headers"] for call in result.calls] == [
        {"a": f"Bearer {key}", "b": placeholder("pair", "user")},
        {"a": key},
    ]
