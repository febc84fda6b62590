"""What a platform module has to offer, so that faults, pushes and the admin API need not know it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from fastapi import APIRouter

from simulator.entities import Buyer, Customer, Order, Push, Shop
from simulator.faults import Fault
from simulator.happenings import Happening
from simulator.quotas import Limit, Quotas
from simulator.tokens import TokenDesk
from simulator.world import World

Json = dict[str, Any]


@dataclass(frozen=True)
class PushRequest:
    """A push as it goes over the wire, signed for one delivery. path: below the receiver's URL, usually empty."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Incoming:
    """A request on its way to a platform; `path` is below the platform's prefix, header names are lower case."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def params(self) -> Mapping[str, str]:
        """The query together with the texts of a form or JSON body."""
        kind = self.headers.get("content-type", "")
        if "json" in kind:
            try:
                read = json.loads(self.body or b"{}")
            except ValueError:
                read = {}
            more = {name: value for name, value in read.items() if isinstance(value, str)} if _is_object(read) else {}
        elif "form-urlencoded" in kind:
            more = dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))
        else:
            more = {}
        return {**self.query, **more}


class PlatformBase(ABC):
    """A platform's wire contract; its routes live below `/{name}`. A module overrides what it does differently.

    A platform that only answers needs `name`, `router`, `api_of` and `credentials`; one that pushes also `pushes_for`
    and `sign`. Rows of its own live on `world.shelf(…)`, seeded by `world.seeder(…)`.
    """

    name: ClassVar[str]
    retry_delays_s: ClassVar[tuple[float, ...]] = ()
    """Waits between deliveries of a push that was not accepted; their number bounds the retries."""
    shows: ClassVar[frozenset[str]] = frozenset({"buyer", "openid", "unionid"})
    """Kinds of identities that the platform's answers show in clear, together in one record; a platform without WeChat
    has no openids to show, a `phone` is hidden or ciphertext on most. By them the truth knows what can be joined."""
    token_s: ClassVar[float] = 7200
    authorised_by: ClassVar[str] = "access_token"
    """The parameter, in the query or the body, that carries the access token."""
    limits: ClassVar[tuple[Limit, ...]] = (Limit(100, 1.0, 1.0),)
    """Call quotas by account and API."""
    is_fetched: ClassVar[bool] = False
    """Whether what happens waits as messages that the application fetches or listens to; then nothing but a forgery
    comes over HTTP."""

    def __init__(self, world: World) -> None:
        settings = world.settings
        self.world = world
        self.tokens = TokenDesk(world, self.name, settings.tokens_s.get(self.name, self.token_s))
        calls = settings.calls_per_second.get(self.name)
        self.quotas = Quotas(self.limits if calls is None else (Limit(calls, 1.0, 1.0),))

    @abstractmethod
    def router(self) -> APIRouter:
        """The platform's routes, prefix included."""

    @abstractmethod
    def api_of(self, incoming: Incoming) -> str | None:
        """The API name that a request calls, None for anything that no fault may strike."""

    def account_of(self, incoming: Incoming) -> str:
        """The account whose token the request carries; empty if none."""
        token = self.token_of(incoming)
        row = self.world.tokens.get(token) if token else None
        return row.account if row else ""

    def token_of(self, incoming: Incoming) -> str | None:
        """The token that the request carries."""
        return incoming.params.get(self.authorised_by)

    def answer_for(self, fault: Fault) -> Json:
        """The platform's own HTTP 200 body for the faults that it words itself: quota, concurrency, busy, forbidden,
        untrusted_ip."""
        return {"code": 500, "message": str(fault)}

    def status_for(self, fault: Fault) -> int:
        """The HTTP status of `answer_for`; most platforms say everything in the body."""
        return 200

    def headers_for(self, fault: Fault, body: bytes) -> Mapping[str, str]:
        """The headers of `answer_for`, given its bytes."""
        return {}

    def accounts(self, base_url: str) -> list[Json]:
        """What an administrator needs to connect the demo accounts."""
        return [
            {
                "platform": self.name,
                "account": shop.id,
                "name": shop.name,
                "base_url": f"{base_url}/{self.name}",
                **self.credentials(shop),
            }
            for shop in self.shops()
        ]

    def credentials(self, shop: Shop) -> Json:
        """The settings of one account, under the platform's names for them."""
        return {"client_id": shop.client_id, "client_secret": shop.client_secret}

    def pushes_for(self, happening: Happening) -> Iterable[Push]:
        """The pushes that this platform sends about a happening of one of its accounts; most happenings have none.

        Render `happening.row`, not what the world holds: replayed history shows rows as they were.
        """
        return ()

    def sign(self, push: Push) -> PushRequest:
        """A push, signed now. LookupError for an account that is gone, and where nothing is pushed over HTTP."""
        raise LookupError(f"{self.name} pushes nothing over HTTP")

    def leave(self, push: Push) -> None:
        """Lets a message wait for the application, where what happens `is_fetched`."""
        raise LookupError(f"{self.name} keeps no messages")

    def accepts(self, status: int, body: bytes) -> bool:
        """Whether the receiver's answer counts as received."""
        return 200 <= status < 300

    def event(self, account: str, event: str, subjects: Mapping[str, str]) -> Push:
        """A push of `event` about a refund, order or contact. LookupError or ValueError says what is wrong."""
        raise ValueError(f"{self.name} sends no event {event!r}")

    def verification(self, account: str) -> tuple[Mapping[str, str], str] | None:
        """The query of the GET that proves a receiver's URL, and the text it must answer; None if there is no such."""
        return None

    def shops(self) -> list[Shop]:
        """The platform's accounts."""
        return self.world.shops.having(platform=self.name)

    def shop(self, account: str) -> Shop:
        """One account. LookupError when it is not on this platform."""
        shop = self.world.shops.get(account)
        if shop is None or shop.platform != self.name:
            raise LookupError(f"no account {account!r} on {self.name}")
        return shop

    def shop_of_client(self, client_id: str) -> Shop | None:
        """The account of an application's id (app_key, appid)."""
        return next((shop for shop in self.shops() if shop.client_id == client_id), None)

    def who(self, order: Order) -> tuple[Customer, Buyer]:
        """The person who ordered, and the account they used. LookupError when the world has forgotten them."""
        customer, buyer = self.world.customers.get(order.customer_id), self.world.buyers.get(order.buyer)
        if customer is None or buyer is None:
            raise LookupError(f"order {order.id} has no buyer")
        return customer, buyer

    def now(self) -> datetime:
        """The simulated instant by the platform's clock."""
        return self.world.clock.now() + self._skew()

    def wall(self) -> datetime:
        """The real instant by the platform's clock, which a fault rule may have set wrong: what requests' timestamps
        are checked against, and what pushes are stamped with."""
        return self.world.clock.wall() + self._skew()

    def make_push(self, account: str, event: str, payload: Json, message_id: str | None = None) -> Push:
        """A push to be sent now. message_id: what receivers know it by; a new one when the platform numbers them."""
        number = self.world.next("push")
        now = self.world.clock.wall()
        return Push(
            id=f"push-{number}",
            platform=self.name,
            account=account,
            event=event,
            message_id=message_id or f"{self.name}-{number}",
            payload=payload,
            created_at=now,
            due_at=now,
        )

    def _skew(self) -> timedelta:
        return timedelta(seconds=self.world.faults.skew_s(self.name))


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
