"""Reports of settlements as JSON, CSV and XLSX, whether they tie with the journal, and statements as PDF."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from api.auth import requires
from api.deps import Deps
from api.masking import UnmaskPayeesFor, disclose
from api.paging import Paging, Word
from api.routes.settlement import PayeeCode
from api.routing import router
from domain.access import Actor, Permission
from domain.settlement.days import Day
from domain.settlement.reports import GROUPS, Filter, Report, Span
from services.payee_statements import PDF, ZIP
from services.report_files import MEDIA_TYPES, report_columns
from services.settlement_reports import ReportPage, TieLine, Wanted

settlement_reports = router("/api/v1/settlement", "settlement")

Looker = Annotated[Actor, requires(Permission.SETTLEMENTS_READ)]
OfDay = Annotated[
    Day, Query(description="账期内任一天（上海日期） · any Shanghai day of the span", examples=["2026-11-11"])
]
Scheme = Annotated[str | None, Query(max_length=64, description="方案名，不填为全部 · the scheme; all when left out")]
Language = Annotated[Literal["zh", "en"], Query(description="表头的语言 · of the headings")]
Format = Annotated[
    Literal["json", "csv", "xlsx"], Query(description="json 分页，其余为整份文件 · pages, or a whole file")
]
_CSV_EXAMPLE = "收款人,姓名,方案,币种,本期收入,往期调整,收入\r\nP-0137,李**,promoters,CNY,687.65,0.00,687.65\r\n"


class SaidOut(BaseModel):
    zh: str
    en: str


class ColumnOut(BaseModel):
    """A column. kind: `money` is in minor units of the row's `currency`, `measure` in ten-thousandths of what
    `measured` says, `abroad` in ten-thousandths of minor units of its `foreign_currency`, `rate` a decimal as a text,
    `payee` a code."""

    name: str
    kind: str
    title: SaidOut


class ReportKindOut(BaseModel):
    """A kind of report. filters: what it can be narrowed by. ties_with: what the sum of the column `ties` has to be."""

    name: str
    title: SaidOut
    group: SaidOut
    columns: list[ColumnOut]
    filters: list[Filter]
    ties: str
    ties_with: SaidOut


class ReportKindsOut(BaseModel):
    items: list[ReportKindOut]


class ReportOut(BaseModel):
    """Some rows of a report. start, end: Shanghai days, the end not included."""

    report: str
    start: date
    end: date
    columns: list[ColumnOut]
    items: list[dict[str, Any]]
    next_cursor: str | None


class TieOut(BaseModel):
    """What a report comes to, and what the journal says. Amounts are in minor units; of a count `currency` is empty."""

    report: str
    currency: str
    rows: int
    total: int
    journal: int
    difference: int
    ties_with: SaidOut


class TiesOut(BaseModel):
    items: list[TieOut]


def _wanted(day: OfDay, scheme: Scheme = None, span: Span | None = None, payee: Word | None = None) -> Wanted:
    return Wanted(day, scheme, span, payee)


Frame = Annotated[Wanted, Depends(_wanted)]


def binary(media_type: str, example: str) -> dict[int | str, dict[str, Any]]:
    """The answer of a route that hands out a file."""
    content = {"schema": {"type": "string", "format": "binary"}, "example": example}
    return {200: {"content": {media_type: content}}}


@settlement_reports.get("/reports", summary="报表种类 · Kinds of reports")
async def list_report_kinds(actor: Looker, deps: Deps) -> ReportKindsOut:
    """名称、列、与分录核对的一列。· Names, columns, and which sum ties with the journal."""
    return ReportKindsOut(items=[_kind(each) for each in deps.reports.kinds(actor)])


@settlement_reports.get(
    "/reports/{name}",
    summary="一份报表 · A report",
    response_model=ReportOut,
    responses={
        200: {
            "content": {
                "text/csv": {"schema": {"type": "string"}, "example": _CSV_EXAMPLE},
                **binary(MEDIA_TYPES["xlsx"], "PK…")[200]["content"],
            }
        }
    },
)
async def show_report(
    name: str,
    wanted: Frame,
    actor: Looker,
    deps: Deps,
    request: Request,
    page: Paging,
    unmask_for: UnmaskPayeesFor,
    format: Format = "json",  # noqa: A002 - the parameter's own name
    language: Language = "zh",
) -> ReportOut | StreamingResponse:
    """JSON 逐页；CSV 与 XLSX 为同一时刻的全部行，写入审计。姓名打码，付款与复核的人写明原因可看明文。

    JSON page after page; CSV and XLSX are all rows of one moment, and audited. Names are in clear for who pays or
    approves, with a reason.
    """
    if format == "json":
        found = disclose(request, await deps.reports.page(actor, name, wanted, page, unmask_for=unmask_for))
        return _page(found)
    made = disclose(
        request,
        await deps.report_files.export(actor, name, wanted, format, unmask_for=unmask_for, locale=language),
    )
    return StreamingResponse(made.chunks(), media_type=made.media_type, headers=attached(made.name))


@settlement_reports.get("/tie-out", summary="与分录核对 · Whether reports tie")
async def tie_out(wanted: Frame, actor: Looker, deps: Deps, report: Word | None = None) -> TiesOut:
    """每份报表与分录各自的合计，差额应为零。· Sums of reports and of the journal; every difference is nothing."""
    found = await deps.reports.tie_out(actor, wanted, [report] if report is not None else ())
    return TiesOut(items=[_tie(each) for each in found])


@settlement_reports.get(
    "/statements/{code}.pdf",
    summary="收款人对账单 · A payee's statement",
    response_class=Response,
    responses=binary(PDF, "%PDF-1.4 …"),
)
async def show_statement(
    code: PayeeCode, wanted: Frame, actor: Looker, deps: Deps, request: Request, unmask_for: UnmaskPayeesFor
) -> Response:
    """期初、逐项收入与规则、扣回、付款、期末与核算摘要；写入审计。

    Opening, every component with its rule, what was taken back and paid, closing, digests; audited.
    """
    asked = wanted._replace(payee=code)
    made = disclose(request, await deps.payee_statements.pdf(actor, asked, unmask_for=unmask_for))
    return Response(made.content, media_type=PDF, headers=attached(made.name))


@settlement_reports.get(
    "/statements.zip",
    summary="全部对账单 · All statements",
    response_class=StreamingResponse,
    responses=binary(ZIP, "PK…"),
)
async def download_statements(
    wanted: Frame, actor: Looker, deps: Deps, request: Request, unmask_for: UnmaskPayeesFor
) -> StreamingResponse:
    """每位收款人一份 PDF，边生成边下载；写入审计。· A PDF for each payee, made while it is sent; audited."""
    made = disclose(request, await deps.payee_statements.archive(actor, wanted, unmask_for=unmask_for))
    return StreamingResponse(made.chunks, media_type=ZIP, headers=attached(made.name))


def attached(name: str) -> dict[str, str]:
    """The headers of a file to be saved under a name."""
    return {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}


def _columns(report: Report) -> list[ColumnOut]:
    return [
        ColumnOut(name=each.name, kind=each.kind, title=SaidOut(**each.title.as_dict()))
        for each in report_columns(report)
    ]


def _kind(report: Report) -> ReportKindOut:
    return ReportKindOut(
        name=report.name,
        title=SaidOut(**report.title.as_dict()),
        group=SaidOut(**GROUPS[report.group].as_dict()),
        columns=_columns(report),
        filters=list(report.filters),
        ties=report.tie.column,
        ties_with=SaidOut(**report.tie.said.as_dict()),
    )


def _page(found: ReportPage) -> ReportOut:
    return ReportOut(
        report=found.report.name,
        start=found.frame.days.start,
        end=found.frame.days.end,
        columns=_columns(found.report),
        items=[dict(each) for each in found.rows.items],
        next_cursor=found.rows.next_cursor,
    )


def _tie(line: TieLine) -> TieOut:
    return TieOut(
        report=line.report.name,
        currency=line.currency,
        rows=line.rows,
        total=line.total,
        journal=line.journal,
        difference=line.difference,
        ties_with=SaidOut(**line.report.tie.said.as_dict()),
    )
