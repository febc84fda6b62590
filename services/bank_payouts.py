"""Payouts by a bank: files of what is due, written down before anybody gets them, and the same for ever after.

A payout stands in one file at most, and only while its payee has the account that was approved. Whose account it goes
to is kept with it, so that a payee who changes banks does not change a file that was handed in already.
"""

import asyncio
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, BinaryIO
from uuid import UUID

from connectors.files import open_table, write_csv, write_xlsx
from connectors.files.writing import Value
from domain.access import Actor, Permission
from domain.imports.mapping import ImportMapping
from domain.money import major_from_minor
from domain.organisation import Placement
from domain.problems import ConflictProblem, NotFoundProblem, RuntimeProblem, Text
from domain.settlement.bank_files import (
    AMOUNT_AT,
    COLUMNS,
    HEADING,
    MOST_IN_A_FILE,
    BankLine,
    FileFormat,
    FileSummary,
    Summing,
    bank_line,
    cells,
    read_lines,
    summary_of,
)
from domain.settlement.payouts import OMISSIONS, Omission, why_withheld
from services.disclosure import require_unmasking
from services.payee_terms import today
from services.payout_days import give_overdue_days
from storage.audit import AuditLog
from storage.bank_files import BankFileRow, BankFiles
from storage.engine import Database
from storage.payees import Payees
from storage.payout_batches import PayoutBatches, PayoutBatchRow
from storage.payout_receivers import PayoutReceivers
from storage.payouts import Payouts, Reserved
from storage.unit_of_work import UnitOfWork

_AT_ONCE = 5_000
_PATIENCE_S = 60.0
_MEDIA_TYPES: Mapping[FileFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class BankFile:
    """A file. open: how many of its payouts the bank has not answered; withheld: payees whose payouts are due and could
    not be written into it, by code."""

    row: BankFileRow
    open: int
    withheld: Mapping[str, Omission]


@dataclass(frozen=True, slots=True)
class Exported:
    """A file as it is handed out. Nothing in them is masked."""

    row: BankFileRow
    name: str
    media_type: str
    content: bytes
    masked: bool = False


class BankPayouts:
    """Files of payouts, for finance with a scope of everything."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def make(self, actor: Actor, batch_id: UUID) -> BankFile:
        """Write what is due today by bank into a file; with nothing more due, the file that was made last.

        :raises NotFoundProblem: there is no such batch. :raises ConflictProblem: it is not approved and reserved, or
            nothing of it is due by bank.
        """
        actor.require(Permission.SETTLEMENTS_RUN)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            batch = await PayoutBatches(work).find(batch_id, for_update=True)
            if batch is None:
                raise _no_batch(batch_id)
            _require_payable(batch)
            before = await BankFiles(work).of_batch(batch_id)
            await give_overdue_days(work, batch, ["bank"])
            due = await Payouts(work).reserved_by(batch_id, "bank", today(work.now), MOST_IN_A_FILE)
            receivers, withheld = await _receivers(work, due, batch.currency)
            if not receivers and not before:
                raise _nothing_due(await Payouts(work).next_day(batch_id, ["bank"]), withheld)
            if not receivers:
                return BankFile(before[-1], await BankFiles(work).open(before[-1].number), withheld)
            row = await _written(work, actor, batch, f"B{batch.number}-{len(before) + 1}", due, receivers)
            detail = {"file": row.number, "payouts": row.payouts, "total_minor": row.total_minor, "digest": row.digest}
            await AuditLog(work).record(actor, "bank-file.make", f"payout-batch:{batch_id}", detail)
            return BankFile(row, row.payouts, withheld)

    async def list(self, actor: Actor, batch_id: UUID) -> Sequence[BankFile]:
        """A batch's files, the first one first. Raises NotFoundProblem."""
        actor.require(Permission.SETTLEMENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            if await PayoutBatches(work).find(batch_id) is None:
                raise _no_batch(batch_id)
            files = BankFiles(work)
            return [BankFile(each, await files.open(each.number), {}) for each in await files.of_batch(batch_id)]

    async def export(self, actor: Actor, number: str, form: FileFormat, reason: str) -> Exported:
        """A file with full names and accounts, byte by byte the same whenever it is asked for; audited.

        :raises ValidationProblem: no reason. :raises NotFoundProblem: there is no such file.
        :raises RuntimeProblem: what is stored is not any more what the file was made of.
        """
        require_unmasking(actor, reason, Permission.SETTLEMENTS_RUN)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            row = await BankFiles(work).find(number)
            if row is None:
                raise no_file(number)
            batch = await PayoutBatches(work).find(row.batch)
            memo = _memo(batch) if batch is not None else ""
            detail = {"reason": reason.strip(), "format": form, "digest": row.digest}
            await AuditLog(work).record(actor, "bank-file.export", f"bank-file:{number}", detail, Placement())
        content = io.BytesIO()
        summing = Summing()
        loop = asyncio.get_running_loop()

        def lines() -> Iterator[BankLine]:
            """Read by the loop, page after page, while a thread writes them."""
            after = 0
            while page := asyncio.run_coroutine_threadsafe(self._page(number, after), loop).result(_PATIENCE_S):
                for payout, told, amount, currency, receiver in page:
                    line = bank_line(told, *_texts(receiver), (amount, currency), memo)
                    summing.add(line)
                    yield line
                    after = payout

        await asyncio.to_thread(_write, content, form, row, lines())
        if summing.summary() != FileSummary(row.payouts, row.total_minor, row.digest):
            raise RuntimeProblem(
                Text(
                    f"付款文件 {number} 的内容与生成时的摘要不符，不能导出",
                    f"What is stored of the file {number} is not what it was made of: it cannot be exported",
                )
            )
        return Exported(row, f"{number}.{form}", _MEDIA_TYPES[form], content.getvalue())

    async def check(self, actor: Actor, number: str, content: bytes) -> BankFileRow:
        """Compare a file that somebody has with the one that was made, whatever its format; returns when it is the
        same.

        :raises NotFoundProblem: there is no such file. :raises ValidationProblem: it is no file of payouts.
        :raises ConflictProblem: somebody changed it; it says what it comes to.
        """
        actor.require(Permission.SETTLEMENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            row = await BankFiles(work).find(number)
        if row is None:
            raise no_file(number)
        found = await asyncio.to_thread(_summary_in, content)
        if found != FileSummary(row.payouts, row.total_minor, row.digest):
            was = f"{row.payouts} / {major_from_minor(row.total_minor, row.currency)}"
            now = f"{found.payouts} / {major_from_minor(found.total_minor, row.currency)}"
            raise ConflictProblem(
                Text(
                    f"文件被改动过：生成时 {was}，现在 {now}（笔数 / 合计）；请勿提交银行，重新导出 {number}",
                    f"The file was changed: it had {was}, now {now} (payouts / sum). Do not hand it in; "
                    f"export {number} again",
                )
            )
        return row

    async def _page(self, number: str, after: int) -> Sequence[tuple[int, str, int, str, dict[str, Any]]]:
        async with UnitOfWork(self._database) as work:
            return await BankFiles(work).lines(number, after, _AT_ONCE)


async def _receivers(
    work: UnitOfWork, due: Sequence[Reserved], currency: str
) -> tuple[Mapping[int, dict[str, str]], Mapping[str, Omission]]:
    """To whose account each payout goes, by its id; and payees who are not paid (any more), by code."""
    found: dict[int, dict[str, str]] = {}
    left_out: dict[str, Omission] = {}
    for start in range(0, len(due), _AT_ONCE):
        some = due[start : start + _AT_ONCE]
        payees = await Payees(work).by_ids({each.payee for each in some})
        approved = await PayoutReceivers(work).of([each.id for each in some])
        for each in some:
            payee, told = payees[each.payee], approved.get(each.id)
            why = why_withheld(payee, told, each.amount_minor, currency, "bank")
            if why is not None:
                left_out[payee.code] = why
                continue
            to = told or payee.details
            found[each.id] = {
                "name": to.real_name or "",
                "account": to.bank_account or "",
                "bank": to.bank_name or "",
            }
    return found, left_out


async def _written(
    work: UnitOfWork,
    actor: Actor,
    batch: PayoutBatchRow,
    number: str,
    due: Sequence[Reserved],
    receivers: Mapping[int, dict[str, str]],
) -> BankFileRow:
    """A new file, with its payouts standing in it."""
    summing, currency, memo = Summing(), batch.currency, _memo(batch)
    for start in range(0, len(due), _AT_ONCE):
        # A thread of its own: three hundred thousand rows would keep everybody else waiting for seconds.
        some = [each for each in due[start : start + _AT_ONCE] if each.id in receivers]
        await asyncio.to_thread(_sum_up, summing, some, receivers, currency, memo)
    summary = summing.summary()
    row = BankFileRow(
        number=number,
        batch=batch.id,
        day=today(work.now),
        currency=batch.currency,
        payouts=summary.payouts,
        total_minor=summary.total_minor,
        digest=summary.digest,
        made_at=work.now,
        made_by=actor.login,
    )
    await BankFiles(work).add(row, receivers.items())
    if await Payouts(work).write_into_file(list(receivers), number) != summary.payouts:
        raise ConflictProblem(Text("付款已被别处改动，请重试", "Payouts were changed meanwhile: try again"))
    return row


def _sum_up(
    summing: Summing, due: Sequence[Reserved], receivers: Mapping[int, dict[str, str]], currency: str, memo: str
) -> None:
    for each in due:
        summing.add(bank_line(each.number, *_texts(receivers[each.id]), (each.amount_minor, currency), memo))


def _texts(receiver: Mapping[str, Any]) -> tuple[str, str, str]:
    return receiver["name"], receiver["account"], receiver["bank"]


def _memo(batch: PayoutBatchRow) -> str:
    return f"佣金 {batch.scheme} 批次 {batch.number}"


def _write(file: BinaryIO, form: FileFormat, row: BankFileRow, lines: Iterator[BankLine]) -> None:
    if form == "csv":
        write_csv(file, _with_heading(map(cells, lines)))
        return
    summary: list[Sequence[Value]] = [
        ("文件 file", row.number),
        ("笔数 payouts", row.payouts),
        (f"{COLUMNS[AMOUNT_AT][0]} total", Decimal(major_from_minor(row.total_minor, row.currency))),
        ("币种 currency", row.currency),
        ("摘要值 digest", row.digest),
    ]
    write_xlsx(file, [("付款 payouts", _with_heading(map(_typed, lines))), ("汇总 summary", summary)])


def _summary_in(content: bytes) -> FileSummary:
    with open_table(io.BytesIO(content), ImportMapping(record="bank-file", fields={})) as table:
        return summary_of(read_lines(table))


def _with_heading(rows: Iterator[Sequence[Value]]) -> Iterator[Sequence[Value]]:
    yield HEADING
    yield from rows


def _typed(line: BankLine) -> Sequence[Value]:
    """The amount as a number, everything else as a text: an account keeps all its digits."""
    return [Decimal(each) if place == AMOUNT_AT else each for place, each in enumerate(cells(line))]


def _require_payable(batch: PayoutBatchRow) -> None:
    if batch.state not in ("paying", "done"):
        raise ConflictProblem(
            Text(
                f"付款批次处于 {batch.state}，批准并占用余额后才能导出",
                f"The batch is {batch.state}: a file can be made once it is approved and reserved",
            ),
            state=batch.state,
        )


def _nothing_due(day: date | None, withheld: Mapping[str, Omission]) -> ConflictProblem:
    if withheld:
        shown = [(code, OMISSIONS[withheld[code]]) for code in sorted(withheld)[:5]]
        zh = "；".join(f"{code} {text.zh}" for code, text in shown)
        en = "; ".join(f"{code}: {text.en}" for code, text in shown)
        return ConflictProblem(
            Text(f"到期的收款人现在都不能付：{zh}", f"Nobody of those who are due can be paid now. {en}")
        )
    zh = f"，最早 {day} 到期" if day else ""
    en = f"; the first are due on {day}" if day else ""
    return ConflictProblem(Text(f"今天没有到期的银行付款{zh}", f"Nothing is due by bank today{en}"))


def _no_batch(batch: UUID) -> NotFoundProblem:
    return NotFoundProblem(Text(f"没有付款批次 {batch}", f"There is no batch of payouts {batch}"))


def no_file(number: str) -> NotFoundProblem:
    """A refusal: there is no such file."""
    return NotFoundProblem(Text(f"没有付款文件 {number}", f"There is no file of payouts {number}"))
