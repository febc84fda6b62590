"""Each authentication of the language against a service that verifies it."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.web.caller import WebCaller
from connectors.web.guard import WebSettings
from connectors.web.token_source import TokenSource
from connectors.web.transport import GuardedTransport
from domain.catalog.web import HttpRequest, OAuth2Authentication
from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    CommunicationProblem,
    ConfigurationProblem,
    TimeoutProblem,
)
from tests.connectors.web.authority import ASSERTION, CLIENT_ID, CLIENT_SECRET, Authority
from tests.connectors.web.conftest import MakeCaller, loopback
from tests.connectors.web.service import Service, serve


def get(service: Service, path: str, authentication: dict[str, Any], **arguments: Any) -> HttpRequest:
    endpoint = {"uri": service.url(path), "authentication": authentication}
    return HttpRequest.model_validate({"method": "get", "endpoint": endpoint, **arguments})


async def _basic(request: Request) -> Response:
    expected = "Basic " + base64.b64encode("小红:pä:ss".encode()).decode()
    fine = request.headers.get("authorization") == expected
    return JSONResponse({"fine": fine}, status_code=200 if fine else 401)


async def _bearer(request: Request) -> Response:
    fine = request.headers.get("authorization") == "Bearer t0ken"
    return JSONResponse({"fine": fine}, status_code=200 if fine else 401)


async def _digest(request: Request) -> Response:
    """RFC 7616 with SHA-256 and qop=auth, worked out here independently."""
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', request.headers.get("authorization", "").removeprefix("Digest ")))
    challenge = 'Digest realm="shop", qop="auth", algorithm=SHA-256, nonce="n0nce", opaque="0paque"'
    if not given:
        return Response(status_code=401, headers={"www-authenticate": challenge})

    def hashed(*parts: str) -> str:
        return hashlib.sha256(":".join(parts).encode()).hexdigest()

    response = hashed(
        hashed("kim", "shop", "pa55"),
        "n0nce",
        given["nc"],
        given["cnonce"],
        "auth",
        hashed(request.method, f"{request.url.path}?{request.url.query}"),
    )
    fine = given["response"] == response and given["opaque"] == "0paque"
    return JSONResponse({"fine": fine}, status_code=200 if fine else 401)


async def _odd_digest(request: Request) -> Response:
    challenge = request.query_params["challenge"]
    return Response(status_code=401, headers={"www-authenticate": f"Digest {challenge}"})


@pytest.fixture(scope="module")
def guarded_service() -> Iterator[Service]:
    with serve(
        Route("/basic", _basic),
        Route("/bearer", _bearer),
        Route("/digest", _digest),
        Route("/odd-digest", _odd_digest),
    ) as service:
        yield service


CREDENTIALS = {
    "basic": {"basic": {"username": "小红", "password": "pä:ss"}},
    "bearer": {"bearer": {"token": "t0ken"}},
    "digest": {"digest": {"username": "kim", "password": "pa55"}},
}
WRONG = {
    "basic": {"basic": {"username": "小红", "password": "other"}},
    "bearer": {"bearer": {"token": "other"}},
    "digest": {"digest": {"username": "kim", "password": "other"}},
}


class TestGivenCredentials:
    @pytest.mark.parametrize("scheme", CREDENTIALS)
    async def test_right_ones_open(self, caller: WebCaller, guarded_service: Service, scheme: str) -> None:
        answer = await caller.call_http(get(guarded_service, f"/{scheme}?a=1", CREDENTIALS[scheme]))
        assert answer == {"fine": True}

    @pytest.mark.parametrize("scheme", WRONG)
    async def test_wrong_ones_are_a_communication_error_with_the_services_status(
        self, caller: WebCaller, guarded_service: Service, scheme: str
    ) -> None:
        with pytest.raises(CommunicationProblem) as caught:
            await caller.call_http(get(guarded_service, f"/{scheme}?a=1", WRONG[scheme]))
        assert caught.value.problem.status == 401
        assert "other" not in str(caught.value.problem.as_dict())

    @pytest.mark.parametrize("scheme", CREDENTIALS)
    async def test_the_answer_does_not_repeat_them(
        self, caller: WebCaller, guarded_service: Service, scheme: str
    ) -> None:
        answer = await caller.call_http(get(guarded_service, f"/{scheme}?a=1", CREDENTIALS[scheme], output="response"))
        assert "authorization" not in answer["request"]["headers"]

    @pytest.mark.parametrize("token", ["line\nbreak", "中文", "  ", ""])
    async def test_a_token_that_cannot_be_sent_is_refused_without_repeating_it(
        self, caller: WebCaller, guarded_service: Service, token: str
    ) -> None:
        with pytest.raises(AuthenticationProblem) as caught:
            await caller.call_http(get(guarded_service, "/bearer", {"bearer": {"token": token}}))
        assert "break" not in str(caught.value.problem.as_dict())

    @pytest.mark.parametrize(
        "challenge", ['realm="x"', 'realm="x", nonce="n", algorithm=ROT13', 'realm="x", nonce="n", qop="auth-int"']
    )
    async def test_a_challenge_that_cannot_be_answered_is_a_communication_error(
        self, caller: WebCaller, guarded_service: Service, challenge: str
    ) -> None:
        with pytest.raises(CommunicationProblem, match="digest challenge"):
            await caller.call_http(
                get(guarded_service, "/odd-digest", CREDENTIALS["digest"], query={"challenge": challenge})
            )

    async def test_credentials_stay_with_the_first_origin(self, caller: WebCaller, service: Service) -> None:
        there = service.url("/echo", host="a.partner.test")
        back = service.url(f"/redirect?to={there}")
        request = get(service, f"/redirect?to={back}", CREDENTIALS["bearer"], redirect=True)
        await caller.call_http(request)
        assert ["authorization" in headers for _, _, headers in service.seen] == [True, True, False]


@pytest.fixture(scope="module")
def authority_service() -> Iterator[tuple[Authority, Service]]:
    authority = Authority()
    with serve(*authority.routes()) as service:
        yield authority, service


@pytest.fixture
def authority(authority_service: tuple[Authority, Service]) -> Authority:
    """The authority as it was when it started."""
    authority, service = authority_service
    authority.reset()
    authority.origin = service.url("")
    authority.issuer = service.url("/realm")
    service.seen.clear()
    return authority


@pytest.fixture
def api(authority_service: tuple[Authority, Service]) -> Service:
    """The service that accepts the authority's tokens at `/api`."""
    return authority_service[1]


def policy(api: Service, **changes: Any) -> dict[str, Any]:
    return {
        "authority": api.url("/realm"),
        "grant": "client_credentials",
        "client": {"id": CLIENT_ID, "secret": CLIENT_SECRET},
        **changes,
    }


def subject(token: str, kind: str = "urn:ietf:params:oauth:token-type:refresh_token") -> dict[str, str]:
    return {"token": token, "type": kind}


class TestIssuedTokens:
    @pytest.mark.parametrize(
        "grant",
        [
            {"grant": "client_credentials"},
            {"grant": "password", "username": "kim", "password": "pässword"},
            {"grant": "refresh_token", "subject": subject("first-renewal")},
            {"grant": "authorization_code", "subject": subject("one-time-code", "authorization_code")},
            {
                "grant": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject": subject("customer-token", "urn:ietf:params:oauth:token-type:access_token"),
                "actor": subject("agent-token", "urn:ietf:params:oauth:token-type:access_token"),
            },
        ],
        ids=lambda grant: grant["grant"],
    )
    @pytest.mark.parametrize("encoding", ["application/x-www-form-urlencoded", "application/json"])
    async def test_every_grant_in_both_encodings(
        self, caller: WebCaller, authority: Authority, api: Service, grant: dict[str, Any], encoding: str
    ) -> None:
        oauth2 = policy(api, **grant, request={"encoding": encoding})
        assert await caller.call_http(get(api, "/api", {"oauth2": oauth2})) == {"welcome": True}

    @pytest.mark.parametrize(
        ("method", "client"),
        [
            ("client_secret_post", {"secret": CLIENT_SECRET}),
            ("client_secret_basic", {"secret": CLIENT_SECRET, "authentication": "client_secret_basic"}),
            ("client_secret_jwt", {"secret": CLIENT_SECRET, "authentication": "client_secret_jwt"}),
            ("private_key_jwt", {"assertion": ASSERTION, "authentication": "private_key_jwt"}),
            ("none", {"authentication": "none"}),
        ],
    )
    async def test_every_way_of_showing_who_the_client_is(
        self, make_caller: MakeCaller, authority: Authority, api: Service, method: str, client: dict[str, str]
    ) -> None:
        oauth2 = policy(api, client={"id": CLIENT_ID, **client})
        assert await make_caller().call_http(get(api, "/api", {"oauth2": oauth2})) == {"welcome": True}
        assert authority.granted[0]["method"] == [method]

    async def test_scopes_and_audiences_are_asked_for(
        self, caller: WebCaller, authority: Authority, api: Service
    ) -> None:
        for encoding in ("application/x-www-form-urlencoded", "application/json"):
            oauth2 = policy(api, scopes=["read", "write"], audiences=["a", "b"], request={"encoding": encoding})
            await caller.call_http(get(api, "/api", {"oauth2": oauth2}))
        for granted in authority.granted:
            assert (granted["scope"], granted["audience"]) == (["read write"], ["a", "b"])
        assert len(authority.granted) == 2

    async def test_a_token_is_kept_while_it_lives_and_asked_for_once(
        self, caller: WebCaller, authority: Authority, api: Service
    ) -> None:
        request = get(api, "/api", {"oauth2": policy(api)})
        await asyncio.gather(*(caller.call_http(request) for _ in range(10)))
        await caller.call_http(request)
        assert len(authority.granted) == 1

    async def test_another_secret_gets_another_token(
        self, caller: WebCaller, authority: Authority, api: Service
    ) -> None:
        await caller.call_http(get(api, "/api", {"oauth2": policy(api)}))
        other = policy(api, client={"id": CLIENT_ID, "secret": "guessed"})
        with pytest.raises(AuthenticationProblem):
            await caller.call_http(get(api, "/api", {"oauth2": other}))

    async def test_a_revoked_token_is_replaced_once(
        self, caller: WebCaller, authority: Authority, api: Service
    ) -> None:
        request = get(api, "/api", {"oauth2": policy(api)})
        await caller.call_http(request)
        authority.live.clear()
        assert await caller.call_http(request) == {"welcome": True}
        assert len(authority.granted) == 2

    async def test_a_service_that_refuses_every_token_is_not_asked_for_ever(
        self, caller: WebCaller, authority: Authority, api: Service
    ) -> None:
        oauth2 = policy(api)
        with pytest.raises(CommunicationProblem) as caught:
            await caller.call_http(get(api, "/status/401", {"oauth2": oauth2}))
        assert caught.value.problem.status == 401
        assert len(authority.granted) == 2

    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            ({"client": {"id": CLIENT_ID, "secret": "guessed"}}, "invalid_client: no"),
            ({"grant": "password", "username": "kim", "password": "guessed"}, "invalid_grant: no"),
            ({"endpoints": {"token": "/nowhere"}}, "HTTP 404"),
        ],
    )
    async def test_a_refusal_is_an_authentication_error_that_gives_the_reason(
        self, caller: WebCaller, authority: Authority, api: Service, wrong: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(AuthenticationProblem, match=reason) as caught:
            await caller.call_http(get(api, "/api", {"oauth2": policy(api, **wrong)}))
        problem = caught.value.problem.as_dict()
        assert (problem["outcome"], problem["retryable"]) == ("not_done", False)
        assert "guessed" not in str(problem)
        assert all(path != "/api" for _, path, _ in api.seen)

    async def test_a_malformed_authority_is_a_configuration_problem(self, caller: WebCaller, api: Service) -> None:
        with pytest.raises(ConfigurationProblem, match="malformed"):
            await caller.call_http(get(api, "/api", {"oauth2": policy(api, authority="http://a:b")}))

    async def test_an_authority_in_trouble_is_worth_another_try_and_nothing_was_done(
        self, caller: WebCaller, authority: Authority, api: Service
    ) -> None:
        authority.failing_status = 503
        endpoint = {"uri": api.url("/api"), "authentication": {"oauth2": policy(api)}}
        with pytest.raises(CommunicationProblem) as caught:
            await caller.call_http(HttpRequest.model_validate({"method": "post", "endpoint": endpoint}))
        problem = caught.value.problem.as_dict()
        assert (problem["status"], problem["outcome"], problem["retryable"]) == (503, "not_done", True)
        authority.failing_status = None
        assert await caller.call_http(get(api, "/api", {"oauth2": policy(api)})) == {"welcome": True}

    async def test_an_authority_that_hangs_is_bounded(self, make_caller: MakeCaller, api: Service) -> None:
        oauth2 = policy(api, authority=api.url("/silent"), endpoints={"token": api.url("/silent")})
        endpoint = {"uri": api.url("/api"), "authentication": {"oauth2": oauth2}}
        with pytest.raises(TimeoutProblem) as caught:
            await make_caller(timeout_s=0.4).call_http(
                HttpRequest.model_validate({"method": "post", "endpoint": endpoint})
            )
        assert caught.value.problem.as_dict()["outcome"] == "not_done"

    async def test_the_authority_must_be_an_allowed_host_too(self, caller: WebCaller, api: Service) -> None:
        oauth2 = policy(api, authority=api.url("/realm", host="evil.test"))
        with pytest.raises(AuthorizationProblem, match=r"evil\.test"):
            await caller.call_http(get(api, "/api", {"oauth2": oauth2}))

    async def test_a_token_of_another_kind_is_refused(
        self, caller: WebCaller, authority: Authority, api: Service
    ) -> None:
        authority.token_type = "DPoP"
        with pytest.raises(AuthenticationProblem, match="DPoP"):
            await caller.call_http(get(api, "/api", {"oauth2": policy(api)}))


class TestRenewal:
    """With a clock that the test moves."""

    @pytest.fixture
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        settings = WebSettings(allowed_hosts=("shop.test",), allow_private=True)
        async with httpx.AsyncClient(transport=GuardedTransport(settings, loopback)) as client:
            yield client

    async def test_an_expired_token_is_renewed_and_a_lapsed_renewal_starts_over(
        self, client: httpx.AsyncClient, authority: Authority, api: Service
    ) -> None:
        now = 0.0
        authority.renewals = True
        source = TokenSource(client, 5, now=lambda: now)
        oauth2 = OAuth2Authentication.model_validate(policy(api, grant="password", username="kim", password="pässword"))
        first = await source.token(oauth2)
        now = 3500.0
        assert await source.token(oauth2) is first
        now = 3600.0
        second = await source.token(oauth2)
        authority.renewable.clear()
        now = 7200.0
        third = await source.token(oauth2)
        assert len({first.value, second.value, third.value}) == 3
        assert [granted["grant_type"][0] for granted in authority.granted] == ["password", "refresh_token", "password"]

    async def test_a_token_without_a_stated_lifetime_is_kept_for_a_minute(
        self, client: httpx.AsyncClient, authority: Authority, api: Service
    ) -> None:
        now = 0.0
        authority.lifetime_s = None
        source = TokenSource(client, 5, now=lambda: now)
        oauth2 = OAuth2Authentication.model_validate(policy(api))
        first = await source.token(oauth2)
        now = 50.0
        assert await source.token(oauth2) is first
        now = 61.0
        assert await source.token(oauth2) is not first


class TestDiscovery:
    @pytest.mark.parametrize("scheme", ["oidc", "oauth2"])
    async def test_endpoints_come_from_the_discovery_document(
        self, caller: WebCaller, authority: Authority, api: Service, scheme: str
    ) -> None:
        named = policy(api, authority=api.url("/realm/.well-known/openid-configuration"))
        for _ in range(2):
            assert await caller.call_http(get(api, "/api", {scheme: named})) == {"welcome": True}
        assert [path for _, path, _ in api.seen].count("/realm/.well-known/openid-configuration") == 1

    async def test_an_issuer_alone_is_enough_for_oidc(
        self, caller: WebCaller, authority: Authority, api: Service
    ) -> None:
        assert await caller.call_http(get(api, "/api", {"oidc": policy(api)})) == {"welcome": True}

    async def test_a_document_of_somebody_else_is_refused_unless_named(
        self, caller: WebCaller, authority: Authority, api: Service
    ) -> None:
        authority.issuer = authority.issuer_in_token = "https://elsewhere.test"
        with pytest.raises(AuthenticationProblem, match=r"elsewhere\.test"):
            await caller.call_http(get(api, "/api", {"oidc": policy(api)}))
        assert authority.granted == []
        oidc = policy(api, issuers=["https://elsewhere.test"])
        assert await caller.call_http(get(api, "/api", {"oidc": oidc})) == {"welcome": True}

    async def test_an_endpoint_elsewhere_must_be_allowed_too(
        self, caller: WebCaller, authority: Authority, api: Service
    ) -> None:
        authority.origin = "http://169.254.169.254"
        with pytest.raises(AuthorizationProblem):
            await caller.call_http(get(api, "/api", {"oidc": policy(api)}))


class TestIssuers:
    async def test_the_issuer_is_read_from_a_jwt(self, caller: WebCaller, authority: Authority, api: Service) -> None:
        authority.issuer_in_token = "https://id.test"
        good, bad = policy(api, issuers=["https://id.test"]), policy(api, issuers=["https://other.test"])
        assert await caller.call_http(get(api, "/api", {"oauth2": good})) == {"welcome": True}
        with pytest.raises(AuthenticationProblem, match=r"id\.test"):
            await caller.call_http(get(api, "/api", {"oauth2": bad}))

    @pytest.mark.parametrize(
        ("introspected", "accepted"),
        [
            ({"active": True, "iss": "https://id.test"}, True),
            ({"active": False, "iss": "https://id.test"}, False),
            ({"active": True}, False),
        ],
    )
    async def test_an_opaque_token_is_introspected(
        self, caller: WebCaller, authority: Authority, api: Service, introspected: dict[str, Any], accepted: bool
    ) -> None:
        authority.introspected = introspected
        request = get(api, "/api", {"oauth2": policy(api, issuers=["https://id.test"])})
        if accepted:
            assert await caller.call_http(request) == {"welcome": True}
        else:
            with pytest.raises(AuthenticationProblem, match="unknown"):
                await caller.call_http(request)
