"""Tasks that steer: `do`, `for`, `fork`, `switch`, `set`, `raise`, `wait`.

Source: Serverless Workflow DSL 1.0.3, "Task".
"""

import asyncio
from typing import TYPE_CHECKING, Any

from domain.dsl.concurrency import AsTheyFinish, cancel_all
from domain.dsl.execution import END, Execution, Outcome, Raw
from domain.dsl.model import DoTask, ErrorDefinition, ForkTask, ForTask, RaiseTask, SetTask, SwitchTask, WaitTask
from domain.events import rfc3339
from domain.problems import ConfigurationProblem, ExpressionProblem, Problem, ProblemError, Text

if TYPE_CHECKING:
    from domain.dsl.interpreter import Interpreter


async def do(interpreter: "Interpreter", execution: Execution, _task: DoTask) -> Raw:
    """Subtasks in order."""
    nodes = execution.node.children["do"]
    return await interpreter.scope(nodes, execution.input, f"{execution.path}/do", execution.variables)


async def iterate(interpreter: "Interpreter", execution: Execution, task: ForTask) -> Raw:
    """The list once per item; one iteration's output is the next one's input."""
    frame = execution.frame
    if "items" not in frame:
        items = interpreter.evaluate(task.for_.in_, execution, execution.input)
        if items is None:
            items = []
        if not isinstance(items, list):
            raise ExpressionProblem(
                Text("for.in 的结果必须是数组", "for.in must yield an array"),
                instance=f"{execution.node.reference}/for/in",
            )
        frame.update(items=items, iteration=0, value=execution.input)
    while frame["iteration"] < len(frame["items"]):
        index = frame["iteration"]
        variables = {**execution.variables, task.for_.each: frame["items"][index], task.for_.at: index}
        if task.while_ is not None and not interpreter.condition(task.while_, execution, frame["value"], variables):
            break
        path = f"{execution.path}/do[{index}]"
        result = await interpreter.scope(execution.node.children["do"], frame["value"], path, variables)
        frame.update(iteration=index + 1, value=result.output)
        if result.directive == END:
            return result
    return Raw(frame["value"])


async def fork(interpreter: "Interpreter", execution: Execution, task: ForkTask) -> Raw:
    """Branches at the same time: an array of their outputs, or competing, the output of the one that ends first.

    The first failure fails the task and cancels the other branches, competing or not: an error is never hidden behind a
    branch that happens to wait longer.
    """
    nodes = execution.node.children["fork/branches"]
    done: dict[str, list[Any]] = execution.frame.setdefault("done", {})

    async def branch(number: int) -> None:
        path = f"{execution.path}/branches/{number}:{nodes[number].name}"
        # Noted at once: when another branch fails at the same moment, a retry must not repeat this one.
        done[str(number)] = list(await interpreter.execute(nodes[number], execution.input, path, execution.variables))

    def winner() -> Outcome | None:
        outcomes = (Outcome(*each) for each in done.values())
        return next((outcome for outcome in outcomes if task.fork.compete or outcome.directive == END), None)

    open_numbers = [number for number in range(len(nodes)) if str(number) not in done] if winner() is None else []
    tasks = [asyncio.ensure_future(branch(number)) for number in open_numbers]
    try:
        async for finished in AsTheyFinish(tasks):
            finished.result()
            if winner() is not None:
                break
    finally:
        await cancel_all(tasks)
    first = winner()
    if first is not None:
        interpreter.state.close_below(f"{execution.path}/branches")
        return Raw(first.output, END if first.directive == END else None)
    return Raw([done[str(number)][0] for number in range(len(nodes))])


async def switch(interpreter: "Interpreter", execution: Execution, task: SwitchTask) -> Raw:
    """The first case whose condition is true says where to go; the input goes through."""
    default = None
    for item in task.switch:
        if item.case.when is None:
            default = item.case
        elif interpreter.condition(item.case.when, execution, execution.input):
            return Raw(execution.input, item.case.then)
    return Raw(execution.input, default.then if default is not None else None)


async def assign(interpreter: "Interpreter", execution: Execution, task: SetTask) -> Raw:
    """The object, or the result of the expression, is the output."""
    if isinstance(task.set, str):
        return Raw(interpreter.evaluate(task.set, execution, execution.input))
    return Raw(interpreter.render(task.set, execution))


async def fail(interpreter: "Interpreter", execution: Execution, task: RaiseTask) -> Raw:
    """The error, its members evaluated; it points at this task unless it says otherwise."""
    error = task.raise_.error
    if isinstance(error, str):
        named = interpreter.program.flow.use.errors.get(error)
        if named is None:
            raise ConfigurationProblem(
                Text(f"use.errors 中没有“{error}”", f"There is no error “{error}” in use.errors"),
                instance=f"{execution.node.reference}/raise/error",
            )
        error = named
    raise ProblemError.of(_problem(error, interpreter, execution))


async def wait(interpreter: "Interpreter", execution: Execution, task: WaitTask) -> Raw:
    """Nothing, for a while; the input goes through."""
    frame = execution.frame
    if "until" not in frame:
        frame["until"] = rfc3339(interpreter.host.now() + interpreter.length(task.wait, execution))
    interpreter.report(execution, "waiting")
    await interpreter.sleep(frame["until"], execution)
    return Raw(execution.input)


def _problem(error: ErrorDefinition, interpreter: "Interpreter", execution: Execution) -> Problem:
    members: dict[str, Any] = {"status": error.status}
    for name in ("type", "title", "detail", "instance"):
        text = getattr(error, name)
        if isinstance(text, str) and text.lstrip().startswith("${"):
            text = interpreter.evaluate(text, execution, execution.input)
            text = text if text is None or isinstance(text, str) else str(text)
        members[name] = text
    members["instance"] = members["instance"] or execution.node.reference
    return Problem.model_validate(members)
