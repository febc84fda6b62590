"""Human tasks: found, taken, handed on, filled in, completed.

Every representation carries its version as `ETag`, and every change names it in `If-Match`; who was faster is told.
Whoever works on a task sees it in clear, everybody else masked.
"""

from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.etags import MatchedVersion, etag
from api.idempotency import IdempotencyKey
from api.masking import UnmaskFor, disclose
from api.paging import PageOf, Paging, Word
from api.routing import router
from domain.access import Actor, Permission
from domain.human_tasks import State
from storage.human_tasks import HumanTask, HumanTaskSummary, TaskFilter

human_tasks = router("/api/v1/human-tasks", "human tasks")

TaskId = Annotated[str, Path(max_length=100, examples=["0d3c1a52-7f0e-5c7e-9d55-0a9f3f1c2b11"])]
Reader = Annotated[Actor, requires(Permission.TASKS_READ)]
Worker = Annotated[Actor, requires(Permission.TASKS_WORK)]
Mover = Annotated[Actor, requires(Permission.TASKS_WORK, Permission.TASKS_MANAGE)]
View = Literal["mine", "waiting", "all"]


class _Reply:
    """Answers with one task: its version in `ETag`, in clear when its use case left it so."""

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response

    def __call__(self, task: HumanTask) -> HumanTask:
        self._response.headers["ETag"] = etag(task.version)
        return disclose(self._request, task)


Reply = Annotated[_Reply, Depends()]


class FormIn(BaseModel):
    """What was filled in, by field of the task's form."""

    model_config = ConfigDict(extra="forbid")

    form: dict[str, Any]


class FailIn(BaseModel):
    """Why it cannot be done."""

    model_config = ConfigDict(extra="forbid")

    comment: str = Field(min_length=1, max_length=2_000)


class DelegateIn(BaseModel):
    """To whom; a login."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(min_length=1, max_length=64)


@human_tasks.get("", summary="查询人工任务 · List human tasks")
async def list_human_tasks(
    actor: Reader,
    deps: Deps,
    page: Paging,
    view: Annotated[View, Query(description="mine：我的；waiting：我的队列中待认领的；all：看得到的全部")] = "all",
    queue: Word | None = None,
    state: Annotated[tuple[State, ...], Query(max_length=7)] = (),
    open_only: Annotated[bool, Query(alias="open")] = True,
    run_id: Annotated[str | None, Query(max_length=400)] = None,
    subject: Word | None = None,
    overdue: bool = False,
) -> PageOf[HumanTaskSummary]:
    """最紧急的在前。只处理任务的人看到自己的和自己队列的。

    The most urgent first. Who only works on tasks sees their own and those of their queues.
    """
    queues = frozenset({queue}) if queue is not None and view != "mine" else None
    wanted = TaskFilter(
        mine=actor.login if view == "mine" else None,
        queues=actor.queues if view == "waiting" and queues is None else queues,
        queue=queue,
        states=("ready",) if view == "waiting" else state,
        open=open_only,
        run_id=run_id,
        subject=subject,
        overdue_at=deps.database.clock() if overdue else None,
    )
    found: Any = await deps.human_tasks.search(actor, wanted, page)
    return PageOf[HumanTaskSummary].model_validate(found)


@human_tasks.get("/{task_id}", summary="查看人工任务 · Show a human task")
async def show_human_task(task_id: TaskId, actor: Reader, deps: Deps, reply: Reply, unmask_for: UnmaskFor) -> HumanTask:
    """任务、表单与草稿，版本在 ETag 头中；处理人看到明文，其他人看到打码的内容。

    The task, its form and its draft; the version is in `ETag`. Who works on it sees it in clear, others masked.
    """
    return reply(await deps.human_tasks.show(actor, task_id, unmask_for=unmask_for))


@human_tasks.post("/{task_id}/claim", summary="认领 · Claim")
async def claim_human_task(
    task_id: TaskId, version: MatchedVersion, key: IdempotencyKey, actor: Worker, deps: Deps, reply: Reply
) -> HumanTask:
    """两人同时认领时一人成功，另一人得到 409 及对方与时间。· Of two who are as fast, one wins; the other hears who."""
    return reply(await deps.human_tasks.claim(actor, task_id, version, key))


@human_tasks.post("/{task_id}/release", summary="退回队列 · Put back into the queue")
async def release_human_task(
    task_id: TaskId, version: MatchedVersion, key: IdempotencyKey, actor: Mover, deps: Deps, reply: Reply
) -> HumanTask:
    """本人或主管。· Whoever holds it, or a supervisor."""
    return reply(await deps.human_tasks.release(actor, task_id, version, key))


@human_tasks.post("/{task_id}/delegate", summary="转派 · Delegate")
async def delegate_human_task(
    task_id: TaskId,
    wanted: DelegateIn,
    version: MatchedVersion,
    key: IdempotencyKey,
    actor: Mover,
    deps: Deps,
    reply: Reply,
) -> HumanTask:
    """交给另一位同事。· Gives it to somebody else."""
    return reply(await deps.human_tasks.delegate(actor, task_id, version, wanted.to, key))


@human_tasks.post("/{task_id}/start", summary="开始处理 · Start working")
async def start_human_task(
    task_id: TaskId, version: MatchedVersion, key: IdempotencyKey, actor: Worker, deps: Deps, reply: Reply
) -> HumanTask:
    """未认领的任务同时被认领。· One that is still free is claimed as well."""
    return reply(await deps.human_tasks.start(actor, task_id, version, key))


@human_tasks.put("/{task_id}/draft", summary="保存草稿 · Save a draft")
async def save_human_task_draft(
    task_id: TaskId, wanted: FormIn, version: MatchedVersion, actor: Worker, deps: Deps, reply: Reply
) -> HumanTask:
    """可以不完整；未改动的打码内容恢复为原值，其他打码内容返回 422。

    It need not be complete or right. A mask that was shown and not changed becomes the real value again; any other is
    refused with 422.
    """
    return reply(await deps.human_tasks.save_draft(actor, task_id, version, wanted.form))


@human_tasks.post("/{task_id}/complete", summary="完成 · Complete")
async def complete_human_task(
    task_id: TaskId,
    wanted: FormIn,
    version: MatchedVersion,
    key: IdempotencyKey,
    actor: Worker,
    deps: Deps,
    reply: Reply,
) -> HumanTask:
    """同步完成：表单错误与流程的拒绝在答复中返回；没有工作进程时返回 503，草稿已保存。

    Synchronous: what is wrong with the form, and what the flow refuses, is in the answer. With no worker it is 503, and
    the form is kept as a draft.
    """
    return reply(await deps.human_tasks.complete(actor, task_id, version, wanted.form, key))


@human_tasks.post("/{task_id}/fail", summary="标记失败 · Declare that it cannot be done")
async def fail_human_task(
    task_id: TaskId,
    wanted: FailIn,
    version: MatchedVersion,
    key: IdempotencyKey,
    actor: Worker,
    deps: Deps,
    reply: Reply,
) -> HumanTask:
    """流程的这一步以该说明失败。· The run's step fails with the comment."""
    return reply(await deps.human_tasks.fail(actor, task_id, version, wanted.comment, key))
