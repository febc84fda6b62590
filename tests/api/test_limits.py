"""How many, how large, how long; and what every answer carries."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from starlette.types import Message

from api.app import create_app
from api.deps import ApiSettings
from api.limits import MEGABYTE, Rates, bounds_of
from api.openapi import api_routes
from storage.idempotency import LEASE
from tests.api.house import METRICS_TOKEN, House, problem


async def test_one_token_may_not_ask_without_end(house: House) -> None:
    app, _ = house.with_other(settings=ApiSettings(rates=Rates(caller="3/minute")))
    async with house.client_of(app) as client:
        mine = {"Authorization": f"Bearer {house.tokens['ops']}"}
        for _ in range(3):
            assert (await client.get("/api/v1/session", headers=mine)).status_code == 200
        refused = await client.get("/api/v1/session", headers=mine)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "3 per 1 minute" in problem(refused)["message"]["en"]
        others = {"Authorization": f"Bearer {house.tokens['agent']}"}
        assert (await client.get("/api/v1/session", headers=others)).status_code == 200


async def test_one_address_may_not_knock_without_end_and_others_may(house: House) -> None:
    app, _ = house.with_other(settings=ApiSettings(rates=Rates(address="2/minute")))
    async with (
        house.client_of(app, "198.51.100.1") as first,
        house.client_of(app, "2001:db8::1") as second,
        house.client_of(app, "2001:db8::2") as neighbour,
    ):
        statuses = [(await first.get("/api/v1/session")).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]
        assert (await second.get("/api/v1/session")).status_code == 401
        assert (await neighbour.get("/api/v1/session")).status_code == 401
        assert (await neighbour.get("/api/v1/session")).status_code == 429, "one network of IPv6 is one address"
        assert (await first.get("/healthz")).status_code == 200, "health is never refused"


@pytest.mark.parametrize(("path", "size"), [("/api/v1/runs", 2 * MEGABYTE), ("/api/v1/definitions", 4 * MEGABYTE)])
async def test_a_body_above_its_bound_is_refused_unread(house: House, path: str, size: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // MEGABYTE + 1):
            yield b"x" * MEGABYTE

    headers = {"Content-Type": "application/json"}
    declared = await house.say("ops", "POST", path, content=b"x" * (size + 1), headers=headers)
    streamed = await house.say("ops", "POST", path, content=chunks(), headers=headers)
    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert problem(answer)["limit_bytes"] == size
        assert answer.headers["connection"] == "close"


async def test_a_body_that_never_ends_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.limits.BODY_S", 0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    answer = await house.say(
        "ops", "POST", "/api/v1/runs", content=slowly(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 408
    assert problem(answer)["title"] == "已超时"


@pytest.mark.parametrize("path", ["/api/v1/runs", "/hooks/youzan/flagship", "/collect/shop"])
async def test_who_hangs_up_in_the_midst_of_a_body_is_no_bug_of_ours(house: House, path: str) -> None:
    told: list[Message] = []
    parts: list[Message] = [
        {"type": "http.request", "body": b'{"a": ', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return parts.pop(0)

    async def send(message: Message) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"50")],
        "client": ("198.51.100.7", 4000),
        "server": ("testserver", 80),
    }
    await house.app(scope, receive, send)
    assert told[0]["status"] == 400
    assert "断开" in b"".join(message.get("body", b"") for message in told).decode()


async def test_work_that_does_not_end_is_answered_in_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck:
        async def search(self, *_: Any) -> None:
            await asyncio.sleep(30)

    app, _ = house.with_other(runs=Stuck())
    bounds = (("/api/", bounds_of("/api/v1/runs").__class__(answer_s=0.05)),)
    monkeypatch.setattr("api.limits._BOUNDS", bounds)
    async with house.client_of(app) as client:
        answer = await client.get("/api/v1/runs", headers={"Authorization": f"Bearer {house.tokens['ops']}"})
    assert answer.status_code == 503
    assert "0.05" in problem(answer)["detail"]


async def test_an_answer_that_flows_may_take_long_but_not_stall(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    class Flowing:
        masked = False
        customer = uuid4()

        def __init__(self, pauses_s: Sequence[float]) -> None:
            self._pauses_s = pauses_s

        async def export(self, *_: Any) -> "Flowing":
            return self

        @property
        async def lines(self) -> AsyncIterator[bytes]:
            for pause_s in self._pauses_s:
                yield b"{}\n"
                await asyncio.sleep(pause_s)

    monkeypatch.setattr("api.limits._BOUNDS", (("/api/", replace(bounds_of("/api/v1/runs"), answer_s=3.0)),))
    monkeypatch.setattr("api.limits.PART_S", 2.0)
    path, admin = f"/api/v1/customers/{uuid4()}/export", {"Authorization": f"Bearer {house.tokens['admin']}"}
    app, _ = house.with_other(exports=Flowing([0.4] * 10))
    async with house.client_of(app) as client:
        answer = await client.post(path, json={"reason": "本人申请"}, headers=admin)
    assert (answer.status_code, answer.text) == (200, "{}\n" * 10)
    app, _ = house.with_other(exports=Flowing([30]))
    async with house.client_of(app) as client:
        with pytest.raises(TimeoutError):
            await client.post(path, json={"reason": "本人申请"}, headers=admin)


async def test_a_page_has_bounds(house: House) -> None:
    assert (await house.get("ops", "/api/v1/runs?size=200")).status_code == 200
    assert (await house.get("ops", "/api/v1/runs?size=201")).status_code == 400
    assert (await house.get("ops", "/api/v1/runs?cursor=abc")).status_code == 400


async def test_answers_carry_safe_headers_and_a_request_id(house: House) -> None:
    answer = await house.get("ops", "/api/v1/session", headers={"X-Request-Id": "my-request-0001"})
    assert answer.headers["x-request-id"] == "my-request-0001"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers
    other = await house.get("ops", "/api/v1/session", headers={"X-Request-Id": "bad id\x01"})
    assert other.headers["x-request-id"] != "bad id\x01"
    assert len(other.headers["x-request-id"]) == 32


async def test_no_other_origin_is_invited(house: House) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await house.say(None, "OPTIONS", "/api/v1/runs", headers=asked)
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


async def test_metrics_are_for_this_machine_or_the_token(house: House) -> None:
    assert (await house.get(None, "/metrics")).status_code == 401
    assert (await house.get("admin", "/metrics")).status_code == 401, "a user's token is none for metrics"
    with_token = await house.get(None, "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    assert with_token.status_code == 200
    async with house.client_of(create_app(house.deps), "127.0.0.1") as local:
        assert (await local.get("/metrics")).status_code == 200
        wrong = await local.get("/metrics", headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401


def test_a_key_is_kept_for_longer_than_its_request_may_run(house: House) -> None:
    changing = [route.path_format for route in api_routes(house.app) if "POST" in (route.methods or ())]
    longest = max(bounds_of(path).answer_s for path in changing)
    assert LEASE.total_seconds() > longest
