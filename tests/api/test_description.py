"""The OpenAPI document: complete, bilingual, with true examples; and the API behaves as it says."""

import asyncio
import re
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.limits import bounds_of
from tests.api.house import House
from tests.simulator.harness import served


@pytest.fixture(scope="module")
async def document(house: House) -> dict[str, Any]:
    found: dict[str, Any] = (await house.get(None, "/openapi.json")).json()
    return found


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


async def test_every_operation_is_told_in_both_languages(document: dict[str, Any]) -> None:
    wrong = [
        name
        for name, operation in _operations(document)
        if not (
            re.search(r"[\u4e00-\u9fff].* · .*[A-Za-z]", operation["summary"])
            and re.search("[\u4e00-\u9fff]", operation["description"])
            and re.search("[A-Za-z]{3}", operation["description"])
            and operation["tags"]
            and "security" in operation
        )
    ]
    assert wrong == []
    assert len(list(_operations(document))) > 60


async def test_every_operation_has_examples_that_are_true_to_their_schemas(document: dict[str, Any]) -> None:
    lacking, untrue = [], []
    for name, operation in _operations(document):
        bodies = [("request", operation.get("requestBody", {}).get("content", {}))]
        bodies += [
            (status, answer.get("content", {}))
            for status, answer in operation["responses"].items()
            if status.startswith("2")
        ]
        for where, content in bodies:
            for kind, media in content.items():
                if kind == "multipart/form-data":
                    continue
                if "example" not in media:
                    lacking.append(f"{name} {where} {kind}")
                    continue
                schema = {**media.get("schema", {}), "components": document["components"]}
                errors = [error.message for error in Draft202012Validator(schema).iter_errors(media["example"])]
                untrue += [f"{name} {where}: {error}" for error in errors]
    assert lacking == []
    assert untrue == []


async def test_each_place_says_what_it_takes_to_see_clear_text(document: dict[str, Any]) -> None:
    told = {
        name: parameter["description"]
        for name, operation in _operations(document)
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "unmask"
    }
    money = {name for name in told if "/payees/" in name or "/settlement/" in name}
    assert len(money) >= 4
    assert len(told) > len(money)
    for name, description in told.items():
        assert ("payouts.prepare" in description and "payouts.approve" in description) == (name in money), name
        assert ("customers.unmask" in description) == (name not in money), name


async def test_no_page_loads_anything_from_elsewhere(house: House) -> None:
    page = await house.get(None, "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "启动运行" in page.text
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page.text)
    assert "<script" not in page.text
    for address in re.findall(r"href=\"([^\"]+)\"", page.text):
        assert (await house.get(None, address)).status_code == 200


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES_EACH = 6
SHARES = 6
"""Of the operations, tried by themselves: processes that are idle take one each."""


@pytest.mark.parametrize("share", range(SHARES))
async def test_whatever_is_sent_the_api_answers_as_it_says(house: House, share: int) -> None:
    """Over a real socket: bodies and parameters as described, and as not described, for every operation."""
    token = await house.add_whoever_may_do_everything(f"everything-{share}")
    async with served(house.app) as address:
        broken = await asyncio.to_thread(_explore, address, token, share)
    assert broken == []


def _explore(address: str, token: str, share: int) -> list[str]:
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    broken = []
    for found in islice(schema.get_all_operations(), share, None, SHARES):
        assert isinstance(found, Ok)
        operation = found.ok()
        # Logging out would end the token that the others need.
        if operation.label == "DELETE /api/v1/session":
            continue
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
            try:
                _explore_operation(operation, mode, token)
            except Unsatisfiable:
                # Some operations take nothing that could be wrong.
                if mode is GenerationMode.POSITIVE:
                    broken.append(f"{operation.label}: nothing to send")
            except (AssertionError, schemathesis.errors.SchemathesisError, BaseExceptionGroup) as error:
                broken.append(f"{operation.label} {mode}: {error}")
    return broken


def _explore_operation(operation: Any, mode: GenerationMode, token: str) -> None:
    @settings(
        max_examples=EXAMPLES_EACH,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answer_is_as_described(case: Any) -> None:
        if "Idempotency-Key" in (case.headers or {}):
            case.headers["Idempotency-Key"] = uuid.uuid4().hex
        # As long as the API may take, and a little more: a busy machine is nothing to complain of.
        patience_s = bounds_of(operation.path).answer_s + 5
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS, timeout=patience_s)

    answer_is_as_described()
