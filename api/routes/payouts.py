"""Payouts: batches asked for, approved by others, followed to the last payout; who is not paid, and why."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.paging import PageOf, Paging
from api.routes.definitions import Sentence
from api.routes.settlement_runs import ApprovalOut, VerdictIn
from api.routing import router
from domain.access import Actor, Permission
from domain.settlement.payouts import OMISSIONS, RAILS, Omission, Rail, RailQuota, State
from services.payouts import BatchView, NamedPayout, PayoutWish

payouts = router("/api/v1/settlement/payouts", "settlement")

Looker = Annotated[Actor, requires(Permission.SETTLEMENTS_READ)]
Asker = Annotated[Actor, requires(Permission.PAYOUTS_PREPARE)]
Decider = Annotated[Actor, requires(Permission.PAYOUTS_APPROVE)]
BatchState = Literal["planning", "planned", "refused", "reserving", "paying", "done", "failed"]
Slug = Annotated[str, Field(min_length=1, max_length=64)]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class BatchIn(BaseModel):
    """What to pay. rails: the first that can pay a payee does; without them all that there are. quotas: what
    a rail takes in a day. accounts: which connected merchant pays (`main`), where there are several."""

    model_config = ConfigDict(extra="forbid")

    scheme: str = Field(min_length=1, max_length=64)
    rails: list[Rail] | None = Field(default=None, min_length=1, max_length=len(RAILS))
    quotas: dict[Rail, RailQuota] = {}
    accounts: dict[Rail, Slug] = {}


class PayerOut(_Out):
    """A connected account, and the number of its merchant."""

    account: str
    mch_id: str


class BatchOut(_Out):
    """A batch. payouts, total_minor: once it is planned. day: of the plan, in Shanghai. payers: the merchant who pays,
    by rail; no other is ever asked."""

    id: UUID
    scheme: str
    currency: str
    day: date
    state: BatchState
    payers: dict[Rail, PayerOut]
    asked_by: str
    asked_at: AwareDatetime
    payouts: int | None
    total_minor: int | None
    approvals_needed: int | None
    decided_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    problem: dict[str, Any] | None


class StateSumOut(_Out):
    rail: Rail
    state: State
    payouts: int
    amount_minor: int


class DaySumOut(_Out):
    day: date
    rail: Rail
    payouts: int
    amount_minor: int


class OmittedOut(BaseModel):
    reason: Omission
    message: Sentence
    payees: int
    amount_minor: int


class BatchShown(BaseModel):
    """A batch with where its payouts stand, on which days they are made (the last row tells the last day), and how many
    payees are left out."""

    batch: BatchOut
    approvals: list[ApprovalOut]
    sums: list[StateSumOut]
    calendar: list[DaySumOut]
    omitted: list[OmittedOut]


class ReceiverOut(_Out):
    """Whose account a payout goes to, masked: what its rail is told of the payee, as it was when it was planned. It is
    paid to no other one."""

    real_name: str | None
    openid: str | None
    merchant_receiver: str | None
    bank_account: str | None
    bank_name: str | None


class PayoutOut(BaseModel):
    """A payout. number: ours, the same for every attempt; rail_number: the rail's own. pay_on: not before that day;
    put_off: how often to the next day, because its rail took no more. first_sent_at: when its rail may have had it.
    paid_minor: what of it reached the payee; of a profit sharing that failed in part what was shared. receiver: null of
    one that was planned before that was written down."""

    number: str
    payee: str
    receiver: ReceiverOut | None
    rail: Rail
    amount_minor: int
    paid_minor: int
    offset_minor: int
    currency: str
    state: State
    pay_on: date
    attempts: int
    put_off: int
    first_sent_at: AwareDatetime | None
    rail_number: str | None
    reason: str | None
    changed_at: AwareDatetime
    ended_at: AwareDatetime | None


class CallOffIn(BaseModel):
    """Why payouts are called off; kept in the audit log."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(min_length=1, max_length=500)


class CalledOffOut(_Out):
    """What went back to the balances. more: there are others to be called off; ask once more."""

    payouts: int
    amount_minor: int
    more: bool


class OmissionOut(_Out):
    payee: str
    reason: Omission
    message: Sentence
    amount_minor: int


class OmissionsOut(BaseModel):
    items: list[OmissionOut]


@payouts.post("", status_code=status.HTTP_202_ACCEPTED, summary="计划一批付款 · Plan a batch of payouts")
async def plan_payouts(wanted: BatchIn, actor: Asker, deps: Deps) -> BatchOut:
    """按各收款人现有余额计划；由他人批准后付款。· From what payees may have by now; paid once others approve."""
    wish = PayoutWish(scheme=wanted.scheme, rails=wanted.rails, quotas=wanted.quotas, accounts={**wanted.accounts})
    return BatchOut.model_validate(await deps.payout_starts.ask(actor, wish))


@payouts.get("", summary="查询付款批次 · List batches of payouts")
async def list_payout_batches(
    actor: Looker, deps: Deps, page: Paging, scheme: Annotated[str | None, Field(max_length=64)] = None
) -> PageOf[BatchOut]:
    """最新的在前。· The newest first."""
    found: Any = await deps.payouts.list(actor, page, scheme=scheme)
    return PageOf[BatchOut].model_validate(found)


@payouts.get("/{batch_id}", summary="查看付款批次 · Show a batch of payouts")
async def show_payout_batch(batch_id: UUID, actor: Looker, deps: Deps) -> BatchShown:
    """按渠道与状态的合计、付款日历、未付原因。· Sums by rail and state, the calendar, who is left out."""
    return _shown(await deps.payouts.show(actor, batch_id))


@payouts.post("/{batch_id}/approve", summary="批准付款 · Approve payouts")
async def approve_payouts(batch_id: UUID, wanted: VerdictIn, actor: Decider, deps: Deps) -> BatchOut:
    """提出的人不能批准；人数够了即付款。· Never who asked for it; with enough approvals it is paid."""
    return BatchOut.model_validate(await deps.payout_starts.decide(actor, batch_id, approve=True, note=wanted.note))


@payouts.post("/{batch_id}/refuse", summary="拒绝付款 · Refuse payouts")
async def refuse_payouts(batch_id: UUID, wanted: VerdictIn, actor: Decider, deps: Deps) -> BatchOut:
    """什么都不付，余额不变。· Nothing is paid, and the balances stay."""
    return BatchOut.model_validate(await deps.payout_starts.decide(actor, batch_id, approve=False, note=wanted.note))


@payouts.post("/{batch_id}/call-off", summary="撤回一批中未提交的付款 · Call off what is not sent yet")
async def call_payouts_off(batch_id: UUID, wanted: CallOffIn, actor: Decider, deps: Deps) -> CalledOffOut:
    """该批次中尚未提交渠道的付款全部退回余额；提出的人不能撤回。已提交的照常进行。

    All of a batch that no rail was asked for goes back to the balances; never by who asked for it. What was handed to a
    rail goes on.
    """
    return CalledOffOut.model_validate(await deps.payout_call_offs.of_batch(actor, batch_id, wanted.note))


@payouts.get("/{batch_id}/payouts", summary="查询一批的付款 · List the payouts of a batch")
async def list_payouts(
    batch_id: UUID, actor: Looker, deps: Deps, page: Paging, state: State | None = None, rail: Rail | None = None
) -> PageOf[PayoutOut]:
    """可按状态与渠道筛选。· By state and rail, where they are given."""
    found = await deps.payouts.payouts(actor, batch_id, page, state=state, rail=rail)
    items = [payout_out(each) for each in found.items]
    return PageOf[PayoutOut](items=items, next_cursor=found.next_cursor)


@payouts.get("/{batch_id}/omissions", summary="未付的收款人 · Payees who are not paid")
async def list_omissions(batch_id: UUID, actor: Looker, deps: Deps) -> OmissionsOut:
    """原因与留下的余额，金额大的在前，最多一千位。· Why, and what stays; the largest sums first, a thousand at most."""
    found = await deps.payouts.omissions(actor, batch_id)
    items = [OmissionOut(**asdict(each), message=_told(each.reason)) for each in found]
    return OmissionsOut(items=items)


def _told(reason: Omission) -> Sentence:
    return Sentence(**OMISSIONS[reason].as_dict())


def payout_out(found: NamedPayout) -> PayoutOut:
    """A payout as the API shows it."""
    told = {**found.payout.model_dump(), "payee": found.payee, "paid_minor": found.paid_minor}
    receiver = found.receiver.model_dump() if found.receiver is not None else None
    return PayoutOut.model_validate({**told, "receiver": receiver})


def _shown(view: BatchView) -> BatchShown:
    return BatchShown(
        batch=BatchOut.model_validate(view.batch),
        approvals=[ApprovalOut.model_validate(each) for each in view.approvals],
        sums=[StateSumOut.model_validate(each) for each in view.sums],
        calendar=[DaySumOut.model_validate(each) for each in view.calendar],
        omitted=[
            OmittedOut(reason=reason, message=_told(reason), payees=payees, amount_minor=amount)
            for reason, (payees, amount) in sorted(view.omitted.items())
        ],
    )
