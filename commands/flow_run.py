"""`tandem flow run`: a flow from its file to its end, on the virtual clock or on Temporal."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from commands.catalog import whole_catalog
from commands.console import both, preferred_locale
from commands.yaml_files import read_file
from domain.catalog.web import HTTP_CALL, OPENAPI_CALL
from domain.dsl.definition import Definition, DefinitionProblem, parse_definitions
from domain.dsl.dry_run import Perform, RunResult, Scenario, TimedEvent, dry_run
from domain.dsl.durations import parse_duration
from domain.dsl.findings import Finding
from domain.dsl.host import CallRequest
from domain.dsl.program import Program
from domain.dsl.secrets import reveal
from domain.dsl.source import decode_source, read_source
from domain.events import Event
from domain.problems import AuthorizationProblem, Text, ValidationProblem
from runtime.settings import FLOW_RUN_PREFIX, Settings
from runtime.settings_source import read_settings


def run_flow(
    file: Annotated[Path, typer.Argument(help="流程定义 YAML · the definition")],
    flow_input: Annotated[
        str | None, typer.Option("--input", help="输入的 JSON/YAML 文件，- 为标准输入 · input file, - for stdin")
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", help="带时间偏移的事件列表 · CloudEvents with offsets")
    ] = None,
    host: Annotated[
        Literal["local", "temporal"], typer.Option("--host", help="local 为虚拟时钟 · local is the virtual clock")
    ] = "local",
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """运行一个流程直到结束 · Run a flow to its end."""
    try:
        definitions = parse_definitions(_read(file))
        scenario_input = None if flow_input is None else _load(flow_input)
        timed = () if events is None else read_events(_load(str(events)))
        result = _run(definitions, scenario_input, timed, host)
    except DefinitionProblem as error:
        for found in error.findings:
            place = f"{file}:{found.line}:{found.column}  {found.severity}  {found.code}"
            typer.echo(f"{place}  {both(found.message, preferred_locale())}", err=True)
        raise typer.Exit(1) from None
    _print(result, as_json=as_json)
    raise typer.Exit(0 if result.status == "completed" else 1)


def _run(definitions: Sequence[Definition], flow_input: Any, events: tuple[TimedEvent, ...], host: str) -> RunResult:
    """http and openapi calls are real on both hosts; other calls answer with the example of their declaration."""
    settings = read_settings()
    programs = {f"{found.namespace}/{found.name}": Program(found.flow, found.data) for found in definitions}
    program = next(iter(programs.values()))
    values = _secrets_of_environment(program)
    secrets = {name: None if isinstance(value, str) else tuple(value) for name, value in values.items()}
    perform = _performer(settings, values)
    if host == "local":
        scenario = Scenario(
            flow_input, events, start=datetime.now(UTC), secrets=secrets, flows=programs, perform=perform
        )
        return dry_run(program, whole_catalog(), scenario)
    # Imported here: a local run must not wait for Temporal's client to load.
    from commands.flow_run_temporal import run_on_temporal

    return asyncio.run(run_on_temporal(definitions, flow_input, events, secrets, perform))


def read_events(content: Any) -> tuple[TimedEvent, ...]:
    """A list of `{after, event}`, or of events with an `offset` beside their attributes.

    `after` and `offset` are ISO 8601 durations or seconds. Raises ValidationProblem that names the entry.
    """
    if not isinstance(content, list):
        raise ValidationProblem(Text("事件文件应为列表", "The events file must be a list"))
    return tuple(_timed(number, entry) for number, entry in enumerate(content))


def _timed(number: int, entry: Any) -> TimedEvent:
    try:
        attributes = dict(entry.get("event", entry))
        after = entry.get("after", attributes.pop("offset", 0))
        attributes.setdefault("id", f"event-{number}")
        attributes.setdefault("source", "/events-file")
        length = timedelta(seconds=after) if isinstance(after, int | float) else parse_duration(after)
        return TimedEvent(length, Event.model_validate(attributes))
    except (ValidationError, TypeError, AttributeError) as error:
        raise ValidationProblem(
            Text(
                f"事件文件第 {number + 1} 项有误：应为 {{after: PT1H, event: {{type: …, data: …}}}}",
                f"Entry {number + 1} of the events file is wrong: write {{after: PT1H, event: {{type: …, data: …}}}}",
            )
        ) from error


def _performer(settings: Settings, secrets: dict[str, Any]) -> Perform:
    def lookup(name: str, member: str | None) -> str:
        value = secrets[name] if member is None else secrets[name][member]
        return str(value)

    async def web(request: CallRequest, arguments: Any) -> Any:
        # Imported here: most flows make no web call.
        from connectors.web.caller import WebCaller
        from connectors.web.guard import WebSettings

        caller = WebCaller(WebSettings(settings.http_allowed_hosts, settings.http_allow_private))
        try:
            if request.call.name == HTTP_CALL.name:
                typed = HTTP_CALL.parse_arguments(arguments)
                return await caller.call_http(typed, idempotency_key=request.idempotency_key)
            operation = OPENAPI_CALL.parse_arguments(arguments)
            return await caller.call_openapi(operation, idempotency_key=request.idempotency_key)
        finally:
            await caller.aclose()

    def perform(request: CallRequest) -> Any:
        if request.call.name not in (HTTP_CALL.name, OPENAPI_CALL.name):
            return dict(request.call.example)
        return asyncio.run(web(request, reveal(dict(request.arguments), lookup)))

    return perform


def _secrets_of_environment(program: Program) -> dict[str, Any]:
    """Secrets for a local run: `TANDEM_SECRET_REPORT_SERVICE` for `report-service`, JSON for one with members."""
    secrets: dict[str, Any] = {}
    for name in program.flow.use.secrets:
        variable = FLOW_RUN_PREFIX + name.upper().replace("-", "_").replace(".", "_")
        text = os.environ.get(variable)
        if text is None:
            raise AuthorizationProblem(
                Text(
                    f"本地运行需要密钥“{name}”：请设置环境变量 {variable}",
                    f"A local run needs the secret “{name}”: set {variable}",
                )
            )
        try:
            secrets[name] = json.loads(text) if text.startswith("{") else text
        except ValueError:
            raise ValidationProblem(
                Text(f"环境变量 {variable} 不是有效的 JSON", f"The variable {variable} is no valid JSON")
            ) from None
    return secrets


def _read(path: Path) -> str:
    text = decode_source(read_file(path))
    if isinstance(text, Finding):
        raise ValidationProblem(Text(f"{path}：{text.message.zh}", f"{path}: {text.message.en}"))
    return text


def _load(source: str) -> Any:
    text = sys.stdin.read() if source == "-" else _read(Path(source))
    try:
        return json.loads(text)
    except ValueError:
        return _load_yaml(text, source)


def _load_yaml(text: str, source: str) -> Any:
    content = read_source(text)
    broken = next((found for found in content.findings if found.severity == "error"), None)
    if broken is not None:
        raise ValidationProblem(
            Text(
                f"{source} 第 {broken.line} 行：{broken.message.zh}",
                f"{source}, line {broken.line}: {broken.message.en}",
            )
        )
    return content.documents[0].data if content.documents else None


def _print(result: RunResult, *, as_json: bool) -> None:
    tasks = [
        {key: task[key] for key in ("name", "reference", "status", "startedAt", "endedAt")} for task in result.tasks
    ]
    if as_json:
        content = {"status": result.status, "output": result.output, "error": result.error, "tasks": tasks}
        typer.echo(json.dumps(content, ensure_ascii=False, indent=2))
        return
    for task in tasks:
        typer.echo(f"{task['startedAt']}  {task['status']:<10} {task['name']:<24} {task['reference']}")
    ending = result.output if result.error is None else result.error
    typer.echo(f"{result.status}  {json.dumps(ending, ensure_ascii=False)}")
