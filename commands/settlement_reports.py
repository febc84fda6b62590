"""`tandem settle reports|report|statement|tie-out`: what was earned, paid and is left, and whether it ties."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import show_rows
from domain.access import Role
from domain.money import major_from_minor
from domain.problems import Text, ValidationProblem
from domain.settlement.report_kinds import REPORTS
from domain.settlement.reports import GROUPS, SPANS
from runtime.settings import Settings
from services.payee_statements import PayeeStatements
from services.payee_terms import today
from services.report_files import ReportFiles, cell_of, report_columns
from services.settlement_reports import ReportService, Wanted
from storage.engine import Database
from storage.paging import LARGEST_PAGE, PageRequest

Form = Literal["table", "csv", "xlsx"]
Scheme = Annotated[str | None, typer.Argument(help="方案名，- 或不填为全部 / the scheme; all by - or nothing")]
Day = Annotated[
    datetime | None,
    typer.Argument(help="账期内任一天，默认今天 / any day of the span, today by default", formats=["%Y-%m-%d"]),
]
SpanOption = Annotated[
    str | None, typer.Option("--span", help=f"多长，默认方案的周期 / how long; the scheme's cycle: {', '.join(SPANS)}")
]


def list_reports() -> None:
    """有哪些报表 / which reports there are."""
    rows = [
        {"name": each.name, "title": each.title.zh, "group": GROUPS[each.group].zh, "ties": each.tie.column}
        for each in REPORTS.values()
    ]
    show_rows(rows, as_json=False)


def show_report(
    name: Annotated[str, typer.Argument(help="报表名，见 tandem settle reports / a report's name")],
    scheme: Scheme = None,
    day: Day = None,
    span: SpanOption = None,
    payee: Annotated[str | None, typer.Option("--payee", help="只看一位收款人 / one payee's rows only")] = None,
    form: Annotated[Form, typer.Option("--format", help="table、csv 或 xlsx")] = "table",
    out: Annotated[Path | None, typer.Option("--out", help="写入文件 / the file to write")] = None,
) -> None:
    """一份报表 / a report."""
    wanted = wanted_by(scheme, day, span, payee)

    async def work(database: Database, settings: Settings) -> None:
        reports, actor = ReportService(database), command_line_actor(Role.FINANCE)
        if form == "table":
            found = await reports.page(actor, name, wanted, PageRequest(LARGEST_PAGE))
            columns = report_columns(found.report)
            rows = [{each.name: cell_of(each, row) for each in columns} for row in found.rows.items]
            show_rows(rows, as_json=False)
            if found.rows.next_cursor is not None:
                text = Text(
                    "还有更多行，请用 --format csv --out 文件", "There are more rows: use --format csv --out FILE"
                )
                say(settings, text, err=True)
            return
        made = await ReportFiles(database, reports).export(actor, name, wanted, form, locale=settings.locale)
        target = out or Path(made.name)
        with target.open("wb") as file:
            file.writelines(made.chunks())
        say(settings, Text(f"{target}：{made.rows} 行", f"{target}: {made.rows} rows"))

    with_database(work)


def make_statement(
    payee: Annotated[str, typer.Argument(help="收款人编号，- 为全部 / a payee's code; all by -")],
    scheme: Scheme = None,
    day: Day = None,
    span: SpanOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="写入文件 / the file to write")] = None,
) -> None:
    """对账单 PDF，全部时为 ZIP / a statement as PDF; all of them as ZIP."""
    wanted = wanted_by(scheme, day, span, None if payee == "-" else payee)

    async def work(database: Database, settings: Settings) -> None:
        statements = PayeeStatements(database, ReportService(database))
        actor = command_line_actor(Role.FINANCE)
        if wanted.payee is not None:
            made = await statements.pdf(actor, wanted)
            target = out or Path(made.name)
            target.write_bytes(made.content)
        else:
            archive = await statements.archive(actor, wanted)
            target = out or Path(archive.name)
            with target.open("wb") as file:
                async for chunk in archive.chunks:
                    file.write(chunk)
        say(settings, Text(f"已写入 {target}", f"written: {target}"))

    with_database(work)


def show_tie_out(scheme: Scheme = None, day: Day = None, span: SpanOption = None) -> None:
    """报表与分录各自的合计；有差额则以 1 退出 / sums of reports and of the journal; exit code 1 where they differ."""
    wanted = wanted_by(scheme, day, span, None)

    async def work(database: Database, settings: Settings) -> bool:
        found = await ReportService(database).tie_out(command_line_actor(Role.FINANCE), wanted)
        rows: list[dict[str, Any]] = []
        for each in found:
            amounts = {"total": each.total, "journal": each.journal, "difference": each.difference}
            shown = {
                name: major_from_minor(amount, each.currency) if each.currency else str(amount)
                for name, amount in amounts.items()
            }
            title = each.report.title.zh if settings.locale == "zh" else each.report.title.en
            rows.append({"report": each.report.name, "title": title, "rows": each.rows, **shown})
        show_rows(rows, as_json=False)
        return any(each.difference for each in found)

    if with_database(work):
        raise typer.Exit(1)


def wanted_by(scheme: str | None, day: datetime | None, span: str | None, payee: str | None) -> Wanted:
    """What the arguments of a command line ask for. Raises ValidationProblem."""
    known = next((each for each in SPANS if each == span), None)
    if span is not None and known is None:
        raise ValidationProblem(Text(f"--span 可用：{'、'.join(SPANS)}", f"--span is one of {', '.join(SPANS)}"))
    at = day.date() if day is not None else today(datetime.now(UTC))
    return Wanted(at, None if scheme == "-" else scheme, known, payee)
