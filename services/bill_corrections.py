"""A second person on bills from files: letting one in where the platform's own cannot be had, withdrawing a wrong one.

A bill that is withdrawn is kept and says so. What it was compared with is undone, and its days are reconciled again.
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal

from domain.access import Actor, Permission, Role, require_second_person, system_actor
from domain.organisation import Placement
from domain.problems import ConflictProblem, Text
from services.break_keeping import solve_by_itself
from services.reconciliation import ReconciliationService
from storage.audit import AuditLog
from storage.bill_withdrawals import BillWithdrawals
from storage.bills import BillRow, Bills
from storage.breaks import Breaks
from storage.engine import Database
from storage.locks import lock
from storage.placements import Placements
from storage.unit_of_work import UnitOfWork

_RECONCILER = system_actor("bills", Role.FINANCE)


class BillCorrections:
    """Within the actor's scope."""

    def __init__(self, database: Database, reconciliation: ReconciliationService) -> None:
        self._database = database
        self._reconciliation = reconciliation

    async def confirm(self, actor: Actor, bill: int, note: str | None = None) -> BillRow:
        """Let a file take the place of the platform's own bill.

        :raises AuthorizationProblem: it is the actor's own. :raises ConflictProblem: it does not wait, or the
            platform's own was taken meanwhile.
        """
        actor.require(Permission.PAYOUTS_APPROVE)
        async with UnitOfWork(self._database) as work:
            row = await _locked(work, actor, bill)
            if row.state != "waiting":
                raise ConflictProblem(
                    Text(f"账单 {bill} 不在等待确认", f"The bill {bill} does not wait for anybody"), state=row.state
                )
            if await Bills(work).find(row.account, row.day, row.kind) is not None:
                raise ConflictProblem(
                    Text(
                        f"{row.account} {row.day} 已有账单，文件不再需要；请作废它",
                        f"There is a bill of {row.account} for {row.day} by now: withdraw the file",
                    )
                )
            require_second_person(actor, [row.taken_by], Text("代替平台账单", "A file in place of a platform's bill"))
            await _decide(work, actor, row, "taken", note)
            return row

    async def withdraw(self, actor: Actor, bill: int, note: str) -> BillRow:
        """Take a bill from a file back: it is compared with nothing any more, and another one may be taken.

        :raises AuthorizationProblem: who took it. :raises ConflictProblem: it is the platform's own, or withdrawn.
        """
        actor.require(Permission.PAYOUTS_APPROVE)
        days: Sequence[date] = ()
        async with UnitOfWork(self._database) as work:
            row = await _locked(work, actor, bill)
            if row.source != "file" or row.state == "withdrawn":
                raise ConflictProblem(
                    Text(
                        f"账单 {bill} 是平台给出的，或已作废；只有文件账单可以作废",
                        f"The bill {bill} is the platform's own, or withdrawn: only bills from files can be",
                    ),
                    state=row.state,
                )
            require_second_person(actor, [row.taken_by], Text("作废账单", "Withdrawing a bill"))
            if row.state == "taken":
                days = await _undone(work, row)
            await _decide(work, actor, row, "withdrawn", note)
        for day in days:
            if await self._has_bill(row.account, day):
                await self._reconciliation.reconcile(_RECONCILER, row.account, day)
        return row

    async def _has_bill(self, account: str, day: date) -> bool:
        async with UnitOfWork(self._database) as work:
            return any((await Bills(work).days(account, day, day)).values())


async def _locked(work: UnitOfWork, actor: Actor, bill: int) -> BillRow:
    row = await Bills(work).require(bill, actor.scope)
    await lock(work, f"bills/{row.account}")
    return row


async def _undone(work: UnitOfWork, row: BillRow) -> Sequence[date]:
    """Whatever was said of breaks of its lines was said of something else: found again, they are open again."""
    withdrawals = BillWithdrawals(work)
    names = await withdrawals.matched(row)
    breaks = list((await Breaks(work).known(await withdrawals.standing(row, names))).values())
    days = await withdrawals.undo(row, names, breaks)
    for each in breaks:
        each.state, each.reason, each.note = "open", None, None
        each.explained_by = each.explained_at = each.solved_by = each.solved_at = None
        solve_by_itself(each, work)
    return days


async def _decide(
    work: UnitOfWork, actor: Actor, row: BillRow, state: Literal["taken", "withdrawn"], note: str | None
) -> None:
    row.state, row.decided_by, row.decided_at, row.note = state, actor.login, work.now, note
    place = (await Placements(work).of_accounts([row.account])).get(row.account, Placement())
    detail = {"bill": row.id, "day": str(row.day), "kind": row.kind, "taken_by": row.taken_by, "note": note}
    action = "bill.confirm" if state == "taken" else "bill.withdraw"
    await AuditLog(work).record(actor, action, f"account:{row.account}", detail, place)
