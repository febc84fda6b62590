"""One request to a platform: what its failures mean for whoever must decide whether to try again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from connectors.acting import acting_for
from connectors.http import MOST_CONNECTIONS, Link, PlatformHttp, open_client
from connectors.tokens import MemoryTokenStore
from domain.problems import ProblemError
from tests.simulator.harness import served

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass
class Answering:
    """A platform that answers as it is told."""

    status: int = 200
    body: bytes = b'{"errcode": 0}'
    headers: dict[str, str] | None = None
    drip_s: float = 0.0
    seen: bytes = b""
    address: str = ""

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.api_route("/{path:path}", methods=["GET", "POST"])
        async def answer(request: Request) -> Response:
            self.seen = await request.body()
            if self.drip_s:
                return StreamingResponse(self._drip(), self.status)
            return Response(self.body, self.status, self.headers)

        return app

    async def _drip(self) -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" "
            await asyncio.sleep(self.drip_s)

    async def ask(self, **more: Any) -> dict[str, Any]:
        async with open_client() as client:
            link = Link(client, MemoryTokenStore(), now=lambda: NOW, answer_timeout_s=0.5 if self.drip_s else 20)
            return await PlatformHttp("shop", self.address, link).exchange(
                "POST", "/api", query={"access_token": "very-secret"}, **{"payload": {}, **more}
            )

    async def refusal(self, **more: Any) -> dict[str, Any]:
        with pytest.raises(ProblemError) as error:
            await self.ask(**more)
        problem = error.value.problem.as_dict()
        assert "very-secret" not in str(problem)
        assert error.value.__cause__ is None
        return problem


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Answering]:
    platform = Answering()
    async with served(platform.app()) as address:
        platform.address = address
        yield platform


@pytest.fixture
def platform(running: Answering) -> Answering:
    running.__dict__.update(replace(Answering(), address=running.address).__dict__)
    return running


async def test_json_goes_out_once_serialised_and_comes_back_read(platform: Answering) -> None:
    platform.body = b'{"fee": 12.90}'
    answer = await platform.ask(payload={"name": "双擎", "n": 1})
    assert platform.seen == '{"name":"双擎","n":1}'.encode()
    assert str(answer["fee"]) == "12.90"


@pytest.mark.parametrize(
    ("status", "effect", "expected"),
    [
        (429, True, (429, True, "not_done")),
        (500, False, (500, True, "not_done")),
        (502, True, (502, True, "unknown")),
        (404, True, (404, False, "not_done")),
        (302, True, (502, False, "not_done")),
    ],
)
async def test_a_status_says_whether_to_retry_and_whether_it_was_done(
    platform: Answering, status: int, effect: bool, expected: tuple[int, bool, str]
) -> None:
    platform.status, platform.headers = status, {"location": "http://169.254.169.254/"}
    problem = await platform.refusal(effect=effect)
    assert (problem["status"], problem["retryable"], problem["outcome"]) == expected


@asynccontextmanager
async def silent(seconds: float) -> AsyncIterator[tuple[Link, str]]:
    """A platform that takes connections and says nothing, and a link that waits so long for it; its host and port."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0, backlog=500) as server, open_client() as client:
        link = Link(client, MemoryTokenStore(), now=lambda: NOW, answer_timeout_s=seconds)
        yield link, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def outcome(link: Link, address: str) -> str:
    """Of an effect that fails."""
    with pytest.raises(ProblemError) as error:
        await PlatformHttp("shop", address, link).exchange("POST", "/api", payload={}, effect=True)
    problem = error.value.problem.as_dict()
    assert problem["retryable"] is True
    return str(problem["outcome"])


async def test_an_attempt_whose_time_is_up_changes_nothing_more(platform: Answering) -> None:
    with acting_for(-1):
        problem = await platform.refusal(effect=True)
        assert (problem["outcome"], problem["retryable"]) == ("not_done", True)
        assert platform.seen == b"", "nothing was sent"
        assert await platform.ask() == {"errcode": 0}, "and may still ask"
    with acting_for(5):
        assert await platform.ask(effect=True) == {"errcode": 0}


async def test_what_found_no_free_connection_was_not_done() -> None:
    """Others of the same platform hold them all, as it does not answer."""
    async with silent(3.0) as (link, place):
        asked = [outcome(link, f"http://{place}") for _ in range(MOST_CONNECTIONS + 7)]
        assert Counter(await asyncio.gather(*asked)) == {"unknown": MOST_CONNECTIONS, "not_done": 7}


async def test_a_connection_that_is_not_made_in_time_has_carried_nothing() -> None:
    # Its greeting never ends, and takes as long as the whole request may.
    async with silent(0.5) as (link, place):
        assert await outcome(link, f"https://{place}") == "not_done"


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("7", 7.0),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(NOW - timedelta(seconds=30), usegmt=True), 0.0),
        ("999999", 3600.0),
        ("soon", 1.0),
        ("", 1.0),
    ],
)
async def test_retry_after_is_understood_in_both_forms(platform: Answering, header: str, wait_s: float) -> None:
    platform.status, platform.headers = 429, {"retry-after": header}
    assert (await platform.refusal())["retry_after_s"] == wait_s


@pytest.mark.parametrize(
    "body", [b"<html>gateway</html>", b"[]", b"", b"null", b"[" * 100_000, b"[1e99999999999999999999]"]
)
async def test_an_answer_that_is_no_object_leaves_an_effect_unknown(platform: Answering, body: bytes) -> None:
    platform.body = body
    assert (await platform.refusal(effect=True))["outcome"] == "unknown"
    assert (await platform.refusal(effect=False))["outcome"] == "not_done"


async def test_an_endless_answer_is_cut_off(platform: Answering) -> None:
    platform.body = b" " * 9_000_000
    assert (await platform.refusal())["status"] == 502


async def test_a_dripping_answer_does_not_outlast_the_limit(platform: Answering) -> None:
    platform.drip_s = 0.05
    async with asyncio.timeout(3):
        problem = await platform.refusal(effect=True, settle_s=4.0)
    assert (problem["status"], problem["outcome"], problem["retry_after_s"]) == (408, "unknown", 4.0)


async def test_a_file_may_take_longer_than_a_request(platform: Answering) -> None:
    platform.drip_s = 0.002
    async with open_client() as client:
        http = PlatformHttp("shop", platform.address, Link(client, MemoryTokenStore(), answer_timeout_s=0.5))
        with pytest.raises(ProblemError):
            await http.send("GET", "/file", {}, None, effect=False)
        status, _, content = await http.send("GET", "/file", {}, None, effect=False, patience_s=60)
        assert (status, len(content)) == (200, 1_000)
        platform.drip_s = 2
        began = monotonic()
        with pytest.raises(ProblemError):
            await http.send("GET", "/file", {}, None, effect=False, patience_s=60)
        assert monotonic() - began < 2, "nothing comes any more"


async def test_nobody_listening_means_nothing_was_done(platform: Answering) -> None:
    away = Answering(address="http://127.0.0.1:9")
    problem = await away.refusal(effect=True)
    assert (problem["retryable"], problem["outcome"]) == (True, "not_done")
