"""Settlements: asked for, approved by others, booked; periods closed; what the ledger holds."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import status
from pydantic import AwareDatetime, BaseModel, Field

from api.auth import requires
from api.deps import Deps
from api.paging import PageOf, Paging, Word
from api.routes.calculations import Asker, CalculationOut, FrozenRateOut, Given, Looker, PeriodIn, Shown
from api.routing import router
from domain.access import Actor, Permission
from services.run_views import RunView

settlement_runs = router("/api/v1/settlement/runs", "settlement")
settlement_periods = router("/api/v1/settlement/periods", "settlement")
ledger = router("/api/v1/settlement/ledger", "settlement")

Decider = Annotated[Actor, requires(Permission.PAYOUTS_APPROVE)]
State = Literal["computing", "computed", "approved", "booked", "refused", "failed"]


class SettleIn(PeriodIn):
    """The period to settle. leave_out: also while orders of it have no sales, without which the request is refused."""

    leave_out: bool = False


class CloseIn(PeriodIn):
    """The period to close. unreconciled: also while days of it are not reconciled or breaks are not solved, without
    which the request is refused."""

    unreconciled: bool = False


class VerdictIn(Given):
    note: str | None = Field(default=None, max_length=500)


class RunOut(Shown):
    """A settlement. total_minor: what it pays beyond what was booked; moved_minor: what some get more, or others
    less, whichever is more, by which approvals_needed, the number of people, is told; waiting: how many closed periods
    that changed are left for the next one."""

    id: UUID
    scheme: str
    cycle: str
    state: State
    asked_by: str
    asked_at: AwareDatetime
    approvals_needed: int | None
    total_minor: int | None
    moved_minor: int | None
    decided_at: AwareDatetime | None
    booked_at: AwareDatetime | None
    booked_minor: int | None
    problem: dict[str, Any] | None
    waiting: int


class ApprovalOut(Shown):
    login: str
    approved: bool
    note: str | None
    decided_at: AwareDatetime


class PeriodOut(Shown):
    """A period. start, end: Shanghai days, the end not included."""

    scheme: str
    cycle: str
    start: date
    end: date
    currency: str
    closed_at: AwareDatetime | None
    closed_by: str | None


class ProgressOut(Shown):
    """How far a calculation of a settlement is: parts computed, of `parts`, and parts booked, of half as many."""

    calculation: UUID
    parts_done: int
    parts: int
    parts_booked: int


class RunShown(BaseModel):
    """A settlement with the calculations that it books: its own period's, and those of closed ones that changed.
    remarks: what is odd about it, such as a role that nobody has, or days that are not reconciled, and who noted the
    facts that count, where it is shown; so are rates, the frozen ones, with who noted them. progress: how far each
    calculation is; parts_done, parts, parts_booked: all of them together."""

    run: RunOut
    period: PeriodOut
    calculations: list[CalculationOut]
    approvals: list[ApprovalOut]
    progress: list[ProgressOut]
    parts_done: int
    parts: int
    parts_booked: int
    transfers: int
    remarks: list[dict[str, str]] = []
    rates: list[FrozenRateOut] = []


class AccountSumOut(BaseModel):
    """Sums of all accounts of a kind. balance_minor: credits less debits."""

    kind: str
    currency: str
    accounts: int
    debit_minor: int
    credit_minor: int
    balance_minor: int


class TrialBalanceOut(BaseModel):
    """Every kind of account; all balances of a currency together are nothing."""

    items: list[AccountSumOut]


@settlement_runs.post("", status_code=status.HTTP_202_ACCEPTED, summary="结算一个账期 · Settle a period")
async def settle_period(wanted: SettleIn, actor: Asker, deps: Deps) -> RunShown:
    """核算本期，并重算其后有变化的已关闭账期；由他人批准后记入与此前的差额。没有开始的账期不能结算；方案有固定金额或保底的要等账期结束。
    本期有订单没有计入业绩时拒绝；有上级按另一种周期结算、从下级得不到收入时也拒绝。没有适用于本期的方案版本时，只结算已关闭账期的
    改动；没有改动则拒绝。

    Computes the period, and closed ones that changed since; once others approve, the differences are booked. Not before
    it has begun; where a scheme has a fixed sum or a floor, not before it is over. Refused while orders of the period
    have no sales, for want of a rate or because they still wait, unless `leave_out` is said; and where somebody above a
    payee is settled by another cycle, and would earn nothing by them. Where no version of the scheme is for the period,
    only what changed in closed ones is settled; if nothing did, it is refused.
    """
    found = await deps.settlements.settle(actor, wanted.scheme, wanted.day, wanted.cycle, leave_out=wanted.leave_out)
    return _shown(found)


@settlement_runs.get("", summary="查询结算 · List settlements")
async def list_settlement_runs(actor: Looker, deps: Deps, page: Paging, scheme: Word | None = None) -> PageOf[RunOut]:
    """最新的在前。· The newest first."""
    found: Any = await deps.settlement_runs.list(actor, page, scheme=scheme)
    return PageOf[RunOut].model_validate(found)


@settlement_runs.get("/{settlement_id}", summary="查看结算 · Show a settlement")
async def show_settlement_run(settlement_id: UUID, actor: Looker, deps: Deps) -> RunShown:
    """进度、各账期的核算、复核意见。· How far it is, its calculations, what approvers said."""
    return _shown(await deps.settlement_runs.show(actor, settlement_id))


@settlement_runs.post("/{settlement_id}/approve", summary="批准结算 · Approve a settlement")
async def approve_settlement_run(settlement_id: UUID, wanted: VerdictIn, actor: Decider, deps: Deps) -> RunShown:
    """提出结算的人、登记了其中到店、评价或考核分的人不能批准；人数够了即记账。

    Never who asked for it, or noted visits, reviews or scores that count in it; with enough approvals it is booked.
    """
    return _shown(await deps.settlements.decide(actor, settlement_id, approve=True, note=wanted.note))


@settlement_runs.post("/{settlement_id}/refuse", summary="拒绝结算 · Refuse a settlement")
async def refuse_settlement_run(settlement_id: UUID, wanted: VerdictIn, actor: Decider, deps: Deps) -> RunShown:
    """不记账；可重新结算。· Nothing is booked, and another one may be asked for."""
    return _shown(await deps.settlements.decide(actor, settlement_id, approve=False, note=wanted.note))


@settlement_periods.post("/close", summary="关闭账期 · Close a period")
async def close_period(wanted: CloseIn, actor: Decider, deps: Deps) -> PeriodOut:
    """账期结束（上海）之后，由数据库锁定，不能重开；之后的改动在下一期调整。还有没对账的日子、没解决的差异时拒绝，
    除非写明 unreconciled。同一天在几种周期的账期内时要写 cycle。

    When it is over in Shanghai, and for ever, by the database; what changes is adjusted later. Refused while days of it
    are not reconciled or breaks are not solved, unless `unreconciled` is said. A day that is in periods of several
    cycles needs `cycle`.
    """
    period = (wanted.scheme, wanted.day, wanted.cycle)
    found = await deps.settlement_runs.close(actor, *period, unreconciled=wanted.unreconciled)
    return PeriodOut.model_validate(found)


@ledger.get("/trial-balance", summary="试算平衡 · The trial balance")
async def show_trial_balance(actor: Looker, deps: Deps) -> TrialBalanceOut:
    """各类账户的借贷合计，每种币种之和为零。· Debits and credits by kind of account; each currency sums to nothing."""
    found = await deps.settlement_runs.trial_balance(actor)
    return TrialBalanceOut(
        items=[
            AccountSumOut(
                kind=each.kind,
                currency=each.currency,
                accounts=each.accounts,
                debit_minor=each.debit_minor,
                credit_minor=each.credit_minor,
                balance_minor=each.credit_minor - each.debit_minor,
            )
            for each in found
        ]
    )


def _shown(view: RunView) -> RunShown:
    return RunShown(
        run=RunOut.model_validate(view.run),
        period=PeriodOut.model_validate(view.period),
        calculations=[CalculationOut.model_validate(each) for each in view.calculations],
        approvals=[ApprovalOut.model_validate(each) for each in view.approvals],
        progress=[ProgressOut.model_validate(each) for each in view.progress],
        parts_done=view.parts_done,
        parts=view.parts,
        parts_booked=view.parts_booked,
        transfers=view.transfers,
        remarks=[each.as_dict() for each in view.remarks],
        rates=[FrozenRateOut.model_validate(each) for each in view.rates],
    )
