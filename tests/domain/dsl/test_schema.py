from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from domain.catalog import CATALOG
from domain.dsl.lint import lint
from domain.dsl.model import TASK_KEYWORDS
from domain.dsl.schema import definition_schema
from domain.dsl.source import read_source
from tests.domain.dsl.lint.test_rules import CASES, HEADER
from tests.dsl.case import all_cases

ROOT = Path(__file__).parents[3]
SCHEMA = definition_schema(CATALOG)
VALIDATOR = Draft202012Validator(SCHEMA)
DEFINITIONS = sorted((ROOT / "definitions").rglob("*.yaml"))
BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))


def errors(data: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(data)]


def flows(text: str) -> list[Any]:
    documents = [document.data for document in read_source(text).documents]
    return [data for data in documents if isinstance(data, dict) and "document" in data]


def test_it_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    references = {value.removeprefix("#/$defs/") for value in _values_of(SCHEMA, "$ref") if isinstance(value, str)}
    assert references <= set(SCHEMA["$defs"])


def _values_of(node: Any, key: str) -> list[Any]:
    if isinstance(node, dict):
        return (
            [node[key], *_values_of({name: value for name, value in node.items() if name != key}, key)]
            if (key in node)
            else [found for value in node.values() for found in _values_of(value, key)]
        )
    if isinstance(node, list):
        return [found for value in node for found in _values_of(value, key)]
    return []


@pytest.mark.parametrize("file", DEFINITIONS, ids=lambda file: file.stem)
def test_our_definitions_are_accepted(file: Path) -> None:
    for data in flows(file.read_text(encoding="utf-8")):
        assert errors(data) == []


def test_every_case_of_the_language_is_accepted() -> None:
    for case in all_cases():
        found = lint(case.text)
        if not any(finding.severity == "error" for finding in found):
            assert [errors(data) for data in flows(case.text)] == [[]], case.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_what_the_linter_calls_right_is_accepted(case: Any) -> None:
    for data in flows(HEADER + case.right.lstrip("\n")):
        assert errors(data) == []


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_what_it_refuses_the_linter_refuses_too(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if any(errors(data) for data in flows(text)):
        assert any(found.severity == "error" for found in lint(text))


@pytest.mark.parametrize(
    ("task", "place"),
    [
        ("{call: youzan.get_refund, with: {account: a}}", "with"),
        ("{call: youzan.get_refund}", "a"),
        ("{call: 'youzan.get_refund:1.0.0@default', with: {acount: a, refund_id: '1'}}", "with"),
        ("{call: human-task, with: {queue: q, title: t, form: {type: object}, priority: 101}}", "priority"),
        ("{call: wait-for, with: {events: {}, timeout: PT1H}}", "events"),
        ("{call: http, with: {method: get, endpoint: {adress: x}}}", "endpoint"),
        ("{call: grpc, with: {}}", "call"),
        ("{run: {shell: {command: ls}}}", "run"),
        ("{set: {}}", "set"),
        ("{wait: 3 days}", "wait"),
        ("{wait: {days: 1}, thn: end}", "a"),
        ("{switch: [{one: {when: .a}}]}", "one"),
        ("{listen: {to: {one: {with: {type: x}}, any: []}}}", "to"),
        ("{call: split, set: {a: 1}}", "a"),
        ("{nothing: 1}", "a"),
        ("{then: }", "a"),
    ],
)
def test_a_wrong_task_is_refused_at_its_place(task: str, place: str) -> None:
    found = errors(flows(f"{HEADER}do:\n  - a: {task}\n")[0])
    assert found
    assert any(f".{place}:" in error or f".{place}." in error for error in found), found


@pytest.mark.parametrize(
    "arguments",
    [
        "{queue: '${ .queue }', title: t, form: '${ .form }', priority: '${ .priority }', exclude: ['${ .by }']}",
        "{queue: q, title: t, form: inspection, exclude: '${ [.by] }'}",
    ],
)
def test_an_expression_may_stand_for_any_argument(arguments: str) -> None:
    assert errors(flows(f"{HEADER}do:\n  - a: {{call: human-task, with: {arguments}}}\n")[0]) == []


def test_an_editor_explains_every_word_in_chinese() -> None:
    constructs = [name for name in SCHEMA["$defs"] if "." not in name]
    silent = [
        f"{name}.{key}"
        for name in constructs
        for key, member in SCHEMA["$defs"][name].get("properties", {}).items()
        if member is not True and not any("\u4e00" <= letter <= "\u9fff" for letter in member.get("title", ""))
    ]
    assert silent == [], "give these a sentence in domain.dsl.vocabulary"
    offered = {
        known["const"] for known in SCHEMA["$defs"]["CallTask"]["properties"]["call"]["anyOf"] if "const" in known
    }
    assert offered == set(CATALOG)
    assert set(TASK_KEYWORDS) <= set(SCHEMA["$defs"]["Task"]["properties"])
