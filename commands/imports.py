"""`tandem import`: a table of orders, members or stock from a file, as records of an account."""

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from commands.console import both
from commands.database import command_line_actor, say, with_database
from connectors.loading import load_connectors
from domain.catalog import CATALOG
from domain.imports import RowError
from domain.imports.mapping import parse_mapping
from domain.problems import Text, ValidationProblem
from runtime.settings import Settings
from services.imports import ImportOutcome, Imports
from services.inbox_room import InboxRoom
from storage.engine import Database

SHOWN = 20
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def import_table(
    file: Annotated[Path, typer.Argument(help="CSV 或 XLSX 文件 / a CSV or XLSX file", exists=True, dir_okay=False)],
    mapping: Annotated[
        Path, typer.Option("--mapping", help="列映射（YAML）/ the mapping of its columns", exists=True, dir_okay=False)
    ],
    account: Annotated[str, typer.Option("--account", help="平台/账号，如 youzan/flagship / platform/account")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不保存 / check only, store nothing")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="错误报告；默认 FILE.errors.csv / where refused rows are listed")
    ] = None,
    from_line: Annotated[
        int, typer.Option("--from-line", min=0, help="从这一行继续 / pass over the rows before this line")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """导入表格：每行一条记录；可重复执行，已导入的不会重复 / import a table; doing it again doubles nothing."""
    columns = parse_mapping(_content(mapping), mapping.name)
    errors = _ErrorReport(report or file.with_name(f"{file.name}.errors.csv"))

    async def work(database: Database, settings: Settings) -> ImportOutcome:
        imports = Imports(database, load_connectors(CATALOG), InboxRoom(database, settings.inbox_lanes))
        with file.open("rb") as content, errors:
            outcome = await imports.run(
                command_line_actor(),
                account,
                columns,
                content,
                file.name,
                errors.add,
                dry_run=dry_run,
                from_line=from_line,
            )
        if as_json:
            shown = {**asdict(outcome), "report": str(errors.path) if errors.count else None}
            typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        else:
            _show(outcome, errors, settings)
        return outcome

    if with_database(work).refused:
        raise typer.Exit(1)


class _ErrorReport:
    """Refused rows as CSV that spreadsheets open rightly; the file is made when there is something to tell."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.first: list[RowError] = []
        self._file: TextIO | None = None
        self._writer: Any = None

    def __enter__(self) -> "_ErrorReport":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, error: RowError) -> None:
        if self._file is None:
            try:
                self._file = self.path.open("w", encoding="utf-8-sig", newline="")
            except OSError as failure:
                raise ValidationProblem(
                    Text(f"无法写入报告 {self.path}：{failure}", f"The report {self.path} cannot be written: {failure}")
                ) from None
            self._writer = csv.writer(self._file)
            self._writer.writerow(["line", "column", "原因", "reason"])
        self._writer.writerow([error.line, _harmless(error.column), error.reason.zh, error.reason.en])
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(error)


def _harmless(title: str) -> str:
    """A title that no spreadsheet takes for a formula."""
    return f"'{title}" if title.startswith(_FORMULA_STARTS) else title


def _show(outcome: ImportOutcome, errors: _ErrorReport, settings: Settings) -> None:
    for error in errors.first:
        place = f"{error.line}  {error.column or '-'}"
        typer.echo(f"{place}  {both(error.reason, settings.locale)}", err=True)
    if errors.count:
        where = Text(f"共 {errors.count} 处错误，见 {errors.path}", f"{errors.count} errors, see {errors.path}")
        say(settings, where, err=True)
    read = f"{outcome.rows} / {outcome.records}"
    if outcome.dry_run:
        done = Text(
            f"检查完毕，未保存：{read} 行/记录可导入，{outcome.refused} 条被拒",
            f"checked, nothing stored: {read} rows/records are good, {outcome.refused} refused",
        )
    else:
        done = Text(
            f"已导入 {outcome.new} 条（此前已有 {outcome.known} 条，被拒 {outcome.refused} 条；{read} 行/记录）",
            f"{outcome.new} imported ({outcome.known} known before, {outcome.refused} refused; {read} rows/records)",
        )
    say(settings, done)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ValidationProblem(Text(f"无法读取：{error}", f"Cannot be read: {error}")) from None
