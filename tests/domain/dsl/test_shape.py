"""Wrong shapes are told once, at their place, in words that say what was probably meant."""

import pytest

from domain.dsl.lint import lint
from domain.dsl.shape import check_shape
from domain.dsl.source import read_source

HEADER = "document: {dsl: '1.0.3', namespace: shop, name: sample, version: '1.0.0'}\n"


def said(text: str) -> list[tuple[int, str, str]]:
    document = read_source(text).documents[0]
    _, findings = check_shape(document)
    return [(found.line, found.code, found.message.en) for found in findings]


@pytest.mark.parametrize(
    ("task", "line", "code", "words"),
    [
        ("a: {wait: PT1H, timeout: {hours: 3}}", 3, "unknown-key", "one level deeper, under after"),
        ("a: {emit: {type: shop.done}}", 3, "unknown-key", "under event → with"),
        ("a: {listen: {type: tandem.order.paid}}", 3, "unknown-key", "under to → one → with"),
        ("a: {try: [b: {set: {x: 1}}], catch: {status: 404}}", 3, "unknown-key", "under errors → with"),
        ("a: {wait: PT1H, timeout: 30}", 3, "wrong-type", "timeout: { after: PT1H }"),
        ("a: {for: .orders, do: [b: {set: {x: 1}}]}", 3, "wrong-type", "each: order, in: .orders"),
        ("a: {try: {b: {set: {x: 1}}}, catch: {}}", 3, "wrong-type", "“- ” before each item"),
        ("a: {fork: {branches: [b: {set: {x: 1}}], compete: yes}}", 3, "wrong-type", "true or false"),
        ("a: {wait: 3}", 3, "wrong-type", "a duration such as PT15M"),
        ("a: {wait: {}}", 3, "missing-key", "days, hours, minutes"),
        ("a: {set: {}}", 3, "bad-value", "At least 1"),
        ("a: {set: {x: 1}, then: }", 3, "empty-value", "fill it in or remove it"),
        ("a: {set: {x: 1}, thn: end}", 3, "unknown-key", "Did you mean “then”?"),
        ("a: {set: {x: 1}, call: http}", 3, "two-keywords", "Make two tasks of it"),
        ("a: {sett: {x: 1}}", 3, "no-task-keyword", "Did you mean “set”?"),
        ("a: call：http", 3, "fullwidth-colon", "full-width colon"),
        ("a: call:http", 3, "missing-space", "space is missing"),
        ("a", 3, "wrong-type", "“- name:”"),
        ("a: {listen: {to: {one: {with: {type: x}}, any: []}}}", 3, "exactly-one", "one, all, any"),
        ("a: {listen: {to: {one: {with: {type: x}}, until: .x}}}", 3, "bad-value", "only with `any`"),
        ("a: {listen: {to: {one: {with: {type: x}}}, read: dat}}", 3, "bad-value", "Did you mean “data”?"),
        ("a: {raise: {error: {type: 'https://x', status: four}}}", 3, "wrong-type", "a whole number"),
        ("a: {run: {workflow: {namespace: a, name: b}}}", 3, "missing-key", "“version”"),
        ("a: {input: {from: [1]}, set: {x: 1}}", 3, "wrong-type", "a text or"),
    ],
)
def test_one_mistake_is_one_sentence(task: str, line: int, code: str, words: str) -> None:
    findings = said(f"{HEADER}do:\n  - {task}\n")
    assert [(place, name) for place, name, _ in findings] == [(line, code)]
    assert words in findings[0][2]


@pytest.mark.parametrize(
    ("header", "code", "words"),
    [
        ("document: {dsl: 1.0, namespace: a, name: b, version: '1.0.0'}\n", "wrong-type", "Put quotes around it"),
        ("document: {dsl: '1.0.3', namespace: a, name: b, version: v1}\n", "bad-value", "three numbers"),
        ("document: {dsl: '1.0.3', namespace: 服饰, name: b, version: '1.0.0'}\n", "bad-value", "letters, digits"),
        ("document: {dsl: '1.0.3', namespace: a, name: b}\n", "missing-key", "for example '1.0.0'"),
        ("document:\n", "wrong-type", "is empty"),
    ],
)
def test_the_head_of_a_definition_is_checked(header: str, code: str, words: str) -> None:
    findings = said(f"{header}do:\n  - a: {{set: {{x: 1}}}}\n")
    assert [name for _, name, _ in findings] == [code]
    assert words in findings[0][2]


@pytest.mark.parametrize("text", ["just text", "- a list", "42", "true"])
def test_a_file_that_is_something_else_says_so(text: str) -> None:
    assert [(line, code) for line, code, _ in said(text)] == [(1, "wrong-type")]


def test_a_task_that_is_not_indented_is_recognised() -> None:
    findings = said(
        f"{HEADER}do:\n  - a:\n    call: http\n    with: {{}}\n  - b: {{set: {{x: 1}}}}\n    c: {{set: {{x: 1}}}}\n"
    )
    assert [(line, code) for line, code, _ in findings] == [(4, "task-indentation"), (7, "two-tasks-in-one-item")]
    assert "indent by two more spaces" in findings[0][2]


def test_arguments_beside_the_call_are_sent_under_with() -> None:
    text = f"{HEADER}do:\n  - a:\n      call: split\n      shares: {{a: 50}}\n      salt: s\n"
    findings = lint(text)
    assert [(found.line, found.code) for found in findings] == [(5, "unknown-key"), (6, "unknown-key")]
    assert "under `with`" in findings[0].message.en


def test_a_misspelt_argument_is_not_also_a_missing_one() -> None:
    text = f"{HEADER}do:\n  - a: {{call: split, with: {{sharse: {{a: 50}}, salt: s}}}}\n"
    findings = lint(text)
    assert [found.code for found in findings] == ["wrong-argument"]
    assert "Did you mean “shares”?" in findings[0].message.en


def test_an_argument_that_may_be_two_things_complains_once() -> None:
    text = f"{HEADER}do:\n  - a: {{call: human-task, with: {{queue: q, title: t, form: 3}}, timeout: {{after: P1D}}}}\n"
    findings = lint(text)
    assert [found.code for found in findings] == ["wrong-argument"]
    assert "a text or “key: value” pairs" in findings[0].message.en
