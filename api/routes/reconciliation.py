"""Bills of platforms, and where they differ from our books."""

import io
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.bodies import uploaded_files
from api.deps import Deps
from api.paging import PageOf, Paging, Word
from api.routing import router
from domain.access import Actor, Permission
from domain.organisation import Slug
from domain.settlement.bill_rows import parse_columns
from domain.settlement.bills import BillKind, Told
from domain.settlement.days import Day
from domain.settlement.reconciliation import BreakKind, Family
from services.unreconciled import Why
from storage.bills import State as BillState
from storage.breaks import BreakFilter, Reason, State

bills = router("/api/v1/settlement/bills", "settlement")
reconciliations = router("/api/v1/settlement/reconciliations", "settlement")
breaks = router("/api/v1/settlement/breaks", "settlement")

Looker = Annotated[Actor, requires(Permission.SETTLEMENTS_READ)]
Asker = Annotated[Actor, requires(Permission.SETTLEMENTS_RUN)]
Decider = Annotated[Actor, requires(Permission.PAYOUTS_APPROVE)]
BillDay = Annotated[Day, Path(examples=["2026-11-11"])]
BillNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
BreakId = Annotated[UUID, Path()]
Fen = Annotated[int | None, Query(ge=-(10**15), le=10**15)]
MOST_LISTED = 1_000
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["columns", "bill"],
                    "properties": {
                        "columns": {"type": "string", "format": "binary"},
                        "bill": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    }
}


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class BillOut(_Out):
    """A bill. digest: of its file; null for a day on which the platform says that nothing happened. Sums in fen. state:
    waiting for somebody else to let it in, in place of the platform's own (reason: why); withdrawn: compared with
    nothing any more. decided_by: that other person; note: what they said."""

    id: int
    account: str
    day: date
    kind: BillKind
    source: Literal["platform", "file"]
    digest: str | None
    rows: int
    in_minor: int
    out_minor: int
    fee_minor: int
    taken_by: str
    taken_at: AwareDatetime
    state: BillState
    reason: str | None
    decided_by: str | None
    decided_at: AwareDatetime | None
    note: str | None


class TakenOut(BaseModel):
    """A bill, and whether it was taken now; one that is there already is not taken again."""

    bill: BillOut
    new: bool


class ReconciledOut(_Out):
    """What came of a day. not_compared: what has nothing here to be compared with. changed: since the last time."""

    account: str
    day: date
    rows: int
    matched: int
    breaks: int
    not_compared: list[str]
    digest: str
    changed: bool


class BreakOut(_Out):
    """A difference. subject: of the task in which its day is worked through. number: our order, refund or payout, else
    the bill's. lines: bill, row and kind of each of theirs. Sums in fen, below nothing for what goes out; difference:
    what the bill has more. solved_by: null when bill and books agree by themselves now. suggestion: a number that might
    belong to it."""

    id: UUID
    subject: str
    account: str
    day: date
    kind: BreakKind
    family: Family
    shop: str | None
    number: str | None
    lines: list[list[int | str]]
    our_minor: int
    their_minor: int
    difference_minor: int
    suggestion: str | None
    state: State
    opened_at: AwareDatetime
    assignee: str | None
    ticket: str | None
    reason: Reason | None
    note: str | None
    explained_by: str | None
    explained_at: AwareDatetime | None
    solved_by: str | None
    solved_at: AwareDatetime | None


class AgedOut(_Out):
    """What is not solved, by days since the bill's day. difference_minor: without signs."""

    account: str
    kind: BreakKind
    age: Literal["0-1", "2-3", "4-7", "8-30", ">30"]
    breaks: int
    difference_minor: int


class AgedDaysOut(_Out):
    """Days of an account that should have been reconciled and were not, by age: nothing of them is a break yet."""

    account: str
    age: Literal["0-1", "2-3", "4-7", "8-30", ">30"]
    days: int


class AgedList(BaseModel):
    """Every account, kind and age that there are breaks of; and days that nobody has reconciled."""

    items: list[AgedOut]
    unreconciled: list[AgedDaysOut]


class UnreconciledOut(_Out):
    """A day that should have been reconciled. why: a bill is missing, nobody compared it, or a payout that it was
    matched with has ended unpaid since. missing: which bills."""

    account: str
    day: date
    why: Why
    missing: list[BillKind]


class UnreconciledList(BaseModel):
    """The oldest days first. more: how many are not listed."""

    items: list[UnreconciledOut]
    more: int


class AssignmentIn(_In):
    """Whose it is now; nobody's where `to` is null. ticket: where it is worked on."""

    to: str | None = Field(max_length=64)
    ticket: str | None = Field(default=None, max_length=200)


class ExplanationIn(_In):
    """Why it is there."""

    reason: Reason
    note: str = Field(min_length=1, max_length=500)


class VerdictIn(_In):
    note: str | None = Field(default=None, max_length=500)


class WithdrawalIn(_In):
    """Why a bill is wrong."""

    note: str = Field(min_length=1, max_length=500)


@bills.get("", summary="查询账单 · List bills")
async def list_bills(actor: Looker, deps: Deps, page: Paging, account: Word | None = None) -> PageOf[BillOut]:
    """最近的在前。· The latest day first."""
    found: Any = await deps.bills.list(actor, page, account=account)
    return PageOf[BillOut].model_validate(found)


@bills.post("/{platform}/{slug}/{day}", openapi_extra=_FORM, summary="导入账单 · Take a bill from a file")
async def take_bill(
    platform: Slug,
    slug: Slug,
    day: BillDay,
    request: Request,
    actor: Asker,
    deps: Deps,
    digest: Annotated[str | None, Query(max_length=128)] = None,
    rows: Fen = None,
    in_minor: Fen = None,
    out_minor: Fen = None,
    fee_minor: Fen = None,
    replaces: Annotated[str | None, Query(min_length=1, max_length=500)] = None,
) -> TakenOut:
    """上传账单（bill，CSV 或 XLSX）与列映射（columns），附平台给出的摘要，或收入与支出合计（分）；有错就整份拒绝。

    A bill (CSV or XLSX) with the mapping of its columns, and what the platform tells of it: the digest, or both
    `in_minor` and `out_minor` (in fen, 0 for none). Refused as a whole when anything is wrong, with row and column.
    Bills are never revised. Where the platform makes the bills, `replaces` says why its own cannot be had; the file
    waits until somebody else confirms it.
    """
    columns, bill = await uploaded_files(request, ("columns", "bill"))
    taken = await deps.bills.take_file(
        actor,
        f"{platform}/{slug}",
        day,
        parse_columns(columns.content, columns.name),
        io.BytesIO(bill.content),
        digest=digest,
        told=Told(rows, in_minor, out_minor, fee_minor),
        replaces=replaces,
    )
    return TakenOut(bill=BillOut.model_validate(taken.bill), new=taken.new)


@bills.post("/{bill}/confirm", summary="确认代替的账单 · Let a file in")
async def confirm_bill(bill: BillNumber, wanted: VerdictIn, actor: Decider, deps: Deps) -> BillOut:
    """同意用文件代替平台账单；导入的人不能确认。· In place of the platform's own; never by who took it."""
    return BillOut.model_validate(await deps.bill_corrections.confirm(actor, bill, wanted.note))


@bills.post("/{bill}/withdraw", summary="作废账单 · Withdraw a bill")
async def withdraw_bill(bill: BillNumber, wanted: WithdrawalIn, actor: Decider, deps: Deps) -> BillOut:
    """只有文件账单可以作废，导入的人不能作废；它留着，匹配撤销，差异重新打开，之后可导入新的。

    Bills from files only, never by who took it. It is kept; its matches are undone and its days reconciled again.
    """
    return BillOut.model_validate(await deps.bill_corrections.withdraw(actor, bill, wanted.note))


@reconciliations.post("/{platform}/{slug}/{day}", summary="对账 · Reconcile a day")
async def reconcile_day(platform: Slug, slug: Slug, day: BillDay, actor: Asker, deps: Deps) -> ReconciledOut:
    """可重复执行，没有变化就什么都不变。· Again at any time; nothing changes when nothing changed."""
    found = await deps.reconciliation.reconcile(actor, f"{platform}/{slug}", day)
    return ReconciledOut.model_validate(found)


@reconciliations.get("/unreconciled", summary="未对账的日子 · Days that were not reconciled")
async def list_unreconciled(actor: Looker, deps: Deps, account: Word | None = None) -> UnreconciledList:
    """缺账单、未核对，或已匹配的付款后来失败的日子；最早的在前。

    Days without a bill, that nobody compared, or whose payouts ended otherwise since; the oldest first.
    """
    found = await deps.unreconciled.days(actor, account)
    items = [UnreconciledOut.model_validate(each) for each in found[:MOST_LISTED]]
    return UnreconciledList(items=items, more=len(found) - len(items))


@breaks.get("", summary="查询差异 · List breaks")
async def list_breaks(
    actor: Looker,
    deps: Deps,
    page: Paging,
    account: Word | None = None,
    state: State | None = None,
    kind: BreakKind | None = None,
    assignee: Word | None = None,
    day: Day | None = None,
) -> PageOf[BreakOut]:
    """最早的在前；不写 state 时为未解决的。· The oldest first; without `state` those that are not solved."""
    found: Any = await deps.breaks.list(actor, page, BreakFilter(account, state, kind, assignee, day))
    return PageOf[BreakOut].model_validate(found)


@breaks.get("/aged", summary="差异账龄 · The aged list")
async def list_aged_breaks(actor: Looker, deps: Deps) -> AgedList:
    """未解决的差异，按账号、类别与账龄；以及未对账的天数。

    What is not solved, by account, kind and age; and how many days were not reconciled.
    """
    return AgedList(
        items=[AgedOut.model_validate(each) for each in await deps.breaks.aged(actor)],
        unreconciled=[AgedDaysOut.model_validate(each) for each in await deps.unreconciled.aged(actor)],
    )


@breaks.get("/{break_id}", summary="查看差异 · Show a break")
async def show_break(break_id: BreakId, actor: Looker, deps: Deps) -> BreakOut:
    """一条差异。· One difference."""
    return BreakOut.model_validate(await deps.breaks.show(actor, break_id))


@breaks.post("/{break_id}/assign", summary="分派差异 · Assign a break")
async def assign_break(break_id: BreakId, wanted: AssignmentIn, actor: Asker, deps: Deps) -> BreakOut:
    """交给某人处理，可附工单号。· To somebody, with a ticket if there is one."""
    return BreakOut.model_validate(await deps.breaks.assign(actor, break_id, wanted.to, wanted.ticket))


@breaks.post("/{break_id}/explain", summary="说明差异 · Explain a break")
async def explain_break(break_id: BreakId, wanted: ExplanationIn, actor: Asker, deps: Deps) -> BreakOut:
    """说明原因，等另一人核销。· Says why; another person lets it go."""
    return BreakOut.model_validate(await deps.breaks.explain(actor, break_id, wanted.reason, wanted.note))


@breaks.post("/{break_id}/solve", summary="核销差异 · Solve a break")
async def solve_break(break_id: BreakId, wanted: VerdictIn, actor: Decider, deps: Deps) -> BreakOut:
    """说明的人不能核销。· Never who explained it."""
    return BreakOut.model_validate(await deps.breaks.solve(actor, break_id, wanted.note))


@breaks.post("/{break_id}/refuse", summary="退回说明 · Send an explanation back")
async def refuse_break(break_id: BreakId, wanted: VerdictIn, actor: Decider, deps: Deps) -> BreakOut:
    """差异重新打开。· The break is open again."""
    return BreakOut.model_validate(await deps.breaks.refuse(actor, break_id, wanted.note))
