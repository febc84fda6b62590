"""`tandem audit …`: whether the audit log is whole."""

from typing import Annotated

import typer

from commands.database import command_line_actor, say, with_database
from domain.problems import Text, ValidationProblem
from runtime.settings import Settings
from services.audit import AuditTrail
from storage.audit import ChainHead
from storage.engine import Database

audit = typer.Typer(help="审计日志 / audit log", no_args_is_help=True)

_MEANING = {
    "altered": Text("内容被改动", "its content was altered"),
    "missing": Text("记录被删除", "the entry is missing"),
    "broken": Text("与前一环不相连", "it does not follow from the one before"),
    "gap": Text("序号不连续", "positions are missing before it"),
    "unchained": Text("记录脱离了链", "the entry lost its place in the chain"),
    "truncated": Text("链尾被截断", "the end of the chain was cut off"),
    "unverifiable": Text("缺少验证所需的密钥", "the key to verify it is not in the settings"),
}


@audit.callback()
def _audit() -> None:
    """Keeps `tandem audit` a group of commands even with a single one."""


@audit.command("verify")
def verify(
    head: Annotated[
        str | None,
        typer.Option("--head", help="以前另存的链头 / a head kept elsewhere, as printed here"),
    ] = None,
) -> None:
    """验证整条审计链；发现篡改时退出码为 1 / verify the whole chain; exit 1 when something was changed."""
    known_head = None if head is None else _parse_head(head)

    async def work(database: Database, settings: Settings) -> bool:
        report = await AuditTrail(database).verify(command_line_actor(), known_head)
        for finding in report.findings:
            place = finding.entry_id or finding.position
            meaning = _MEANING[finding.kind]
            say(settings, Text(f"第 {finding.position or '-'} 环 {place}：{meaning.zh}", f"{place}: {meaning.en}"))
        if report.intact:
            whole = Text(
                f"审计链完好：已封 {report.sealed} 条，待封 {report.pending} 条",
                f"the chain is whole: {report.sealed} sealed, {report.pending} waiting",
            )
            say(settings, whole, err=True)
        if report.head:
            typer.echo(f"{report.head.position}:{report.head.seal.hex()}")
        return report.intact

    if not with_database(work):
        raise typer.Exit(1)


def _parse_head(text: str) -> ChainHead:
    position, _, seal = text.partition(":")
    try:
        return ChainHead(int(position), bytes.fromhex(seal))
    except ValueError:
        raise ValidationProblem(
            Text("--head 应为本命令打印的 序号:十六进制", "--head is what this command prints: position:hexadecimal")
        ) from None
