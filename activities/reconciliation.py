"""Bills taken on the queue of the platform that makes them, and reconciled where settlements are computed."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Any

from temporalio import activity

from activities.settlement import refusing
from domain.access import Role, system_actor
from services.bills import BillReader
from services.reconciliation import ReconciliationService
from services.unreconciled import Unreconciled
from workflows import messages

_RECONCILER = system_actor("bills", Role.FINANCE)


class BillActivities:
    """Served by the worker of every platform that makes bills."""

    def __init__(self, bills: BillReader) -> None:
        self._bills = bills

    @activity.defn(name=messages.TAKE_BILLS_ACTIVITY)
    async def take(self, wanted: messages.BillDay) -> int:
        """How many of the day's bills are new."""
        async with refusing():
            taken = await self._bills.take_day(wanted.account_id, date.fromisoformat(wanted.day))
            return sum(each.new for each in taken)


class ReconciliationActivities:
    """Served with settlement's own queue."""

    def __init__(self, reconciliation: ReconciliationService, unreconciled: Unreconciled) -> None:
        self._reconciliation = reconciliation
        self._unreconciled = unreconciled

    @property
    def all(self) -> Sequence[Callable[..., Awaitable[Any]]]:
        return [self.due, self.reconcile]

    @activity.defn(name=messages.BILLS_DUE_ACTIVITY)
    async def due(self, account_id: str) -> list[str]:
        """The days to be reconciled, as ISO dates."""
        async with refusing():
            return [day.isoformat() for day in await self._unreconciled.due(account_id)]

    @activity.defn(name=messages.RECONCILE_ACTIVITY)
    async def reconcile(self, wanted: messages.BillDay) -> int:
        """How many breaks there are."""
        async with refusing():
            day = date.fromisoformat(wanted.day)
            return (await self._reconciliation.reconcile(_RECONCILER, wanted.account_id, day)).breaks
