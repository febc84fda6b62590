"""What a flow gets from `call: openapi`, with documents of each version read from a real server."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from connectors.web.caller import WebCaller
from domain.catalog.web import OPENAPI_CALL, ExternalResource
from domain.problems import AuthorizationProblem, CommunicationProblem, ConfigurationProblem, ValidationProblem
from tests.connectors.web.conftest import MakeCaller
from tests.connectors.web.service import Service, serve
from tests.connectors.web.shop_documents import SWAGGER_2, openapi_3

DOCUMENTS = ("/2/swagger.json", "/3.0/openapi.json", "/3.1/openapi.yaml")
VERSION_3 = DOCUMENTS[1:]

_ODD: dict[str, Any] = {
    "no-openapi": {"hello": "world"},
    "version-4": {"openapi": "4.0.0", "paths": {}},
    "list": [1],
    "outside": {"openapi": "3.0.0", "paths": {"/a": {"get": {"operationId": "a", "parameters": [{"$ref": "x.json"}]}}}},
    "nowhere": {"openapi": "3.0.0", "paths": {"/a": {"get": {"operationId": "a", "parameters": [{"$ref": "#/x/y"}]}}}},
    "circle": {
        "openapi": "3.0.0",
        "paths": {"/a": {"get": {"operationId": "a", "requestBody": {"$ref": "#/x"}}}},
        "x": {"$ref": "#/x"},
    },
    "twice": {"openapi": "3.0.0", "paths": {"/a": {"get": {"operationId": "a"}, "put": {"operationId": "a"}}}},
    "undeclared": {"openapi": "3.0.0", "paths": {"/a/{id}": {"get": {"operationId": "a"}}}},
    "shapeless": {"openapi": "3.0.0", "paths": {"/a": {"get": {"operationId": "a", "parameters": {"in": 1}}}}},
    "inside": {
        "openapi": "3.0.0",
        "servers": [{"url": "http://169.254.169.254/"}],
        "paths": {"/a": {"get": {"operationId": "a"}}},
    },
    "evil": {
        "swagger": "2.0",
        "host": "evil.test",
        "paths": {"/a": {"get": {"operationId": "a"}}},
    },
}


async def _swagger(request: Request) -> Response:
    return JSONResponse(SWAGGER_2)


async def _openapi_30(request: Request) -> Response:
    return JSONResponse(openapi_3("3.0.4"))


async def _openapi_31(request: Request) -> Response:
    return PlainTextResponse(yaml.safe_dump(openapi_3("3.1.1")))


async def _odd(request: Request) -> Response:
    return JSONResponse(_ODD[request.path_params["name"]])


async def _laughs(request: Request) -> Response:
    lines = ["a0: &a0 [lol, lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return PlainTextResponse("\n".join(lines), media_type="application/yaml")


async def _secured(request: Request) -> Response:
    expected = "Basic " + base64.b64encode(b"doc:s3cret").decode()
    fine = request.headers.get("authorization") == expected
    return JSONResponse(SWAGGER_2 if fine else {}, status_code=200 if fine else 401)


@pytest.fixture(scope="module")
def shop_service() -> Iterator[Service]:
    with serve(
        Route("/2/swagger.json", _swagger),
        Route("/3.0/openapi.json", _openapi_30),
        Route("/3.1/openapi.yaml", _openapi_31),
        Route("/odd/{name}", _odd),
        Route("/laughs", _laughs),
        Route("/secured", _secured),
    ) as service:
        yield service


@pytest.fixture
def shop(shop_service: Service) -> Service:
    shop_service.seen.clear()
    return shop_service


async def call(
    caller: WebCaller, shop: Service, document: str, operation: str, parameters: dict[str, Any], **arguments: Any
) -> Any:
    request = {"document": {"endpoint": shop.url(document)}, "operationId": operation, "parameters": parameters}
    return await caller.call_openapi(OPENAPI_CALL.parse_arguments({**request, **arguments}), idempotency_key="run/1")


class TestParameters:
    @pytest.mark.parametrize("document", DOCUMENTS)
    async def test_a_query_is_written_as_the_document_says(
        self, caller: WebCaller, shop: Service, document: str
    ) -> None:
        answer = await call(
            caller,
            shop,
            document,
            "findOrders",
            {"status": ["paid", "red shoes"], "fields": ["id", "总价"], "tags": ["a", "b"], "page": 2},
        )
        assert (answer["method"], answer["path"]) == ("GET", "/echo/shop/orders")
        assert answer["query"] == ("status=paid&status=red%20shoes&fields=id,%E6%80%BB%E4%BB%B7&tags=a%7Cb&page=2")

    @pytest.mark.parametrize("document", DOCUMENTS)
    async def test_a_single_value_may_stand_for_a_list(self, caller: WebCaller, shop: Service, document: str) -> None:
        answer = await call(caller, shop, document, "findOrders", {"status": "paid"})
        assert answer["query"] == "status=paid"

    @pytest.mark.parametrize("document", VERSION_3)
    async def test_objects_and_cookies_of_version_3(self, caller: WebCaller, shop: Service, document: str) -> None:
        answer = await call(
            caller,
            shop,
            document,
            "findOrders",
            {"status": [], "filter": {"color": "red", "size": 41}, "where": {"a": [1]}, "session": "a b"},
        )
        assert answer["query"] == "filter%5Bcolor%5D=red&filter%5Bsize%5D=41&where=%7B%22a%22%3A%20%5B1%5D%7D"
        assert answer["headers"]["cookie"] == "session=a%20b"

    @pytest.mark.parametrize("document", DOCUMENTS)
    async def test_path_and_header(self, caller: WebCaller, shop: Service, document: str) -> None:
        answer = await call(caller, shop, document, "getOrder", {"orderId": "7/8", "X-Shop": "hangzhou 1"})
        assert answer["path"] == "/echo/shop/orders/7%2F8"
        assert answer["headers"]["x-shop"] == "hangzhou 1"

    @pytest.mark.parametrize("document", DOCUMENTS)
    @pytest.mark.parametrize(
        ("operation", "parameters", "named"),
        [
            ("findOrders", {}, "status"),
            ("findOrders", {"status": None}, "status"),
            ("findOrders", {"status": "paid", "colour": "red"}, "colour"),
            ("getOrder", {"X-Shop": "a"}, "orderId"),
            ("getOrder", {"orderId": ".."}, "orderId"),
            ("getOrder", {"orderId": ""}, "orderId"),
            ("getOrder", {"orderId": {"a": {"b": 1}}}, "orderId"),
            ("placeOrder", {}, "order|body"),
            ("addPhoto", {"orderId": 1, "photo": "not base64!"}, "photo"),
        ],
    )
    async def test_wrong_parameters_are_named_before_anything_is_sent(
        self,
        caller: WebCaller,
        shop: Service,
        document: str,
        operation: str,
        parameters: dict[str, Any],
        named: str,
    ) -> None:
        with pytest.raises(ValidationProblem, match=named) as caught:
            await call(caller, shop, document, operation, parameters)
        assert caught.value.problem.as_dict()["outcome"] == "not_done"
        assert [path for _, path, _ in shop.seen] == [document]

    @pytest.mark.parametrize("document", VERSION_3)
    async def test_the_operations_own_server_wins(self, caller: WebCaller, shop: Service, document: str) -> None:
        answer = await call(caller, shop, document, "cancelOrder", {"orderId": 3})
        assert (answer["method"], answer["path"]) == ("DELETE", "/echo/elsewhere/orders/3")


class TestBody:
    async def test_version_2_names_the_body(self, caller: WebCaller, shop: Service) -> None:
        answer = await call(caller, shop, DOCUMENTS[0], "placeOrder", {"order": {"sku": "红鞋"}})
        assert json.loads(answer["body"]) == {"sku": "红鞋"}
        assert answer["headers"]["content-type"] == "application/json"
        assert answer["headers"]["idempotency-key"] == "run/1"

    @pytest.mark.parametrize("document", VERSION_3)
    @pytest.mark.parametrize("parameters", [{"body": {"sku": "a", "quantity": 2}}, {"sku": "a", "quantity": 2}])
    async def test_version_3_takes_the_whole_body_or_its_fields(
        self, caller: WebCaller, shop: Service, document: str, parameters: dict[str, Any]
    ) -> None:
        answer = await call(caller, shop, document, "placeOrder", parameters)
        assert json.loads(answer["body"]) == {"sku": "a", "quantity": 2}
        assert answer["headers"]["content-type"] == "application/json"

    @pytest.mark.parametrize("document", DOCUMENTS)
    async def test_a_form(self, caller: WebCaller, shop: Service, document: str) -> None:
        answer = await call(
            caller, shop, document, "updateOrderWithForm", {"orderId": 1, "status": "sent", "note": "a&b"}
        )
        assert answer["body"] == "status=sent&note=a%26b"
        assert answer["headers"]["content-type"] == "application/x-www-form-urlencoded"

    @pytest.mark.parametrize("document", DOCUMENTS)
    async def test_a_file_is_given_as_base64(self, caller: WebCaller, shop: Service, document: str) -> None:
        photo = base64.b64encode(b"PNG-bytes").decode()
        answer = await call(caller, shop, document, "addPhoto", {"orderId": 1, "photo": photo})
        assert answer["headers"]["content-type"].startswith("multipart/form-data; boundary=")
        assert 'name="photo"; filename="photo"' in answer["body"]
        assert "\r\n\r\nPNG-bytes\r\n" in answer["body"]


class TestDocument:
    async def test_it_is_read_once(self, caller: WebCaller, shop: Service) -> None:
        for order in (1, 2):
            await call(caller, shop, DOCUMENTS[0], "getOrder", {"orderId": order})
        assert [path for _, path, _ in shop.seen].count(DOCUMENTS[0]) == 1

    async def test_its_authentication_is_not_the_operations(self, caller: WebCaller, shop: Service) -> None:
        request = OPENAPI_CALL.parse_arguments(
            {
                "document": {
                    "endpoint": {
                        "uri": shop.url("/secured"),
                        "authentication": {"basic": {"username": "doc", "password": "s3cret"}},
                    }
                },
                "operationId": "getOrder",
                "parameters": {"orderId": 1},
                "authentication": {"bearer": {"token": "for-orders"}},
                "output": "response",
            }
        )
        answer = await caller.call_openapi(request)
        assert answer["statusCode"] == 200
        assert answer["content"]["headers"]["authorization"] == "Bearer for-orders"

    async def test_a_redirected_document_counts_where_it_arrived(self, caller: WebCaller, shop: Service) -> None:
        there = shop.url(DOCUMENTS[1], host="a.partner.test")
        answer = await call(caller, shop, f"/redirect?to={there}", "getOrder", {"orderId": 1})
        assert answer["headers"]["host"] == f"a.partner.test:{shop.port}"

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("no-openapi", "not an OpenAPI"),
            ("version-4", r"4\.0\.0"),
            ("list", "should be an object"),
            ("outside", "bundle"),
            ("nowhere", "points to nothing"),
            ("circle", "circle"),
            ("twice", "more than one"),
            ("undeclared", r"\{id\}"),
            ("shapeless", "should be a list"),
        ],
    )
    async def test_a_document_that_cannot_be_used_says_why(
        self, caller: WebCaller, shop: Service, name: str, reason: str
    ) -> None:
        with pytest.raises(ConfigurationProblem, match=reason) as caught:
            await call(caller, shop, f"/odd/{name}", "a", {})
        assert caught.value.problem.as_dict()["retryable"] is False

    async def test_a_misspelt_operation_is_answered_with_its_neighbours(self, caller: WebCaller, shop: Service) -> None:
        with pytest.raises(ConfigurationProblem, match=r"did you mean .*findOrders"):
            await call(caller, shop, DOCUMENTS[0], "findOrder", {})

    @pytest.mark.parametrize("name", ["inside", "evil"])
    async def test_a_document_cannot_lead_where_a_flow_may_not_go(
        self, caller: WebCaller, shop: Service, name: str
    ) -> None:
        with pytest.raises(AuthorizationProblem):
            await call(caller, shop, f"/odd/{name}", "a", {})

    @pytest.mark.parametrize("path", ["/laughs", "/content/broken", "/content/png", "/content/deep"])
    async def test_what_nobody_can_read_is_a_communication_error(
        self, caller: WebCaller, shop: Service, path: str
    ) -> None:
        with pytest.raises(CommunicationProblem, match="neither JSON nor readable YAML") as caught:
            await call(caller, shop, path, "a", {})
        assert caught.value.problem.as_dict()["outcome"] == "not_done"

    async def test_a_missing_document_keeps_its_status(self, caller: WebCaller, shop: Service) -> None:
        with pytest.raises(CommunicationProblem) as caught:
            await call(caller, shop, "/status/404", "a", {})
        assert caught.value.problem.status == 404

    async def test_a_document_longer_than_the_limit_is_refused(self, make_caller: MakeCaller, shop: Service) -> None:
        with pytest.raises(CommunicationProblem, match="1000 bytes"):
            await call(make_caller(max_response_bytes=1000), shop, DOCUMENTS[0], "getOrder", {"orderId": 1})

    async def test_any_document_can_be_read(self, caller: WebCaller, shop: Service) -> None:
        resource = ExternalResource.model_validate({"endpoint": shop.url("/content/json")})
        assert await caller.read_document(resource) == {"id": 1, "name": "毛球"}
