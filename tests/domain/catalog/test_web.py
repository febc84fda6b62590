"""Web calls as data: what is accepted, and how URI templates are filled."""

import string
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.web import HTTP_CALL, OPENAPI_CALL, Authentication, HttpRequest, expand_uri
from domain.problems import ExpressionProblem, ValidationProblem


class TestUriTemplate:
    @pytest.mark.parametrize(
        ("template", "values", "address"),
        [
            ("https://a.cn/pet/{petId}", {"petId": 1}, "https://a.cn/pet/1"),
            ("https://a.cn/{a}/{b}?c={c}", {"a": "x y", "b": "红/鞋", "c": True}, None),
            ("/{pet.id}", {"pet.id": 7, "pet": {"id": 8}}, "/7"),
            ("/{missing}/x", {}, "//x"),
            ("/{none}", {"none": None}, "/"),
            ("/{n}", {"n": 2.0}, "/2"),
            ("/{n}", {"n": 0.5}, "/0.5"),
            ("/plain", {"plain": 1}, "/plain"),
            ("/{a}", {"a": "{b}", "b": 1}, "/%7Bb%7D"),
        ],
    )
    def test_simple_expansion(self, template: str, values: dict[str, Any], address: str | None) -> None:
        expected = address or "https://a.cn/x%20y/%E7%BA%A2%2F%E9%9E%8B?c=true"
        assert expand_uri(template, values) == expected

    @pytest.mark.parametrize("value", [{}, {"id": 1}, [], [1]])
    def test_only_scalars_can_be_filled_in(self, value: Any) -> None:
        with pytest.raises(ExpressionProblem) as caught:
            expand_uri("/pet/{pet}", {"pet": value})
        assert caught.value.problem.status == 400
        assert "{pet}" in str(caught.value)

    @pytest.mark.parametrize("template", ["/{+path}", "/x{?q}", "/{#fragment}"])
    def test_higher_levels_of_templates_are_refused(self, template: str) -> None:
        with pytest.raises(ExpressionProblem, match="only plain"):
            expand_uri(template, {})

    @pytest.mark.parametrize("value", [".", ".."])
    def test_a_value_cannot_climb_out_of_its_place(self, value: str) -> None:
        with pytest.raises(ExpressionProblem, match="change the path"):
            expand_uri("/orders/{id}/refund", {"id": value})

    def test_half_a_character_is_refused(self) -> None:
        with pytest.raises(ExpressionProblem, match="half a character"):
            expand_uri("/{id}", {"id": "\ud800"})

    @given(st.text().filter(lambda text: text not in (".", "..")))
    def test_a_value_stays_one_segment_and_comes_back_whole(self, value: str) -> None:
        filled = expand_uri("/orders/{id}/refund", {"id": value}).removeprefix("/orders/").removesuffix("/refund")
        assert set(filled) <= set(string.ascii_letters + string.digits + "-._~%")
        assert unquote(filled) == value


class TestRequests:
    def test_an_address_alone_is_an_endpoint_and_scalars_become_header_text(self) -> None:
        request = HTTP_CALL.parse_arguments(
            {"method": "GET", "endpoint": "https://a.cn", "headers": {"x-count": 3, "x-flag": True, "x-none": None}}
        )
        assert request.endpoint.uri == "https://a.cn"
        assert request.headers == {"x-count": "3", "x-flag": "true"}
        assert (request.output, request.redirect) == ("content", False)

    def test_operations_are_named_as_in_the_specification(self) -> None:
        request = OPENAPI_CALL.parse_arguments(
            {"document": {"endpoint": "https://a.cn/openapi.json"}, "operationId": "getPet"}
        )
        assert request.operation_id == "getPet"
        assert request.document.endpoint.uri == "https://a.cn/openapi.json"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"method": "CONNECT"},
            {"method": "get x"},
            {"endpoint": ""},
            {"endpoint": {"url": "https://a.cn"}},
            {"output": "json"},
            {"headers": {"x": ["a"]}},
            {"header": {}},
        ],
    )
    def test_wrong_arguments_are_named(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationProblem, match=next(iter(wrong))):
            HTTP_CALL.parse_arguments({"method": "get", "endpoint": "https://a.cn", **wrong})


OAUTH2 = {"authority": "https://a.cn", "grant": "client_credentials", "client": {"id": "me", "secret": "s3cret"}}


class TestAuthentication:
    def test_secrets_show_as_stars(self) -> None:
        request = HttpRequest.model_validate(
            {"method": "get", "endpoint": {"uri": "https://a.cn", "authentication": {"oauth2": OAUTH2}}}
        )
        assert "s3cret" not in repr(request)
        assert "s3cret" not in request.model_dump_json()

    def test_a_bearer_token_may_stand_alone(self) -> None:
        authentication = Authentication.model_validate({"bearer": "abc"})
        assert authentication.bearer is not None
        assert authentication.bearer.token.get_secret_value() == "abc"

    @pytest.mark.parametrize(
        "wrong",
        [
            {},
            {"basic": {"username": "a", "password": "b"}, "bearer": {"token": "c"}},
            {"certificate": {}},
            {"oauth2": {**OAUTH2, "grant": "implicit"}},
            {"oauth2": {**OAUTH2, "grant": "password"}},
            {"oauth2": {**OAUTH2, "grant": "refresh_token"}},
            {"oauth2": {**OAUTH2, "client": {"id": "me"}}},
            {"oauth2": {**OAUTH2, "client": {"secret": "s"}}},
            {"oauth2": {**OAUTH2, "client": {"id": "me", "authentication": "private_key_jwt"}}},
            {"oidc": {**OAUTH2, "endpoints": {"token": "/token"}}},
        ],
    )
    def test_incomplete_policies_are_refused_without_repeating_secrets(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationProblem) as caught:
            HTTP_CALL.parse_arguments({"method": "get", "endpoint": {"uri": "https://a.cn", "authentication": wrong}})
        assert "s3cret" not in str(caught.value.problem.as_dict())
