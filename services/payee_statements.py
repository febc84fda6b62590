"""Statements of payees as PDF: one, or all of a frame as a ZIP that is made while it is sent."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.access import Actor
from domain.privacy.kinds import masked
from domain.problems import NotFoundProblem, Text
from domain.settlement.explanation import rule_of
from domain.settlement.report_kinds import REPORTS
from domain.settlement.statements import EarnedLine, PayoutLine, Proof, Statement
from services.report_files import measured
from services.settlement_reports import ReportService, Wanted, note_clear, note_export, require_clear, require_report
from services.statement_pdf import statement_pdfs
from storage.engine import Database
from storage.report_frames import BookedCalculation, ReportFrame
from storage.report_rows import NAME, NUMBER, ReportRows, Values
from storage.statement_rows import StatedPayout, StatementRows
from storage.unit_of_work import UnitOfWork

_LINES = "statements"
_AT_ONCE = 200
_MADE_AT_ONCE = 20
PDF, ZIP = "application/pdf", "application/zip"


@dataclass(frozen=True, slots=True)
class StatementFile:
    """A PDF to be handed out. Nothing of it has to be masked any more."""

    name: str
    content: bytes
    masked: bool = False


@dataclass(frozen=True, slots=True)
class StatementArchive:
    """A ZIP of PDFs. `chunks` may be read once; it is made meanwhile."""

    name: str
    chunks: AsyncIterator[bytes]
    masked: bool = False


class PayeeStatements:
    """Statements for who may see settlements; names are masked but for who pays and says
    why. Each export is audited."""

    def __init__(self, database: Database, reports: ReportService) -> None:
        self._database = database
        self._reports = reports

    async def pdf(self, actor: Actor, wanted: Wanted, *, unmask_for: str | None = None) -> StatementFile:
        """The statement of the payee that is wanted, their currencies one after the other.

        :raises NotFoundProblem: no such payee, or nothing to state. Else as `ReportService.page`.
        """
        await self._begin(actor, wanted, "pdf", unmask_for)
        async with UnitOfWork(self._database) as work:
            await ReportRows(work).read_as_of_now()
            frame = await self._reports.frame(work, REPORTS[_LINES], wanted)
            found = [each async for each in self._statements(work, frame, in_clear=unmask_for is not None)]
        if not found:
            raise NotFoundProblem(
                Text(
                    f"{wanted.payee} 在该账期没有可列的内容",
                    f"There is nothing to state of {wanted.payee} for these days",
                )
            )
        (content,) = await asyncio.to_thread(statement_pdfs, found)
        return StatementFile(_file_name(found[0]), content)

    async def archive(self, actor: Actor, wanted: Wanted, *, unmask_for: str | None = None) -> StatementArchive:
        """The statements of all payees, or of the one that is wanted. Raises as `ReportService.page`, before anything
        is sent."""
        days = (await self._begin(actor, wanted, "zip", unmask_for)).days
        name = f"statements_{wanted.scheme or 'all'}_{days.start}_{days.end}.zip"
        return StatementArchive(name, self._zipped(wanted, in_clear=unmask_for is not None))

    async def _begin(self, actor: Actor, wanted: Wanted, what: str, unmask_for: str | None) -> ReportFrame:
        report = require_report(actor, _LINES)
        require_clear(actor, unmask_for)
        async with UnitOfWork(self._database) as work:
            frame = await self._reports.frame(work, report, wanted)
            await note_export(work, actor, _LINES, wanted, what, unmask_for)
            await note_clear(work, actor, report, unmask_for)
        return frame

    async def _zipped(self, wanted: Wanted, *, in_clear: bool) -> AsyncIterator[bytes]:
        """The archive, piece by piece; its PDFs are made elsewhere, some at a time, and nobody else waits for them."""
        sink = _Sink()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
            async with UnitOfWork(self._database) as work:
                await ReportRows(work).read_as_of_now()
                frame = await self._reports.frame(work, REPORTS[_LINES], wanted)
                some: list[Sequence[Statement]] = []
                async for each in self._statements(work, frame, in_clear=in_clear):
                    some.append(each)
                    if len(some) == _MADE_AT_ONCE:
                        await _add(archive, some)
                        some = []
                        yield sink.taken()
                await _add(archive, some)
        yield sink.taken()

    async def _statements(
        self, work: UnitOfWork, frame: ReportFrame, *, in_clear: bool
    ) -> AsyncIterator[Sequence[Statement]]:
        """Every payee's, one for each currency, some hundred payees at a time."""
        teller = _Teller(frame, in_clear=in_clear)
        some: dict[int, list[Values]] = {}
        async for each in ReportRows(work).stream(REPORTS[_LINES], frame, {}):
            if each[NUMBER] not in some and len(some) == _AT_ONCE:
                for statements in await teller.told(work, some):
                    yield statements
                some = {}
            some.setdefault(each[NUMBER], []).append(each)
        for statements in await teller.told(work, some):
            yield statements


async def _add(archive: zipfile.ZipFile, statements: Sequence[Sequence[Statement]]) -> None:
    """Make PDFs, in a thread of their own, and put them into an archive."""
    contents = await asyncio.to_thread(statement_pdfs, statements)
    for each, content in zip(statements, contents, strict=True):
        archive.writestr(zipfile.ZipInfo(_file_name(each)), content)


class _Teller:
    """Lines of reports into statements."""

    def __init__(self, frame: ReportFrame, *, in_clear: bool) -> None:
        self._frame = frame
        self._in_clear = in_clear
        self._booked = {str(each.row.id): each for each in frame.booked}

    async def told(self, work: UnitOfWork, lines: Mapping[int, Sequence[Values]]) -> Iterable[Sequence[Statement]]:
        """The statements of these payees, by number."""
        balances = await StatementRows(work).balances(self._frame, lines)
        payouts = await StatementRows(work).payouts(self._frame, lines)
        found = []
        for payee, rows in lines.items():
            currencies = sorted({each["currency"] for each in rows})
            found.append(
                [
                    self._statement(
                        [each for each in rows if each["currency"] == currency],
                        balances.get((payee, currency), {}),
                        [each for each in payouts if (each.payee, each.currency) == (payee, currency)],
                    )
                    for currency in currencies
                ]
            )
        return found

    def _statement(
        self, rows: Sequence[Values], balances: Mapping[str, int], payouts: Sequence[StatedPayout]
    ) -> Statement:
        opening = sum(each["amount"] for each in rows if each["sort"] == "opening")
        paid = sum(each["amount"] for each in rows if each["sort"] in ("paid", "overpaid"))
        first = rows[0]
        return Statement(
            payee=first["payee"],
            name=first[NAME] if self._in_clear else masked("name", first[NAME]),
            days=self._frame.days,
            currency=first["currency"],
            opening_minor=opening,
            earned=[self._earned(each) for each in rows if each["sort"] in ("earned", "adjusted")],
            payouts=[PayoutLine(*each[2:]) for each in payouts],
            paid_minor=-paid,
            payable_minor=balances.get("payable", 0),
            held_minor=balances.get("held", 0),
            paying_minor=balances.get("paying", 0),
            owed_minor=-balances.get("receivable", 0),
            proofs=self._proofs(rows),
        )

    def _earned(self, row: Values) -> EarnedLine:
        booked = self._booked.get(row["detail"])
        base = measured(row)
        late = row["sort"] == "adjusted"
        return EarnedLine(
            row["title"], row["period_start"], late, f"{base:f}", _rule(booked, row["component"]), row["amount"]
        )

    def _proofs(self, rows: Sequence[Values]) -> Sequence[Proof]:
        named = {each["detail"]: each["period_start"] for each in rows if each["detail"] in self._booked}
        found = [
            Proof(booked.row.scheme, booked.row.version, start, booked.row.digest or "")
            for booked, start in ((self._booked[name], start) for name, start in named.items())
        ]
        return sorted(found)


class _Sink(io.RawIOBase):
    """What an archive is written into, and taken out of piece by piece; nobody can go back in it."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What was written since it was asked last."""
        found = b"".join(self._pieces)
        self._pieces.clear()
        return found


def _rule(booked: BookedCalculation | None, component: str) -> Text | None:
    if booked is None:
        return None
    found = next((each for each in booked.scheme.components if each.name == component), None)
    return rule_of(booked.scheme, found) if found is not None else None


def _file_name(statements: Sequence[Statement]) -> str:
    first = statements[0]
    code = "".join(each if each.isalnum() or each in "-_." else "_" for each in first.payee)
    return f"{code}_{first.days.start}_{first.days.end}.pdf"
