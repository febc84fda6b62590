"""The ERP's waybills and stock as canonical records, pushed and pulled alike."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.erp.wire import UNVERIFIED
from connectors.reading import (
    anomaly,
    not_from_the_future,
    objects,
    optional_text,
    parcel_state,
    rfc3339,
    text,
    whole_number,
)
from domain.canonical import LONGEST_ORDER_ID, ShipmentData, StockData
from domain.catalog.erp import ShippedParcel, ShippingOrderOutput
from domain.organisation import is_account_id
from domain.problems import Text


def read_waybill(data: Mapping[str, Any], account: Account, received_at: datetime) -> ShipmentData:
    """A parcel; a state nobody knows yet reads `unknown`. Raises ValidationProblem."""
    return ShipmentData(
        platform=account.platform,
        account=account.slug,
        version=_version(data),
        occurred_at=not_from_the_future(rfc3339(data, "changed_at"), received_at, "changed_at"),
        order_id=text(data, "order_id", limit=LONGEST_ORDER_ID),
        order_account=_shop(data),
        waybill=text(data, "waybill"),
        company=optional_text(data, "company", limit=64),
        state=parcel_state(UNVERIFIED.parcel_states, data, "state"),
        line_ids=_texts(data, "line_ids"),
    )


def read_stock(data: Mapping[str, Any], account: Account, received_at: datetime) -> StockData:
    """How many pieces can be sold now; fewer than none is out of stock. Raises ValidationProblem."""
    return StockData(
        platform=account.platform,
        account=account.slug,
        version=_version(data),
        occurred_at=not_from_the_future(rfc3339(data, "changed_at"), received_at, "changed_at"),
        item_id=text(data, "item_id"),
        sku_id=optional_text(data, "sku_id", limit=64),
        warehouse=optional_text(data, "warehouse", limit=64),
        available=whole_number(data, "available"),
    )


def read_shipping_order(data: Mapping[str, Any]) -> ShippingOrderOutput:
    """A shipping order of an answer, which also tells what was just done: a state nobody knows yet reads `unknown`.

    Raises ValidationProblem.
    """
    parcels = _parcels(data)
    return ShippingOrderOutput(
        number=text(data, "number"),
        order_id=text(data, "order_id", limit=LONGEST_ORDER_ID),
        shop=text(data, "shop", limit=129),
        state=UNVERIFIED.states.get(str(data.get("state")), "unknown"),
        waybill=optional_text(data, "waybill", limit=64) or (parcels[0].waybill if parcels else None),
        company=optional_text(data, "company", limit=64) or (parcels[0].company if parcels else None),
        parcels=parcels,
        changed_at=rfc3339(data, "changed_at"),
    )


def _shop(data: Mapping[str, Any]) -> str | None:
    """The shop of the order, as the shipping order named it; None from an ERP that does not show it back."""
    shop = optional_text(data, "shop", limit=129)
    if shop is not None and not is_account_id(shop):
        raise anomaly(
            "shop", Text("应为来源店铺的账号，如 douyin/flagship", "must be an account such as douyin/flagship")
        )
    return shop


def _version(data: Mapping[str, Any]) -> int:
    version = whole_number(data, "version")
    if version < 0:
        raise anomaly("version", Text("不能为负", "must not be negative"))
    return version


def _parcels(data: Mapping[str, Any]) -> tuple[ShippedParcel, ...]:
    return tuple(
        ShippedParcel(
            waybill=text(parcel, "waybill", limit=64),
            company=optional_text(parcel, "company", limit=64),
            line_ids=_texts(parcel, "line_ids"),
        )
        for parcel in objects(data, "parcels")
    )


def _texts(data: Mapping[str, Any], field: str) -> tuple[str, ...]:
    values = data.get(field) or []
    if not isinstance(values, list) or not all(
        isinstance(value, str) and len(value) <= LONGEST_ORDER_ID for value in values[:500]
    ):
        raise anomaly(field, Text("应为文本的列表", "must be a list of texts"))
    return tuple(values[:500])
