"""`tandem flow lint`, `schema` and `graph`: what can be said of a definition without running it."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from commands.catalog import whole_catalog
from commands.console import width_of
from commands.yaml_files import read_file, yaml_files
from domain.dsl.definition import Definition, DefinitionProblem, parse_definitions
from domain.dsl.findings import Finding, has_errors
from domain.dsl.graph import flow_graph
from domain.dsl.graph_mermaid import to_mermaid
from domain.dsl.graph_svg import to_svg
from domain.dsl.lint import LintResources, lint
from domain.dsl.schema import definition_schema
from domain.dsl.source import decode_source
from domain.problems import Text, ValidationProblem
from runtime.settings_source import read_settings

_COLOURS = {"error": typer.colors.RED, "warning": typer.colors.YELLOW, "info": typer.colors.BLUE}
_FAILED, _UNREADABLE = 1, 2


def lint_files(
    files: Annotated[list[Path], typer.Argument(help="YAML 文件或目录 · YAML files or folders")],
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """检查流程定义 · Check definitions. 有错误返回 1，无法读取返回 2 · exit 1 on errors, 2 on an unreadable file."""
    settings = read_settings()
    allowed = settings.http_allowed_hosts or None
    whole_catalog()
    reports: list[dict[str, Any]] = []
    failed = unreadable = False
    for path in yaml_files(files):
        raw = _content(path, settings.locale)
        if raw is None:
            unreadable = True
            continue
        text = decode_source(raw)
        resources = LintResources(file_name=path.name, allowed_hosts=allowed, level_limit=settings.level_limit)
        findings = [text] if isinstance(text, Finding) else lint(text, resources=resources)
        failed = failed or has_errors(findings)
        if as_json:
            reports += [found.as_dict(str(path)) for found in findings]
        else:
            lines = raw.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
            for found in findings:
                _show(str(path), found, lines, settings.locale)
    if as_json:
        typer.echo(json.dumps(reports, ensure_ascii=False, indent=2))
    raise typer.Exit(_UNREADABLE if unreadable else _FAILED if failed else 0)


def print_schema() -> None:
    """输出编辑器用的 JSON Schema · Print the JSON Schema for editors."""
    typer.echo(json.dumps(definition_schema(whole_catalog()), ensure_ascii=False, indent=2))


def draw_graph(
    file: Annotated[Path, typer.Argument(help="流程定义 YAML · the definition")],
    style: Annotated[
        Literal["mermaid", "svg"], typer.Option("--format", help="mermaid 或 svg · mermaid or svg")
    ] = "mermaid",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="写入文件 · write to a file")] = None,
    flow: Annotated[
        str | None, typer.Option("--flow", help="文件里有多份定义时选一份 · namespace/name of one in the file")
    ] = None,
) -> None:
    """画出流程图 · Draw the graph of a flow."""
    locale = read_settings().locale
    raw = _content(file, locale)
    if raw is None:
        raise typer.Exit(_UNREADABLE)
    text = decode_source(raw)
    if isinstance(text, Finding):
        _show(str(file), text, [], locale, err=True)
        raise typer.Exit(_FAILED)
    try:
        definition = _chosen(parse_definitions(text), flow)
    except DefinitionProblem as problem:
        for found in problem.findings:
            _show(str(file), found, text.splitlines(), locale, err=True)
        raise typer.Exit(_FAILED) from None
    if definition is None:
        _complain(
            Text(f"文件里没有流程 {flow}，请检查 --flow", f"There is no flow {flow} in the file; check --flow"),
            locale,
        )
        raise typer.Exit(_FAILED)
    graph = flow_graph(definition)
    drawing = to_svg(graph) if style == "svg" else to_mermaid(graph)
    if output is None:
        typer.echo(drawing)
        return
    try:
        output.write_text(drawing + "\n", encoding="utf-8")
    except OSError as error:
        _complain(Text(f"无法写入 {output}：{error.strerror}", f"{output} cannot be written: {error.strerror}"), locale)
        raise typer.Exit(_UNREADABLE) from None


def _chosen(definitions: tuple[Definition, ...], flow: str | None) -> Definition | None:
    if flow is None:
        return definitions[0]
    return next((found for found in definitions if f"{found.namespace}/{found.name}" == flow), None)


def _content(path: Path, locale: str) -> bytes | None:
    try:
        return read_file(path)
    except ValidationProblem as problem:
        _complain(problem.text, locale)
        return None


def _complain(text: Text, locale: str) -> None:
    for sentence in (text.zh, text.en) if locale == "zh" else (text.en, text.zh):
        typer.echo(sentence, err=True)


def _show(file: str, found: Finding, lines: list[str], locale: str, *, err: bool = False) -> None:
    """One finding: its place and sentence, the other language below, the author's line with a caret."""
    first, second = found.message if locale == "zh" else reversed(found.message)
    severity = typer.style(found.severity, fg=_COLOURS[found.severity], bold=True)
    typer.echo(f"{file}:{found.line}:{found.column}  {severity}  {found.code}  {first}", err=err)
    if second != first:
        typer.echo(f"    {second}", err=err)
    if 0 < found.line <= len(lines) and (line := lines[found.line - 1]).strip():
        before = line[: found.column - 1]
        typer.echo(f"    {line.expandtabs(1)}", err=err)
        typer.echo(f"    {' ' * width_of(before)}^", err=err)


__all__ = ["draw_graph", "lint_files", "print_schema"]
