"""The merchant's own site: tells of visits as its pages and its server would, in the form of `POST /collect/{account}`.

Its wire is Tandem's own. Visitors who signed in are told by a text that the site's server signed.
"""

from __future__ import annotations

import base64
import hmac
import json
from hashlib import sha256

from fastapi import APIRouter

from simulator.entities import Cart, Customer, Push, Shop, Visit
from simulator.happenings import Happening
from simulator.interactions import goods_of
from simulator.platforms.base import Incoming, Json, PlatformBase, PushRequest
from simulator.platforms.erp.wire import secret_of

VISITOR_LIFE_S = 3600


class Site(PlatformBase):
    """The site; nobody calls it."""

    name = "site"
    retry_delays_s = (5, 30)

    def router(self) -> APIRouter:
        """No routes."""
        return APIRouter(prefix=f"/{self.name}", tags=[self.name])

    def api_of(self, incoming: Incoming) -> str | None:
        """Nothing to call."""
        return None

    def accounts(self, base_url: str) -> list[Json]:
        """Without an address: the site is never called."""
        return [
            {name: value for name, value in account.items() if name != "base_url"}
            for account in super().accounts(base_url)
        ]

    def credentials(self, shop: Shop) -> Json:
        """The key in its pages, and the secret on its server."""
        return {"site_key": shop.client_id, "signing_secret": secret_of(shop.client_secret)}

    def pushes_for(self, happening: Happening) -> list[Push]:
        """Each visit, and each change of a cart."""
        row = happening.row
        if isinstance(row, Cart):
            return [self._cart(happening.account, row)]
        return [self._visit(happening.account, row)] if isinstance(row, Visit) else []

    def sign(self, push: Push) -> PushRequest:
        """The JSON body with the site's key, and the visitor signed when they had signed in."""
        shop = self.shop(push.account)
        body = {"key": "forged-key-0000000" if push.bad_signature else shop.client_id, **push.payload["told"]}
        claims = push.payload["claims"]
        if claims:
            exp = int(self.wall().timestamp()) + VISITOR_LIFE_S
            body["who"] = signed_visitor(secret_of(shop.client_secret), shop.id, {**claims, "exp": exp})
        return PushRequest(body=json.dumps(body, ensure_ascii=False).encode(), headers={"Content-Type": "text/plain"})

    def _cart(self, account: str, cart: Cart) -> Push:
        customer = self.world.customers.get(cart.customer_id)
        lines = [
            {
                "item_id": row.item_id,
                "sku_id": row.sku_id,
                "title": row.title,
                "quantity": 1,
                "price_minor": row.price_minor,
            }
            for row in goods_of(self.world, cart.shop, cart.sku_ids)
        ]
        event = {
            "type": "cart",
            "id": cart.id[-64:],
            "state": cart.state,
            "total_minor": cart.total_minor,
            "lines": lines,
            "at": cart.updated_at.isoformat(),
        }
        return self.make_push(account, "cart", {"told": {"events": [event]}, "claims": _claims(customer)})

    def _visit(self, account: str, visit: Visit) -> Push:
        claims = _claims(self.world.customers.get(visit.customer_id)) if visit.known else {}
        event = {
            "type": "visit",
            "id": visit.id[-64:],
            "name": visit.name,
            "item_id": visit.item_id or None,
            "category": visit.category or None,
            "at": visit.at.isoformat(),
        }
        told = {
            **({"device": visit.device} if visit.device else {}),
            "events": [{name: value for name, value in event.items() if value is not None}],
        }
        return self.make_push(account, "visit", {"told": told, "claims": claims})


def _claims(customer: Customer | None) -> Json:
    """What the site's server vouches for, of somebody who has signed in."""
    if customer is None:
        return {}
    return {"phone": customer.phone, **({"member_id": customer.member_number} if customer.member_number else {})}


def signed_visitor(secret: str, site: str, claims: Json) -> str:
    """base64url(claims) + "." + base64url(HMAC-SHA-256 of site + "." + claims), without padding."""
    payload = _encoded(json.dumps(claims, separators=(",", ":")).encode())
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return f"{payload}.{_encoded(hmac.new(key, f'{site}.{payload}'.encode(), sha256).digest())}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
