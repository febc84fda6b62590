"""What a client has whose platform makes a bill of each day."""

from datetime import date
from typing import ClassVar, Protocol, runtime_checkable

from connectors.registry import ConnectorRegistry
from domain.settlement.bills import BillKind, DayBill


@runtime_checkable
class Billing(Protocol):
    """The platform makes bills of these kinds, from ten o'clock of the next morning in Shanghai on."""

    bill_kinds: ClassVar[tuple[BillKind, ...]]

    async def day_bill(self, day: date, kind: BillKind) -> DayBill:
        """A day's bill, its digest and its sums checked.

        Raises problems as `connectors.errors` describes them, and ValidationProblem with row and column for a bill that
        cannot be believed.
        """


def bill_kinds_of(connectors: ConnectorRegistry, account_id: str) -> tuple[BillKind, ...]:
    """Which bills the platform of an account makes; none where people export them."""
    connector = connectors.get(account_id.partition("/")[0])
    kinds: tuple[BillKind, ...] = getattr(connector.client, "bill_kinds", ()) if connector is not None else ()
    return kinds
