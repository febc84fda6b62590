"""Tasks that reach outside the flow: `call`, `emit`, `run`, and the calls that Tandem itself answers.

Source: Serverless Workflow DSL 1.0.3, "Call", "Emit", "Run"; `domain.catalog.flow`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.calendar import next_moment
from domain.calls import AnyCall
from domain.catalog.flow import (
    HUMAN_TASK,
    SPLIT,
    WAIT_FOR,
    WAIT_UNTIL,
    HumanTaskArguments,
    SplitArguments,
    WaitForArguments,
    WaitUntilArguments,
)
from domain.catalog.web import HTTP_CALL, OPENAPI_CALL, expand_uri
from domain.correlation import matches
from domain.dsl.authentication import authorization, resolve_authentication
from domain.dsl.concurrency import first_of
from domain.dsl.durations import parse_duration
from domain.dsl.execution import END, Execution, Raw
from domain.dsl.host import CallRequest, ChildFlowRequest, HumanTaskRequest
from domain.dsl.model import CallTask, EmitTask, EventFilter, EventProperties, RunTask
from domain.events import Event, rfc3339
from domain.journeys.split import choose_branch
from domain.problems import ConfigurationProblem, Text, ValidationProblem

if TYPE_CHECKING:
    from domain.dsl.interpreter import Interpreter

_CALLS_OF_FLOWS = {HUMAN_TASK.name, WAIT_FOR.name, WAIT_UNTIL.name, SPLIT.name}


async def call(interpreter: "Interpreter", execution: Execution, task: CallTask) -> Raw:
    """The result of a function of this definition, of Tandem's own, or of a capability outside."""
    function = interpreter.program.functions.get(task.call)
    if function is not None:
        path = f"{execution.path}/function:{function.name}"
        resumed = path in interpreter.state.frames
        arguments = None if resumed else interpreter.render(task.with_, execution, secrets=True)
        outcome = await interpreter.execute(function, arguments, path, execution.variables)
        return Raw(outcome.output, END if outcome.directive == END else None)
    declaration = interpreter.resolve_call(task.call)
    if declaration.name in (HTTP_CALL.name, OPENAPI_CALL.name):
        arguments = _web_arguments(interpreter, execution, task.with_, declaration)
    else:
        arguments = interpreter.render(task.with_, execution, secrets=True)
    if declaration.name in _CALLS_OF_FLOWS:
        return Raw(await _own_call(declaration, arguments, interpreter, execution))
    declaration.parse_arguments(arguments)
    key = f"{interpreter.descriptor.id}{execution.path}"
    result = await interpreter.host.call(CallRequest(declaration, arguments, execution.site, key))
    interpreter.pace.waited()
    return Raw(result)


async def emit(interpreter: "Interpreter", execution: Execution, _task: EmitTask) -> Raw:
    """The event that was published; id and time are filled in when the author left them out."""
    properties = interpreter.render(execution.node.data["emit"]["event"]["with"], execution)
    properties.setdefault("id", interpreter.lasting_id(execution.path, "event"))
    properties.setdefault("time", rfc3339(interpreter.host.now()))
    try:
        event = Event.model_validate(properties)
    except ValueError as error:
        raise ValidationProblem(
            Text(f"emit 的事件不完整：{error}", f"The event to emit is not complete: {error}")
        ) from None
    await interpreter.host.emit(event, execution.site)
    return Raw({**event.envelope(), "time": properties["time"]})


async def run(interpreter: "Interpreter", execution: Execution, task: RunTask) -> Raw:
    """The output of another flow, nothing with `return: none`; the input goes through when it is not awaited."""
    child = task.run.workflow
    if child is None:
        raise ConfigurationProblem(
            Text(
                "不支持 run.script、run.shell、run.container：请改用 call 或子流程",
                "run.script, run.shell and run.container are refused: use a call or a child flow",
            )
        )
    child_input = execution.node.data["run"]["workflow"].get("input", {})
    rendered = interpreter.render(child_input, execution) if child_input else execution.input
    interpreter.report(execution, "waiting")
    output = await interpreter.host.child_flow(
        ChildFlowRequest(
            id=interpreter.fresh_id(execution.path, "child"),
            namespace=child.namespace,
            name=child.name,
            version=child.version,
            input=rendered,
            awaited=task.run.await_,
            site=execution.site,
        )
    )
    interpreter.pace.waited()
    if not task.run.await_:
        return Raw(execution.input)
    return Raw(None if task.run.return_ == "none" else output)


async def _own_call(
    declaration: AnyCall, arguments: Mapping[str, Any], interpreter: "Interpreter", execution: Execution
) -> Any:
    match declaration.parse_arguments(arguments):
        case HumanTaskArguments() as human_task:
            interpreter.report(execution, "waiting")
            identity = interpreter.fresh_id(execution.path, "human-task")
            form = await interpreter.host.human_task(HumanTaskRequest(identity, human_task, execution.site))
            interpreter.pace.waited()
            return form
        case WaitForArguments() as wait:
            return await _wait_for(wait, interpreter, execution)
        case WaitUntilArguments() as wait:
            if "until" not in execution.frame:
                execution.frame["until"] = rfc3339(next_moment(wait, interpreter.host.now()))
            interpreter.report(execution, "waiting")
            await interpreter.sleep(execution.frame["until"], execution)
            return {"reached": execution.frame["until"]}
        case SplitArguments() as split:
            return {"branch": choose_branch(split, interpreter.descriptor.subject)}
        case other:
            raise ConfigurationProblem(f"{type(other).__name__} is no call of flows")


async def _wait_for(wait: WaitForArguments, interpreter: "Interpreter", execution: Execution) -> dict[str, Any]:
    frame = execution.frame
    if "until" not in frame:
        frame["until"] = rfc3339(interpreter.host.now() + parse_duration(wait.timeout))
    filters = {
        name: EventFilter(with_=EventProperties.model_validate(event.model_dump(exclude_none=True)))
        for name, event in wait.events.items()
    }

    def evaluate(text: str, value: Any) -> Any:
        return interpreter.evaluate(text, execution, value)

    came = ""

    def is_awaited(event: Event) -> bool:
        nonlocal came
        came = next((name for name, wanted in filters.items() if matches(wanted, event, evaluate)), "")
        return came != ""

    interpreter.report(execution, "waiting")
    in_time, event = await first_of(
        interpreter.receive(is_awaited, execution), interpreter.sleep(frame["until"], execution)
    )
    return {"came": came, "event": event.data} if in_time and event is not None else {"came": "timeout", "event": None}


def _web_arguments(
    interpreter: "Interpreter", execution: Execution, template: dict[str, Any], declaration: AnyCall
) -> dict[str, Any]:
    """The arguments of an http or openapi call: URI templates filled from the input, credentials resolved."""
    arguments: dict[str, Any] = interpreter.render(template, execution, secrets=True)
    values = execution.input if isinstance(execution.input, dict) else {}
    values = {**values, **{name: value for name, value in execution.variables.items() if name not in values}}

    def endpoint(place: Any) -> dict[str, Any]:
        target: dict[str, Any] = {"uri": place} if isinstance(place, str) else dict(place or {})
        if isinstance(target.get("uri"), str):
            target["uri"] = expand_uri(target["uri"], values)
        if target.get("authentication") is not None:
            target["authentication"] = authenticate(target["authentication"])
        return target

    def authenticate(policy: Any) -> dict[str, Any]:
        if isinstance(policy, str):
            policy = {"use": policy}
        use = interpreter.program.data.get("use") or {}
        reusable = interpreter.render(use.get("authentications") or {}, execution, secrets=True)
        resolved = resolve_authentication(policy, reusable, interpreter.allowed_secrets)
        execution.authorization = authorization(resolved)
        return resolved

    if declaration.name == HTTP_CALL.name:
        arguments["endpoint"] = endpoint(arguments.get("endpoint"))
    else:
        document = dict(arguments.get("document") or {})
        document["endpoint"] = endpoint(document.get("endpoint"))
        arguments["document"] = document
        if arguments.get("authentication") is not None:
            arguments["authentication"] = authenticate(arguments["authentication"])
    return arguments
