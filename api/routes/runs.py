"""Runs: started, found, looked at, cancelled, suspended, resumed, taken up again."""

from typing import Annotated, Any

from fastapi import Path, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.idempotency import IdempotencyKey
from api.masking import UnmaskFor, disclose
from api.paging import Instant, PageOf, Paging, Word
from api.routing import router
from domain.access import Actor, Permission
from domain.organisation import HEADQUARTERS, AccountId, Placement, UnitPath
from domain.runs import Phase, Run, RunSummary
from storage.runs import RunFilter

runs = router("/api/v1/runs", "runs")

RunId = Annotated[str, Path(max_length=400, examples=["flow/apparel/return-refund/2026112300001"])]
Reader = Annotated[Actor, requires(Permission.RUNS_READ)]
Controller = Annotated[Actor, requires(Permission.RUNS_CONTROL)]


class PlaceIn(BaseModel):
    """Where a run belongs, which decides who sees it."""

    model_config = ConfigDict(extra="forbid")

    unit_path: UnitPath = HEADQUARTERS
    account_id: AccountId | None = None
    customer_owner: str | None = Field(default=None, max_length=64)


class RunIn(BaseModel):
    """A run to be started.

    subject: `kind:id`, whose events reach the run and by which its version is drawn. request_id: the same one again is
    the same run; without it the idempotency key counts. version: only for trying one out; usually left out.
    """

    model_config = ConfigDict(extra="forbid")

    namespace: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=64)
    input: Any = None
    subject: str = Field(default="", max_length=256)
    subjects: list[Annotated[str, Field(max_length=256)]] = Field(default=[], max_length=20)
    request_id: str | None = Field(default=None, min_length=1, max_length=200)
    version: str | None = Field(default=None, max_length=64)
    place: PlaceIn | None = None


class OrderIn(BaseModel):
    """Why; kept in the audit log."""

    model_config = ConfigDict(extra="forbid")

    reason: str | None = Field(default=None, max_length=500)


@runs.post("", status_code=status.HTTP_201_CREATED, summary="启动运行 · Start a run")
async def start_run(
    wanted: RunIn,
    key: IdempotencyKey,
    actor: Annotated[Actor, requires(Permission.RUNS_START)],
    deps: Deps,
    response: Response,
) -> RunSummary:
    """按放量规则选定版本并启动；流程引擎不可用时稍后自动启动（phase 为 pending）。

    The version is drawn from what is released. When the engine is away, the run is `pending` and starts by itself.
    """
    run = await deps.runs.start(
        actor,
        wanted.namespace,
        wanted.name,
        wanted.input,
        subject=wanted.subject,
        subjects=wanted.subjects,
        request_id=wanted.request_id or (f"{actor.login}:{key}" if key else None),
        version=wanted.version,
        placement=Placement(**wanted.place.model_dump()) if wanted.place else None,
    )
    response.headers["Location"] = f"/api/v1/runs/{run.id}"
    return run


@runs.get("", summary="查询运行 · List runs")
async def list_runs(
    actor: Reader,
    deps: Deps,
    page: Paging,
    namespace: Word | None = None,
    name: Word | None = None,
    version: Word | None = None,
    phase: Annotated[tuple[Phase, ...], Query(max_length=7)] = (),
    subject: Word | None = None,
    customer: Word | None = None,
    ticket: Word | None = None,
    created_from: Instant | None = None,
    created_before: Instant | None = None,
    unsettled: Annotated[
        bool,
        Query(
            description="已结束、但某次外部操作结果不明的 · ended, but nobody knows of an effect whether it was done"
        ),
    ] = False,
) -> PageOf[RunSummary]:
    """数据范围内的运行，最新在前；所有给出的条件同时成立。· Runs within one's scope, the newest first."""
    wanted = RunFilter(
        namespace=namespace,
        name=name,
        version=version,
        phases=phase,
        subject=subject,
        customer=customer,
        ticket=ticket,
        created_from=created_from,
        created_before=created_before,
        unsettled=unsettled,
    )
    found: Any = await deps.runs.search(actor, wanted, page)
    return PageOf[RunSummary].model_validate(found)


@runs.get("/{run_id:path}", summary="查看运行 · Show a run")
async def show_run(run_id: RunId, actor: Reader, deps: Deps, request: Request, unmask_for: UnmaskFor) -> Run:
    """输入、输出、错误与每一步的状态；个人信息打码。· Input, output, error and every step; personal data is masked."""
    return disclose(request, await deps.runs.show(actor, run_id, unmask_for=unmask_for))


@runs.post("/{run_id:path}/cancel", summary="取消运行 · Cancel a run")
async def cancel_run(run_id: RunId, actor: Controller, deps: Deps, order: OrderIn | None = None) -> RunSummary:
    """请求运行结束；它会自行关闭人工任务。· Asks the run to end; it closes its human tasks by itself."""
    return await deps.runs.cancel(actor, run_id, order.reason if order else None)


@runs.post("/{run_id:path}/suspend", summary="暂停运行 · Suspend a run")
async def suspend_run(run_id: RunId, actor: Controller, deps: Deps, order: OrderIn | None = None) -> RunSummary:
    """在下一步之前停住。· Halts the run before its next step."""
    return await deps.runs.suspend(actor, run_id, order.reason if order else None)


@runs.post("/{run_id:path}/resume", summary="恢复运行 · Resume a run")
async def resume_run(run_id: RunId, actor: Controller, deps: Deps, order: OrderIn | None = None) -> RunSummary:
    """让暂停的运行继续。· Lets a suspended run go on."""
    return await deps.runs.resume(actor, run_id, order.reason if order else None)


@runs.post("/{run_id:path}/retry", summary="重试运行 · Take a failed run up again")
async def retry_run(run_id: RunId, actor: Controller, deps: Deps, order: OrderIn | None = None) -> RunSummary:
    """从失败的一步重新开始，编号不变。· Goes on from the step that failed, under the same id."""
    return await deps.runs.retry(actor, run_id, order.reason if order else None)
