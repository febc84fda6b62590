"""`tandem flow push`: definitions from a folder into the running Tandem, all or none."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.console import both
from commands.database import command_line_actor
from commands.yaml_files import read_file, yaml_files
from domain.dsl.findings import Finding
from domain.dsl.source import decode_source
from domain.problems import ProblemError, Text, ValidationProblem
from runtime.application import Application
from runtime.configuration import connected_settings
from services.definition_sources import SourceText
from services.tag_trials import TRIED_KINDS


def push(
    places: Annotated[list[Path], typer.Argument(help="YAML 文件或目录 / YAML files or folders")],
    publish: Annotated[bool, typer.Option("--publish", help="上传后发布 / publish after the upload")] = False,
    release: Annotated[
        float | None,
        typer.Option(
            "--release",
            min=0,
            max=100,
            help="放量百分比：流程按新运行，标签规则与分级按客户 / "
            "release flows to this share of new runs, tag rules and gradings to this share of customers",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """上传定义，有一处错误则全部不变 / upload definitions; one error and nothing changes."""
    settings = connected_settings()

    async def run(texts: Sequence[SourceText]) -> list[dict[str, Any]]:
        application = await Application.connect(settings)
        try:
            return await _push(application, texts, publish=publish or release is not None, share=release)
        finally:
            await application.close()

    try:
        outcomes = asyncio.run(run(read_texts(places)))
    except ProblemError as error:
        findings = error.problem.as_dict().get("findings")
        if not findings:
            raise
        _show_findings(findings, settings.locale)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(outcomes, ensure_ascii=False, indent=2))
        return
    for outcome in outcomes:
        typer.echo(f"{outcome['outcome']:<10} {outcome['definition']:<44} {outcome['digest'][:19]}  {outcome['state']}")


def read_texts(places: Sequence[Path]) -> list[SourceText]:
    """Every YAML file of the places. Raises ValidationProblem when one cannot be read or there is none."""
    texts: list[SourceText] = []
    findings: list[dict[str, Any]] = []
    for file in yaml_files(places):
        text = decode_source(read_file(file))
        if isinstance(text, Finding):
            findings.append(text.as_dict(str(file)))
        else:
            texts.append(SourceText(str(file), text))
    if findings:
        raise ValidationProblem(
            Text("有文件不是 UTF-8 编码", "There are files that are not encoded in UTF-8"), findings=findings
        )
    if not texts:
        raise ValidationProblem(Text("没有找到 YAML 文件", "There are no YAML files here"))
    return texts


async def _push(
    application: Application, texts: Sequence[SourceText], *, publish: bool, share: float | None
) -> list[dict[str, Any]]:
    actor = command_line_actor()
    outcomes = []
    for uploaded in await application.definitions.upload(actor, texts):
        version = uploaded.version
        state = "draft"
        if share is not None and version.kind in TRIED_KINDS:
            await application.tag_trials.release(actor, version.kind, version.name, version.version, share)
            state = f"released {share:g} %"
        elif publish:
            await application.definitions.publish(
                actor, (version.kind, version.namespace, version.name, version.version)
            )
            state = "published"
        if share is not None and version.kind == "flow":
            await application.releases.release(actor, version.namespace, version.name, version.version, share)
            state = f"released {share:g} %"
        outcomes.append(
            {
                "file": uploaded.file,
                "definition": version.label,
                "digest": version.digest,
                "outcome": uploaded.outcome,
                "state": state,
                "warnings": list(uploaded.warnings),
            }
        )
    return outcomes


def _show_findings(findings: Sequence[dict[str, Any]], locale: str) -> None:
    for found in findings:
        place = f"{found['file']}:{found['line']}:{found['column']}  {found['severity']}  {found['code']}"
        message = Text(found["message"]["zh"], found["message"]["en"])
        typer.echo(f"{place}  {both(message, locale)}", err=True)
