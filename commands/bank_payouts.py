"""`tandem settle bank-…`: the file that a bank is handed, and what it answers."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from commands.console import both
from commands.database import command_line_actor, say, with_database
from commands.yaml_files import read_file
from domain.access import Role
from domain.money import major_from_minor
from domain.problems import Text, ValidationProblem
from domain.settlement.bank_files import FileFormat
from runtime.settings import Settings
from services.bank_answers import AnswerOutcome, BankAnswers
from services.bank_payouts import BankPayouts
from storage.engine import Database

SHOWN = 20
Batch = Annotated[UUID, typer.Argument(help="付款批次的编号 / a batch's id")]
BankTable = Annotated[Path, typer.Argument(help="CSV 或 XLSX 文件 / a CSV or XLSX file", exists=True, dir_okay=False)]


def bank_file(
    batch: Batch,
    out: Annotated[Path, typer.Option("--out", help="写到哪里，.csv 或 .xlsx / where to, .csv or .xlsx")],
    number: Annotated[str | None, typer.Option("--number", help="此前的文件编号 / a file made before")] = None,
    reason: Annotated[str, typer.Option("--reason", help="为什么，写入审计 / why; it is audited")] = "银行付款",
) -> None:
    """把到期的银行付款写成文件；再次执行得到同一文件 / a file of what is due by bank; the same when done again."""
    form = _format_of(out)

    async def work(database: Database, settings: Settings) -> None:
        actor, payouts = command_line_actor(Role.FINANCE), BankPayouts(database)
        if number is None:
            made = await payouts.make(actor, batch)
            for code, why in sorted(made.withheld.items())[:SHOWN]:
                say(settings, Text(f"未写入 {code}：{why}", f"left out {code}: {why}"), err=True)
        elif number not in [each.row.number for each in await payouts.list(actor, batch)]:
            raise ValidationProblem(Text(f"批次里没有文件 {number}", f"The batch has no file {number}"))
        found = await payouts.export(actor, number or made.row.number, form, reason)
        try:
            out.write_bytes(found.content)
            out.chmod(0o600)
        except OSError as error:
            raise ValidationProblem(Text(f"无法写入：{error}", f"Cannot be written: {error}")) from None
        total = major_from_minor(found.row.total_minor, found.row.currency)
        said = f"{found.row.number}: {found.row.payouts} / {total} {found.row.currency}, {found.row.digest}"
        say(settings, Text(f"{said}（笔数 / 合计，摘要）→ {out}", f"{said} (payouts / sum, digest) → {out}"))

    with_database(work)


def bank_check(
    number: Annotated[str, typer.Argument(help="文件编号，如 B12-1 / the file's number")], file: BankTable
) -> None:
    """核对手上的付款文件有没有被改动 / whether a file at hand is still what was made."""
    content = read_file(file)

    async def work(database: Database, settings: Settings) -> None:
        row = await BankPayouts(database).check(command_line_actor(Role.FINANCE), number, content)
        say(settings, Text(f"与 {row.number} 一致", f"it is {row.number}, unchanged"))

    with_database(work)


def bank_answer(batch: Batch, file: BankTable) -> None:
    """导入银行结果，可重复；有错的行逐条列出 / take over a bank's answer; rows that are wrong are listed."""
    content = read_file(file)

    async def work(database: Database, settings: Settings) -> AnswerOutcome:
        outcome = await BankAnswers(database).import_answer(command_line_actor(Role.FINANCE), batch, content)
        for each in outcome.breaks[:SHOWN]:
            typer.echo(f"{each.error.line}  {each.number}  {both(each.error.reason, settings.locale)}", err=True)
        for error in outcome.errors[:SHOWN]:
            typer.echo(f"{error.line}  {error.column or '-'}  {both(error.reason, settings.locale)}", err=True)
        zh = f"成功 {outcome.paid}，失败 {outcome.failed}，此前已知 {outcome.known}，处理中 {outcome.pending}"
        en = f"{outcome.paid} paid, {outcome.failed} failed, {outcome.known} known before, {outcome.pending} pending"
        wrong = len(outcome.errors)
        say(
            settings,
            Text(
                f"{zh}；矛盾 {len(outcome.breaks)} 行，错误 {wrong} 行；还有 {outcome.open} 笔未答复",
                f"{en}; {len(outcome.breaks)} contradict, {wrong} are wrong; {outcome.open} are not answered",
            ),
        )
        return outcome

    outcome = with_database(work)
    if outcome.errors or outcome.breaks:
        raise typer.Exit(1)


def _format_of(out: Path) -> FileFormat:
    match out.suffix.lower():
        case ".csv":
            return "csv"
        case ".xlsx":
            return "xlsx"
    raise ValidationProblem(Text("文件名应以 .csv 或 .xlsx 结尾", "The file's name must end in .csv or .xlsx"))
