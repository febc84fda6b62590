"""Orders and refunds of meals as canonical records, for answers and pushes alike."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.catering.wire import CateringWire
from connectors.reading import (
    anomaly,
    mapping,
    merchant_code,
    not_from_the_future,
    optional_fen,
    optional_minor,
    optional_text,
    state_of,
    text,
    unix_time,
    whole_number,
)
from connectors.telling import version_of
from domain.canonical import Buyer, Delivery, OrderData, OrderLine, RefundData
from domain.catalog.shop_calls import OrderOutput, RefundOutput
from domain.problems import Text

_MOST_LINES = 500


class Record:
    """One of the platform's records, its fields by our names."""

    def __init__(self, data: Mapping[str, Any], names: Mapping[str, str], wire: CateringWire) -> None:
        self._data = data
        self._names = names
        self._wire = wire

    def text(self, field: str) -> str:
        return text(self._data, self._names[field])

    def optional_text(self, field: str, *, limit: int = 64) -> str | None:
        return optional_text(self._data, self._names[field], limit=limit)

    def word(self, field: str) -> str:
        return str(self._data.get(self._names[field]))

    def amount(self, field: str) -> int | None:
        read = optional_fen if self._wire.amounts == "yuan" else optional_minor
        return read(self._data, self._names[field])

    def count(self, field: str) -> int:
        number = whole_number(self._data, self._names[field])
        if not 0 < number < 100_000:
            raise anomaly(self._names[field], Text("应大于 0", "must be more than 0"))
        return number

    def instant(self, field: str) -> datetime | None:
        return unix_time(self._data, self._names[field])

    def list(self, field: str) -> list[Any]:
        value = self._data.get(self._names[field]) or []
        if not isinstance(value, list) or len(value) > _MOST_LINES:
            raise anomaly(self._names[field], Text("应为列表", "must be a list"))
        return value

    def flag(self, field: str) -> bool | None:
        value = self._data.get(self._names[field])
        return value if isinstance(value, bool) else None


def read_order(data: Mapping[str, Any], wire: CateringWire, account: Account, received_at: datetime) -> OrderData:
    """An order; a way of dining that nobody knows yet reads None. Raises ValidationProblem."""
    record = Record(data, wire.order, wire)
    status = state_of(wire.order_words, data, wire.order["status"], "unknown")
    changed = not_from_the_future(record.instant("updated_at"), received_at, wire.order["updated_at"])
    if changed is None:
        raise anomaly(wire.order["updated_at"], Text("缺失", "is missing"))
    return OrderData(
        platform=account.platform,
        account=account.slug,
        version=version_of(changed, status, full=True),
        occurred_at=changed,
        order_id=record.text("order_id"),
        status=status,
        paid_minor=record.amount("paid_minor"),
        postage_minor=record.amount("postage_minor"),
        discount_minor=record.amount("discount_minor"),
        lines=tuple(_line(mapping(line, wire.order["lines"]), wire) for line in record.list("lines")),
        buyer=Buyer(
            buyer_id=record.optional_text("buyer_id"),
            phone_ciphertext=record.optional_text("phone_ciphertext", limit=2_048),
            nickname=record.optional_text("nickname"),
        ),
        delivery=Delivery(
            city=record.optional_text("city"),
            address_ciphertext=record.optional_text("address_ciphertext", limit=2_048),
        ),
        created_at=record.instant("created_at"),
        paid_at=record.instant("paid_at"),
        shipped_at=record.instant("shipped_at"),
        completed_at=record.instant("completed_at"),
        dining=wire.dining_words.get(record.word("dining")),
    )


def read_refund(data: Mapping[str, Any], wire: CateringWire, account: Account, received_at: datetime) -> RefundData:
    """A refund. Raises ValidationProblem."""
    record = Record(data, wire.refund, wire)
    status = state_of(wire.refund_words, data, wire.refund["status"], "unknown")
    changed = not_from_the_future(record.instant("updated_at"), received_at, wire.refund["updated_at"])
    if changed is None:
        raise anomaly(wire.refund["updated_at"], Text("缺失", "is missing"))
    return RefundData(
        platform=account.platform,
        account=account.slug,
        version=version_of(changed, status, full=True),
        occurred_at=changed,
        refund_id=record.text("refund_id"),
        order_id=record.text("order_id"),
        status=status,
        amount_minor=record.amount("amount_minor"),
        reason=record.optional_text("reason", limit=2_048),
        returns_goods=record.flag("returns_goods"),
    )


def order_output(order: OrderData) -> OrderOutput:
    """The order as a flow sees it."""
    return OrderOutput.model_validate({**order.model_dump(), "updated_at": order.occurred_at})


def refund_output(refund: RefundData) -> RefundOutput:
    """The refund as a flow sees it."""
    return RefundOutput.model_validate({**refund.model_dump(exclude_none=True), "updated_at": refund.occurred_at})


def _line(data: Mapping[str, Any], wire: CateringWire) -> OrderLine:
    record = Record(data, wire.line, wire)
    quantity, price = record.count("quantity"), record.amount("price_minor") or 0
    return OrderLine(
        line_id=record.text("line_id"),
        item_id=record.optional_text("item_id"),
        sku_id=record.optional_text("sku_id"),
        merchant_code=merchant_code(data, wire.line["merchant_code"]),
        title=record.optional_text("title", limit=512) or "",
        sku=record.optional_text("sku", limit=512),
        category=record.optional_text("category"),
        quantity=quantity,
        price_minor=price,
        total_minor=price * quantity,
    )
