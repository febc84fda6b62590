"""`tandem settle …`: schemes told back in words."""

import json
from pathlib import Path
from typing import Annotated

import typer

from commands.yaml_files import read_file
from domain.dsl.findings import Finding
from domain.dsl.source import SourceDocument, decode_source, read_source
from domain.problems import Text, ValidationProblem
from domain.resources import parse_resource, resource_kind
from domain.settlement.explanation import explained
from domain.settlement.scheme_reading import scheme_of
from runtime.settings_source import read_settings

settle = typer.Typer(help="结算 / settlement", no_args_is_help=True)
# Keeps it a group of commands even with a single one.
settle.callback()(lambda: None)


@settle.command("scheme")
def tell_scheme(
    file: Annotated[Path, typer.Argument(help="方案的 YAML 文件 / a YAML file with schemes")],
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """用白话复述方案，每项附算例 / tell a scheme back in plain words, with a worked example of each component."""
    text = decode_source(read_file(file))
    findings = [text] if isinstance(text, Finding) else []
    documents: list[SourceDocument] = []
    if isinstance(text, str):
        source = read_source(text)
        findings = list(source.findings)
        documents = [each for each in source.documents if resource_kind(each.data) == "scheme"]
    if findings or not documents:
        raise ValidationProblem(
            Text(
                f"{file} 里没有可读的方案（scheme: …）；请先用 tandem flow lint 检查",
                f"There is no scheme to read in {file} (`scheme: …`); check it by tandem flow lint first",
            ),
            findings=[found.as_dict(str(file)) for found in findings],
        )
    locale = read_settings().locale
    for place, document in enumerate(documents):
        resource = parse_resource("scheme", document.data)
        said = explained(scheme_of(resource.model_dump(mode="json", by_alias=True)))
        if as_json:
            typer.echo(json.dumps([each.as_dict() for each in said], ensure_ascii=False))
            continue
        if place:
            typer.echo()
        for each in said:
            typer.echo(each.zh if locale == "zh" else each.en)
