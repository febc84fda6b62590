"""An ERP with a warehouse, behind the ERP port: takes shipping orders, ships them, tells waybills and stock.

Everything here is [U]: the port is Tandem's own, no real ERP is known to speak it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime

from simulator.entities import Goods, Push, Shop
from simulator.entities.row import Row
from simulator.faults import Fault
from simulator.happenings import Happening, What
from simulator.platforms.base import Incoming, Json, PlatformBase, PushRequest
from simulator.platforms.erp import wire
from simulator.world import World

WINDOW = timedelta(minutes=5)
LARGEST_PAGE = 200
STATUSES = {
    "unknown_client": 401,
    "wrong_signature": 401,
    "clock_skew": 401,
    "not_found": 404,
    "conflict": 409,
    "too_late": 409,
    "invalid": 422,
    "too_many": 429,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErpOrder(Row):
    """A shipping order; `id` is the number that its sender gave it, `version` grows with every change (ms).

    waybill: of the first of its `parcels`.
    """

    account: str
    order_id: str
    shop: str
    lines: tuple[dict[str, Any], ...]
    state: str
    waybill: str
    company: str
    version: int
    changed_at: AwareDatetime
    parcels: int = 1


class Refusal(Exception):
    """The ERP says no; `code` is its word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


_WORDS = {
    Fault.BUSY: ("busy", "系统繁忙"),
    Fault.FORBIDDEN: ("not_allowed", "未开放该权限"),
    Fault.UNTRUSTED_IP: ("address_not_allowed", "IP 不在白名单"),
}


class Erp(PlatformBase):
    """The platform; a shipping order is given to a carrier as soon as it is taken, while the warehouse works."""

    name = "erp"
    retry_delays_s = (10, 60, 300, 1800, 7200)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._ships = True
        self._most_parcels = 1
        self.orders = world.shelf(
            "erp_order",
            ErpOrder,
            by={"account": lambda row: row.account, "order": lambda row: row.order_id},
            at={"changed": lambda row: row.changed_at},
        )

    def router(self) -> APIRouter:
        """Shipping orders, waybills and stock."""
        router = APIRouter(prefix=f"/{self.name}", tags=[self.name])
        router.add_api_route("/v1/shipping-orders/{number}", self._answer, methods=["PUT", "GET"])
        router.add_api_route("/v1/shipping-orders/{number}/cancel", self._answer, methods=["POST"])
        router.add_api_route("/v1/shipping-orders", self._answer, methods=["GET"])
        router.add_api_route("/v1/waybills", self._answer, methods=["GET"])
        router.add_api_route("/v1/stock", self._answer, methods=["GET"])
        return router

    def work(self, *, ships: bool, company: str, parcels: int = 1) -> int:
        """Let the warehouse ship, or stand still; how many waiting orders left with this carrier.

        parcels: in how many an order of several lines leaves from now on, at most.
        """
        self._ships, self._most_parcels = ships, parcels
        waiting = [row for row in self.orders if row.state == "accepted"] if ships else []
        for row in waiting:
            self._ship(row, company)
        return len(waiting)

    def _ship(self, row: ErpOrder, company: str = "顺丰速运") -> ErpOrder:
        now = self.world.clock.now()
        waybill = f"SF{int(self.world.token('erp', row.id)[:14], 16) % 10**13:013d}"
        shipped = self.orders.put(
            replace(
                row,
                state="shipped",
                waybill=waybill,
                company=company,
                parcels=min(self._most_parcels, len(row.lines)),
                version=max(int(now.timestamp() * 1000), row.version + 1),
                changed_at=now,
            )
        )
        self.world.tell(What.ORDER_SHIPPED, row.account, shipped)
        return shipped

    def api_of(self, incoming: Incoming) -> str | None:
        """`shipping-orders`, `waybills` or `stock`."""
        parts = incoming.path.strip("/").split("/")
        return parts[1] if len(parts) >= 2 and parts[0] == "v1" else None

    def account_of(self, incoming: Incoming) -> str:
        """The account that the caller names itself by."""
        shop = self.shop_of_client(incoming.headers.get("erp-client", ""))
        return shop.id if shop else ""

    def token_of(self, incoming: Incoming) -> str | None:
        """There are no tokens: every request is signed."""
        return None

    def answer_for(self, fault: Fault) -> Json:
        """The ERP's own words."""
        code, message = _WORDS.get(fault, ("too_many", "请求过于频繁"))
        return {"code": code, "message": message}

    def credentials(self, shop: Shop) -> Json:
        """What it knows its caller by, and the secret of both directions."""
        return {"client_id": shop.client_id, "secret": wire.secret_of(shop.client_secret)}

    def pushes_for(self, happening: Happening) -> list[Push]:
        """The waybills of a shipping order that left."""
        row = happening.row
        told = waybills(row) if isinstance(row, ErpOrder) else []
        return [self.make_push(happening.account, "waybill", {"type": "waybill", "data": each}) for each in told]

    def event(self, account: str, event: str, subjects: Mapping[str, str]) -> Push:
        """`waybill` of a shipping order (number), or `stock` of goods (shop, sku_id)."""
        self.shop(account)
        if event == "waybill" and (order := self.orders.get(subjects.get("number", ""))) is not None:
            return self.make_push(account, event, {"type": event, "data": waybills(order)[0]})
        goods = self.world.goods.get(f"{subjects.get('shop')}/{subjects.get('sku_id')}")
        if event == "stock" and goods is not None:
            return self.make_push(account, event, {"type": event, "data": stock(goods)})
        raise LookupError(f"nothing to tell by {event!r} about {dict(subjects)}")

    def sign(self, push: Push) -> PushRequest:
        """The JSON body with the `webhook-*` headers."""
        shop = self.shop(push.account)
        body = json.dumps(push.payload, ensure_ascii=False, separators=(",", ":")).encode()
        secret = wire.secret_of("forged" if push.bad_signature else shop.client_secret)
        headers = wire.headers(secret, push.message_id, int(self.wall().timestamp()), body)
        return PushRequest(body=body, headers={"Content-Type": "application/json", **headers})

    async def _answer(self, request: Request) -> JSONResponse:
        try:
            shop = self._caller(request, await request.body())
            status, content = self._handle(request, shop, await request.body())
        except Refusal as refusal:
            return JSONResponse({"code": refusal.code, "message": str(refusal)}, STATUSES.get(refusal.code, 400))
        return JSONResponse(content, status)

    def _caller(self, request: Request, body: bytes) -> Shop:
        shop = self.shop_of_client(request.headers.get("erp-client", ""))
        if shop is None:
            raise Refusal("unknown_client", "client_id 未登记")
        message_id = request.headers.get("webhook-id", "")
        timestamp = request.headers.get("webhook-timestamp", "")
        target = request.scope["raw_path"] + (b"?" + query if (query := request.scope["query_string"]) else b"")
        covered = request.method.encode() + b" " + target + b"\n" + body
        if not timestamp.isdigit():
            raise Refusal("wrong_signature", "签名头缺失")
        right = wire.headers(wire.secret_of(shop.client_secret), message_id, int(timestamp), covered)
        if request.headers.get("webhook-signature") != right["webhook-signature"]:
            raise Refusal("wrong_signature", "签名不正确")
        if abs(self.wall().timestamp() - int(timestamp)) > WINDOW.total_seconds():
            raise Refusal("clock_skew", "时间戳超出允许范围")
        if not self.quotas.take(shop.id, self.world.clock.wall()):
            raise Refusal("too_many", "请求过于频繁")
        return shop

    def _handle(self, request: Request, shop: Shop, body: bytes) -> tuple[int, Json]:
        kind = request.url.path.split("/")[3]
        if kind == "waybills":
            rows = [row for row in self.orders.having(account=shop.id) if row.waybill]
            told = [(row, each) for row in rows for each in waybills(row)]
            return 200, _page(request, [(row.changed_at, f"{row.id}/{each['waybill']}", each) for row, each in told])
        if kind == "stock":
            return 200, _page(request, [(row.updated_at, row.id, stock(row)) for row in self.world.goods])
        number = request.path_params.get("number")
        if request.method == "POST":
            return self._cancel(shop, str(number))
        if request.method == "PUT":
            return self._put(shop, str(number), body)
        order_id = request.query_params.get("order_id", "")
        found = self.orders.get(number) if number else next(reversed(self.orders.having(order=order_id)), None)
        if found is None or found.account != shop.id:
            raise Refusal("not_found", "没有这张发货单")
        return 200, shown(found)

    def _put(self, shop: Shop, number: str, body: bytes) -> tuple[int, Json]:
        wanted = _object(body)
        order_id, source, lines = wanted.get("order_id"), wanted.get("shop"), wanted.get("lines")
        if not (isinstance(order_id, str) and isinstance(source, str) and isinstance(lines, list) and lines):
            raise Refusal("invalid", "缺少 order_id、shop 或 lines")
        known = self.orders.get(number)
        subjects = {"order_id": order_id, "number": number}
        if known is not None:
            same = known.order_id == order_id and list(known.lines) == lines
            code = 0 if same else 409
            self.world.ledger.record(
                "shipping_order_created", self.name, shop.id, request=wanted, subjects=subjects, code=code, effect=False
            )
            if not same:
                raise Refusal("conflict", "单号已存在且内容不同")
            return 200, shown(known)
        now = self.world.clock.now()
        order = self.orders.put(
            ErpOrder(
                id=number,
                account=shop.id,
                order_id=order_id,
                shop=source,
                lines=tuple(lines),
                state="accepted",
                waybill="",
                company="",
                version=int(now.timestamp() * 1000),
                changed_at=now,
            )
        )
        self.world.ledger.record("shipping_order_created", self.name, shop.id, request=wanted, subjects=subjects)
        if self._ships:
            self._ship(order)
        return 201, {**shown(order), "state": "accepted", "waybill": None, "company": None, "parcels": []}

    def _cancel(self, shop: Shop, number: str) -> tuple[int, Json]:
        known = self.orders.get(number)
        if known is None or known.account != shop.id:
            raise Refusal("not_found", "没有这张发货单")
        subjects = {"order_id": known.order_id, "number": number}
        if known.state == "cancelled":
            return 200, shown(known)
        late = known.state != "accepted"
        self.world.ledger.record(
            "shipping_order_cancelled",
            self.name,
            shop.id,
            request={},
            subjects=subjects,
            code=409 if late else 0,
            effect=not late,
        )
        if late:
            raise Refusal("too_late", "货已出库")
        now = self.world.clock.now()
        version = max(int(now.timestamp() * 1000), known.version + 1)
        return 201, shown(self.orders.put(replace(known, state="cancelled", version=version, changed_at=now)))


def shown(order: ErpOrder) -> Json:
    """A shipping order on the wire."""
    return {
        "number": order.id,
        "order_id": order.order_id,
        "shop": order.shop,
        "state": order.state,
        "waybill": order.waybill or None,
        "company": order.company or None,
        "parcels": parcels(order) if order.waybill else [],
        "changed_at": order.changed_at.isoformat(),
    }


def parcels(order: ErpOrder) -> list[Json]:
    """What a shipping order left in: each parcel with some of its lines."""
    return [
        {
            "waybill": order.waybill + (f"-{number + 1}" if number else ""),
            "company": order.company,
            "line_ids": [str(line["line_id"]) for line in order.lines[number :: order.parcels] if line.get("line_id")],
        }
        for number in range(order.parcels)
    ]


def waybills(order: ErpOrder) -> list[Json]:
    """The parcels of a shipping order, as they are told by themselves."""
    return [
        {
            "order_id": order.order_id,
            "shop": order.shop,
            **parcel,
            "state": "shipped",
            "version": order.version,
            "changed_at": order.changed_at.isoformat(),
        }
        for parcel in parcels(order)
    ]


def stock(goods: Goods) -> Json:
    """How much of a variant is left, on the wire, by the merchant's codes."""
    return {
        "item_id": goods.article_code,
        "sku_id": goods.code,
        "warehouse": "main",
        "available": goods.stock,
        "version": int(goods.updated_at.timestamp() * 1000),
        "changed_at": goods.updated_at.isoformat(),
    }


def _page(request: Request, rows: Iterable[tuple[datetime, str, Json]]) -> Json:
    """What changed after a place in the order of changes, and the place behind it."""
    query = request.query_params
    size = min(int(query.get("limit") or LARGEST_PAGE), LARGEST_PAGE)
    after = tuple(query["after"].split("|", 1)) if "|" in query.get("after", "") else ("", "")
    since = datetime.fromisoformat(query["since"]) if query.get("since") else None
    found = sorted(
        (changed_at.isoformat(), row_id, item)
        for changed_at, row_id, item in rows
        if (changed_at.isoformat(), row_id) > after and (since is None or changed_at >= since)
    )
    page = found[:size]
    place = "|".join(page[-1][:2]) if page else query.get("after", "")
    return {"items": [item for _at, _id, item in page], "after": place, "more": len(found) > size}


def _object(body: bytes) -> Json:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refusal("invalid", "请求体不是 JSON 对象")
    return value
