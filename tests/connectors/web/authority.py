"""An OAuth 2 authority and services that verify what they are shown, for tests."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "flow:runner", "s3cret/+ü"
ASSERTION = "header.claims.signature"


def jwt(claims: Mapping[str, Any]) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.x"


@dataclass
class Authority:
    """Issues tokens below `/realm`, and remembers the requests it granted.

    The token is opaque unless `issuer_in_token` says whose it is; `lifetime_s` is what it announces.
    """

    issuer: str = ""
    lifetime_s: float | None = 3600
    issuer_in_token: str | None = None
    introspected: Mapping[str, Any] = field(default_factory=lambda: {"active": False})
    renewals: bool = False
    failing_status: int | None = None
    token_type: str = "Bearer"
    granted: list[dict[str, list[str]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    live: set[str] = field(default_factory=set)
    renewable: set[str] = field(default_factory=set)
    origin: str = ""

    def reset(self) -> None:
        """Be as new; the routes stay bound to this very object."""
        self.__dict__.update(Authority().__dict__)

    def routes(self) -> list[Route]:
        return [
            Route("/realm/oauth2/token", self._token, methods=["POST"]),
            Route("/realm/oauth2/introspect", self._introspect, methods=["POST"]),
            Route("/realm/.well-known/openid-configuration", self._describe),
            Route("/api", self._api, methods=["GET", "POST"]),
        ]

    async def _token(self, request: Request) -> Response:
        if self.failing_status is not None:
            return JSONResponse({"error": "temporarily_unavailable"}, status_code=self.failing_status)
        fields = await _fields(request)
        reason = _client_error(request, fields) or self._grant_error(fields)
        if reason:
            self.refused.append(reason)
            return JSONResponse({"error": reason, "error_description": "no"}, status_code=400)
        self.granted.append(fields)
        token = jwt({"iss": self.issuer_in_token, "n": secrets.token_hex(4)}) if self.issuer_in_token else ""
        token = token or secrets.token_urlsafe(16)
        self.live.add(token)
        answer: dict[str, Any] = {"access_token": token, "token_type": self.token_type}
        if self.lifetime_s is not None:
            answer["expires_in"] = self.lifetime_s
        if self.renewals:
            answer["refresh_token"] = secrets.token_urlsafe(16)
            self.renewable = {answer["refresh_token"]}
        return JSONResponse(answer)

    def _grant_error(self, fields: Mapping[str, list[str]]) -> str | None:
        match fields.get("grant_type"):
            case ["client_credentials"]:
                return None
            case ["password"]:
                fine = (fields.get("username"), fields.get("password")) == (["kim"], ["pässword"])
            case ["refresh_token"]:
                fine = fields.get("refresh_token", [""])[0] in {"first-renewal", *self.renewable}
            case ["authorization_code"]:
                fine = fields.get("code") == ["one-time-code"]
            case ["urn:ietf:params:oauth:grant-type:token-exchange"]:
                fine = [fields.get(name) for name in ("subject_token", "subject_token_type", "actor_token")] == [
                    ["customer-token"],
                    ["urn:ietf:params:oauth:token-type:access_token"],
                    ["agent-token"],
                ]
            case _:
                return "unsupported_grant_type"
        return None if fine else "invalid_grant"

    async def _introspect(self, request: Request) -> Response:
        fields = await _fields(request)
        known = fields["token"][0] in self.live and _client_error(request, fields) is None
        return JSONResponse(dict(self.introspected) if known else {"active": False})

    async def _describe(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "token_endpoint": f"{self.origin}/realm/oauth2/token",
                "introspection_endpoint": f"{self.origin}/realm/oauth2/introspect",
            }
        )

    async def _api(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.live:
            return JSONResponse({"error": "invalid_token"}, status_code=401)
        return JSONResponse({"welcome": True})


async def _fields(request: Request) -> dict[str, list[str]]:
    body = await request.body()
    if request.headers["content-type"] == "application/json":
        return {name: value if isinstance(value, list) else [value] for name, value in json.loads(body).items()}
    return parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True)


def _client_error(request: Request, fields: dict[str, list[str]]) -> str | None:
    """How the client showed who it is is written into the fields as `method`."""
    method = "none"
    fine = True
    header = request.headers.get("authorization", "")
    if header.startswith("Basic "):
        method = "client_secret_basic"
        name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        fine = (unquote(name), unquote(secret)) == (CLIENT_ID, CLIENT_SECRET)
    elif "client_secret" in fields:
        method = "client_secret_post"
        fine = (fields["client_id"], fields["client_secret"]) == ([CLIENT_ID], [CLIENT_SECRET])
    elif "client_assertion" in fields:
        fine = fields["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
        assertion = fields["client_assertion"][0]
        method = "private_key_jwt" if assertion == ASSERTION else "client_secret_jwt"
        fine = fine and (assertion == ASSERTION or _is_signed(assertion, str(request.url)))
    fields["method"] = [method]
    return None if fine else "invalid_client"


def _is_signed(assertion: str, audience: str) -> bool:
    signed, _, signature = assertion.rpartition(".")
    expected = hmac.new(CLIENT_SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    claims = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))
    return (
        hmac.compare_digest(base64.urlsafe_b64decode(signature + "=="), expected)
        and claims["iss"] == claims["sub"] == CLIENT_ID
        and claims["aud"] == audience
        and 0 < claims["exp"] - claims["iat"] <= 300
    )
