"""What Meituan and Ele.me have in common as they are simulated: meals, their refunds, pages by time of change.

Neither platform was researched, so all of this is [U]; it says what the connectors say, in code of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from simulator import trade
from simulator.entities import Goods, Order, Push, Refund, RefundStatus, Shop
from simulator.happenings import Happening, What
from simulator.platforms.articles import articles
from simulator.platforms.base import Json, PlatformBase
from simulator.platforms.signed_gateway import whole_second
from simulator.trade import STALE_STATUS, TradeRefusal

LARGEST_PAGE = 50


class ApiError(Exception):
    """The platform says no; `why` is one of the keys of a platform's `codes`."""

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


class CateringPlatform(PlatformBase):
    """Orders and refunds of meals; a platform says how it names and signs them."""

    refund_id: ClassVar[str]
    order_id: ClassVar[str]
    apis: ClassVar[Mapping[str, str]]
    """The platform's name of each interface: get_order, list_orders, get_refund, list_refunds, agree, refuse,
    list_goods."""
    total: ClassVar[str]

    def accepts(self, status: int, body: bytes) -> bool:
        """`ok`, in Meituan's `data` and in Ele.me's `message`, which our receiver of tests says as `success`."""
        return status == 200 and (b'"ok"' in body or b"success" in body)

    @abstractmethod
    def show_order(self, order: Order) -> Json:
        """An order on the wire."""

    @abstractmethod
    def show_refund(self, refund: Refund) -> Json:
        """A refund on the wire."""

    @abstractmethod
    def show_dish(self, rows: list[Goods]) -> Json:
        """A dish with its variants on the wire."""

    @abstractmethod
    def push_order(self, shop: Shop, what: What, order: Order) -> Push:
        """The push of a changed order."""

    @abstractmethod
    def push_refund(self, shop: Shop, what: What, refund: Refund) -> Push:
        """The push of a changed refund."""

    def pushes_for(self, happening: Happening) -> list[Push]:
        """Whatever happens to orders and refunds, the whole record each time."""
        shop, row = self.shop(happening.account), happening.row
        if isinstance(row, Order):
            return [self.push_order(shop, happening.what, row)]
        if isinstance(row, Refund):
            return [self.push_refund(shop, happening.what, row)]
        return []

    def event(self, account: str, event: str, subjects: Mapping[str, str]) -> Push:
        """`order` or `refund` of a number (tid, refund_id), as it is now."""
        shop = self.shop(account)
        order = self.world.orders.get(subjects.get("tid", ""))
        refund = self.world.refunds.get(subjects.get("refund_id", ""))
        if refund is not None and refund.shop == account:
            return self.push_refund(shop, What.REFUND_REQUESTED, refund)
        if order is not None and order.shop == account:
            return self.push_order(shop, What.ORDER_PAID, order)
        raise LookupError(f"nothing to tell by {event!r} about {dict(subjects)}")

    def run(self, shop: Shop, api: str, params: Mapping[str, Any]) -> Any:
        """What an interface answers. ApiError when it refuses."""
        name = next((name for name, wire in self.apis.items() if wire == api), None)
        if name is None:
            raise ApiError("denied", f"没有接口 {api}")
        if name == "list_goods":
            return self._dishes(shop, params)
        if name in ("list_orders", "list_refunds"):
            return self._page(shop, name, params)
        if name == "get_order":
            order = self.world.orders.get(str(params.get(self.order_id)))
            if order is None or order.shop != shop.id:
                raise ApiError("not_found", "订单不存在")
            return self.show_order(order)
        refund = self.world.refunds.get(str(params.get(self.refund_id)))
        if refund is None or refund.shop != shop.id:
            raise ApiError("not_found", "退款单不存在")
        if name == "agree":
            return self._settle(refund, "refund_agreed", lambda: trade.pay_back(self.world, refund, refund.version))
        if name == "refuse":
            remark = str(params.get("reason", ""))
            return self._settle(
                refund, "refund_refused", lambda: trade.refuse(self.world, refund, refund.version, remark)
            )
        return self.show_refund(refund)

    def _page(self, shop: Shop, name: str, params: Mapping[str, Any]) -> Json:
        page, size = _asked(params)
        try:
            start, end = (datetime.fromtimestamp(int(params[part]), UTC) for part in ("start_time", "end_time"))
            end = whole_second(end)
        except (KeyError, ValueError):
            raise ApiError("invalid", "时间参数不正确") from None
        rows: list[Json]
        if name == "list_orders":
            orders = self.world.orders.between("updated", start, end, shop=shop.id)
            total, rows = len(orders), [self.show_order(row) for row in orders[(page - 1) * size : page * size]]
        else:
            refunds = self.world.refunds.between("modified", start, end, shop=shop.id)
            total, rows = len(refunds), [self.show_refund(row) for row in refunds[(page - 1) * size : page * size]]
        return {self.total: total, "list": rows}

    def _dishes(self, shop: Shop, params: Mapping[str, Any]) -> Json:
        page, size = _asked(params)
        dishes = articles(self.world, shop)
        return {
            self.total: len(dishes),
            "list": [self.show_dish(rows) for rows in dishes[(page - 1) * size : page * size]],
        }

    def _settle(self, refund: Refund, kind: str, step: Callable[[], Refund]) -> str:
        subjects = {"refund_id": refund.id, "tid": refund.tid}
        try:
            settled = step()
        except TradeRefusal as refusal:
            self.world.ledger.record(kind, self.name, refund.shop, request={}, subjects=subjects, code=409)
            message = "退款状态已变化" if refusal.why == STALE_STATUS else "退款单已被更新"
            raise ApiError("conflict", message) from None
        amount = settled.amount_minor if settled.status is RefundStatus.REFUNDED else None
        self.world.ledger.record(kind, self.name, refund.shop, request={}, subjects=subjects, amount_minor=amount)
        return "ok"


def _asked(params: Mapping[str, Any]) -> tuple[int, int]:
    """The page that is asked for, from 1, and its size."""
    try:
        page, size = int(params["page"]), int(params["page_size"])
    except (KeyError, ValueError):
        raise ApiError("invalid", "分页参数不正确") from None
    if not (page >= 1 and 1 <= size <= LARGEST_PAGE):
        raise ApiError("invalid", f"page_size 最大 {LARGEST_PAGE}")
    return page, size


def seconds(at: datetime | None) -> int | None:
    """An instant as whole seconds since 1970."""
    return int(at.timestamp()) if at else None


def yuan(amount_minor: int) -> str:
    """Fen as yuan, "12.90"."""
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"
