"""What settlement is made of: payees, whose an order is, disputes about it, exchange rates."""

import io
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path, Request, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.bodies import require_media_type
from api.deps import Deps
from api.masking import UnmaskPayeesFor, disclose
from api.paging import PageOf, Paging, Word
from api.routes.definitions import Sentence
from api.routes.imports import MOST_ERRORS, DryRun, RowErrorOut
from api.routing import router
from domain.access import Actor, Permission
from domain.canonical import LONGEST_ORDER_ID
from domain.imports import RowError
from domain.organisation import Slug
from domain.problems import NotFoundProblem, Text
from domain.settlement.days import Day
from domain.settlement.payees import Code, KeyChange, NewFact, NewPayee, Payee, RoleName, UplineChange
from services.exchange_rates import Rate
from services.payees import PayeeView
from services.sale_corrections import Part, SoldOrderView

payees = router("/api/v1/payees", "settlement")
settlement = router("/api/v1/settlement", "settlement")

Reader = Annotated[Actor, requires(Permission.PAYEES_READ)]
Keeper = Annotated[Actor, requires(Permission.PAYEES_MANAGE)]
Looker = Annotated[Actor, requires(Permission.SETTLEMENTS_READ)]
Asker = Annotated[Actor, requires(Permission.SETTLEMENTS_RUN)]
Decider = Annotated[Actor, requires(Permission.PAYOUTS_APPROVE)]
PayeeCode = Annotated[Code, Path(examples=["P-0137"])]
OrderNumber = Annotated[str, Path(max_length=LONGEST_ORDER_ID)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
_MOST = 1_000
CSV, XLSX = "text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FACTS = "编号,事项,日期,数值\r\nP-0137,visits,2026-11-11,37\r\n"
_FACT_TABLE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {CSV: {**_FILE, "example": _FACTS}, XLSX: {**_FILE, "example": "(xlsx)"}},
    }
}


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PayeesIn(_In):
    """Payees as they are from now on, known by their codes."""

    payees: list[NewPayee] = Field(min_length=1, max_length=_MOST)


class PutPayeesOut(_Out):
    """How many are new, were changed, or are as they were."""

    new: int
    changed: int
    unchanged: int


class UplinesIn(_In):
    """Who is above whom from which Shanghai day on; nobody where `upline` is left out."""

    changes: list[UplineChange] = Field(min_length=1, max_length=_MOST)


class KeysIn(_In):
    """What sales are known by to be somebody's. share: in ten-thousandths."""

    changes: list[KeyChange] = Field(min_length=1, max_length=_MOST)


class FactsIn(_In):
    """What payees did beside selling, and what marks they were given."""

    facts: list[NewFact] = Field(min_length=1, max_length=_MOST)


class FactsOut(BaseModel):
    """How many were not noted before."""

    new: int


class FactImportOut(BaseModel):
    """What became of a table. rows: read; refused: that are wrong, and while there are any nothing is stored; new and
    known: facts noted now, or before; stored: whether it was taken over; more_errors: how many are not listed."""

    rows: int
    refused: int
    new: int
    known: int
    stored: bool
    digest: str
    errors: list[RowErrorOut]
    more_errors: int


class PayeeTermsOut(_Out):
    """What holds of a payee from a Shanghai day on, until the next."""

    since: date
    role: str
    cycle: str | None
    active: bool


class PayeeUplineOut(_Out):
    since: date
    upline: str | None


class PayeeKeyOut(_Out):
    kind: str
    value: str
    share: int
    since: date
    until: date | None


class PayeeOut(_Out):
    """A payee, with what held of them when, who is above them and what they are known by, the latest first."""

    payee: Payee
    terms: list[PayeeTermsOut]
    uplines: list[PayeeUplineOut]
    keys: list[PayeeKeyOut]


class PartIn(_In):
    """A payee's part in an order. share: in ten-thousandths."""

    payee: Code
    share: int = Field(ge=1, le=10_000)


class CorrectionIn(_In):
    """Whose an order should be in a role; nobody's when there are no shares."""

    role: RoleName
    shares: list[PartIn] = Field(max_length=20)
    reason: str = Field(min_length=1, max_length=500)


class DecisionIn(_In):
    note: str | None = Field(default=None, max_length=500)


class PartOut(_Out):
    payee: str
    share: int


class CorrectionOut(_Out):
    """A correction. state: `asked`, `approved` or `refused`. counted_for: of several who share the order, whose its
    pieces and the deal are: sums alone are split."""

    id: UUID
    account: str
    order_id: str
    role: str
    shares: list[PartOut]
    counted_for: str | None
    reason: str
    state: Literal["asked", "approved", "refused"]
    asked_by: str
    asked_at: AwareDatetime
    decided_by: str | None
    decided_at: AwareDatetime | None
    note: str | None


class EvidenceOut(_Out):
    """That an order is a payee's, or was until `ended_at`. evidence: the key, or the correction."""

    role: str
    payee: str
    share: int
    way: str
    evidence: str
    rules: str | None
    decided_at: AwareDatetime
    ended_at: AwareDatetime | None


class SaleOut(_Out):
    """What a line comes to for a payee on a day, refunds taken off. basis: `paid` or `completed`."""

    basis: str
    day: date
    payee: str
    line_id: str
    paid_minor: int
    kept_minor: int
    quantity: int
    orders: int


class SoldOrderOut(_Out):
    """An order as settlement sees it. problem: what keeps it from having sales."""

    account: str
    order_id: str
    is_first: bool | None
    problem: dict[str, str] | None
    evidence: list[EvidenceOut]
    sales: list[SaleOut]
    corrections: list[CorrectionOut]


class RateIn(_In):
    """How many of the merchant's currency one unit is, as a plain decimal in quotes, from a Shanghai day on."""

    currency: Currency
    day: Day
    rate: str = Field(max_length=30)


class RatesIn(_In):
    rates: list[RateIn] = Field(min_length=1, max_length=_MOST)


class RateOut(BaseModel):
    """The rate that holds on a day."""

    currency: str
    day: date
    rate: str


@payees.put("", summary="登记收款人 · Write payees down")
async def put_payees(wanted: PayeesIn, actor: Keeper, deps: Deps) -> PutPayeesOut:
    """按编号新增或替换，没写的字段回到默认（账户信息即删除）；全部成功或全部不变，写入审计。角色、周期、启用自 `since`
    起生效（默认今天），已关闭的账期不变。

    New ones, and others replaced, by code: what is left out goes back to its default, and account details are removed;
    all or none, and audited. Role, cycle and activity hold from `since` on, today when left out; what is closed stays
    as it is.
    """
    return PutPayeesOut.model_validate(await deps.payees.put(actor, wanted.payees))


@payees.get("", summary="查询收款人 · List payees")
async def list_payees(actor: Reader, deps: Deps, page: Paging, role: Word | None = None) -> PageOf[Payee]:
    """数据范围内的收款人，按编号；个人信息打码。· By code; personal data is masked."""
    found = await deps.payees.list(actor, page, role=role)
    return PageOf[Payee](items=[each.payee for each in found.items], next_cursor=found.next_cursor)


@payees.get("/{code}", summary="查看收款人 · Show a payee")
async def show_payee(
    code: PayeeCode, request: Request, actor: Reader, deps: Deps, unmask_for: UnmaskPayeesFor
) -> PayeeOut:
    """含角色、上级、归属键的历史；付款与复核的人写明原因可看明文。· In clear to who pays or approves, with a reason."""
    view: PayeeView = disclose(request, await deps.payees.show(actor, code, unmask_for=unmask_for))
    return PayeeOut.model_validate(view)


@settlement.put("/uplines", status_code=status.HTTP_204_NO_CONTENT, summary="设置上级 · Set uplines")
async def set_uplines(wanted: UplinesIn, actor: Keeper, deps: Deps) -> None:
    """从某日起的上级；成环会被拒绝并指出是哪几位。· From a day on; a circle is refused, and named."""
    await deps.payees.set_uplines(actor, wanted.changes)


@settlement.put("/keys", status_code=status.HTTP_204_NO_CONTENT, summary="设置归属键 · Set keys")
async def set_keys(wanted: KeysIn, actor: Keeper, deps: Deps) -> None:
    """渠道码、达人、门店、店铺归谁；无主的订单会重新归属。

    Whose a channel code, an influencer, a store or a shop is; orders that are nobody's are looked at again.
    """
    await deps.payees.set_keys(actor, wanted.changes)


@settlement.post("/facts", summary="记录到店、评价、预约与考核分 · Note visits, reviews, bookings and scores")
async def note_facts(wanted: FactsIn, actor: Keeper, deps: Deps) -> FactsOut:
    """每位收款人同名同 key 只记一次，内容不同则拒绝；计数可为负以冲减，考核分以最后一次为准。

    Each is noted once by its payee, name and key; the same with other content is refused. Counts add up, also negative
    ones; of a score the last one counts.
    """
    return FactsOut(new=await deps.payees.note_facts(actor, wanted.facts))


@settlement.post("/facts/import", openapi_extra=_FACT_TABLE, summary="从表格登记事实 · Import facts")
async def import_facts(request: Request, actor: Keeper, deps: Deps, dry_run: DryRun = False) -> FactImportOut:
    """请求体为 CSV 或 XLSX：编号、事项、日期、数值，可加 key（默认编号/日期）；最多 30 万行、32 MB。有一行不对就
    什么都不登记，逐行说明；同一份再导入什么也不变。

    A CSV or XLSX as the body: payee, fact, day, value, and `key` where it is not to be payee and day. At most 300,000
    rows and 32 MB. Nothing is noted while a row is wrong, and each is told; the same table again changes nothing.
    """
    require_media_type(request, (CSV, XLSX, "application/octet-stream"))
    errors: list[RowErrorOut] = []
    more = 0

    def keep(error: RowError) -> None:
        nonlocal more
        if len(errors) < MOST_ERRORS:
            reason = Sentence(**error.reason.as_dict())
            errors.append(RowErrorOut(line=error.line, column=error.column, reason=reason))
        else:
            more += 1

    body = io.BytesIO(await request.body())
    found = await deps.fact_imports.run(actor, body, "", keep, dry_run=dry_run)
    return FactImportOut(**asdict(found), errors=errors, more_errors=more)


@settlement.get("/orders/{platform}/{slug}/{order_id}", summary="订单归属 · Whose an order is")
async def show_sold_order(platform: Slug, slug: Slug, order_id: OrderNumber, actor: Looker, deps: Deps) -> SoldOrderOut:
    """归属、依据、更正与它折算出的业绩。· Whose, why, corrections, and what it comes to."""
    return _shown(await deps.sale_corrections.order(actor, (f"{platform}/{slug}", order_id)))


@settlement.post(
    "/orders/{platform}/{slug}/{order_id}/corrections",
    status_code=status.HTTP_201_CREATED,
    summary="申请更正归属 · Dispute whose an order is",
)
async def ask_for_correction(
    platform: Slug, slug: Slug, order_id: OrderNumber, wanted: CorrectionIn, actor: Asker, deps: Deps
) -> CorrectionOut:
    """由另一人复核后生效；同一订单同一角色一次一条。· It counts once a second person has agreed; one at a time."""
    shares = [Part(each.payee, each.share) for each in wanted.shares]
    name = (f"{platform}/{slug}", order_id)
    return CorrectionOut.model_validate(
        await deps.sale_corrections.ask(actor, name, wanted.role, shares, wanted.reason)
    )


@settlement.get("/corrections", summary="查询归属更正 · List corrections")
async def list_corrections(
    actor: Looker, deps: Deps, page: Paging, state: Literal["asked", "approved", "refused"] | None = None
) -> PageOf[CorrectionOut]:
    """数据范围内的更正，最早的在前。· Within one's data scope, the oldest first."""
    found: Any = await deps.sale_corrections.list(actor, page, state=state)
    return PageOf[CorrectionOut].model_validate(found)


@settlement.post("/corrections/{correction_id}/approve", summary="同意更正 · Approve a correction")
async def approve_correction(correction_id: UUID, wanted: DecisionIn, actor: Decider, deps: Deps) -> CorrectionOut:
    """申请人不能自己同意；已关账的账期下期调整。· Never the one who asked; closed periods are adjusted."""
    found = await deps.sale_corrections.decide(actor, correction_id, approve=True, note=wanted.note)
    return CorrectionOut.model_validate(found)


@settlement.post("/corrections/{correction_id}/refuse", summary="拒绝更正 · Refuse a correction")
async def refuse_correction(correction_id: UUID, wanted: DecisionIn, actor: Decider, deps: Deps) -> CorrectionOut:
    """归属不变。· It stays as it is."""
    found = await deps.sale_corrections.decide(actor, correction_id, approve=False, note=wanted.note)
    return CorrectionOut.model_validate(found)


@settlement.put("/rates", status_code=status.HTTP_204_NO_CONTENT, summary="登记汇率 · Note exchange rates")
async def set_rates(wanted: RatesIn, actor: Asker, deps: Deps) -> None:
    """1 单位外币合多少人民币，加引号；等汇率的订单随即计入。· Orders that waited for one count at once."""
    await deps.exchange_rates.set(actor, [Rate(each.currency, each.day, each.rate) for each in wanted.rates])


@settlement.get("/rates/{currency}/{day}", summary="查看汇率 · Show an exchange rate")
async def show_rate(currency: Annotated[Currency, Path()], day: Day, actor: Looker, deps: Deps) -> RateOut:
    """当日有效的汇率：当日的，或之前十天内最近的。· That day's, or the last of the ten days before."""
    rate = await deps.exchange_rates.on(actor, currency, day)
    if rate is None:
        raise NotFoundProblem(Text(f"{currency} 在 {day} 没有汇率", f"There is no rate of {currency} on {day}"))
    return RateOut(currency=currency, day=day, rate=f"{rate.normalize():f}")


def _shown(view: SoldOrderView) -> SoldOrderOut:
    return SoldOrderOut(
        account=view.account,
        order_id=view.order_id,
        is_first=view.is_first,
        problem=view.problem.as_dict() if view.problem is not None else None,
        evidence=[EvidenceOut.model_validate(each) for each in view.evidence],
        sales=[SaleOut.model_validate(each) for each in view.sales],
        corrections=[CorrectionOut.model_validate(each) for each in view.corrections],
    )
