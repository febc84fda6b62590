"""The executor of `call: http` and `call: openapi`."""

import asyncio
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from connectors.web.authentication import auth_of
from connectors.web.documents import Document, Documents
from connectors.web.failures import place, too_late
from connectors.web.guard import Resolver, WebSettings, system_resolver
from connectors.web.http_call import build_request, exchange, render
from connectors.web.openapi_call import http_request_of
from connectors.web.openapi_document import OpenApiDocument
from connectors.web.token_source import TokenSource
from connectors.web.transport import GuardedTransport
from domain.catalog.web import Endpoint, ExternalResource, HttpRequest, OpenApiRequest

_TOKEN_LIMIT_S = 10.0


class WebCaller:
    """Sends the web calls of flows; shares connections, tokens and documents between them, but no cookies.

    For one event loop; close it with `aclose`. Every problem it raises has the members that `connectors.web.failures`
    describes.
    """

    def __init__(self, settings: WebSettings, resolve: Resolver = system_resolver) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(settings, resolve),
            headers={"user-agent": "Tandem", "accept": "application/json, text/*;q=0.9, */*;q=0.8"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )
        self._tokens = TokenSource(self._client, min(_TOKEN_LIMIT_S, settings.timeout_s / 2))
        self._documents = Documents(self._fetch)

    async def call_http(self, request: HttpRequest, *, idempotency_key: str | None = None) -> Any:
        """The answer in the form `request.output` asks for.

        Raises AuthorizationProblem for a host or an address that is off limits, AuthenticationProblem when no token is
        to be had, ValidationProblem when the request cannot be sent, CommunicationProblem for a failed exchange or a
        status outside the accepted range, TimeoutProblem when the time was up.
        """
        return await self._call(request, idempotency_key, self._deadline())

    async def call_openapi(self, request: OpenApiRequest, *, idempotency_key: str | None = None) -> Any:
        """The answer of the operation in the form `request.output` asks for; the document is kept for a while.

        Raises what `call_http` raises, ConfigurationProblem for a document without that operation, and
        ValidationProblem for parameters that are missing, unknown or malformed.
        """
        deadline = self._deadline()
        document = await self._read(request.document.endpoint, deadline)
        operation = OpenApiDocument(document.content, document.address).operation(request.operation_id)
        return await self._call(http_request_of(operation, request), idempotency_key, deadline)

    async def read_document(self, resource: ExternalResource) -> Any:
        """The JSON or YAML document at the resource's endpoint, at most five minutes old."""
        return (await self._read(resource.endpoint, self._deadline())).content

    async def aclose(self) -> None:
        """Close the connections; calls under way fail."""
        await self._client.aclose()

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._settings.timeout_s

    async def _call(self, request: HttpRequest, idempotency_key: str | None, deadline: float) -> Any:
        outgoing = build_request(self._client, request, idempotency_key)
        auth = auth_of(request.endpoint.authentication, self._tokens)
        try:
            async with asyncio.timeout_at(deadline):
                response = await exchange(self._client, outgoing, auth, redirect=request.redirect)
        except TimeoutError as error:
            raise too_late(outgoing.url.host, self._settings.timeout_s, outgoing.method) from error
        return render(response, request.output, outgoing.method)

    async def _read(self, endpoint: Endpoint, deadline: float) -> Document:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._documents.read(endpoint)
        except TimeoutError as error:
            raise too_late(place(httpx.URL(endpoint.uri)), self._settings.timeout_s, "GET") from error

    async def _fetch(self, endpoint: Endpoint) -> httpx.Response:
        outgoing = build_request(self._client, HttpRequest(method="get", endpoint=endpoint), None)
        return await exchange(self._client, outgoing, auth_of(endpoint.authentication, self._tokens), redirect=True)
