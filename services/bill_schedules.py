"""When bills are taken: a Temporal Schedule for each connected account whose platform makes them.

Every day after half past ten in Shanghai; bills are there from ten o'clock on. What was missed is caught up with by the
next stroke (`ReconciliationService.due`), so a stroke that comes while the one before is still at work is left out.
"""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from connectors.registry import ConnectorRegistry
from domain.access import Scope
from services.orchestrator import problems
from services.temporal_schedules import SCHEDULE_DEADLINE, delete_schedule
from storage.accounts import Accounts
from storage.engine import Database
from storage.paging import LARGEST_PAGE, PageRequest
from storage.unit_of_work import UnitOfWork
from workflows.messages import RECONCILIATION_WORKFLOW, SETTLEMENT_QUEUE, AccountBills

PREFIX = "bills/"
AT = "30 10 * * *"
_JITTER = timedelta(minutes=15)
_CATCH_UP = timedelta(hours=12)


class BillSchedules:
    """Keeps the schedules in line with the accounts."""

    def __init__(self, database: Database, client: Client, connectors: ConnectorRegistry) -> None:
        self._database = database
        self._client = client
        self._connectors = connectors

    async def sync(self) -> int:
        """Make the schedules that are missing and delete those of accounts that are gone; how many there are.

        :raises UnavailableProblem: Temporal does not answer; repeat it.
        """
        wanted = {f"{PREFIX}{each.account_id}": each for each in await self._wanted()}
        with problems("schedules"):
            known = {each.id async for each in await self._client.list_schedules(rpc_timeout=SCHEDULE_DEADLINE)}
            for identity in wanted.keys() - known:
                try:
                    await self._client.create_schedule(
                        identity, _schedule(identity, wanted[identity]), rpc_timeout=SCHEDULE_DEADLINE
                    )
                except ScheduleAlreadyRunningError:
                    continue
            for identity in known - wanted.keys():
                platform = identity.removeprefix(PREFIX).partition("/")[0]
                # Those of a platform that only newer processes know are left to them.
                if identity.startswith(PREFIX) and platform in self._connectors:
                    await delete_schedule(self._client, identity)
        return len(wanted)

    async def _wanted(self) -> list[AccountBills]:
        found: list[AccountBills] = []
        cursor: str | None = None
        async with UnitOfWork(self._database) as work:
            while True:
                page = await Accounts(work).list(Scope.everything(), PageRequest(LARGEST_PAGE, cursor))
                for account in page.items:
                    connector = self._connectors.get(account.platform)
                    if account.active and connector is not None and getattr(connector.client, "bill_kinds", None):
                        found.append(AccountBills(account.id, connector.queue))
                cursor = page.next_cursor
                if cursor is None:
                    return found


def _schedule(identity: str, bills: AccountBills) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(RECONCILIATION_WORKFLOW, bills, id=identity, task_queue=SETTLEMENT_QUEUE),
        spec=ScheduleSpec(cron_expressions=[AT], time_zone_name="Asia/Shanghai", jitter=_JITTER),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
    )
