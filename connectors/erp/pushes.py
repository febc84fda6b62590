"""The ERP's pushes: a waybill that was made or moved, a stock that changed.

Body: `{"type": "waybill" | "stock", "data": {…}}`, signed by Standard Webhooks.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.erp.records import read_stock, read_waybill
from connectors.erp.settings import ErpSettings
from connectors.payloads import parse_json_object
from connectors.reading import mapping, text
from connectors.standard_webhooks import check_message
from connectors.webhooks import Verified, WebhookRequest, read_or_keep
from domain.canonical import ShipmentData, StockData
from domain.canonical.announcing import announce
from domain.events import Event

_READ: Mapping[str, Callable[[Mapping[str, Any], Account, datetime], ShipmentData | StockData]] = {
    "waybill": read_waybill,
    "stock": read_stock,
}


def verify_push(request: WebhookRequest, account: Account) -> Verified:
    """The push, once its signature and its time are right."""
    signed = check_message(request, (account.parse_settings(ErpSettings).secret,))
    found = read_or_keep(request, request.body, read_push, signed.sent_at)
    return replace(found, dedupe_key=signed.id)


def read_push(kept: Verified) -> Verified:
    """What a push says whose signature holds."""
    kind = text(parse_json_object(kept.payload), "type")
    return replace(kept, kind=kind)


def uses_push(kind: str) -> bool:
    """Whether Tandem has a use for pushes of this kind."""
    return kind in _READ


def push_events(record: Verified, account: Account) -> list[Event]:
    """The canonical event of a push; none for kinds Tandem has no use for."""
    read = _READ.get(record.kind)
    if read is None:
        return []
    data = mapping(parse_json_object(record.payload).get("data"), "data")
    return [announce(read(data, account, record.received_at), record.received_at)]
