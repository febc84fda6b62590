"""From a verified push, or a row of a list, to its event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.catering.records import read_order, read_refund
from connectors.catering.wire import CateringWire, Kind
from connectors.listed_rows import row_payload
from connectors.telling import tell_order, tell_refund
from connectors.webhooks import Verified
from domain.events import Event
from domain.ids import content_digest

PULLED: Mapping[str, Kind] = {"pulled.order": "order", "pulled.refund": "refund"}
"""Kinds of records that were read from a list; their payload is the record alone."""


def pulled(kind: Kind, row: Any, received_at: datetime) -> Verified:
    """A row of a list on its way to the inbox."""
    payload = row_payload(row, sort_keys=True)
    return Verified(f"pulled.{kind}", payload, f"pull:{content_digest(payload)}", received_at)


def events_of(
    kind: Kind | None, data: Mapping[str, Any], wire: CateringWire, record: Verified, account: Account
) -> list[Event]:
    """The event of an order or a refund; none for a kind that Tandem has no use for."""
    if kind == "order":
        return [tell_order(read_order(data, wire, account, record.received_at), record, account)]
    if kind == "refund":
        return [tell_refund(read_refund(data, wire, account, record.received_at), record, account)]
    return []
