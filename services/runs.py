"""Runs as people handle them: start, look, cancel, suspend, resume, take up again."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from domain.access import Actor, Permission, Scope
from domain.organisation import HEADQUARTERS, Placement, within
from domain.privacy import Masking
from domain.problems import ConflictProblem, NotFoundProblem, Text, UnavailableProblem, ValidationProblem
from domain.runs import ENDED_PHASES, Run, RunSummary
from services.disclosure import Disclosure, record_unmasking, require_unmasking
from services.enrolments import enrol
from services.orchestrator import Orchestrator
from services.run_starts import START_LEASE, NewRun, RunStarter, key_of
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.engine import Database
from storage.human_tasks import HumanTasks
from storage.organisation import Units
from storage.paging import Page, PageRequest
from storage.placements import Placements
from storage.runs import RunFilter, RunRow, Runs, run_of, summary_of
from storage.unit_of_work import UnitOfWork
from storage.users import Users
from workflows.messages import RESUME_UPDATE, SUSPEND_UPDATE, Command, ScheduledStart

_LONGEST_SUBJECT = 256
_MOST_SUBJECTS = 20
LOOK_BACK = timedelta(seconds=10)
"""How long before its start an event may have come that a run still hears: systems that tell of the same thing at the
same moment do not agree on the order."""


class RunService:
    """Every change is audited in the transaction that makes it; every read is bounded by the actor's scope, and masked
    as `services.disclosure` says."""

    def __init__(self, database: Database, orchestrator: Orchestrator, starter: RunStarter, masking: Masking) -> None:
        self._database = database
        self._disclosure = Disclosure(masking)
        self._orchestrator = orchestrator
        self._starter = starter

    async def start(
        self,
        actor: Actor,
        namespace: str,
        name: str,
        flow_input: Any = None,
        *,
        subject: str = "",
        subjects: Sequence[str] = (),
        request_id: str | None = None,
        version: str | None = None,
        placement: Placement | None = None,
    ) -> RunSummary:
        """Start a run, or answer with the one that the same `request_id` started.

        subject: `kind:id`, whose events reach the run and by which its version is drawn. When Temporal is away the run
        is `pending` and starts by itself later.

        placement: where it belongs; a shop brings its unit along.

        :raises NotFoundProblem: the flow is not released, the named version is not published, or there is no such place
            within the actor's scope.
        :raises ConflictProblem: the same request id started something else; or the flow takes in each customer, order
            … once, and has taken in this one.
        :raises AuthorizationProblem: not allowed.
        """
        actor.require(Permission.RUNS_START)
        _check_subjects(subject, subjects)
        key = key_of(request_id) if request_id else uuid.uuid4().hex
        async with UnitOfWork(self._database) as work:
            place = await _place_of(work, actor, placement)
            chosen = await self._starter.choose(work, namespace, name, subject or key, version)
            new = NewRun(
                chosen,
                key,
                flow_input,
                actor.login,
                subject,
                tuple(subjects),
                placement=place,
                hears_from=work.now - LOOK_BACK,
            )
            new.check()
            runs = Runs(work)
            if (existing := await runs.row(new.id)) is not None:
                return _same_start(existing, new, actor)
            row = (await enrol(work, new, actor)).row(work.now)
            if not await runs.add([row]):
                return _same_start(await runs.row(row.id), new, actor)
            await AuditLog(work).record(
                actor, "run.start", f"run:{row.id}", {"version": row.version, "subject": subject}, place
            )
        problems = await self._starter.launch([row])
        return summary_of(row).model_copy(update={"phase": "pending" if problems else "running"})

    async def start_scheduled(self, start: ScheduledStart) -> str | None:
        """The run for one stroke of a Schedule, once, however often it is asked for; None when it is not released."""
        key = key_of(start.fired_as)
        async with UnitOfWork(self._database) as work:
            try:
                chosen = await self._starter.choose(work, start.namespace, start.name, key)
            except NotFoundProblem:
                return None
            row = NewRun(chosen, key, None, "system:schedule").row(work.now)
            is_new = bool(await Runs(work).add([row]))
        if is_new:
            await self._starter.launch([row])
        return row.id

    async def search(self, actor: Actor, wanted: RunFilter, page: PageRequest) -> Page[RunSummary]:
        """Runs within the actor's scope, the newest first."""
        actor.require(Permission.RUNS_READ)
        async with UnitOfWork(self._database) as work:
            return await Runs(work).search(wanted, actor.scope, page)

    async def show(self, actor: Actor, run_id: str, *, live: bool = True, unmask_for: str | None = None) -> Run:
        """Everything about a run, masked; its tasks as the run itself tells them, when it answers within a second.

        unmask_for: the reason for which somebody with `customers.unmask` wants to see it in clear; it is audited.

        :raises NotFoundProblem: there is none within the actor's scope.
        """
        actor.require(Permission.RUNS_READ)
        if unmask_for is not None:
            require_unmasking(actor, unmask_for)
        async with UnitOfWork(self._database) as work:
            row = _found(await Runs(work).find(run_id, actor.scope), run_id)
            tasks = await HumanTasks(work).of_run(run_id)
            if unmask_for is not None:
                await record_unmasking(work, actor, "run", run_id, unmask_for, row.placement)
        run = await self._as_it_stands(run_of(row), live)
        return self._disclosure.run(run, tasks, unmasked=unmask_for is not None)

    async def _as_it_stands(self, run: Run, live: bool) -> Run:
        if not live or run.phase in ENDED_PHASES or run.started_at is None:
            return run
        progress = await self._orchestrator.progress(run.id)
        if progress is None or progress.phase in ENDED_PHASES:
            # An end counts once it is recorded, with its output.
            return run
        return run.model_copy(
            update={
                "phase": progress.phase,
                "tasks": progress.tasks,
                "dropped_tasks": progress.dropped_tasks,
                "live": True,
            }
        )

    async def cancel(self, actor: Actor, run_id: str, reason: str | None = None) -> RunSummary:
        """Ask a run to end; it ends its human tasks and reports by itself. Cancelling a cancelled run changes nothing.

        :raises ConflictProblem: it ended otherwise.
        """
        async with UnitOfWork(self._database) as work:
            row = await self._for_control(work, actor, run_id)
            if row.phase == "cancelled":
                return summary_of(row)
            _refuse_ended(row, Text("取消", "cancelled"))
            if row.start_due_at is not None:
                # Temporal may not know it yet: it ends here, and a start under way is cancelled by whoever started it.
                row.phase, row.ended_at, row.start_due_at = "cancelled", work.now, None
            await self._audit(work, actor, "run.cancel", row, reason)
            summary = summary_of(row)
        await self._orchestrator.cancel(run_id, reason or f"by {actor.login}")
        return summary

    async def suspend(self, actor: Actor, run_id: str, reason: str | None = None) -> RunSummary:
        """Halt a run before its next task. Suspending a suspended run changes nothing.

        :raises ConflictProblem: it has ended, or it has not started yet.
        :raises UnavailableProblem: no worker answered in time; nothing was changed, or the same call will tell.
        """
        return await self._order(
            actor, run_id, SUSPEND_UPDATE, reason, Text("暂停", "suspended"), lambda row: row.phase == "suspended"
        )

    async def resume(self, actor: Actor, run_id: str, reason: str | None = None) -> RunSummary:
        """Let a suspended run go on; one that is not suspended goes on anyway. Raises as `suspend` does."""
        return await self._order(
            actor, run_id, RESUME_UPDATE, reason, Text("恢复", "resumed"), lambda row: row.phase != "suspended"
        )

    async def retry(self, actor: Actor, run_id: str, reason: str | None = None) -> RunSummary:
        """Take a failed run up again from the step that failed, under the same id, with one attempt more.

        It is told of the events that came while it stood still. One that was taken up again already and has not ended
        since is left as it is.

        :raises ConflictProblem: it did not fail.
        """
        async with UnitOfWork(self._database) as work:
            row = await self._for_control(work, actor, run_id)
            if row.attempt > 1 and row.phase not in ENDED_PHASES:
                return summary_of(row)
            if row.phase != "faulted":
                raise _conflict(
                    row,
                    Text(
                        "只有失败的运行可以重试",
                        "Only a failed run can be taken up again",
                    ),
                )
            row.attempt += 1
            row.phase, row.ended_at, row.error, row.start_problem = "pending", None, None, None
            row.start_due_at, row.start_attempts, row.not_before = work.now + START_LEASE, 1, None
            row.checked_at = work.now
            await self._audit(work, actor, "run.retry", row, reason)
        problems = await self._starter.launch([row])
        return summary_of(row).model_copy(update={"phase": "pending" if problems else "running"})

    async def _order(
        self,
        actor: Actor,
        run_id: str,
        update: str,
        reason: str | None,
        verb: Text,
        done_already: Callable[[RunRow], bool],
    ) -> RunSummary:
        async with UnitOfWork(self._database) as work:
            row = await self._for_control(work, actor, run_id)
            _refuse_ended(row, verb)
            if done_already(row):
                return summary_of(row)
            if row.start_due_at is not None:
                raise UnavailableProblem(
                    Text(
                        f"运行尚未启动，暂时不能{verb.zh}，请稍后重试",
                        f"The run has not started; cannot be {verb.en} yet",
                    )
                )
            await self._audit(work, actor, f"run.{update}", row, reason)
        await self._orchestrator.update(
            run_id, update, Command(actor.login, reason), key=uuid.uuid4().hex, answer=type(None)
        )
        async with UnitOfWork(self._database) as work:
            return summary_of(_found(await Runs(work).row(run_id), run_id))

    async def _for_control(self, work: UnitOfWork, actor: Actor, run_id: str) -> RunRow:
        actor.require(Permission.RUNS_CONTROL)
        return _found(await Runs(work).find(run_id, actor.scope, for_update=True), run_id)

    async def _audit(self, work: UnitOfWork, actor: Actor, action: str, row: RunRow, reason: str | None) -> None:
        detail = {"reason": reason, "attempt": row.attempt}
        await AuditLog(work).record(actor, action, f"run:{row.id}", detail, row.placement)


def default_placement(scope: Scope) -> Placement:
    """Where a run belongs that somebody with this scope starts without saying where."""
    if scope.kind == "accounts":
        return Placement(account_id=min(scope.accounts))
    if scope.kind == "branch":
        return Placement(unit_path=scope.branch or HEADQUARTERS)
    if scope.kind == "own":
        return Placement(customer_owner=scope.owner)
    return Placement()


def place_members(place: Placement) -> dict[str, str | None]:
    return {"unit_path": place.unit_path, "account_id": place.account_id}


async def _place_of(work: UnitOfWork, actor: Actor, placement: Placement | None) -> Placement:
    """Where a new run belongs: what is named must be there and be the actor's, so that it shows up with no others."""
    if placement is None:
        place = default_placement(actor.scope)
        if place.account_id is None:
            return place
        return (await Placements(work).of_accounts([place.account_id]))[place.account_id]
    place = placement
    if place.account_id is not None:
        account = await Accounts(work).require(place.account_id, actor.scope)
        if not within(place.unit_path, account.unit_path):
            place = replace(place, unit_path=account.unit_path)
    await Units(work).require(place.unit_path)
    if place.customer_owner is not None:
        await Users(work).require(place.customer_owner)
    if not actor.sees(place):
        raise NotFoundProblem(
            Text("这个位置不在您的数据范围内", "This place is not within your data scope"), **place_members(place)
        )
    return place


def _check_subjects(subject: str, subjects: Sequence[str]) -> None:
    wrong = [
        each for each in (subject, *subjects) if each and (not all(each.partition(":")) or len(each) > _LONGEST_SUBJECT)
    ]
    if wrong or len(subjects) > _MOST_SUBJECTS:
        raise ValidationProblem(
            Text(
                f"主体应写成“类型:编号”（如 customer:42），不超过 {_LONGEST_SUBJECT} 字，最多 {_MOST_SUBJECTS} 个。",
                f"A subject is written kind:id (customer:42), {_LONGEST_SUBJECT} characters at most, "
                f"{_MOST_SUBJECTS} of them at most.",
            ),
            subjects=wrong[:5],
        )


def _same_start(row: RunRow | None, new: NewRun, actor: Actor) -> RunSummary:
    if row is None or not actor.sees(row.placement) or row.input_digest != new.digest:
        raise ConflictProblem(
            Text(
                f"编号 {new.key} 已启动过另一个内容不同的运行，请换一个编号。",
                f"The id {new.key} started another run with other content; use a new id.",
            ),
            run=new.id,
        )
    return summary_of(row)


def _found(row: RunRow | None, run_id: str) -> RunRow:
    if row is None:
        raise NotFoundProblem(
            Text(
                f"没有运行 {run_id}，或它不在您的数据范围内", f"There is no run {run_id}, or not within your data scope"
            ),
            run=run_id,
        )
    return row


def _refuse_ended(row: RunRow, verb: Text) -> None:
    if row.phase in ENDED_PHASES:
        raise _conflict(row, Text(f"运行已结束，不能{verb.zh}", f"The run has ended and cannot be {verb.en}"))


def _conflict(row: RunRow, reason: Text) -> ConflictProblem:
    return ConflictProblem(
        Text(f"{reason.zh}（当前状态：{row.phase}）。", f"{reason.en} (it is {row.phase})."),
        run=row.id,
        phase=row.phase,
    )
