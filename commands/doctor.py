"""`tandem doctor`: what is wrong, and what to do."""

import asyncio
import json
from typing import Annotated

import typer

from commands.console import both, preferred_locale
from runtime.doctor import examine

_MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False) -> None:
    """检查安装、设置与服务，说明问题和解决办法 / say what is wrong and what to do."""
    findings = asyncio.run(examine())
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], ensure_ascii=False, indent=2))
    else:
        locale = preferred_locale()
        for finding in findings:
            typer.echo(f"{_MARKS[finding.status]} {finding.check:<18} {both(finding.message, locale)}")
            if finding.remedy:
                typer.echo(f"  {'':<18} → {both(finding.remedy, locale)}")
    if any(finding.status == "fail" for finding in findings):
        raise typer.Exit(1)
