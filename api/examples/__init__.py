"""An example of every operation's body and answer, by operation id; a test holds each against its schema."""

from typing import Any

from api.examples import (
    accounts,
    bank_payouts,
    customers,
    definitions,
    events,
    payees,
    payouts,
    people,
    reconciliation,
    runs,
    settlement,
    tags,
)

_AREAS = (
    accounts,
    bank_payouts,
    customers,
    definitions,
    events,
    payees,
    payouts,
    people,
    reconciliation,
    runs,
    settlement,
    tags,
)

REQUESTS: dict[str, Any] = {name: body for area in _AREAS for name, body in area.REQUESTS.items()}
RESPONSES: dict[str, Any] = {name: body for area in _AREAS for name, body in area.RESPONSES.items()}
