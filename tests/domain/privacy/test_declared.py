"""What forms and calls declare to be personal, and declarations that would protect nothing."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from domain.calls import Call, Catalog
from domain.catalog import CATALOG
from domain.privacy import Masking, Personal, declared_in, misplaced_in
from domain.problems import Text, ValidationProblem
from domain.resources import check_form_schema

SCHEMA: dict[str, Any] = {
    "type": "object",
    "$defs": {"Phone": {"type": "string", "x-personal": "phone"}},
    "properties": {
        "contact": {"type": "string", "x-personal": "name"},
        "numbers": {"type": "array", "items": {"$ref": "#/$defs/Phone"}},
        "visit": {"type": "object", "properties": {"where": {"anyOf": [{"x-personal": "address"}, {"type": "null"}]}}},
        "x-personal": {"type": "string"},
        "grade": {"enum": ["A", "B"]},
    },
}


def test_a_forms_declarations_are_found_at_any_depth() -> None:
    assert declared_in(SCHEMA) == {"contact": "name", "numbers": "phone", "where": "address"}
    assert misplaced_in(SCHEMA) == []
    check_form_schema(SCHEMA)
    form = {"contact": "张三", "numbers": ["13812345678"], "visit": {"where": "文三路1号"}, "grade": "A"}
    assert Masking().mask(form, declared_in(SCHEMA)) == {
        "contact": "张**",
        "numbers": ["138****5678"],
        "visit": {"where": "****"},
        "grade": "A",
    }


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"properties": {"contact": {"x-personal": "surname"}}}, "form.schema.properties.contact.x-personal"),
        ({"properties": {"contact": {"x-personal": True}}}, "form.schema.properties.contact.x-personal"),
        ({"x-personal": "name", "properties": {}}, "form.schema.x-personal"),
        ({"additionalProperties": {"x-personal": "name"}}, "form.schema.additionalProperties.x-personal"),
        ({"$defs": {"Unused": {"x-personal": "name"}}}, "form.schema.$defs.Unused.x-personal"),
    ],
)
def test_a_declaration_that_protects_nothing_is_refused(schema: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationProblem) as caught:
        check_form_schema({"type": "object", **schema})
    assert caught.value.problem.model_dump()["errors"][0]["place"] == place


@pytest.mark.parametrize(
    "schema", [None, [], "x", {"properties": []}, {"properties": {"a": {"$ref": "#/properties/a"}}}]
)
def test_odd_schemas_declare_nothing(schema: Any) -> None:
    assert declared_in(schema) == {}


def test_what_a_catalog_declares_is_masked_wherever_an_object_of_that_shape_turns_up() -> None:
    customer = dict(CATALOG["wecom.get_customer"].example)
    customer["followers"] = [{"userid": "guide01", "remark": "林晓（三楼）", "state": "counter-3"}]
    shown = CATALOG.masking().mask({"context": [{"customer": customer}]})["context"][0]["customer"]
    assert (shown["name"], shown["followers"][0]["remark"]) == ("林**", "林**")
    assert shown["external_userid"] == customer["external_userid"]


def test_a_call_of_another_wheel_declares_its_own() -> None:
    class Guest(BaseModel):
        seat: str
        called: Annotated[str | None, Personal("name")] = Field(default=None, alias="display")

    class Guests(BaseModel):
        guests: tuple[Guest, ...]

    call = Call(name="hall.list", title=Text("列出", "List"), input=BaseModel, output=Guests)
    value = {"guests": [{"seat": "12", "display": "林晓"}], "display": "大厅屏幕"}
    masking = Catalog((call,)).masking()
    assert masking.mask(value) == {"guests": [{"seat": "12", "display": "林**"}], "display": "大厅屏幕"}
    schema = Guests.model_json_schema()
    assert schema["$defs"]["Guest"]["properties"]["display"]["x-personal"] == "name"
    assert declared_in(schema) == {"display": "name"}


def test_a_model_that_requires_nothing_is_no_reason_to_mask_everything() -> None:
    class Visit(BaseModel):
        title: Annotated[str | None, Personal("name")] = None
        room: str | None = None

    masking = Catalog((Call(name="hall.visit", title=Text("到访", "Visit"), input=BaseModel, output=Visit),)).masking()
    assert masking.mask({"title": "林晓", "room": "3"}) == {"title": "林**", "room": "3"}
    assert masking.mask({"title": "质检退货", "queue": "warehouse"}) == {"title": "质检退货", "queue": "warehouse"}
