"""Human tasks as people work on them: find, claim, hand on, fill in, complete.

Every change names the version it was made on, so that of two people who are as fast as each other one wins and the
other hears who was faster, and when. Completing is synchronous: the form is checked, kept as a draft, and given to the
run, whose answer is the caller's. `services.human_task_steps` is the run's side.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from domain.access import EVERY_QUEUE, Actor, Permission
from domain.forms import check_form
from domain.human_tasks import STATE_WORDS, SUPERVISED, Person, PersonAction, moved_by_person
from domain.ids import canonical_json, content_digest, derived_id
from domain.privacy import Masking
from domain.problems import ConflictProblem, NotFoundProblem, Text, UnavailableProblem, ValidationProblem
from services.disclosure import Disclosure, record_unmasking, require_unmasking
from services.orchestrator import Orchestrator
from storage.audit import AuditLog
from storage.engine import Database
from storage.human_tasks import (
    HumanTask,
    HumanTaskCommandRow,
    HumanTaskRow,
    HumanTasks,
    HumanTaskSummary,
    TaskFilter,
)
from storage.paging import Page, PageRequest
from storage.unit_of_work import UnitOfWork
from storage.users import Users
from workflows.messages import COMPLETE_HUMAN_TASK_UPDATE, CompleteHumanTask, HumanTaskReceipt

LARGEST_FORM_BYTES = 256_000
COMPLETION_DEADLINE_S = 5.0


class HumanTaskService:
    """What it answers is masked as `services.disclosure` says.

    completion_deadline_s: how long a caller waits for the run to take a form before the answer is 503.
    """

    def __init__(
        self,
        database: Database,
        orchestrator: Orchestrator,
        masking: Masking,
        *,
        completion_deadline_s: float = COMPLETION_DEADLINE_S,
    ) -> None:
        self._database = database
        self._orchestrator = orchestrator
        self._disclosure = Disclosure(masking)
        self._deadline_s = completion_deadline_s

    async def search(self, actor: Actor, wanted: TaskFilter, page: PageRequest) -> Page[HumanTaskSummary]:
        """Tasks within the actor's scope, the most urgent first; who only works on tasks sees their own and queues'."""
        actor.require(Permission.TASKS_READ)
        if _sees_only_own(actor) and wanted.mine is None and wanted.queues is None:
            wanted = replace(wanted, mine=actor.login, queues=actor.queues)
        _refuse_foreign_lists(actor, wanted)
        if EVERY_QUEUE in (wanted.queues or ()):
            wanted = replace(wanted, mine=None, queues=None)
        async with UnitOfWork(self._database) as work:
            rows = await HumanTasks(work).search(wanted, actor.scope, page)
        return Page([self._disclosure.summary(row, work.now) for row in rows.items], rows.next_cursor)

    async def mine(self, actor: Actor, page: PageRequest) -> Page[HumanTaskSummary]:
        """The actor's own open tasks, the most urgent first."""
        return await self.search(actor, TaskFilter(mine=actor.login), page)

    async def waiting(self, actor: Actor, page: PageRequest, queue: str | None = None) -> Page[HumanTaskSummary]:
        """Tasks that anybody of the actor's queues (or of the one named) may claim, the most urgent first."""
        queues = frozenset({queue}) if queue is not None else actor.queues
        return await self.search(actor, TaskFilter(queues=queues, states=("ready",)), page)

    async def show(self, actor: Actor, task_id: str, *, unmask_for: str | None = None) -> HumanTask:
        """Everything about a task, masked unless the actor works on it; raises NotFoundProblem.

        unmask_for: the reason for which somebody with `customers.unmask` wants to see it in clear; it is audited.
        """
        actor.require(Permission.TASKS_READ)
        if unmask_for is not None:
            require_unmasking(actor, unmask_for)
        async with UnitOfWork(self._database) as work:
            row = await _find(work, actor, task_id)
            if unmask_for is not None:
                await record_unmasking(work, actor, "task", task_id, unmask_for, row.placement)
            return self._disclosure.task(row, work.now, actor, unmasked=unmask_for is not None)

    async def claim(self, actor: Actor, task_id: str, version: int, key: str | None = None) -> HumanTask:
        """Take a task of one's queues; raises ConflictProblem with who was faster."""
        return await self._act(actor, task_id, "claim", version, key)

    async def release(self, actor: Actor, task_id: str, version: int, key: str | None = None) -> HumanTask:
        """Put a task back into its queue; a supervisor may do it for others."""
        return await self._act(actor, task_id, "release", version, key)

    async def delegate(self, actor: Actor, task_id: str, version: int, to: str, key: str | None = None) -> HumanTask:
        """Give a task to somebody else (a login); a supervisor may do it for others."""
        return await self._act(actor, task_id, "delegate", version, key, {"to": to}, to=to)

    async def start(self, actor: Actor, task_id: str, version: int, key: str | None = None) -> HumanTask:
        """Begin to work on a task; one that is still free is claimed as well."""
        return await self._act(actor, task_id, "start", version, key)

    async def save_draft(
        self, actor: Actor, task_id: str, version: int, draft: Mapping[str, Any], key: str | None = None
    ) -> HumanTask:
        """Keep what is filled in so far; it need not be complete or right.

        :raises ValidationProblem: too large, or (422) masked values that nobody can tell the real ones of.
        """
        _check_size(draft)

        def keep(row: HumanTaskRow) -> None:
            row.draft = self._disclosure.filled_in(row, draft)

        return await self._act(actor, task_id, "save", version, key, {"draft": dict(draft)}, change=keep)

    async def complete(
        self, actor: Actor, task_id: str, version: int, form: Mapping[str, Any], key: str | None = None
    ) -> HumanTask:
        """Hand the form to the run; the task as it stands when the run has taken it.

        :raises ValidationProblem: the form does not fit (`errors` by field), it holds masked values that nobody can
            tell the real ones of (422), or the run refuses it with its reason.
        :raises ConflictProblem: somebody was faster, the task is not the actor's to complete, or the run has moved on.
        :raises UnavailableProblem: no worker took it in time; the form is kept as a draft, repeat the same request.
        """
        return await self._finish(actor, task_id, version, dict(form), "completed", None, key)

    async def fail(self, actor: Actor, task_id: str, version: int, comment: str, key: str | None = None) -> HumanTask:
        """Declare that the task cannot be done; the run's step fails with the comment. Raises as `complete` does."""
        if not comment.strip() or len(comment) > 2_000:
            raise ValidationProblem(
                Text("请说明失败原因（1–2000 字）。", "Say why it cannot be done (1 to 2,000 characters).")
            )
        return await self._finish(actor, task_id, version, None, "failed", comment.strip(), key)

    async def _act(
        self,
        actor: Actor,
        task_id: str,
        action: PersonAction,
        version: int,
        key: str | None,
        content: Mapping[str, Any] | None = None,
        *,
        to: str | None = None,
        change: Callable[[HumanTaskRow], None] | None = None,
    ) -> HumanTask:
        if action not in SUPERVISED or not actor.may(Permission.TASKS_MANAGE):
            actor.require(Permission.TASKS_WORK)
        key = _own_key(actor, key)
        async with UnitOfWork(self._database) as work:
            row = await _find(work, actor, task_id, for_update=True)
            if await _done_before(work, row, action, actor.login, key, content):
                return self._disclosure.task(row, work.now, actor)
            refuse_stale(row, version)
            moved = moved_by_person(row.standing, action, person_of(actor), to)
            if to is not None:
                await _require_colleague(work, to)
            if action in ("claim", "delegate") or (action == "start" and row.assignee is None):
                row.claimed_at = work.now
            if moved.state == "in_progress" and row.started_at is None:
                row.started_at = work.now
            row.state, row.assignee = moved.state, moved.assignee
            if change is not None:
                change(row)
            touch(row, actor.login, work.now)
            await remember(work, row, action, actor.login, key, content)
            await AuditLog(work).record(
                actor, f"task.{action}", f"task:{task_id}", {"to": to, "version": row.version}, row.placement
            )
            return self._disclosure.task(row, work.now, actor)

    async def _finish(
        self,
        actor: Actor,
        task_id: str,
        version: int,
        form: dict[str, Any] | None,
        outcome: Literal["completed", "failed"],
        comment: str | None,
        key: str | None,
    ) -> HumanTask:
        actor.require(Permission.TASKS_WORK)
        if form is not None:
            _check_size(form)
        action: PersonAction = "complete" if outcome == "completed" else "fail"
        async with UnitOfWork(self._database) as work:
            row = await _find(work, actor, task_id, for_update=True)
            if form is not None:
                form = self._disclosure.filled_in(row, form)
            content = {"form": form, "comment": comment}
            command_key = _own_key(actor, key) or derived_id(
                "complete", task_id, actor.login, str(version), digest_of(content)
            )
            if await _done_before(work, row, action, actor.login, command_key, content):
                return self._disclosure.task(row, work.now, actor)
            refuse_stale(row, version)
            moved_by_person(row.standing, action, person_of(actor))
            if form is not None:
                check_form(row.form, form)
                # Kept whatever comes; not a change that others could miss, so the version stays.
                row.draft = form
            run_id = row.run_id
        command = CompleteHumanTask(task_id, form or {}, actor.login, version, command_key, outcome, comment)
        try:
            await self._orchestrator.update(
                run_id,
                COMPLETE_HUMAN_TASK_UPDATE,
                command,
                key=f"{task_id}/{command_key}",
                answer=HumanTaskReceipt,
                deadline_s=self._deadline_s,
            )
        except UnavailableProblem as problem:
            raise _kept_as_draft() from problem
        except NotFoundProblem as problem:
            raise ConflictProblem(
                Text("流程已结束，这个任务不再需要处理。", "The run is over; this task is no longer needed."),
                task=task_id,
                run=run_id,
            ) from problem
        async with UnitOfWork(self._database) as work:
            return self._disclosure.task(await _find(work, actor, task_id), work.now, actor)


def person_of(actor: Actor) -> Person:
    """The actor as the rules of tasks see them: a supervisor serves every queue."""
    supervises = actor.may(Permission.TASKS_MANAGE)
    return Person(actor.login, frozenset({EVERY_QUEUE}) if supervises else actor.queues, supervises)


def touch(row: HumanTaskRow, by: str, now: datetime) -> None:
    """Note a change that people can see."""
    row.version += 1
    row.changed_by, row.changed_at = by, now


def refuse_stale(row: HumanTaskRow, version: int) -> None:
    """Raises ConflictProblem when the row was changed since `version`: by whom, when, and how it stands."""
    if row.version == version:
        return
    at = row.changed_at.isoformat(timespec="seconds")
    state = STATE_WORDS[row.state]
    raise ConflictProblem(
        Text(
            f"{row.changed_by} 已于 {at} 更新了这个任务（现在：{state.zh}）。请刷新后再试。",
            f"{row.changed_by} changed this task at {at} (it is {state.en} now). Refresh and try again.",
        ),
        task=row.id,
        version=row.version,
        state=row.state,
        assignee=row.assignee,
        changed_by=row.changed_by,
        changed_at=at,
    )


def digest_of(content: Any) -> str:
    return content_digest(canonical_json(content))


async def remember(
    work: UnitOfWork, row: HumanTaskRow, action: str, login: str, key: str | None, content: Any = None
) -> None:
    """Keep that a command was carried out under its key."""
    if key is not None:
        await HumanTasks(work).remember(
            HumanTaskCommandRow(
                task_id=row.id,
                key=key,
                action=action,
                actor=login,
                digest=digest_of(content),
                version=row.version,
                at=work.now,
            )
        )


def _own_key(actor: Actor, key: str | None) -> str | None:
    """An idempotency key names a command among those of its own sender."""
    return f"{actor.login}:{key}" if key is not None else None


async def _done_before(
    work: UnitOfWork, row: HumanTaskRow, action: str, login: str, key: str | None, content: Any
) -> bool:
    """Whether this command was carried out; raises ConflictProblem when its key belongs to another one."""
    known = await HumanTasks(work).command(row.id, key) if key is not None else None
    if known is None:
        return False
    if (known.action, known.actor, known.digest) != (action, login, digest_of(content)):
        raise ConflictProblem(
            Text(
                "这个幂等键已用于另一个操作，请换一个键。",
                "This idempotency key belongs to another command; use a new one.",
            ),
            task=row.id,
        )
    return True


def _sees_only_own(actor: Actor) -> bool:
    return actor.may(Permission.TASKS_WORK) and not actor.may(Permission.TASKS_MANAGE)


def _refuse_foreign_lists(actor: Actor, wanted: TaskFilter) -> None:
    if not _sees_only_own(actor):
        return
    foreign = sorted(queue for queue in wanted.queues or () if not actor.serves(queue))
    if foreign or wanted.mine not in (None, actor.login):
        raise NotFoundProblem(
            Text(
                f"您不在队列 {'、'.join(foreign)} 中" if foreign else "只能查看自己的任务",
                f"You do not serve {', '.join(foreign)}" if foreign else "You can only list your own tasks",
            )
        )


async def _find(work: UnitOfWork, actor: Actor, task_id: str, *, for_update: bool = False) -> HumanTaskRow:
    row = await HumanTasks(work).find(task_id, actor.scope, for_update=for_update)
    if row is None or (_sees_only_own(actor) and row.assignee != actor.login and not actor.serves(row.queue)):
        raise NotFoundProblem(
            Text(
                f"没有任务 {task_id}，或它不在您的队列和数据范围内",
                f"There is no task {task_id}, or not within your queues and data scope",
            ),
            task=task_id,
        )
    return row


async def _require_colleague(work: UnitOfWork, login: str) -> None:
    if not (await Users(work).require(login)).active:
        raise ValidationProblem(
            Text(f"没有在职用户 {login}", f"There is no active user {login}"), errors=[{"field": "to"}]
        )


def _check_size(form: Mapping[str, Any]) -> None:
    if len(canonical_json(dict(form))) > LARGEST_FORM_BYTES:
        raise ValidationProblem(
            Text(
                f"表单内容超过 {LARGEST_FORM_BYTES} 字节；图片等文件请上传后填编号。",
                f"The form is larger than {LARGEST_FORM_BYTES} bytes; upload files and fill in their numbers.",
            )
        )


def _kept_as_draft() -> UnavailableProblem:
    return UnavailableProblem(
        Text(
            "流程暂时没有工作进程处理，表单已存为草稿；请稍后用同一个请求重试，不会重复提交。",
            "No worker takes the form at the moment; it is kept as a draft. Repeat the same request shortly: it is "
            "never taken twice.",
        ),
        draft_kept=True,
    )
