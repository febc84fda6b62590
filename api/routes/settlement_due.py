"""Periods that are due: listed, settled all at once; and many settlements approved by one request."""

from datetime import date
from typing import Any, Literal
from uuid import UUID

from fastapi import status
from pydantic import BaseModel, Field

from api.deps import Deps
from api.paging import Word
from api.routes.calculations import Asker, Given, Looker, Shown
from api.routes.settlement_runs import Decider, RunOut, State
from api.routing import router
from domain.settlement.scheme import Cycle
from services.due_settlements import MOST_BEGUN

settlement_due = router("/api/v1/settlement/due", "settlement")
many_runs = router("/api/v1/settlement/runs", "settlement")

MOST_LISTED = 1_000


class BeginIn(Given):
    """Which of the periods that are due, all of them when nothing is said. leave_out: also while orders of a period
    have no sales. most: how many are begun at most, the earliest first."""

    scheme: str | None = Field(default=None, min_length=1, max_length=64)
    cycle: Cycle | None = None
    leave_out: bool = False
    most: int = Field(default=MOST_BEGUN, ge=1, le=MOST_BEGUN)


class ManyIn(Given):
    runs: list[UUID] = Field(min_length=1, max_length=100)
    note: str | None = Field(default=None, max_length=500)


class DuePeriodOut(Shown):
    """A period that is over and not settled. start, end: Shanghai days, the end not included; days: since its last one.
    why: `never` settled, or `early`, before it was over. run, state: of its last settlement, if one was asked for."""

    scheme: str
    cycle: Cycle
    start: date
    end: date
    days: int
    why: Literal["never", "early"]
    run: UUID | None
    state: State | None


class DueList(BaseModel):
    """Those first that were over first. more: how many are not listed."""

    items: list[DuePeriodOut]
    more: int


class RefusedPeriodOut(BaseModel):
    """A period whose settlement could not be asked for, and why, as a problem."""

    period: DuePeriodOut
    problem: dict[str, Any]


class BegunOut(BaseModel):
    """What became of the periods that are due. left_alone: those with a settlement under way. waiting: how many were
    not tried, because enough were: say it again."""

    begun: list[RunOut]
    left_alone: list[DuePeriodOut]
    refused: list[RefusedPeriodOut]
    waiting: int


class RefusedRunOut(BaseModel):
    """A settlement that was not approved, and why, as a problem."""

    run: UUID
    problem: dict[str, Any]


class ManyApproved(BaseModel):
    """approved: how each stands now; those that need more people are still `computed`."""

    approved: list[RunOut]
    refused: list[RefusedRunOut]


@settlement_due.get("", summary="到期未结的账期 · Periods that are due")
async def list_due_periods(
    actor: Looker, deps: Deps, scheme: Word | None = None, cycle: Cycle | None = None
) -> DueList:
    """已结束而没有结算、或结束之前结算过的账期：每个已发布方案、其中有人的每种周期，400 天以内；最早的在前。

    Of each published scheme, by each cycle that somebody in it has, not more than 400 days ago: periods that are over
    and were not settled since; the earliest first.
    """
    found = await deps.due_settlements.due(actor, scheme, cycle)
    items = [DuePeriodOut.model_validate(each) for each in found[:MOST_LISTED]]
    return DueList(items=items, more=len(found) - len(items))


@settlement_due.post("", status_code=status.HTTP_202_ACCEPTED, summary="结算到期的账期 · Settle what is due")
async def settle_due_periods(wanted: BeginIn, actor: Asker, deps: Deps) -> BegunOut:
    """为每个到期的账期提出一次结算，最早的在前，一次最多 62 个；有结算在进行的不动并列出，被拒绝的逐个说明原因，
    不影响其他。每次结算照旧由他人批准。

    Asks for a settlement of each, the earliest first, 62 at most. Those with one under way are left alone, and told;
    one that is refused is told with its reason, and keeps no other from its turn. Each is approved as ever.
    """
    found = await deps.due_settlements.begin(
        actor, wanted.scheme, wanted.cycle, leave_out=wanted.leave_out, most=wanted.most
    )
    return BegunOut(
        begun=[RunOut.model_validate(each.run) for each in found.begun],
        left_alone=[DuePeriodOut.model_validate(each) for each in found.left_alone],
        refused=[
            RefusedPeriodOut(period=DuePeriodOut.model_validate(each.period), problem=each.problem.problem.as_dict())
            for each in found.refused
        ],
        waiting=found.waiting,
    )


@many_runs.post("/approve", summary="批准多次结算 · Approve many settlements")
async def approve_settlement_runs(wanted: ManyIn, actor: Decider, deps: Deps) -> ManyApproved:
    """逐个批准，规则与单个相同；不能批准的逐个说明原因，不影响其他。

    Each by itself, by the rules for one; what may not be approved is told with its reason, and keeps no other from it.
    """
    found = await deps.settlements.approve_all(actor, wanted.runs, wanted.note)
    return ManyApproved(
        approved=[RunOut.model_validate(each.run) for each in found.approved],
        refused=[RefusedRunOut(run=run, problem=problem.problem.as_dict()) for run, problem in found.refused],
    )
