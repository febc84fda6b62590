"""Walks a program: the order of tasks, the flow of data, errors and time, exactly as the specification says.

It has no clock, no random and no I/O of its own: everything outside goes through the `Host`, so the same code runs a
flow durably in Temporal and dry in milliseconds. What each kind of task does is in `domain.dsl.tasks`.

Source: Serverless Workflow DSL 1.0.3, "Data Flow", "Task Flow", "Fault Tolerance".
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.calls import AnyCall, Catalog
from domain.dsl import descriptors
from domain.dsl.authentication import resolve_authentication
from domain.dsl.concurrency import first_of
from domain.dsl.durations import parse_duration
from domain.dsl.execution import CONTINUE, END, Execution, Outcome, Raw, Variables
from domain.dsl.expressions import compile_condition, compile_template
from domain.dsl.extensions import perform_extended
from domain.dsl.host import CallRequest, Host, RunDescriptor, TaskChange, TaskSite, TaskStatus
from domain.dsl.model import Duration, DurationFields, Endpoint, Export, Input, Output, Timeout
from domain.dsl.pace import Pace
from domain.dsl.program import Node, Program
from domain.dsl.run_state import RunState
from domain.dsl.schemas import validate
from domain.dsl.secrets import secret_variables
from domain.dsl.tasks import TASKS
from domain.events import Event, rfc3339
from domain.ids import derived_id
from domain.problems import (
    AuthorizationProblem,
    ConfigurationProblem,
    ProblemError,
    Text,
    TimeoutProblem,
)


class Interpreter:
    """One run of one program on one host."""

    def __init__(
        self, program: Program, host: Host, run: RunDescriptor, catalog: Catalog, state: RunState | None = None
    ) -> None:
        """`state` is where an earlier execution of the same run stopped."""
        self.program = program
        self.host = host
        self.descriptor = run
        self.catalog = catalog
        self.state = state or RunState()
        self._workflow: dict[str, Any] = {}
        self.allowed_secrets = {name: run.secrets[name] for name in program.flow.use.secrets if name in run.secrets}
        self._secrets = secret_variables(self.allowed_secrets)
        self.pace = Pace(host, self.state)

    async def run(self, flow_input: Any) -> Any:
        """The transformed output of the flow. Raises the ProblemError that nothing in the flow caught."""
        state, flow = self.state, self.program.flow
        if not state.begun:
            state.input = flow_input
        self._workflow = descriptors.workflow(self.descriptor, self.program.data, state.input)
        if not state.begun:
            self._check_secrets()
            transformed = await self._take_in(flow.input, state.input, "/input", self._workflow_variables(secrets=True))
            state.context = transformed
            timeout = self._timeout(flow.timeout, transformed, {})
            state.allowance_s = timeout.total_seconds() if timeout is not None else None
            state.begun = True
            value = transformed
        else:
            value = None  # the open frames know how far it got
        if state.deadline is None and state.allowance_s is not None:
            state.deadline = rfc3339(self.host.now() + timedelta(seconds=state.allowance_s))
        if state.result is None:
            site = TaskSite("timeout", "/timeout", "/timeout")
            raw = await self.within(self.scope(self.program.tasks, value, "/do", {}), state.deadline, site)
            state.result = [raw.output]
        return await self._give_out(flow.output, state.result[0], "/output", self._workflow_variables())

    async def fetch_schema(self, endpoint: Endpoint | str) -> Any:
        """The JSON Schema at an address, fetched like any http call, with its authentication."""
        uri = endpoint if isinstance(endpoint, str) else endpoint.uri
        target: dict[str, Any] = {"uri": uri}
        if isinstance(endpoint, Endpoint) and endpoint.authentication is not None:
            policies = {
                "own": endpoint.authentication.model_dump(by_alias=True, exclude_unset=True),
                "reusable": (self.program.data.get("use") or {}).get("authentications") or {},
            }
            template = compile_template(policies, mode=self.program.flow.evaluate.mode)
            found = template.run(None, self._workflow_variables(secrets=True), self.pace.meter())
            target["authentication"] = resolve_authentication(found["own"], found["reusable"], self.allowed_secrets)
        site = TaskSite("schema", "/schema", f"/schema/{uri}")
        call = self.resolve_call("http")
        request = CallRequest(call, {"method": "get", "endpoint": target}, site, f"{self.descriptor.id}/{uri}")
        return await self.host.call(request)

    async def scope(self, nodes: tuple[Node, ...], scope_input: Any, path: str, variables: Variables) -> Raw:
        """Run a list of tasks in order; its output is the last task's, its directive END when one of them said so."""
        frame = self.state.frame(path)
        if not frame:
            frame.update(index=0, step=0, value=scope_input)
        while frame["index"] < len(nodes):
            node = nodes[frame["index"]]
            outcome = await self.execute(node, frame["value"], f"{path}/{frame['step']}:{node.name}", variables)
            match outcome.directive:
                case "continue":
                    following = frame["index"] + 1
                case "exit" | "end":
                    following = len(nodes)
                case target:
                    following = _index_of(target, nodes, node)
            frame.update(index=following, step=frame["step"] + 1, value=outcome.output)
            if outcome.directive == END:
                self.state.close(path)
                return Raw(outcome.output, END)
        self.state.close(path)
        return Raw(frame["value"])

    async def execute(
        self, node: Node, raw_input: Any, path: str, variables: Variables, *, extended: Execution | None = None
    ) -> Outcome:
        """Execute one task at a path of its own. `extended` is the task that an extension's task belongs to."""
        site = TaskSite(node.name, node.reference, path)
        resumed = path in self.state.frames
        await self.pace.pause()
        if not resumed:
            await self.host.checkpoint(site)
        self.pace.count_task(node.reference)
        frame = self.state.frame(path)
        execution = Execution(node, site, frame, variables)
        if not resumed:
            frame.update(rawInput=raw_input, startedAt=rfc3339(self.host.now()))
        execution.descriptor = extended.descriptor if extended else descriptors.task(node, frame)
        try:
            if node.task.if_ is not None and not frame.get("admitted"):
                if not self.condition(node.task.if_, execution, frame["rawInput"]):
                    self.report(execution, "skipped")
                    self.state.close(path)
                    return Outcome(frame["rawInput"], CONTINUE)
                frame["admitted"] = True
            if not resumed or frame.pop("retaken", False):
                self.report(execution, "running")
            outcome = await self._perform_in_time(execution)
        except ProblemError as error:
            located = _located(error, node)
            self.report(execution, "faulted", error=located.problem.as_dict())
            if located is error:
                raise
            raise located from error
        except asyncio.CancelledError:
            self.report(execution, "cancelled")
            raise
        self.state.close(path)
        self.report(execution, "completed")
        return outcome

    def report(
        self, execution: Execution, status: TaskStatus, *, attempt: int = 1, error: Mapping[str, Any] | None = None
    ) -> None:
        """Tell the host that a task entered another status."""
        keyword = execution.node.task.keyword
        self.host.report(TaskChange(execution.site, keyword, status, self.host.now(), attempt, error))

    async def sleep(self, instant: str, execution: Execution) -> None:
        """Return at an instant (RFC 3339)."""
        moment = datetime.fromisoformat(instant)
        if moment > self.host.now():
            await self.host.sleep_until(moment, execution.site)
            self.pace.waited()

    async def receive(self, matches: Callable[[Event], bool], execution: Execution) -> Event:
        """The next event that reached this run and matches."""
        event = await self.host.receive(matches, execution.site, self.pace.pause)
        self.pace.waited()
        return event

    def variables(
        self, execution: Execution, *, secrets: bool = False, output: tuple[Any] | None = None
    ) -> dict[str, Any]:
        """The `$` variables at a task, as the specification tables them; loop and catch variables included."""
        variables = {
            **execution.variables,
            "context": self.state.context,
            "input": execution.frame.get("input"),
            "task": execution.descriptor,
            "workflow": self._workflow,
            "runtime": descriptors.RUNTIME,
            "authorization": execution.authorization,
        }
        if secrets:
            variables["secrets"] = self._secrets
        if output is not None:
            variables["output"] = output[0]
        return variables

    def condition(self, text: str, execution: Execution, value: Any, extra: Variables | None = None) -> bool:
        """The truth of a condition over `value`, with further variables when given."""
        variables = self.variables(execution)
        if extra:
            variables.update(extra)
        return compile_condition(text).holds(value, variables, self.pace.meter())

    def evaluate(self, text: str, execution: Execution, value: Any, extra: Variables | None = None) -> Any:
        """The result of an expression over `value`, `${ }` around it or not."""
        variables = self.variables(execution)
        if extra:
            variables.update(extra)
        return compile_condition(text).run(value, variables, self.pace.meter())

    def render(self, structure: Any, execution: Execution, *, secrets: bool = False) -> Any:
        """A structure of the definition with its expressions evaluated over the transformed input."""
        template = self.program.template(structure)
        return template.run(execution.input, self.variables(execution, secrets=secrets), self.pace.meter())

    def length(self, duration: Duration, execution: Execution, extra: Variables | None = None) -> timedelta:
        """A duration of the task, expressions evaluated, with further variables when given."""
        return self._length(duration, execution.input, {**self.variables(execution), **(extra or {})})

    def lasting_id(self, path: str, purpose: str) -> str:
        """An id for an effect at a path: the same however often the path is taken."""
        return derived_id(self.descriptor.id, path, purpose)

    def fresh_id(self, path: str, purpose: str) -> str:
        """An id for an effect at a path: another one each time the path is taken again, by a retry of a `try` around it
        or of the whole run."""
        rounds = sorted(
            f"{place}#{frame['attempt']}"
            for place, frame in self.state.frames.items()
            if frame.get("attempt", 1) > 1 and path.startswith(f"{place}/")
        )
        return derived_id(self.descriptor.id, path, purpose, str(self.descriptor.attempt), *rounds)

    def resolve_call(self, name: str) -> AnyCall:
        """The capability of that name. Raises ConfigurationProblem when there is none."""
        call = self.catalog.resolve(name)
        if call is None:
            raise ConfigurationProblem(Text(f"没有名为“{name}”的调用", f"There is no call named “{name}”"), call=name)
        return call

    async def _perform_in_time(self, execution: Execution) -> Outcome:
        timeout = execution.node.task.timeout
        if timeout is None:
            return await self._perform(execution)
        frame = execution.frame
        if "deadline" not in frame:
            variables = self.variables(execution)
            length = self._timeout(timeout, frame["rawInput"], variables)
            frame["deadline"] = rfc3339(self.host.now() + length) if length is not None else None
        outcome: Outcome = await self.within(self._perform(execution), frame["deadline"], execution.site)
        return outcome

    async def _perform(self, execution: Execution) -> Outcome:
        node, frame, task = execution.node, execution.frame, execution.node.task
        if "input" not in frame:
            variables = self.variables(execution, secrets=True)
            frame["input"] = await self._take_in(task.input, frame["rawInput"], f"{node.reference}/input", variables)
        if "raw" in frame:
            raw = Raw(*frame["raw"])  # done before; only its output was not accepted
        elif node.extensible and self.program.extensions:
            raw = await perform_extended(self, execution)
        else:
            raw = await TASKS[type(task)](self, execution, task)
        if execution.descriptor is not None:
            execution.descriptor["output"] = raw.output
        output = raw.output
        try:
            if task.output is not None:
                variables = self.variables(execution)
                output = await self._give_out(task.output, raw.output, f"{node.reference}/output", variables)
            if task.export is not None:
                await self.export(task.export, output, execution)
        except ProblemError:
            frame["raw"] = list(raw)
            raise
        return Outcome(output, raw.directive or task.then or CONTINUE)

    async def export(self, export: Export, output: Any, execution: Execution, extra: Variables | None = None) -> None:
        """Replace `$context` as an `export` says, with further variables when given."""
        context = self.state.context
        if export.as_ is not None:
            variables = {**self.variables(execution, output=(output,)), **(extra or {})}
            context = self._transform(export.as_, output, variables)
        if export.schema_ is not None:
            await validate(export.schema_, context, f"{execution.node.reference}/export", self)
        self.state.context = context

    async def transform_output(self, output: Output, value: Any, execution: Execution, extra: Variables) -> Any:
        """An `output` applied to a value, with further variables."""
        variables = {**self.variables(execution), **extra}
        return await self._give_out(output, value, f"{execution.node.reference}/output", variables)

    async def _take_in(self, source: Input | None, value: Any, reference: str, variables: Variables) -> Any:
        if source is None:
            return value
        if source.schema_ is not None:
            await validate(source.schema_, value, reference, self)
        return value if source.from_ is None else self._transform(source.from_, value, variables)

    async def _give_out(self, sink: Output | None, value: Any, reference: str, variables: Variables) -> Any:
        if sink is None:
            return value
        result = value if sink.as_ is None else self._transform(sink.as_, value, variables)
        if sink.schema_ is not None:
            await validate(sink.schema_, result, reference, self)
        return result

    def _transform(self, transformation: Any, value: Any, variables: Variables) -> Any:
        if isinstance(transformation, str):
            return compile_condition(transformation).run(value, variables, self.pace.meter())
        return self.program.template(transformation).run(value, variables, self.pace.meter())

    def _workflow_variables(self, *, secrets: bool = False) -> dict[str, Any]:
        variables = {"context": self.state.context, "workflow": self._workflow, "runtime": descriptors.RUNTIME}
        if secrets:
            variables["secrets"] = self._secrets
        return variables

    async def within(self, work: Awaitable[Any], deadline: str | None, site: TaskSite) -> Any:
        """The result of the work when it ends before an instant (RFC 3339), if any. Raises TimeoutProblem."""
        if deadline is None:
            return await work
        instant = datetime.fromisoformat(deadline)
        in_time, result = await first_of(_as_coroutine(work), self.host.sleep_until(instant, site))
        if not in_time:
            raise TimeoutProblem(
                Text(f"任务“{site.name}”在期限内没有完成", f"“{site.name}” did not finish in time"),
                instance=site.reference,
            )
        return result

    def _timeout(self, timeout: Timeout | str | None, value: Any, variables: Variables) -> timedelta | None:
        if isinstance(timeout, str):
            named = self.program.flow.use.timeouts.get(timeout)
            if named is None:
                raise ConfigurationProblem(
                    Text(f"use.timeouts 中没有“{timeout}”", f"There is no timeout “{timeout}” in use.timeouts")
                )
            timeout = named
        return None if timeout is None else self._length(timeout.after, value, variables)

    def _length(self, duration: Duration, value: Any, variables: Variables) -> timedelta:
        if isinstance(duration, DurationFields) or not duration.lstrip().startswith("${"):
            return parse_duration(duration)
        return parse_duration(compile_condition(duration).run(value, variables, self.pace.meter()))

    def _check_secrets(self) -> None:
        missing = [name for name in self.program.flow.use.secrets if name not in self.descriptor.secrets]
        if missing:
            names = ", ".join(missing)
            raise AuthorizationProblem(
                Text(
                    f"密钥 {names} 不存在，请管理员先设置", f"There is no secret {names}; have an administrator set it"
                ),
                instance="/use/secrets",
            )


async def _as_coroutine(work: Awaitable[Any]) -> Any:
    return await work


def _index_of(target: str, nodes: tuple[Node, ...], source: Node) -> int:
    for index, node in enumerate(nodes):
        if node.name == target:
            return index
    raise ConfigurationProblem(
        Text(f"then 指向的任务“{target}”不在同一层", f"“then” names “{target}”, which is no task of the same list"),
        instance=f"{source.reference}/then",
    )


def _located(error: ProblemError, node: Node) -> ProblemError:
    """The same error, saying which task it came from."""
    if error.problem.instance is not None:
        return error
    return type(error).of(error.problem.model_copy(update={"instance": node.reference}))
