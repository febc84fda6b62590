"""One HTTP request of a flow: written, sent with its redirections, and its answer in the form the flow asked for.

Source: Serverless Workflow DSL 1.0.3 reference, "HTTP Call", "HTTP Request", "HTTP Response".
"""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from connectors.web.content import UnreadableContent, decode_content, encode_content
from connectors.web.failures import NEVER_SENT, consequences, refused, unusable, with_consequences
from domain.catalog.web import HttpRequest, Output, scalar_text
from domain.problems import ProblemError, Text, ValidationProblem

MAX_REDIRECTS = 5

_OURS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
        "proxy-connection",
    }
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_SECRET_HEADER = re.compile(r"auth|cookie|token|secret|password|signature|api-?key|access-?key", re.IGNORECASE)
# What another host may learn from a request that is redirected to it.
_IMPERSONAL = frozenset({"accept", "accept-language", "content-type", "content-length", "user-agent", "host"})


def build_request(client: httpx.AsyncClient, request: HttpRequest, idempotency_key: str | None) -> httpx.Request:
    """The request as it goes out; raises ValidationProblem when an address, header, query or body cannot be sent.

    The key goes into `Idempotency-Key`, unless the flow sets that header or the method changes nothing.
    """
    method = request.method.upper()
    headers = httpx.Headers(_checked_headers(request.headers))
    content, content_type = encode_content(request.body, headers.get("content-type"))
    if content_type is not None:
        headers["content-type"] = content_type
    if idempotency_key is not None and method not in ("GET", "HEAD", "OPTIONS"):
        headers.setdefault("idempotency-key", idempotency_key)
    return client.build_request(method, _address(request), headers=headers, content=content or None)


def _checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise _wrong(
                Text(
                    f"请求头“{name}”不合法：名称和值只能用 ASCII 字符，不能换行",
                    f"The header '{name}' is malformed: name and value must be ASCII without line breaks",
                )
            )
        if name.lower() in _OURS:
            raise _wrong(Text(f"请求头 {name} 由系统设置，请删除", f"The header {name} is set by Tandem; remove it"))
    return headers


def _address(request: HttpRequest) -> httpx.URL:
    address = request.endpoint.uri.partition("#")[0]
    try:
        query = "&".join(
            f"{quote(name, safe='')}={quote(scalar_text(item), safe='')}"
            for name, value in request.query.items()
            for item in _query_items(name, value)
        )
        if query:
            address += ("&" if "?" in address else "?") + query
        return httpx.URL(address)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _wrong(Text(f"地址不合法：{error}", f"The address is malformed: {error}")) from error


def _query_items(name: str, value: Any) -> list[Any]:
    items = [item for item in (value if isinstance(value, list) else [value]) if item is not None]
    if any(isinstance(item, Mapping | list) for item in items):
        raise _wrong(
            Text(
                f"查询参数 {name} 只能是文本、数字、布尔值或它们的列表",
                f"The query parameter {name} must be text, a number, a boolean or a list of those",
            )
        )
    return items


async def exchange(
    client: httpx.AsyncClient, request: httpx.Request, auth: httpx.Auth | None, *, redirect: bool
) -> httpx.Response:
    """The final answer, read in full; raises CommunicationProblem for a status outside the accepted range.

    redirect: follow redirections, at most five. Credentials, and headers that could carry them, go to the first origin
    only; https never falls back to http.
    """
    try:
        first = response = await client.send(request, auth=auth)
        for _ in range(MAX_REDIRECTS if redirect else 0):
            if response.next_request is None:
                break
            response = await _follow(client, response, request, auth)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unusable(request.url, Text(str(error), str(error)), request.method) from error
    if redirect and response.next_request is not None:
        reason = Text(f"重定向超过 {MAX_REDIRECTS} 次", f"it redirects more than {MAX_REDIRECTS} times")
        raise unusable(request.url, reason, request.method)
    if not (response.is_success or (redirect and 300 <= response.status_code < 400)):
        raise refused(response, request.method, redirected=response is not first)
    return response


async def _follow(
    client: httpx.AsyncClient, response: httpx.Response, first: httpx.Request, auth: httpx.Auth | None
) -> httpx.Response:
    here, following = response.request.url, response.next_request
    if following is None:
        return response
    if here.scheme == "https" and following.url.scheme != "https":
        raise unusable(here, Text("它从 https 重定向到了 http", "it redirects from https to http"), first.method)
    if _origin(here) != _origin(following.url):
        following.headers = httpx.Headers(
            {name: value for name, value in following.headers.items() if name in _IMPERSONAL}
        )
    try:
        return await client.send(following, auth=auth if _origin(first.url) == _origin(following.url) else None)
    except ProblemError as error:
        # The first request was answered, so whatever a later one met, the work may have been done.
        transient = bool(error.problem.as_dict().get("retryable"))
        raise with_consequences(error, **consequences(first.method, answered=False, transient=transient)) from error


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def render(response: httpx.Response, output: Output, method: str) -> Any:
    """The answer as `output` asks; header names are in lower case, headers that carry secrets are not repeated.

    method: of the request that the flow made. Raises CommunicationProblem when the content is not what its type says.
    """
    if output == "raw":
        return base64.b64encode(response.content).decode("ascii") if response.content else None
    try:
        content = decode_content(response.content, response.headers.get("content-type", ""))
    except UnreadableContent as error:
        raise unusable(response.request.url, error.reason, method) from error
    if output == "content":
        return content
    return {
        "request": {
            "method": response.request.method.lower(),
            "uri": str(response.request.url),
            "headers": {
                name: value for name, value in response.request.headers.items() if not _SECRET_HEADER.search(name)
            },
        },
        "statusCode": response.status_code,
        "headers": dict(response.headers.items()),
        "content": content,
    }


def _wrong(detail: Text) -> ValidationProblem:
    return ValidationProblem(detail, **NEVER_SENT)
