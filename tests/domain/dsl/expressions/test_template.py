"""Templates: structures whose texts may be expressions."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dsl.expressions import Budget, compile_template, is_expression, strip_expression
from domain.problems import ExpressionProblem

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DATA = {"id": "A1", "n": 3, "items": [{"sku": "x"}], "null": None}


def render(structure: Any, *, loose: bool = False, **variables: Any) -> Any:
    template = compile_template(structure, mode="loose" if loose else "strict")
    return template.render(DATA, {"context": {}, **variables}, now=NOW)


@pytest.mark.parametrize(
    ("text", "inner"),
    [("${ .a }", ".a"), ("${.a}", ".a"), ("  ${ .a }\n", ".a"), ('${ "}" }', '"}"'), ("${\n  .a\n}", ".a")],
)
def test_a_whole_text_in_marks_is_an_expression(text: str, inner: str) -> None:
    assert is_expression(text)
    assert strip_expression(text) == inner


@pytest.mark.parametrize("text", [".a", "a ${ .b }", "${ .a } b", "$ { .a }", "", "${"])
def test_other_texts_are_none(text: str) -> None:
    assert not is_expression(text)


def test_a_structure_is_rendered_part_by_part() -> None:
    assert render(
        {"id": "${ .id }", "list": ["${ .n + 1 }", "plain", {"deep": "${ $who }"}], "n": 5, "none": None, "ok": True},
        who="王芳",
    ) == {"id": "A1", "list": [4, "plain", {"deep": "王芳"}], "n": 5, "none": None, "ok": True}
    assert render("${ .items }") == [{"sku": "x"}]
    assert render("text with ${ .id } inside") == "text with ${ .id } inside"
    assert render({"${ .id }": 1}) == {"${ .id }": 1}


def test_a_template_knows_its_expressions_and_variables() -> None:
    template = compile_template({"a/b": ["${ $input.x }"], "c~d": "${ .y + $task.name }", "e": 1})
    assert [(pointer, expression.source) for pointer, expression in template] == [
        ("/a~1b/0", "$input.x"),
        ("/c~0d", ".y + $task.name"),
    ]
    assert template.variables == {"input", "task"}
    assert not template.is_constant
    assert compile_template({"a": [1, "x"]}).is_constant
    assert [pointer for pointer, _ in compile_template("${ . }")] == [""]


def test_every_rendering_is_fresh() -> None:
    structure: dict[str, Any] = {"fixed": {"list": [1]}, "id": "${ .id }"}
    template = compile_template(structure)
    first = template.render(DATA, {}, now=NOW)
    first["fixed"]["list"].append(2)
    structure["fixed"]["list"].append(3)  # the author's own copy
    assert template.render(DATA, {}, now=NOW) == {"fixed": {"list": [1]}, "id": "A1"}
    assert DATA["items"] == [{"sku": "x"}]


def test_a_broken_expression_is_placed_in_the_structure() -> None:
    with pytest.raises(ExpressionProblem) as caught:
        compile_template({"with": {"body": ["ok", "${ .a && .b }"]}})
    problem = caught.value.problem.as_dict()
    assert problem["pointer"] == "/with/body/1"
    assert problem["code"] == "expression-syntax"


def test_one_budget_covers_the_whole_template() -> None:
    template = compile_template(["${ [range(100)] | add }"] * 10)
    assert template.render(None, {}, now=NOW, budget=Budget(steps=3000)) == [4950] * 10
    with pytest.raises(ExpressionProblem, match="budget of 600 steps"):
        template.render(None, {}, now=NOW, budget=Budget(steps=600))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".id", "A1"),
        ("$who.name", "王芳"),
        (". | length", 4),
        ("[.items[].sku]", ["x"]),
        ('"编号 \\(.id)"', "编号 A1"),
        ("${ .n }", 3),
        ("hello", "hello"),
        ("length", "length"),
        ("now", "now"),
        ("true", "true"),
        ("12", "12"),
        ("138-0013-8000", "138-0013-8000"),
        ("2026-01-01", "2026-01-01"),
        ("12:30", "12:30"),
        ("您好，$who", "您好，$who"),
        ("$5 off", "$5 off"),
        ("a@b.cn", "a@b.cn"),
        ("https://shop.cn/.well-known", "https://shop.cn/.well-known"),
        ("...", "..."),
        ("", ""),
        (".id.name", ".id.name"),
        ("$nobody.name", "$nobody.name"),
        (". | env", ". | env"),
    ],
)
def test_loose_mode_takes_bare_texts_that_mention_data(text: str, expected: Any) -> None:
    assert render(text, loose=True, who={"name": "王芳"}) == expected


def test_loose_mode_is_strict_inside_the_marks_and_about_the_budget() -> None:
    with pytest.raises(ExpressionProblem):
        render("${ .id.name }", loose=True)
    with pytest.raises(ExpressionProblem):
        render("${ .a && .b }", loose=True)
    with pytest.raises(ExpressionProblem, match="budget"):
        render(". | until(false; .)", loose=True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8).filter(lambda text: not is_expression(text)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_a_structure_without_expressions_renders_to_itself(structure: Any) -> None:
    template = compile_template(structure)
    assert template.is_constant
    assert template.render(DATA, {}, now=NOW) == structure
