"""The authentication of a flow's call, as httpx applies it to a request.

Source: Serverless Workflow DSL 1.0.3 reference, "Authentication"; RFC 7617 (basic), RFC 6750 (bearer), RFC 7616
(digest).
"""

from collections.abc import AsyncGenerator, Generator

import httpx
from pydantic import SecretStr

from connectors.web.failures import NEVER_SENT, unusable
from connectors.web.token_source import TokenSource
from domain.catalog.web import Authentication, OidcAuthentication
from domain.problems import AuthenticationProblem, Text


class BearerAuth(httpx.Auth):
    """Sends a token that was given."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        _carry(request, self._token)
        yield request


class DigestAuth(httpx.DigestAuth):
    """Answers the server's challenge; raises CommunicationProblem when the challenge cannot be answered."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        try:
            yield from super().auth_flow(request)
        except (httpx.ProtocolError, KeyError, NotImplementedError, UnicodeError) as error:
            raise unusable(
                request.url,
                Text("无法应答它的 digest 质询", "its digest challenge cannot be answered"),
                # A challenge means that nothing was done, whatever the method.
                "GET",
            ) from error


class IssuedTokenAuth(httpx.Auth):
    """Fetches a token from the authority, and once more when the service refuses the one that was kept."""

    def __init__(self, source: TokenSource, policy: OidcAuthentication) -> None:
        self._source = source
        self._policy = policy

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = await self._source.token(self._policy)
        _carry(request, token.value)
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        self._source.forget(self._policy, token)
        renewed = await self._source.token(self._policy)
        if renewed.value != token.value:
            _carry(request, renewed.value)
            yield request


def _carry(request: httpx.Request, token: SecretStr) -> None:
    value = token.get_secret_value().strip()
    if not value or not value.isascii() or not value.isprintable():
        raise AuthenticationProblem(
            Text(
                "bearer 令牌为空或含有非法字符，请检查对应的密钥",
                "The bearer token is empty or has characters that cannot be sent; check the secret it comes from",
            ),
            **NEVER_SENT,
        )
    request.headers["authorization"] = f"Bearer {value}"


def auth_of(authentication: Authentication | None, source: TokenSource) -> httpx.Auth | None:
    """How to authenticate a request; None when the call names no authentication."""
    match authentication:
        case None:
            return None
        case Authentication(basic=basic) if basic is not None:
            return httpx.BasicAuth(basic.username, basic.password.get_secret_value())
        case Authentication(bearer=bearer) if bearer is not None:
            return BearerAuth(bearer.token)
        case Authentication(digest=digest) if digest is not None:
            return DigestAuth(digest.username, digest.password.get_secret_value())
        case _:
            policy = authentication.oauth2 or authentication.oidc
            return IssuedTokenAuth(source, policy) if policy is not None else None
