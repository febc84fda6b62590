"""What a flow gets from `call: http`, against a real server."""

import asyncio
import base64
import contextlib
from typing import Any

import pytest

from connectors.web.caller import WebCaller
from domain.catalog.web import HttpRequest
from domain.problems import CommunicationProblem, ProblemError, TimeoutProblem, ValidationProblem, standard_type
from tests.connectors.web.conftest import MakeCaller
from tests.connectors.web.service import Service


def request(service: Service, path: str, method: str = "get", **arguments: Any) -> HttpRequest:
    return HttpRequest.model_validate({"method": method, "endpoint": service.url(path), **arguments})


def to_port(server: asyncio.Server, method: str = "get") -> HttpRequest:
    port = server.sockets[0].getsockname()[1]
    return HttpRequest.model_validate({"method": method, "endpoint": f"http://shop.test:{port}"})


def members(caught: pytest.ExceptionInfo[ProblemError]) -> dict[str, Any]:
    return caught.value.problem.as_dict()


class TestRequest:
    async def test_query_is_appended_and_encoded(self, caller: WebCaller, service: Service) -> None:
        answer = await caller.call_http(
            request(
                service,
                "/echo?keep=%2B1&a=0",
                query={"q": "红 鞋&x=1", "tag": ["a", 2], "flag": True, "ratio": 2.0, "gone": None},
            )
        )
        assert answer["query"] == "keep=%2B1&a=0&q=%E7%BA%A2%20%E9%9E%8B%26x%3D1&tag=a&tag=2&flag=true&ratio=2"

    async def test_an_encoded_slash_stays_inside_its_segment(self, caller: WebCaller, service: Service) -> None:
        answer = await caller.call_http(request(service, "/echo/a%2Fb"))
        assert answer["path"] == "/echo/a%2Fb"

    @pytest.mark.parametrize(
        ("body", "content_type", "sent", "announced"),
        [
            ({"名": [1, None]}, None, '{"名": [1, null]}', "application/json"),
            ([1, 2], "application/vnd.shop+json", "[1, 2]", "application/vnd.shop+json"),
            (False, None, "false", "application/json"),
            ("plain", None, "plain", "text/plain; charset=utf-8"),
            ('{"already": 1}', "application/json", '{"already": 1}', "application/json"),
            ({"a": "x y", "b": [1, 2]}, "application/x-www-form-urlencoded", "a=x+y&b=1&b=2", None),
            (base64.b64encode(b"bytes").decode(), "application/octet-stream", "bytes", None),
        ],
    )
    async def test_body_is_written_as_the_content_type_asks(
        self, caller: WebCaller, service: Service, body: Any, content_type: str | None, sent: str, announced: str | None
    ) -> None:
        headers = {"Content-Type": content_type} if content_type else {}
        answer = await caller.call_http(request(service, "/echo", "POST", body=body, headers=headers))
        assert answer["body"] == sent
        assert answer["headers"]["content-type"] == (announced or content_type)

    async def test_multipart_body_has_one_part_per_field(self, caller: WebCaller, service: Service) -> None:
        answer = await caller.call_http(
            request(service, "/echo", "post", body={"note": "你好"}, headers={"content-type": "multipart/form-data"})
        )
        assert 'name="note"\r\n\r\n你好\r\n' in answer["body"]

    async def test_a_key_is_sent_with_effects_only_and_never_replaces_the_authors(
        self, caller: WebCaller, service: Service
    ) -> None:
        post = await caller.call_http(request(service, "/echo", "post"), idempotency_key="run/1")
        get = await caller.call_http(request(service, "/echo"), idempotency_key="run/1")
        own = await caller.call_http(
            request(service, "/echo", "post", headers={"Idempotency-Key": "mine"}), idempotency_key="run/1"
        )
        assert post["headers"]["idempotency-key"] == "run/1"
        assert "idempotency-key" not in get["headers"]
        assert own["headers"]["idempotency-key"] == "mine"

    async def test_cookies_of_one_call_are_not_sent_by_the_next(self, caller: WebCaller, service: Service) -> None:
        await caller.call_http(request(service, "/cookie"))
        assert await caller.call_http(request(service, "/cookie")) == {"cookie": None}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"headers": {"x-note": "a\r\nx-admin: 1"}},
            {"headers": {"x note": "a"}},
            {"headers": {"x-note": "中文"}},
            {"headers": {"Host": "other.test"}},
            {"headers": {"Transfer-Encoding": "chunked"}},
            {"query": {"filter": {"nested": 1}}},
            {"body": {"a": 1}, "headers": {"content-type": "text/csv"}},
            {"body": [1], "headers": {"content-type": "application/x-www-form-urlencoded"}},
            {"body": "not base64!", "headers": {"content-type": "image/png"}},
            {"body": {"half": "\ud800"}},
            {"body": {"amount": float("nan")}},
            {"query": {"half": "\ud800"}},
            {"endpoint": "ftp://shop.test/x"},
            {"endpoint": "/relative"},
            {"endpoint": "http://shop.test:99999/x"},
            {"endpoint": "http://user:secret@shop.test/x"},
        ],
    )
    async def test_what_cannot_be_sent_is_refused_in_both_languages(
        self, caller: WebCaller, service: Service, wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(ValidationProblem) as caught:
            await caller.call_http(request(service, "/echo", "post", **wrong))
        assert set(members(caught)["message"]) == {"zh", "en"}
        assert (members(caught)["outcome"], members(caught)["retryable"]) == ("not_done", False)
        assert "secret" not in str(members(caught))
        assert service.seen == []


class TestAnswer:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("json", {"id": 1, "name": "毛球"}),
            ("problem", {"title": "x"}),
            ("text", "你好"),
            ("gb2312", "镕基"),
            ("xml", "<a/>"),
            ("png", base64.b64encode(b"\x89PNG\x00").decode()),
            ("empty", None),
        ],
    )
    async def test_content_is_read_by_its_type(
        self, caller: WebCaller, service: Service, name: str, content: Any
    ) -> None:
        assert await caller.call_http(request(service, f"/content/{name}")) == content

    async def test_raw_is_base64_of_the_very_bytes(self, caller: WebCaller, service: Service) -> None:
        raw = await caller.call_http(request(service, "/content/json", output="raw"))
        assert base64.b64decode(raw).decode() == '{"id": 1, "name": "毛球"}'

    async def test_response_has_what_the_specification_tables(self, caller: WebCaller, service: Service) -> None:
        answer = await caller.call_http(
            request(
                service,
                "/content/json",
                output="response",
                query={"page": 1},
                headers={"X-Trace": "t", "Authorization": "Bearer s3cret", "Cookie": "s3cret", "X-Api-Key": "s3cret"},
            )
        )
        assert answer["statusCode"] == 200
        assert answer["content"] == {"id": 1, "name": "毛球"}
        assert answer["headers"]["content-type"] == "application/json"
        assert answer["request"]["method"] == "get"
        assert answer["request"]["uri"] == service.url("/content/json?page=1")
        assert answer["request"]["headers"]["x-trace"] == "t"
        assert "s3cret" not in str(answer)
        assert service.seen[0][2]["authorization"] == "Bearer s3cret"

    @pytest.mark.parametrize("name", ["broken", "nan", "deep", "digits"])
    async def test_json_that_is_none_is_a_communication_error(
        self, caller: WebCaller, service: Service, name: str
    ) -> None:
        with pytest.raises(CommunicationProblem) as caught:
            await caller.call_http(request(service, f"/content/{name}"))
        assert members(caught)["status"] == 502
        assert members(caught)["retryable"] is False

    async def test_a_head_request_has_no_content(self, caller: WebCaller, service: Service) -> None:
        answer = await caller.call_http(request(service, "/echo", "head", output="response"))
        assert (answer["statusCode"], answer["content"]) == (200, None)


class TestStatus:
    @pytest.mark.parametrize(
        ("method", "status", "outcome", "retryable"),
        [
            ("get", 404, "not_done", False),
            ("get", 401, "not_done", False),
            ("get", 503, "not_done", True),
            ("post", 400, "not_done", False),
            ("post", 429, "not_done", True),
            ("post", 500, "unknown", False),
            ("post", 501, "not_done", False),
            ("put", 502, "unknown", True),
        ],
    )
    async def test_an_error_status_says_whether_trying_again_is_safe(
        self, caller: WebCaller, service: Service, method: str, status: int, outcome: str, retryable: bool
    ) -> None:
        with pytest.raises(CommunicationProblem) as caught:
            await caller.call_http(request(service, f"/status/{status}?token=s3cret", method))
        problem = members(caught)
        assert problem["type"] == standard_type("communication")
        assert (problem["status"], problem["outcome"], problem["retryable"]) == (status, outcome, retryable)
        assert problem["response_excerpt"] == '{"why":"because"}'
        assert "s3cret" not in str(problem)

    @pytest.mark.parametrize(("after", "wait_s"), [("7", 7), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", None)])
    async def test_the_wish_for_a_pause_is_passed_on(
        self, caller: WebCaller, service: Service, after: str, wait_s: int | None
    ) -> None:
        with pytest.raises(CommunicationProblem) as caught:
            await caller.call_http(request(service, "/status/429", query={"after": after}))
        assert members(caught).get("retry_after_s") == wait_s

    async def test_a_redirection_is_an_error_unless_the_flow_allows_it(
        self, caller: WebCaller, service: Service
    ) -> None:
        with pytest.raises(CommunicationProblem, match="redirect: true") as caught:
            await caller.call_http(request(service, "/redirect?to=/content/json"))
        assert members(caught)["status"] == 302
        followed = await caller.call_http(request(service, "/redirect?to=/content/json", redirect=True))
        assert followed["id"] == 1

    async def test_a_3xx_without_a_place_to_go_is_an_answer_when_redirections_are_allowed(
        self, caller: WebCaller, service: Service
    ) -> None:
        answer = await caller.call_http(request(service, "/status/304", redirect=True, output="response"))
        assert answer["statusCode"] == 304


class TestRedirection:
    async def test_a_303_turns_into_get_and_a_307_keeps_method_and_body(
        self, caller: WebCaller, service: Service
    ) -> None:
        get, post = [
            await caller.call_http(
                request(service, f"/redirect?status={status}&to=/echo", "post", body={"a": 1}, redirect=True)
            )
            for status in (303, 307)
        ]
        assert (get["method"], get["body"]) == ("GET", "")
        assert (post["method"], post["body"]) == ("POST", '{"a": 1}')

    async def test_another_origin_never_sees_credentials(self, caller: WebCaller, service: Service) -> None:
        secrets = {"Authorization": "Bearer s3cret", "Cookie": "s3cret", "X-Whatever": "s3cret"}
        there = service.url("/echo", host="a.partner.test")
        answer = await caller.call_http(request(service, f"/redirect?to={there}", headers=secrets, redirect=True))
        assert answer["headers"]["host"] == f"a.partner.test:{service.port}"
        assert "s3cret" not in str(answer)

    async def test_an_endless_chain_ends(self, caller: WebCaller, service: Service) -> None:
        with pytest.raises(CommunicationProblem, match="redirects more than 5 times"):
            await caller.call_http(request(service, "/circle", redirect=True))
        assert len(service.seen) == 6


class TestLimits:
    async def test_an_endless_body_is_cut_at_the_limit_and_hung_up_on(self, caller: WebCaller) -> None:
        sent_bytes: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
            total = 0
            with contextlib.suppress(ConnectionError):
                while total < 100_000_000:
                    writer.write(b"x" * 100_000)
                    await writer.drain()
                    total += 100_000
            writer.close()
            sent_bytes.set_result(total)

        async with await asyncio.start_server(pour, "127.0.0.1", 0) as server:
            with pytest.raises(CommunicationProblem, match="2097152") as caught:
                await caller.call_http(to_port(server))
            assert await asyncio.wait_for(sent_bytes, 5) < 20_000_000
        assert members(caught)["retryable"] is False

    async def test_a_packed_bomb_is_cut_at_what_it_unpacks_to(self, caller: WebCaller, service: Service) -> None:
        with pytest.raises(CommunicationProblem, match="2097152"):
            await caller.call_http(request(service, "/packed/bomb"))

    async def test_packed_content_arrives_whole(self, caller: WebCaller, service: Service) -> None:
        assert await caller.call_http(request(service, "/packed/fine")) == {"packed": True}

    @pytest.mark.parametrize("name", ["cut", "damaged", "brotli"])
    async def test_what_cannot_be_unpacked_is_a_communication_error(
        self, caller: WebCaller, service: Service, name: str
    ) -> None:
        with pytest.raises(CommunicationProblem) as caught:
            await caller.call_http(request(service, f"/packed/{name}"))
        assert members(caught)["status"] == 502

    @pytest.mark.parametrize("path", ["/drip", "/silent"])
    async def test_one_call_has_one_deadline(self, make_caller: MakeCaller, service: Service, path: str) -> None:
        caller = make_caller(timeout_s=0.3)
        started = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutProblem) as caught:
            await caller.call_http(request(service, path))
        assert asyncio.get_running_loop().time() - started < 1
        assert (members(caught)["status"], members(caught)["retryable"]) == (408, True)

    async def test_after_a_timeout_nobody_knows_whether_a_post_was_done(
        self, make_caller: MakeCaller, service: Service
    ) -> None:
        with pytest.raises(TimeoutProblem) as caught:
            await make_caller(timeout_s=0.2).call_http(request(service, "/silent", "post"))
        assert (members(caught)["outcome"], members(caught)["retryable"]) == ("unknown", False)


class TestBrokenWire:
    async def test_a_closed_port_means_nothing_was_done(self, caller: WebCaller) -> None:
        unused = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        outgoing = to_port(unused, "post")
        unused.close()
        await unused.wait_closed()
        with pytest.raises(CommunicationProblem) as caught:
            await caller.call_http(outgoing)
        assert (members(caught)["status"], members(caught)["outcome"]) == (503, "not_done")
        assert members(caught)["retryable"] is True

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", b"garbage\r\n\r\n"])
    async def test_a_connection_that_breaks_leaves_the_outcome_open(self, caller: WebCaller, answer: bytes) -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            with pytest.raises(CommunicationProblem) as caught:
                await caller.call_http(to_port(server, "post"))
        assert (members(caught)["status"], members(caught)["outcome"]) == (502, "unknown")
        assert members(caught)["retryable"] is False
