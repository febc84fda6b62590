"""A Bazaar shop on a free port, as the example wheel speaks to it, and its pushes."""

import hashlib
import hmac
import json
import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

KEY_ID, SECRET = "bazaar-key", "bazaar-secret-0123456789"


def signature(content: str) -> str:
    """HMAC-SHA-256 in hex, by hand."""
    return hmac.new(SECRET.encode(), content.encode(), hashlib.sha256).hexdigest()


def push(order: dict[str, Any], number: str) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a push."""
    body = json.dumps({"id": number, "kind": "order", "order": order}).encode()
    now = str(int(time.time()))
    return body, {"bazaar-time": now, "bazaar-sign": signature(f"{now}\n{body.decode()}")}


class Bazaar:
    """The shop: its orders, and what it was asked."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.shipped: list[str] = []

    def app(self) -> FastAPI:
        """The shop's API."""
        app = FastAPI()
        app.add_api_route("/orders", self._list, methods=["GET"])
        app.add_api_route("/orders/{number}", self._get, methods=["GET"])
        app.add_api_route("/orders/{number}/ship", self._ship, methods=["POST"])
        return app

    async def _list(self, request: Request) -> JSONResponse:
        if not await self._signed(request):
            return JSONResponse({"error": "bad_sign"}, 401)
        return JSONResponse({"orders": list(self.orders.values()), "last": len(self.orders), "more": False})

    async def _get(self, request: Request, number: str) -> JSONResponse:
        if not await self._signed(request):
            return JSONResponse({"error": "bad_sign"}, 401)
        order = self.orders.get(number)
        return JSONResponse({"order": order} if order else {"error": "no_order"}, 200 if order else 404)

    async def _ship(self, request: Request, number: str) -> JSONResponse:
        if not await self._signed(request):
            return JSONResponse({"error": "bad_sign"}, 401)
        order = self.orders[number]
        if order["state"] != "paid":
            return JSONResponse({"error": "wrong_state"}, 409)
        order |= {"state": "sent", "waybill": (await request.json())["waybill"]}
        self.shipped.append(number)
        return JSONResponse({"order": order})

    async def _signed(self, request: Request) -> bool:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        body = (await request.body()).decode()
        content = f"{request.method} {target}\n{request.headers.get('bazaar-time')}\n{body}"
        return request.headers.get("bazaar-sign") == signature(content)
