"""`Idempotency-Key`: the same request sent again gets the answer of the first time, and nothing happens twice.

Only successes are kept: a refused request changed nothing, and may be corrected and sent again under its key.

Source: the IETF draft “The Idempotency-Key HTTP Header Field”.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from domain.ids import content_digest
from domain.problems import ProblemError, Text, ValidationProblem
from services.repeated_requests import RepeatedRequests
from storage.idempotency import StoredAnswer

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
SHOWN_ONCE = "x-shown-once"
"""In a route's `openapi_extra`: the member of its answer that is shown the first time only, and kept nowhere."""

_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,128})"?')
_KEPT_HEADERS = ("etag", "location")

log = structlog.get_logger(__name__)


def key_of(request: Request) -> str | None:
    """The request's idempotency key; raises ValidationProblem for one that is none."""
    given = request.headers.get(HEADER)
    if given is None:
        return None
    match = _KEY.fullmatch(given.strip())
    if match is None:
        raise ValidationProblem(
            Text(
                "Idempotency-Key 应为 1 到 128 个可见 ASCII 字符，例如一个 UUID",
                "Idempotency-Key must be 1 to 128 visible ASCII characters, such as a UUID",
            ),
            errors=[],
        )
    return match[1]


IdempotencyKey = Annotated[str | None, Depends(key_of)]
"""The request's key, for services that keep it themselves."""


async def once(
    request: Request,
    login: str,
    repeated: RepeatedRequests,
    work: Callable[[], Awaitable[Response]],
    shown_once: str | None = None,
) -> Response:
    """The answer of `work`, or the kept one of the same request.

    :raises ReusedKeyProblem: the key came with another request. :raises ConflictProblem: it is being worked on.
    """
    key = key_of(request)
    if key is None:
        return await work()
    kept = await repeated.begin(login, key, await _digest(request))
    if kept is not None:
        return _replay(kept)
    try:
        response = await work()
    except Exception:  # whatever it was, the request may be sent again
        await _give_back(repeated, login, key)
        raise
    if 200 <= response.status_code < 300 and not isinstance(response, StreamingResponse):
        await repeated.complete(login, key, StoredAnswer(response.status_code, _kept(response, shown_once)))
    else:
        # An answer that flows is kept nowhere: whoever repeats the request gets a new one.
        await _give_back(repeated, login, key)
    return response


async def _digest(request: Request) -> str:
    parts = (
        request.method,
        request.url.path,
        request.url.query,
        request.headers.get("content-type", ""),
        request.headers.get("if-match", ""),
    )
    return content_digest("\x1f".join(parts).encode() + b"\x1f" + await request.body())


async def _give_back(repeated: RepeatedRequests, login: str, key: str) -> None:
    try:
        await repeated.abandon(login, key)
    except ProblemError as problem:
        # Its lease ends by itself; what the caller must hear is the first refusal.
        log.warning("idempotency key not given back", reason=str(problem))


def _kept(response: Response, shown_once: str | None) -> dict[str, Any]:
    content = json.loads(bytes(response.body)) if response.body else None
    if shown_once is not None and isinstance(content, dict):
        content = {**content, shown_once: None}
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return {"content": content, "headers": headers}


def _replay(kept: StoredAnswer) -> Response:
    headers = {**kept.body["headers"], REPLAYED_HEADER: "true"}
    if kept.body["content"] is None:
        return Response(status_code=kept.status, headers=headers)
    return JSONResponse(kept.body["content"], kept.status, headers)
