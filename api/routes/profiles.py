"""A customer from all sides: find, show, page through, export, erase."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.masking import UnmaskFor, disclose
from api.paging import PageOf, Paging
from api.routes.consents import ConsentOut
from api.routes.suppressions import SuppressionOut
from api.routes.tags import GradeOut
from api.routing import router
from domain.access import Actor, Permission
from services.customer_search import Wanted
from services.erasure import LONGEST_REASON

EXPORT_TYPE = "application/x-ndjson"

profiles = router("/api/v1/customers", "customers")

Reader = Annotated[Actor, requires(Permission.CUSTOMERS_READ)]
Exporter = Annotated[Actor, requires(Permission.CUSTOMERS_EXPORT)]
Eraser = Annotated[Actor, requires(Permission.CUSTOMERS_ERASE)]
Term = Annotated[str | None, Query(min_length=1, max_length=256)]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ProfileKeyOut(_Out):
    """A key of the customer."""

    id: int
    kind: str
    scope: str
    value: str
    first_seen_at: AwareDatetime


class FoundCustomerOut(_Out):
    """A customer, and some keys of theirs, masked."""

    customer: UUID
    identities: list[ProfileKeyOut]


class TotalsOut(_Out):
    """Sums over all orders at one platform, in minor units of one currency. paid_minor: of orders that were paid."""

    platform: str
    currency: str
    orders: int
    paid_orders: int
    paid_minor: int
    refunded_minor: int
    first_order_at: AwareDatetime | None
    last_order_at: AwareDatetime | None


class EntryOut(_Out):
    """One record. kind: `order`, `refund`, `parcel`, `run`, `task`, `touch`, or that of an interaction (`chat`,
    `contact` …). data: what is known of it."""

    kind: str
    at: AwareDatetime
    key: str
    account_id: str | None
    data: dict[str, Any]


class HeldTagOut(_Out):
    """A tag, since when, and what its rule saw. rule, version: null for one that somebody gave."""

    tag: str
    since: AwareDatetime
    why: list[Any]
    rule: str | None
    version: str | None


class RhythmOut(_Out):
    """How often the customer buys goods of a category. purchases: days on which they did. own: whether the interval is
    theirs; else it is the usual one. interval_days, due_at: null while nobody knows any."""

    category: str
    purchases: int
    last_at: AwareDatetime
    interval_days: int | None
    own: bool
    due_at: AwareDatetime | None


class ProfileOut(_Out):
    """A customer from all sides; every list holds the newest 20. masked: whether personal data is masked."""

    customer: UUID
    aliases: list[UUID]
    identities: list[ProfileKeyOut]
    totals: list[TotalsOut]
    orders: list[EntryOut]
    refunds: list[EntryOut]
    parcels: list[EntryOut]
    chats: list[EntryOut]
    contacts: list[EntryOut]
    coupons: list[EntryOut]
    activities: list[EntryOut]
    tags: list[HeldTagOut]
    grades: list[GradeOut]
    rhythms: list[RhythmOut]
    suppressions: list[SuppressionOut]
    consents: list[ConsentOut]
    runs: list[EntryOut]
    tasks: list[EntryOut]
    touches: list[EntryOut]
    masked: bool


class TimelineOut(PageOf[EntryOut]):
    """A page of everything, the newest first."""

    masked: bool


class ExportLineOut(_Out):
    """One line of an export: who it is about, a row of a table, how far it is, that it is complete, or why not."""

    export: dict[str, Any] | None = None
    table: str | None = None
    data: dict[str, Any] | None = None
    reading: dict[str, Any] | None = None
    end: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None


class ErasureOut(_Out):
    """How far an erasure is. changed: rows that were deleted or emptied, by table. state: `incomplete` when it is over
    and rows are left that nobody can decrypt (`unreadable`, by table), so that they may still name the person. problem:
    what its step waits for."""

    customer: UUID
    state: Literal["working", "done", "incomplete"]
    step: str
    requested_by: str
    requested_at: AwareDatetime
    ended_at: AwareDatetime | None
    changed: dict[str, int]
    unreadable: dict[str, int]
    problem: str | None


class ReasonIn(BaseModel):
    """Why; kept in the audit log."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_REASON, pattern=r"\S")]


def _wanted(
    phone: Term = None, order: Term = None, nickname: Term = None, tag: Term = None, key: Term = None
) -> Wanted:
    return Wanted(phone, order, nickname, tag, key)


@profiles.get("", summary="查找客户 · Find customers")
async def find_customers(
    actor: Reader, deps: Deps, wanted: Annotated[Wanted, Depends(_wanted)], page: Paging
) -> PageOf[FoundCustomerOut]:
    """按完整手机号、订单号、昵称（完整）、标签或平台标识之一查找；只返回数据范围内的客户。

    By exactly one of a whole phone number, an order number, a whole nickname, a tag, a platform's id (or
    `kind/scope/value`); only customers within the data scope.
    """
    found: Any = await deps.customer_search.find(actor, wanted, page)
    return PageOf[FoundCustomerOut].model_validate(found)


@profiles.get("/{customer_id}", summary="客户全貌 · A customer from all sides")
async def show_customer(
    customer_id: UUID, actor: Reader, deps: Deps, request: Request, unmask_for: UnmaskFor
) -> ProfileOut:
    """标识、累计、各类最近记录、标签、流程与触达；个人信息打码，旧编号同样可用。

    Keys, totals, the newest records of each kind, tags, runs and touches; masked. Former ids work as well.
    """
    found = await deps.profiles.show(actor, customer_id, unmask_for=unmask_for)
    return ProfileOut.model_validate(disclose(request, found))


@profiles.get("/{customer_id}/timeline", summary="客户时间线 · A customer's timeline")
async def list_customer_timeline(
    customer_id: UUID, actor: Reader, deps: Deps, request: Request, page: Paging, unmask_for: UnmaskFor
) -> TimelineOut:
    """全部记录，最新在前，逐页读取。· Everything, the newest first, page after page."""
    found = await deps.profiles.timeline(actor, customer_id, page, unmask_for=unmask_for)
    return TimelineOut.model_validate(disclose(request, found))


@profiles.post(
    "/{customer_id}/export",
    summary="导出个人信息 · Export a person's data",
    response_class=StreamingResponse,
    responses={200: {"content": {EXPORT_TYPE: {"schema": ExportLineOut.model_json_schema()}}}},
)
async def export_customer(
    customer_id: UUID, wanted: ReasonIn, actor: Exporter, deps: Deps, request: Request
) -> StreamingResponse:
    """该客户的全部数据，明文，写入审计（PIPL 第四十五条、GDPR 第十五条）；每行一个 JSON，末行 end 表示完整。

    All that is stored about the customer, in clear; audited (PIPL article 45, GDPR article 15). One JSON value a line;
    it is complete when the last one is `end`.
    """
    found = await deps.exports.export(actor, customer_id, wanted.reason)
    disclose(request, found)
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="customer-{found.customer}.ndjson"',
    }
    return StreamingResponse(found.lines, media_type=EXPORT_TYPE, headers=headers)


@profiles.post("/{customer_id}/erase", summary="删除个人信息 · Erase a person's data")
async def erase_customer(customer_id: UUID, wanted: ReasonIn, actor: Eraser, deps: Deps) -> ErasureOut:
    """开始删除，不可撤销；订单号与金额以无法识别的形式保留（PIPL 第四十七条、GDPR 第十七条）。

    Begins to erase; it cannot be taken back. Order numbers and amounts stay and are nobody's (PIPL article 47, GDPR
    article 17).
    """
    return ErasureOut.model_validate(await deps.erasure.erase(actor, customer_id, wanted.reason))


@profiles.get("/{customer_id}/erasure", summary="删除进度 · How far an erasure is")
async def show_customer_erasure(customer_id: UUID, actor: Eraser, deps: Deps) -> ErasureOut:
    """删除的步骤与已处理的行数。· The step it is at, and how many rows were changed."""
    return ErasureOut.model_validate(await deps.erasure.show(actor, customer_id))
