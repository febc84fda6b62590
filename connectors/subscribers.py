"""Events on their way out: CloudEvents posted to a subscriber, signed by Standard Webhooks, where the guard allows.

Source: CloudEvents 1.0.2, HTTP Protocol Binding (3.2 structured, 3.3 batched); Standard Webhooks 1.0.0 (any 2xx is
success, 410 ends the subscription, redirections are not followed).
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NamedTuple

import httpx
from pydantic import SecretStr

from connectors.retry_after import asked_wait_s
from connectors.standard_webhooks import sign_message
from connectors.web.failures import too_late
from connectors.web.guard import HostGuard, Resolver, WebSettings, system_resolver
from connectors.web.transport import GuardedTransport
from domain.problems import ProblemError, Text, ValidationProblem
from domain.subscriptions import LONGEST_WAIT

_STRUCTURED = "application/cloudevents+json; charset=utf-8"
_BATCHED = "application/cloudevents-batch+json; charset=utf-8"


class Reply(NamedTuple):
    """What a subscriber answered. wait: what it asks by Retry-After, at most `LONGEST_WAIT`."""

    status: int
    wait: timedelta | None = None


class Subscribers:
    """Posts to subscribers; for one event loop, close it with `aclose`. settings.timeout_s: one delivery in all."""

    def __init__(self, settings: WebSettings, resolve: Resolver = system_resolver) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(settings, resolve),
            headers={"user-agent": "Tandem"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
        )

    async def post(
        self,
        url: str,
        secret: SecretStr,
        message_id: str,
        events: Sequence[Mapping[str, Any]],
        at: datetime,
        *,
        batched: bool,
        previous: SecretStr | None = None,
    ) -> Reply:
        """The status of the answer, and how long it asks to wait; its body is of no interest.

        message_id: the same for every attempt. previous: the secret before this one, while both sign. Raises
        AuthorizationProblem for a host or an address that is off limits, CommunicationProblem for an exchange that
        broke, TimeoutProblem when the time was up.
        """
        content = list(events) if batched else events[0]
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "content-type": _BATCHED if batched else _STRUCTURED,
            **sign_message(secret, message_id, at, body, previous=previous),
        }
        try:
            async with (
                asyncio.timeout(self._settings.timeout_s),
                self._client.stream("POST", url, content=body, headers=headers) as answer,
            ):
                # Read, so that the connection can be used again; one that says too much is closed.
                with contextlib.suppress(ProblemError):
                    await answer.aread()
                wait_s = asked_wait_s(answer.headers, at, LONGEST_WAIT.total_seconds())
                return Reply(answer.status_code, None if wait_s is None else timedelta(seconds=wait_s))
        except TimeoutError as error:
            raise too_late(httpx.URL(url).host, self._settings.timeout_s, "POST") from error

    async def aclose(self) -> None:
        """Close the connections; deliveries under way fail."""
        await self._client.aclose()


def require_allowed(url: str, guard: HostGuard) -> None:
    """Raises AuthorizationProblem when the host is not allowed, ValidationProblem when this is no web address."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValidationProblem(
            Text(f"地址不是合法的网址：{error}", f"The address is no valid URL: {error}"), retryable=False
        ) from error
    guard.check_url(parsed)
