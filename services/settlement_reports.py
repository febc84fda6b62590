"""Reports of settlements: page after page, as a file, and whether they come to what the journal says."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from domain.access import Actor, Permission
from domain.organisation import Placement
from domain.privacy.kinds import masked, masked_text
from domain.problems import ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.settlement.report_kinds import REPORTS
from domain.settlement.reports import FILTERS, Filter, Report, Span, days_before, days_of
from domain.settlement.scheme import Scheme
from domain.settlement.scheme_reading import SCHEME, scheme_of
from services.disclosure import record_unmasking, require_unmasking
from services.payee_terms import today
from services.payout_forecast import falling
from storage.audit import AuditLog
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.definitions import Definitions
from storage.engine import Database
from storage.paging import Page, PageRequest
from storage.payees import Payees
from storage.report_cuts import CUTS
from storage.report_frames import BookedCalculation, ReportFrame, ReportFrames
from storage.report_lines import Counts
from storage.report_rows import NAME, NUMBER, ReportRows
from storage.report_ties import ReportTies
from storage.sale_sums import SaleSums
from storage.settlement_periods import SettlementPeriods
from storage.settlement_runs import SettlementRuns
from storage.unit_of_work import UnitOfWork

_FREE_TEXT = ("reason", "note")
Row = Mapping[str, Any]


class Wanted(NamedTuple):
    """Of what a report is asked for. scheme: None for all; day: any of the span; span: the scheme's own cycle when
    None; payee: by code, only this one's rows."""

    day: date
    scheme: str | None = None
    span: Span | None = None
    payee: str | None = None

    @property
    def filters(self) -> Sequence[Filter]:
        """What it narrows a report by."""
        given = {"scheme": self.scheme, "payee": self.payee}
        return [each for each in FILTERS if given[each] is not None]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """Some rows of a report. masked: whether names are."""

    report: Report
    frame: ReportFrame
    rows: Page[Row]
    masked: bool = True


class TieLine(NamedTuple):
    """What a report comes to in a currency, and what it has to come to."""

    report: Report
    currency: str
    rows: int
    total: int
    journal: int

    @property
    def difference(self) -> int:
        return self.total - self.journal


class ReportService:
    """Reports for who may see settlements, with a scope of everything."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._schemes: dict[tuple[str, str], Scheme] = {}

    def kinds(self, actor: Actor) -> Sequence[Report]:
        """Every kind of report."""
        actor.require(Permission.SETTLEMENTS_READ)
        return list(REPORTS.values())

    async def page(
        self, actor: Actor, name: str, wanted: Wanted, page: PageRequest, *, unmask_for: str | None = None
    ) -> ReportPage:
        """Some rows; names of payees in clear for who pays and says why, which is audited.

        :raises NotFoundProblem: no such report, scheme or payee. :raises ConflictProblem: a settlement is being booked.
        :raises ValidationProblem: the report cannot be narrowed like this.
        """
        report = require_report(actor, name)
        require_clear(actor, unmask_for)
        async with UnitOfWork(self._database) as work:
            await ReportRows(work).read_at_length()
            frame = await self.frame(work, report, wanted)
            await note_clear(work, actor, report, unmask_for)
            found = await ReportRows(work).page(report, frame, await self.counts(work, report, frame), page)
        rows = [_shown(each, in_clear=unmask_for is not None) for each in found.items]
        return ReportPage(report, frame, Page(rows, found.next_cursor), masked=unmask_for is None)

    async def rows(
        self, work: UnitOfWork, report: Report, frame: ReportFrame, *, in_clear: bool = False
    ) -> AsyncIterator[Row]:
        """All rows, as they stood when the unit of work first read."""
        counts = await self.counts(work, report, frame)
        async for each in ReportRows(work).stream(report, frame, counts):
            yield _shown(each, in_clear=in_clear)

    async def tie_out(self, actor: Actor, wanted: Wanted, names: Sequence[str] = ()) -> Sequence[TieLine]:
        """What reports (all that can be of the scheme, when none are named) come to, beside what the journal says; all
        at one moment. Raises ValidationProblem for one payee's: the journal is everybody's."""
        if wanted.payee is not None:
            raise ValidationProblem(
                Text(
                    "核对是全部收款人的合计，不能只看一位。请去掉 payee",
                    "Sums of everybody are compared, not one payee's. Leave payee out",
                )
            )
        reports = [require_report(actor, name) for name in names or REPORTS]
        if not names:
            reports = [each for each in reports if each.refusal(wanted.filters) is None]
        found: list[TieLine] = []
        async with UnitOfWork(self._database) as work:
            await ReportRows(work).read_as_of_now()
            for report in reports:
                frame = await self.frame(work, report, wanted)
                counts = await self.counts(work, report, frame)
                totals = {each.currency: each for each in await ReportRows(work).totals(report, frame, counts)}
                expected = await ReportTies(work).expected(report, frame)
                for currency in sorted(totals.keys() | {name for name, amount in expected.items() if amount}):
                    _, rows, amount = totals.get(currency, (currency, 0, 0))
                    found.append(TieLine(report, currency, rows, amount, expected.get(currency, 0)))
                if not totals and not any(expected.values()):
                    found.append(TieLine(report, "", 0, 0, 0))
        return found

    async def frame(self, work: UnitOfWork, report: Report, wanted: Wanted) -> ReportFrame:
        """What a report is of. Raises NotFoundProblem, ConflictProblem, ValidationProblem."""
        if (refusal := report.refusal(wanted.filters)) is not None:
            raise ValidationProblem(refusal)
        span = wanted.span or await _own_span(work, wanted)
        days = days_of(span, wanted.day)
        frames = ReportFrames(work)
        kept = await frames.periods(wanted.scheme, days, days_before(span, days))
        if wanted.scheme is not None and not kept.everything:
            raise NotFoundProblem(
                Text(f"方案 {wanted.scheme} 还没有结算过", f"Nothing was settled by a scheme {wanted.scheme}")
            )
        if await frames.under_way(kept.inside):
            raise ConflictProblem(
                Text("有结算正在记账，请稍后再取报表", "A settlement is being booked: ask for the report again shortly")
            )
        # Apart: what counts in one frame may be what is taken back in the next.
        of_frames = [kept.inside, kept.previous] if report.name == "comparison" else [kept.inside]
        counting = {row.id: (row, sign) for each in of_frames for row, sign in await frames.booked(each)}
        booked = [
            BookedCalculation(row, await self._scheme(work, row.scheme, row.version), sign)
            for row, sign in counting.values()
        ]
        payee = await _payee(work, wanted.payee)
        frame = ReportFrame(days, kept, booked, wanted.scheme, payee, today(work.now))
        if report.name != "forecast":
            return frame
        schemes = [await self._paid_by(work, name) for name in await frames.schemes(kept.everything)]
        return replace(frame, falling=await falling(work, [each for each in schemes if each is not None], payee))

    async def counts(self, work: UnitOfWork, report: Report, frame: ReportFrame) -> Counts:
        """How components count order lines, where the report is cut by them."""
        if report.name not in CUTS and report.name != "fx":
            return {}
        by_version: dict[tuple[str, str], Any] = {}
        for row, scheme, _ in frame.booked:
            if _version(row) not in by_version:
                by_version[_version(row)] = await SaleSums(work).line_counts(scheme)
        found: dict[UUID, Any] = {row.id: by_version[_version(row)] for row, _, _ in frame.booked}
        return found

    async def _scheme(self, work: UnitOfWork, name: str, version: str) -> Scheme:
        if (name, version) not in self._schemes:
            found = await Definitions(work).get((SCHEME, "", name, version))
            if found is None:
                raise NotFoundProblem(Text(f"没有方案 {name} {version}", f"There is no scheme {name} {version}"))
            self._schemes[name, version] = scheme_of(found.properties)
        return self._schemes[name, version]

    async def _paid_by(self, work: UnitOfWork, name: str) -> Scheme | None:
        """The version of a scheme that payouts go by: what was booked last."""
        last = await SettlementRuns(work).last_of_scheme(name)
        row = await Calculations(work).find(last) if last is not None else None
        return await self._scheme(work, row.scheme, row.version) if row is not None else None


def require_report(actor: Actor, name: str) -> Report:
    """The report of a name, for who may see it. Raises AuthorizationProblem, NotFoundProblem."""
    actor.require(Permission.SETTLEMENTS_READ)
    actor.require_everything()
    found = REPORTS.get(name)
    if found is None:
        raise NotFoundProblem(
            Text(f"没有报表 {name}；可用：{'、'.join(REPORTS)}", f"No report {name}; there are: {', '.join(REPORTS)}")
        )
    return found


def require_clear(actor: Actor, unmask_for: str | None) -> None:
    """Returns when the actor may see names, or did not ask to. Raises AuthorizationProblem, ValidationProblem."""
    if unmask_for is not None:
        approves = actor.may(Permission.PAYOUTS_APPROVE)
        require_unmasking(actor, unmask_for, Permission.PAYOUTS_APPROVE if approves else Permission.PAYOUTS_PREPARE)


async def note_clear(work: UnitOfWork, actor: Actor, report: Report, unmask_for: str | None) -> None:
    """Write down that somebody sees names, where they do."""
    if unmask_for is not None:
        await record_unmasking(work, actor, "settlement-report", report.name, unmask_for, Placement())


async def note_export(
    work: UnitOfWork, actor: Actor, name: str, wanted: Wanted, what: str, unmask_for: str | None
) -> None:
    """Write down that somebody took a report away."""
    detail = {
        "format": what,
        "scheme": wanted.scheme,
        "day": str(wanted.day),
        "span": wanted.span,
        "payee": wanted.payee,
        "names_in_clear": unmask_for is not None,
        "reason": unmask_for,
    }
    await AuditLog(work).record(actor, "settlement.export", f"settlement-report:{name}", detail)


def _shown(row: Row, *, in_clear: bool) -> dict[str, Any]:
    """A row as somebody may see it."""
    shown = {name: value for name, value in row.items() if name != NUMBER}
    for name in _FREE_TEXT:
        if isinstance(text := shown.get(name), str):
            shown[name] = masked_text(text)
    if not in_clear and shown.get(NAME):
        shown[NAME] = masked("name", shown[NAME])
    return shown


async def _own_span(work: UnitOfWork, wanted: Wanted) -> Span:
    if wanted.scheme is None:
        return "month"
    period = await SettlementPeriods(work).of_day(wanted.scheme, wanted.day)
    return period.cycle if period is not None else "month"


async def _payee(work: UnitOfWork, code: str | None) -> int | None:
    if code is None:
        return None
    found = (await Payees(work).rows([code])).get(code)
    if found is None:
        raise NotFoundProblem(Text(f"没有收款人 {code}", f"There is no payee {code}"))
    return found.id


def _version(row: CalculationRow) -> tuple[str, str]:
    return row.scheme, row.version
