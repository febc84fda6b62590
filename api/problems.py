"""Every refusal as `application/problem+json`, in the reader's language, with the sentence in both.

`title` and `detail` follow `Accept-Language` (Chinese unless English is preferred) and `Content-Language` says which;
`message` always has both. A bug of ours answers 500 with an incident id that is in the log, and never a traceback.
Personal data that a refusal quotes is masked.

Source: RFC 9457 (Problem Details), RFC 9110 (content negotiation).
"""

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException

from domain.privacy import Masking
from domain.problems import (
    TANDEM_TYPE_PREFIX,
    NotFoundProblem,
    Problem,
    ProblemError,
    RuntimeProblem,
    Text,
    ValidationProblem,
)
from domain.validation_texts import explain

PROBLEM_MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 50
_MASKING = Masking()

log = structlog.get_logger(__name__)

Language = Literal["zh", "en"]


class MethodProblem(ProblemError):
    """The address knows other methods."""

    type = TANDEM_TYPE_PREFIX + "method-not-allowed"
    status = 405
    title = Text("不支持的方法", "Method not allowed")


class TooLargeProblem(ProblemError):
    """The request is larger than the address takes."""

    type = TANDEM_TYPE_PREFIX + "too-large"
    status = 413
    title = Text("请求过大", "Request too large")


class MediaTypeProblem(ProblemError):
    """The body is of a kind that the address does not read."""

    type = TANDEM_TYPE_PREFIX + "media-type"
    status = 415
    title = Text("不支持的内容类型", "Unsupported media type")


def preferred_language(accept_language: str | None) -> Language:
    """`en` when the reader prefers it to Chinese, else `zh`."""
    best: dict[str, float] = {"zh": 0.0, "en": 0.0}
    for entry in (accept_language or "")[:200].split(","):
        tag, _, parameter = entry.strip().lower().partition(";")
        language = tag.split("-")[0]
        if language in best:
            best[language] = max(best[language], _quality(parameter))
    return "en" if best["en"] > best["zh"] else "zh"


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0


def problem_response(
    error: ProblemError, accept_language: str | None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The answer for a problem."""
    language = preferred_language(accept_language)
    content = _MASKING.mask(_localised(error, language))
    answered = {
        "Content-Language": "en" if language == "en" else "zh-CN",
        "Vary": "Accept-Language",
        "Cache-Control": "no-store",
        **(headers or {}),
    }
    if error.problem.status == HTTPStatus.UNAUTHORIZED:
        answered["WWW-Authenticate"] = "Bearer"
    if "retry_after_s" in content:
        answered["Retry-After"] = str(max(1, round(float(content["retry_after_s"]))))
    return JSONResponse(content, error.problem.status, answered, PROBLEM_MEDIA_TYPE)


def unexpected(error: Exception) -> ProblemError:
    """The problem for a bug of ours; its incident id finds the traceback in the log."""
    incident = uuid.uuid4().hex[:12]
    log.error("unexpected error", incident=incident, exc_info=error)
    return RuntimeProblem(
        Text(
            f"服务内部错误，已记录。请把事件编号 {incident} 告知管理员。",
            f"An internal error, which was logged. Give the incident id {incident} to your administrator.",
        ),
        incident=incident,
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Let the application answer every error of its routes with a problem."""

    async def of_problem(request: Request, error: Exception) -> JSONResponse:
        refusal = error if isinstance(error, ProblemError) else unexpected(error)
        return problem_response(refusal, request.headers.get("accept-language"))

    async def of_validation(request: Request, error: Exception) -> JSONResponse:
        refusal = invalid(error.errors()) if isinstance(error, RequestValidationError) else unexpected(error)
        return problem_response(refusal, request.headers.get("accept-language"))

    async def of_http(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            return problem_response(unexpected(error), request.headers.get("accept-language"))
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # Starlette tells of the first route of the address only.
            error.headers = {"Allow": ", ".join(sorted(_methods(app, request.url.path)))}
        return problem_response(_of_status(error), request.headers.get("accept-language"), error.headers)

    app.add_exception_handler(ProblemError, of_problem)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(ResponseValidationError, of_problem)
    app.add_exception_handler(HTTPException, of_http)


def invalid(errors: Sequence[Any]) -> ValidationProblem:
    """One problem for everything that is wrong with a request; `errors` lists `{pointer, message}`.

    The pointer is a JSON pointer into the body, or begins with `query`, `path` or `header`.
    """
    listed = [(_pointer(error["loc"]), explain(error)) for error in errors[:MOST_ERRORS]]
    pointer, reason = listed[0]
    more = len(errors) - 1
    text = Text(
        f"请求有 {len(errors)} 处不正确。{pointer or '/'}：{reason.zh}",
        f"{pointer or '/'}: {reason.en}" + (f" (and {more} more)" if more else ""),
    )
    return ValidationProblem(
        text, errors=[{"pointer": pointer, "message": reason.as_dict()} for pointer, reason in listed]
    )


def _pointer(location: Sequence[str | int]) -> str:
    where, *rest = location or ("body",)
    parts = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in rest)
    return parts if where == "body" else f"{where}{parts}"


def _localised(error: ProblemError, language: Language) -> dict[str, Any]:
    problem: Problem = error.problem
    content = problem.as_dict()
    message = content.get("message")
    if isinstance(message, dict) and isinstance(message.get(language), str):
        content["detail"] = message[language]
    if problem.type == type(error).type:
        content["title"] = getattr(type(error).title, language)
    return content


def _methods(app: FastAPI, path: str) -> set[str]:
    declared = {
        method
        for context in iter_route_contexts(app.routes)
        if isinstance(route := context.original_route, APIRoute) and route.path_regex.match(path)
        for method in route.methods or ()
    }
    return declared | {"HEAD"} if "GET" in declared else declared


def _of_status(error: HTTPException) -> ProblemError:
    allowed = (error.headers or {}).get("Allow", "")
    match error.status_code:
        case 404:
            return NotFoundProblem(Text("没有这个地址，请核对路径", "There is no such address: check the path"))
        case 405:
            return MethodProblem(
                Text(f"这个地址只支持 {allowed}", f"This address supports {allowed} only"), allowed=allowed
            )
        case status if 400 <= status < 500:
            return ValidationProblem(Text("请求无法解析", "The request cannot be read"), status=status)
        case _:
            return unexpected(error)
