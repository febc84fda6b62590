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
    ("document", "place"),
    [
        ({"form": {"name": "f", "title": "t", "schema": {"type": "objekt"}}}, "form.schema.type"),
        ({"form": {"name": "f", "title": "t", "schema": {"type": "string"}}}, "form.schema.type"),
        ({"form": {"name": "f", "title": "t", "schema": {"type": "object"}, "colour": 1}}, "form.colour"),
        ({"form": {"name": "F F", "title": "t", "schema": {"type": "object"}}}, "form.name"),
        ({"form": {"name": "f", "title": "t", "schema": {"type": "object"}}, "extra": 1}, "extra"),
    ],
)
def test_a_wrong_form_is_refused_with_its_place(document: dict[str, object], place: str) -> None:
    with pytest.raises(ValidationProblem) as caught:
        parse_resource("form", document)
    assert caught.value.problem.model_dump()["errors"][0]["place"] == place


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "(a|aa)*$", "([0-9]*-?){3,}", "^((a+))+$", "((a|b)c)*", "(x(a+)?)+", r"(\(a+)+", "([)]a+)+"]
)
def test_a_pattern_that_could_run_for_hours_is_refused(pattern: str) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}
    with pytest.raises(ValidationProblem, match="pattern"):
        check_form_schema(schema)


@pytest.mark.parametrize(
    "pattern", ["^1[3-9][0-9]{9}$", "^(SF|YT)[0-9]+$", r"^\(([0-9]+)\)*$", "^[(a+)]+$", "(ab)+c*", "^(a+|b)(c)*$"]
)
def test_ordinary_patterns_are_fine(pattern: str) -> None:
    check_form_schema({"type": "object", "properties": {"x": {"pattern": pattern}, "pattern": {}}})
