"""Access tokens from OAuth 2 authorities and OpenID Connect providers, fetched when needed and kept while they live.

Source: RFC 6749 (framework), RFC 7662 (introspection), RFC 8693 (token exchange), RFC 8414 and OpenID Connect Discovery
1.0 (discovery); Serverless Workflow DSL 1.0.3 reference, "OAUTH2 Authentication", "OpenIdConnect Authentication".
"""

import asyncio
import base64
import binascii
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel, Field, SecretStr, ValidationError

from connectors.web.client_proof import Fields, prove_client, write_fields
from connectors.web.content import UnreadableContent, decode_content
from connectors.web.expiring_cache import ExpiringCache, fingerprint
from connectors.web.failures import NEVER_SENT, is_transient, place, refused, too_late, unusable, with_consequences
from domain.catalog.web import OAuth2Authentication, OidcAuthentication
from domain.problems import (
    AuthenticationProblem,
    CommunicationProblem,
    ConfigurationProblem,
    ProblemError,
    Text,
    TimeoutProblem,
)

_DISCOVERY_LIFETIME_S = 3600.0
# RFC 6749 leaves the lifetime open when `expires_in` is missing.
_UNSTATED_LIFETIME_S = 60.0
_KEPT = 256
_WELL_KNOWN = re.compile(r"/\.well-known/(openid-configuration|oauth-authorization-server)")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token and what renews it."""

    value: SecretStr
    renewal: SecretStr | None


@dataclass(frozen=True, slots=True)
class _Endpoints:
    token: str
    introspection: str | None


class _TokenAnswer(BaseModel):
    access_token: SecretStr = Field(min_length=1)
    token_type: str = "Bearer"  # noqa: S105 - a kind of token, not a secret
    expires_in: float | None = Field(default=None, ge=0)
    refresh_token: SecretStr | None = None


class _AuthorityDescription(BaseModel):
    issuer: str
    token_endpoint: str
    introspection_endpoint: str | None = None


class TokenSource:
    """Fetches and keeps tokens; one request at a time for the same policy.

    client: sends the requests, guarded like every other. limit_s: for one token, discovery included. now: seconds on a
    clock that never goes back.
    """

    def __init__(self, client: httpx.AsyncClient, limit_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._limit_s = limit_s
        self._tokens: ExpiringCache[AccessToken] = ExpiringCache(_KEPT, now)
        self._authorities: ExpiringCache[_AuthorityDescription] = ExpiringCache(_KEPT, now)

    async def token(self, policy: OidcAuthentication) -> AccessToken:
        """A live token. Raises AuthenticationProblem when the authority refuses, CommunicationProblem or TimeoutProblem
        when it cannot be asked; the call that wants the token was not made in any case."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._tokens.get(fingerprint(policy), lambda previous: self._obtain(policy, previous))
        except TimeoutError as error:
            host = httpx.URL(policy.authority).host
            raise too_late(host, self._limit_s, "POST", connected=False) from error
        except httpx.InvalidURL as error:
            raise ConfigurationProblem(
                Text(f"认证服务的地址不合法：{error}", f"The address of the authority is malformed: {error}"),
                **NEVER_SENT,
            ) from error
        except (CommunicationProblem, TimeoutProblem) as error:
            raise with_consequences(error, outcome="not_done", retryable=is_transient(error.problem.status)) from error
        except ProblemError as error:
            raise with_consequences(error, **NEVER_SENT) from error

    def forget(self, policy: OidcAuthentication, token: AccessToken) -> None:
        """The service refused this token: get another next time."""
        self._tokens.expire(fingerprint(policy), token)

    async def _obtain(self, policy: OidcAuthentication, previous: AccessToken | None) -> tuple[AccessToken, float]:
        endpoints = await self._endpoints(policy)
        answer = await self._renew(policy, endpoints, previous)
        if answer is None:
            answer = await self._ask(policy, endpoints.token, _grant_fields(policy))
        if answer.token_type.lower() != "bearer":
            raise _refusal(
                endpoints.token,
                Text(f"令牌类型 {answer.token_type} 不受支持", f"tokens of type {answer.token_type} are not supported"),
            )
        token = AccessToken(answer.access_token, answer.refresh_token or (previous.renewal if previous else None))
        if policy.issuers:
            await self._check_issuer(policy, endpoints, token)
        lifetime_s = _UNSTATED_LIFETIME_S if answer.expires_in is None else answer.expires_in
        return token, lifetime_s - min(30.0, lifetime_s / 10)

    async def _renew(
        self, policy: OidcAuthentication, endpoints: _Endpoints, previous: AccessToken | None
    ) -> _TokenAnswer | None:
        """The answer to the refresh token; None when there is none or it is no longer accepted."""
        if previous is None or previous.renewal is None:
            return None
        fields: Fields = {"grant_type": "refresh_token", "refresh_token": previous.renewal.get_secret_value()}
        try:
            return await self._ask(policy, endpoints.token, fields)
        except AuthenticationProblem:
            return None

    async def _ask(self, policy: OidcAuthentication, endpoint: str, fields: Fields) -> _TokenAnswer:
        scope: Fields = {"scope": " ".join(policy.scopes)} if policy.scopes else {}
        audience: Fields = {"audience": list(policy.audiences)} if policy.audiences else {}
        content = await self._post(policy, endpoint, {**fields, **scope, **audience})
        try:
            return _TokenAnswer.model_validate(content)
        except ValidationError as error:
            reason = Text("其中没有可用的 access_token", "it holds no usable access_token")
            raise unusable(httpx.URL(endpoint), reason, "POST") from error

    async def _post(self, policy: OidcAuthentication, endpoint: str, fields: Fields) -> Any:
        headers, proof = prove_client(policy.client, endpoint)
        body, content_type = write_fields({**fields, **proof}, policy.request.encoding)
        response = await self._client.post(
            endpoint, content=body, headers={**headers, "content-type": content_type, "accept": "application/json"}
        )
        if response.is_success:
            return _json(response)
        if response.is_client_error and not is_transient(response.status_code):
            raise _refusal(endpoint, _error_text(response))
        raise refused(response, "POST", redirected=False)

    async def _endpoints(self, policy: OidcAuthentication) -> _Endpoints:
        discovered = _WELL_KNOWN.search(policy.authority) is not None
        if isinstance(policy, OAuth2Authentication) and not discovered:
            return _Endpoints(
                _below(policy.authority, policy.endpoints.token),
                _below(policy.authority, policy.endpoints.introspection),
            )
        address = policy.authority if discovered else policy.authority.rstrip("/") + "/.well-known/openid-configuration"
        found = await self._authorities.get(address, lambda _: self._discover(address))
        expected = policy.issuers or (_WELL_KNOWN.sub("", policy.authority),)
        if found.issuer.rstrip("/") not in {issuer.rstrip("/") for issuer in expected}:
            raise _refusal(
                address,
                Text(
                    f"它自称 {found.issuer}；如属实，请写入 issuers",
                    f"it calls itself {found.issuer}; if that is right, name it in `issuers`",
                ),
            )
        return _Endpoints(found.token_endpoint, found.introspection_endpoint)

    async def _discover(self, address: str) -> tuple[_AuthorityDescription, float]:
        response = await self._client.get(address, headers={"accept": "application/json"})
        if not response.is_success:
            raise refused(response, "GET", redirected=False)
        try:
            return _AuthorityDescription.model_validate(_json(response)), _DISCOVERY_LIFETIME_S
        except ValidationError as error:
            reason = Text("不是有效的发现文档", "it is no discovery document")
            raise unusable(response.request.url, reason, "GET") from error

    async def _check_issuer(self, policy: OidcAuthentication, endpoints: _Endpoints, token: AccessToken) -> None:
        issuer = _issuer_inside(token.value.get_secret_value())
        if issuer is None and endpoints.introspection is not None:
            described = await self._post(policy, endpoints.introspection, {"token": token.value.get_secret_value()})
            if isinstance(described, dict) and described.get("active") is True:
                issuer = described.get("iss")
        if issuer not in policy.issuers:
            raise _refusal(
                endpoints.token,
                Text(
                    f"令牌的签发者是 {issuer or '未知'}，不在 issuers 之中",
                    f"the token's issuer is {issuer or 'unknown'}, which is not among `issuers`",
                ),
            )


def _grant_fields(policy: OidcAuthentication) -> Fields:
    fields: Fields = {"grant_type": policy.grant}
    subject = policy.subject.token.get_secret_value() if policy.subject else ""
    match policy.grant:
        case "password":
            fields["username"] = policy.username or ""
            fields["password"] = policy.password.get_secret_value() if policy.password else ""
        case "refresh_token":
            fields["refresh_token"] = subject
        case "authorization_code":
            fields["code"] = subject
        case "urn:ietf:params:oauth:grant-type:token-exchange":
            fields["subject_token"] = subject
            fields["subject_token_type"] = policy.subject.type if policy.subject else ""
            if policy.actor is not None:
                fields["actor_token"] = policy.actor.token.get_secret_value()
                fields["actor_token_type"] = policy.actor.type
        case "client_credentials":
            pass
    return fields


def _below(authority: str, path: str) -> str:
    return path if path.startswith(("http://", "https://")) else f"{authority.rstrip('/')}/{path.lstrip('/')}"


def _issuer_inside(token: str) -> str | None:
    """The `iss` of a JWT; None for any other token. The token came from the authority itself, so who signed it is not
    in question here (OpenID Connect Core 1.0, 3.1.3.7)."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else None


def _json(response: httpx.Response) -> Any:
    try:
        return decode_content(response.content, "application/json")
    except UnreadableContent as error:
        raise unusable(response.request.url, error.reason, "POST") from error


def _error_text(response: httpx.Response) -> Text:
    try:
        content = decode_content(response.content, "application/json")
    except UnreadableContent:
        content = None
    stated = [content.get(name) for name in ("error", "error_description")] if isinstance(content, dict) else []
    reason = ": ".join(item[:200] for item in stated if isinstance(item, str)) or f"HTTP {response.status_code}"
    return Text(reason, reason)


def _refusal(endpoint: str, reason: Text) -> AuthenticationProblem:
    where = place(httpx.URL(endpoint))
    return AuthenticationProblem(
        Text(f"无法从 {where} 取得令牌：{reason.zh}", f"Cannot get a token from {where}: {reason.en}"),
        **NEVER_SENT,
    )
