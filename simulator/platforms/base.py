"""What a platform module has to offer, so that faults, pushes and the admin API need not know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import APIRouter

from simulator.entities import Push
from simulator.faults import Fault

Json = dict[str, Any]
Submit = Callable[[Push], Push]


@dataclass(frozen=True)
class PushRequest:
    """A push as it goes over the wire, signed for one delivery."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


class Platform(Protocol):
    """A platform's wire contract. Its routes live below `/{name}`."""

    @property
    def name(self) -> str:
        """The platform's name, also its path prefix."""
        ...

    @property
    def retry_delays_s(self) -> tuple[float, ...]:
        """Waits between deliveries of a push that was not accepted; their number bounds the retries."""
        ...

    def on_event(self, submit: Submit) -> None:
        """Where pushes go that follow from API calls."""
        ...

    def router(self) -> APIRouter:
        """The platform's routes, prefix included."""
        ...

    def api_of(self, path: str) -> str | None:
        """The API name that a request path (below the prefix) calls, None for anything else."""
        ...

    def account_of(self, query: Mapping[str, str]) -> str:
        """The account whose token the query carries; empty if none."""
        ...

    def answer_for(self, fault: Fault) -> Json:
        """The platform's own HTTP 200 body for the faults that it words itself: quota, concurrency, busy, forbidden,
        untrusted_ip."""
        ...

    def accounts(self, base_url: str) -> list[Json]:
        """What an administrator needs to connect the demo accounts."""
        ...

    def sign(self, push: Push) -> PushRequest:
        """A push, signed now. LookupError for an account that is gone."""
        ...

    def accepts(self, status: int, body: bytes) -> bool:
        """Whether the receiver's answer counts as received."""
        ...

    def event(self, account: str, event: str, subjects: Mapping[str, str]) -> Push:
        """A push of `event` about a refund, order or contact. LookupError or ValueError says what is wrong."""
        ...

    def verification(self, account: str) -> tuple[Mapping[str, str], str] | None:
        """The query of the GET that proves a receiver's URL, and the text it must answer; None if there is no such."""
        ...
