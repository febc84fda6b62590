"""What people see of human tasks and runs: personal data masked, or in clear for the few who need it, on record.

In clear see: who holds a task that is under way, that task, because they have to call the customer (and how they came
to hold it is audited); and who has `customers.unmask`, one task or run at a time, for a reason that is audited with it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.access import Actor, Permission
from domain.human_tasks import overdue_s
from domain.organisation import Placement
from domain.privacy import Masking, declared_in, restored
from domain.problems import Text, ValidationProblem
from domain.runs import Run
from storage.audit import AuditLog
from storage.human_tasks import HIGHEST_PRIORITY, HumanTask, HumanTaskRow, HumanTaskSummary
from storage.unit_of_work import UnitOfWork

LONGEST_REASON = 500


class Disclosure:
    """masking: the rules of this installation."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking

    def summary(self, row: HumanTaskRow, now: datetime) -> HumanTaskSummary:
        """A task in a list, always masked: also the names in its title that its data tells to be a person's."""
        shown = self._masking.mask({"title": row.title, "data": row.data}, declared_in(row.form))
        return HumanTaskSummary.model_validate({**_members(row, now), "title": shown["title"]})

    def task(self, row: HumanTaskRow, now: datetime, actor: Actor, *, unmasked: bool = False) -> HumanTask:
        """A task as this actor sees it; unmasked: in clear, which must have been allowed and recorded."""
        clear = unmasked or _works_on(actor, row)
        shown = {} if clear else self._masking.mask(_personal_members(row), declared_in(row.form))
        return HumanTask.model_validate({**_members(row, now), **shown, "masked": not clear})

    def run(self, run: Run, tasks: Sequence[HumanTaskRow], *, unmasked: bool = False) -> Run:
        """A run as everybody sees it, or in clear, which must have been allowed and recorded.

        tasks: of the run; what their forms declare to be personal is so wherever the run passes it on, and the names in
        them are masked in its sentences.
        """
        if unmasked:
            return run.model_copy(update={"masked": False})
        declared = {name: kind for task in tasks for name, kind in declared_in(task.form).items()}
        members = run.model_dump(include={"input", "output", "error", "tasks", "start_problem"})
        beside = [_personal_members(task) for task in tasks]
        shown = self._masking.mask({"run": members, "beside": beside}, declared)["run"]
        return Run.model_validate({**run.model_dump(), **shown, "masked": True})

    def filled_in(self, row: HumanTaskRow, form: Mapping[str, Any]) -> dict[str, Any]:
        """A form as somebody sent it, real values in the places of masks. Raises ValidationProblem (422)."""
        kept = "draft" if row.draft is not None else "output"
        return restored(self._masking, form, _personal_members(row), kept, declared_in(row.form))


def require_unmasking(actor: Actor, reason: str, permission: Permission = Permission.CUSTOMERS_UNMASK) -> None:
    """Returns when the actor may see clear text for this reason.

    :raises AuthorizationProblem: no permission. :raises ValidationProblem: no reason, or too long a one.
    """
    actor.require(permission)
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise ValidationProblem(
            Text(
                f"查看明文请在 reason 中写明原因（1–{LONGEST_REASON} 字），原因会写入审计。",
                f"Say in `reason` why you need the clear text (1 to {LONGEST_REASON} characters); it is audited.",
            ),
            errors=[{"pointer": "query/reason"}],
        )


async def record_unmasking(work: UnitOfWork, actor: Actor, kind: str, key: str, reason: str, place: Placement) -> None:
    """Write down who read what in clear, and why; `kind` is `task`, `run`, `customer`,
    `payee`, `payout` or `inbox`."""
    await AuditLog(work).record(actor, f"{kind}.unmask", f"{kind}:{key}", {"reason": reason.strip()}, place)


def _works_on(actor: Actor, row: HumanTaskRow) -> bool:
    return row.assignee == actor.login and row.state in ("reserved", "in_progress") and actor.may(Permission.TASKS_WORK)


def _personal_members(row: HumanTaskRow) -> dict[str, Any]:
    return {
        "title": row.title,
        "data": row.data,
        "draft": row.draft,
        "output": row.output,
        "comment": row.comment,
    }


def _members(row: HumanTaskRow, now: datetime) -> dict[str, Any]:
    return {
        **row.model_dump(),
        "priority": HIGHEST_PRIORITY - row.urgency,
        "overdue_s": overdue_s(row.due_at, row.ended_at, now),
    }
