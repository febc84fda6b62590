"""What people type of an account arrives as its connector wants it."""

from typing import Any

import pytest

from connectors.accounts import refuse_secrets, secret_fields, settings_from_texts
from connectors.loading import load_connectors
from domain.calls import Catalog
from domain.problems import ConfigurationProblem

CONNECTORS = load_connectors(Catalog())
SHOWN = [
    (platform, name, schema)
    for platform, connector in CONNECTORS.items()
    for name, schema in connector.settings.model_json_schema()["properties"].items()
    if name not in secret_fields(connector.settings)
]


def typed(platform: str, name: str, value: str) -> Any:
    return settings_from_texts(CONNECTORS[platform].settings, {name: value})[name]


def kinds(schema: dict[str, Any]) -> set[str]:
    return {each["type"] for each in schema.get("anyOf", [schema])} - {"null"}


@pytest.mark.parametrize(("platform", "name", "schema"), SHOWN, ids=[f"{each[0]}-{each[1]}" for each in SHOWN])
def test_a_text_of_digits_stays_a_text_and_what_is_none_is_read(
    platform: str, name: str, schema: dict[str, Any]
) -> None:
    if kinds(schema) == {"string"}:
        assert [typed(platform, name, said) for said in ("30123456", "12e345", "true")] == [
            "30123456",
            "12e345",
            "true",
        ]
    else:
        (kind,) = kinds(schema)
        said, meant = {
            "integer": ("4242", 4242),
            "boolean": ("true", True),
            "array": ('["8810042"]', ["8810042"]),
            "object": ('{"岗位类型": "推广员"}', {"岗位类型": "推广员"}),
        }[kind]
        assert typed(platform, name, said) == meant


@pytest.mark.parametrize("platform", CONNECTORS)
def test_no_secret_is_stored_and_shown_in_clear(platform: str) -> None:
    model = CONNECTORS[platform].settings
    hidden = {
        name
        for name, schema in model.model_json_schema()["properties"].items()
        if any(each.get("format") == "password" for each in schema.get("anyOf", [schema]))
    }
    assert secret_fields(model) == hidden
    for name in hidden:
        with pytest.raises(ConfigurationProblem, match=name):
            refuse_secrets(model, [name])


def test_what_is_no_json_and_what_nobody_knows_is_left_to_the_settings_own_check() -> None:
    assert typed("youzan", "kdt_id", "forty") == "forty"
    assert typed("youzan", "no_such_setting", "1") == "1"
