import pytest

from domain.problems import ValidationProblem
from domain.resources import Form, Message, Queue, check_form_schema, parse_resource, resource_kind


def test_the_top_key_says_what_it_is() -> None:
    assert resource_kind({"form": {}}) == "form"
    assert resource_kind({"document": {}, "do": []}) is None
    assert resource_kind(["form"]) is None


def test_forms_queues_and_messages_are_read() -> None:
    form = parse_resource(
        "form",
        {"form": {"name": "inspection", "version": "1.2.0", "title": "验货", "schema": {"type": "object"}}},
    )
    assert isinstance(form, Form)
    assert form.title == {"zh": "验货", "en": "验货"}
    queue = parse_resource("queue", {"queue": {"name": "warehouse", "title": {"zh": "仓库", "en": "Warehouse"}}})
    assert isinstance(queue, Queue)
    message = parse_resource("message", {"message": {"name": "refunded", "title": "退款", "text": "{{ amount }} 已退"}})
    assert isinstance(message, Message)


@pytest.mark.parametrize(
    ("document", "place", "zh", "en"),
    [
        (
            {"form": {"name": "f", "title": "t", "schema": {"type": "objekt"}}},
            "form.schema.type",
            "不是有效的 JSON Schema",
            "no valid JSON Schema",
        ),
        (
            {"form": {"name": "f", "title": "t", "schema": {"type": "string"}}},
            "form.schema.type",
            "须写 type: object",
            "needs `type: object`",
        ),
        (
            {"form": {"name": "f", "title": "t", "schema": {"type": "object"}, "colour": 1}},
            "form.colour",
            "没有这个字段",
            "no such member",
        ),
        (
            {"form": {"name": "F F", "title": "t", "schema": {"type": "object"}}},
            "form.name",
            "格式应符合",
            "must match",
        ),
        (
            {"form": {"name": "f", "title": "t", "schema": {"type": "object"}}, "extra": 1},
            "extra",
            "最上层只能有 form",
            "only `form` belongs",
        ),
    ],
)
def test_a_wrong_form_is_refused_with_its_place_in_both_languages(
    document: dict[str, object], place: str, zh: str, en: str
) -> None:
    with pytest.raises(ValidationProblem) as caught:
        parse_resource("form", document)
    (error,) = caught.value.problem.model_dump()["errors"]
    assert error["place"] == place
    assert (zh in error["message"]["zh"], en in error["message"]["en"]) == (True, True)
    assert (zh in caught.value.text.zh, en in caught.value.text.en) == (True, True)


def test_a_wrong_rule_is_refused_in_both_languages() -> None:
    with pytest.raises(ValidationProblem) as caught:
        parse_resource(
            "tag-rule", {"tag-rule": {"name": "r", "title": "t", "tag": "t", "when": {"all": [{"ordrs": {}}]}}}
        )
    message = caught.value.problem.model_dump()["errors"][0]["message"]
    assert message["zh"] != message["en"]


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a+)+$",
        "(a|aa)*$",
        "([0-9]*-?){3,}",
        "^((a+))+$",
        "((a|b)c)*",
        "(a?a?)+b",
        "(x(a+)?)+",
        r"(\(a+)+",
        "([)]a+)+",
    ],
)
def test_a_pattern_that_could_run_for_hours_is_refused(pattern: str) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}
    with pytest.raises(ValidationProblem, match="pattern"):
        check_form_schema(schema)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(\+86)?1[0-9]+$",
        "(?:ab)+",
        "^1[3-9][0-9]{9}$",
        "^(SF|YT)[0-9]+$",
        r"^\(([0-9]+)\)*$",
        "^[(a+)]+$",
        "(ab)+c*",
        "^(a+|b)(c)*$",
    ],
)
def test_ordinary_patterns_are_fine(pattern: str) -> None:
    check_form_schema({"type": "object", "properties": {"x": {"pattern": pattern}, "pattern": {}}})
