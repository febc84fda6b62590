"""Payouts by a bank: files made and handed out, what the bank answers to them."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request, Response, status
from pydantic import AwareDatetime, BaseModel, ConfigDict

from api.auth import requires
from api.bodies import require_media_type
from api.deps import Deps
from api.masking import disclose
from api.routes.definitions import Sentence
from api.routes.imports import RowErrorOut
from api.routing import router
from domain.access import Actor, Permission
from domain.imports import RowError
from domain.settlement.bank_files import FileFormat
from domain.settlement.payouts import Omission
from services.bank_answers import AnswerOutcome
from services.bank_payouts import BankFile

bank_files = router("/api/v1/settlement/bank-files", "settlement")

Looker = Annotated[Actor, requires(Permission.SETTLEMENTS_READ)]
Payer = Annotated[Actor, requires(Permission.SETTLEMENTS_RUN)]
FileNumber = Annotated[str, Path(max_length=32, pattern=r"^B[0-9]+-[0-9]+$", examples=["B12-1"])]
Batch = Annotated[UUID, Query(description="付款批次 · the batch of payouts")]
Format = Annotated[FileFormat, Query(alias="format", description="文件格式 · the kind of file")]
Reason = Annotated[str, Query(max_length=500, description="为什么导出，写入审计 · why; kept in the audit log")]

MOST_ERRORS = 1_000
CSV, XLSX = "text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_HEADING = "付款编号 number,收款人姓名 payee,收款账号 account,开户行 bank,金额(元) amount,币种 currency,摘要 memo"
_NUMBER = "P5f0c4b7d1e9a2c8834b6f1d07a93e2c"
_ROW = f"{_NUMBER},李小红,6214830112345678,招商银行,687.65,CNY,佣金 promoters 批次 12"
_ANSWER = f"付款编号,结果,金额(元),银行流水号\r\n{_NUMBER},成功,687.65,2026120100012345\r\n"
_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_HANDED_OUT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            CSV: {**_FILE, "example": f"{_HEADING}\r\n{_ROW}\r\n"},
            XLSX: {**_FILE, "example": "(xlsx)"},
        }
    }
}
_ANSWERED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {CSV: {**_FILE, "example": _ANSWER}, XLSX: {**_FILE, "example": "(xlsx)"}},
    }
}


class BatchIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    batch: UUID


class BankFileOut(BaseModel):
    """A file. digest: of its rows, in any format; open: how many of its payouts the bank has not answered; withheld:
    payees whose payouts are due and who are not paid, by code: they lack an account or a real name, are not active, or
    their account was changed after it was approved."""

    number: str
    batch: UUID
    day: date
    currency: str
    payouts: int
    total_minor: int
    digest: str
    made_at: AwareDatetime
    made_by: str
    open: int
    withheld: dict[str, Omission]


class BankFilesOut(BaseModel):
    """The files of a batch, the first one first."""

    items: list[BankFileOut]


class BreakOut(BaseModel):
    """A row that contradicts what is known of a payout."""

    number: str
    line: int
    reason: Sentence


class BankAnswerOut(BaseModel):
    """What became of an answer. rows: read; paid, failed: payouts that ended now; known: answered so before; pending:
    the bank is still at it; open: payouts of the file that are not answered; breaks: rows that contradict what is
    known, which stays; more_errors: how many errors and breaks are not listed."""

    rows: int
    paid: int
    paid_minor: int
    failed: int
    failed_minor: int
    known: int
    pending: int
    open: int
    digest: str
    errors: list[RowErrorOut]
    breaks: list[BreakOut]
    more_errors: int


@bank_files.post("", status_code=status.HTTP_201_CREATED, summary="生成银行付款文件 · Make a bank file")
async def make_bank_file(wanted: BatchIn, actor: Payer, deps: Deps) -> BankFileOut:
    """把已批准且今天到期的银行付款写入一个文件；没有新到期的，答复最近的那个文件。

    Writes what is approved and due today by bank into a file; with nothing more due, it is the file made last.
    """
    return _shown(await deps.bank_payouts.make(actor, wanted.batch))


@bank_files.get("", summary="查询银行付款文件 · List bank files")
async def list_bank_files(actor: Looker, deps: Deps, batch: Batch) -> BankFilesOut:
    """一个批次的全部文件。· All files of a batch."""
    return BankFilesOut(items=[_shown(each) for each in await deps.bank_payouts.list(actor, batch)])


@bank_files.get(
    "/{file_number}", summary="下载银行付款文件 · Download a bank file", response_class=Response, responses=_HANDED_OUT
)
async def download_bank_file(
    file_number: FileNumber, actor: Payer, deps: Deps, request: Request, reason: Reason, form: Format = "csv"
) -> Response:
    """含完整姓名与账号，写入审计；任何时候下载都逐字节相同，`ETag` 是内容的摘要。

    With full names and accounts, and audited; the same bytes whenever it is downloaded. `ETag` is its rows' digest.
    """
    found = disclose(request, await deps.bank_payouts.export(actor, file_number, form, reason))
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{found.name}"',
        "ETag": f'"{found.row.digest}"',
    }
    return Response(found.content, media_type=found.media_type, headers=headers)


@bank_files.post("/{file_number}/answers", openapi_extra=_ANSWERED, summary="导入银行结果 · Import a bank's answer")
async def import_bank_answer(file_number: FileNumber, request: Request, actor: Payer, deps: Deps) -> BankAnswerOut:
    """银行答复的 CSV 或 XLSX；可重复导入。表格不成形则整个拒绝；与此前结果矛盾的行列在 breaks，不改动，成为差异。

    The bank's CSV or XLSX; again it changes nothing. A table of the wrong shape is refused as a whole; rows that
    contradict an earlier answer change nothing, and become breaks of `bank/payouts`.
    """
    require_media_type(request, (CSV, XLSX, "application/octet-stream"))
    return _answered(await deps.bank_answers.import_answer(actor, file_number, await request.body()))


def _shown(view: BankFile) -> BankFileOut:
    return BankFileOut.model_validate({**view.row.model_dump(), "open": view.open, "withheld": dict(view.withheld)})


def _answered(outcome: AnswerOutcome) -> BankAnswerOut:
    told = outcome.errors[:MOST_ERRORS]
    breaks = outcome.breaks[:MOST_ERRORS]
    return BankAnswerOut(
        rows=outcome.rows,
        paid=outcome.paid,
        paid_minor=outcome.paid_minor,
        failed=outcome.failed,
        failed_minor=outcome.failed_minor,
        known=outcome.known,
        pending=outcome.pending,
        open=outcome.open,
        digest=outcome.digest,
        errors=[_error(each) for each in told],
        breaks=[BreakOut(number=each.number, line=each.error.line, reason=_sentence(each.error)) for each in breaks],
        more_errors=len(outcome.errors) - len(told) + len(outcome.breaks) - len(breaks),
    )


def _error(error: RowError) -> RowErrorOut:
    return RowErrorOut(line=error.line, column=error.column, reason=_sentence(error))


def _sentence(error: RowError) -> Sentence:
    return Sentence(**error.reason.as_dict())
