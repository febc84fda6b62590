from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.forms import check_form
from domain.problems import ConfigurationProblem, ValidationProblem

SCHEMA = {
    "type": "object",
    "required": ["grade", "count"],
    "additionalProperties": False,
    "properties": {
        "grade": {"type": "string", "enum": ["A", "B"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "phone": {"type": "string", "pattern": "^1[0-9]{10}$"},
        "photos": {"type": "array", "maxItems": 2, "items": {"type": "string"}},
        "address": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string", "minLength": 2}}},
    },
}
GOOD = {"grade": "A", "count": 1}


@pytest.mark.parametrize(
    ("divisor", "value", "fits"),
    [
        (0.01, 19.99, True),
        (0.01, 0.07, True),
        (0.01, 19.995, False),
        (0.01, 10**400, True),
        (0.01, 1e308, True),
        (0.01, 1.1e-300, False),
        (3, 10**400, False),
        (0.5, -1.5, True),
        (2, "text", True),
    ],
)
def test_multiples_are_counted_in_decimal_digits(divisor: float, value: Any, fits: bool) -> None:
    schema = {"type": "object", "properties": {"amount": {"multipleOf": divisor}}}
    if fits:
        check_form(schema, {"amount": value})
    else:
        with pytest.raises(ValidationProblem) as caught:
            check_form(schema, {"amount": value})
        assert caught.value.problem.as_dict()["errors"][0]["message"]["zh"] == f"必须是 {divisor} 的倍数"


@pytest.mark.parametrize(
    ("change", "field", "zh"),
    [
        ({"grade": "C"}, "grade", "请从以下选项中选择：A, B"),
        ({"count": 0}, "count", "不能小于 1"),
        ({"count": 10}, "count", "不能大于 9"),
        ({"count": "3"}, "count", "类型应为 整数"),
        ({"phone": "42"}, "phone", "格式不正确，应符合 ^1[0-9]{10}$"),
        ({"photos": ["a", "b", "c"]}, "photos", "最多 2 项"),
        ({"photos": [1]}, "photos.0", "类型应为 文本"),
        ({"address": {}}, "address.city", "必填"),
        ({"address": {"city": "x"}}, "address.city", "至少 2 个字"),
        ({"colour": "red"}, "colour", "表单中没有这个字段，请删除"),
    ],
)
def test_a_mistake_is_told_at_its_field(change: dict[str, Any], field: str, zh: str) -> None:
    with pytest.raises(ValidationProblem) as caught:
        check_form(SCHEMA, GOOD | change)
    errors = caught.value.problem.model_dump()["errors"]
    assert [(error["field"], error["message"]["zh"]) for error in errors] == [(field, zh)]
    assert errors[0]["pointer"] == "/" + field.replace(".", "/")


def test_every_missing_field_is_told() -> None:
    with pytest.raises(ValidationProblem) as caught:
        check_form(SCHEMA, {})
    assert [error["field"] for error in caught.value.problem.model_dump()["errors"]] == ["grade", "count"]


@given(st.sampled_from(["A", "B"]), st.integers(1, 9))
def test_a_right_form_passes(grade: str, count: int) -> None:
    check_form(SCHEMA, {"grade": grade, "count": count})


def test_a_broken_schema_is_the_authors_mistake() -> None:
    with pytest.raises(ConfigurationProblem):
        check_form({"type": "objekt"}, {})
