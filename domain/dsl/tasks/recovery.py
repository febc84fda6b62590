"""`try` and `catch`: which errors are caught, how often a block is tried again, and after how long.

Source: Serverless Workflow DSL 1.0.3, "Try", "Catch", "Retry".
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from domain.dsl.durations import LONGEST
from domain.dsl.execution import Execution, Raw, Variables
from domain.dsl.model import Catch, ErrorFilter, RetryPolicy, TryTask
from domain.events import rfc3339
from domain.problems import ConfigurationProblem, ProblemError, Text, canonical_type

if TYPE_CHECKING:
    from domain.dsl.interpreter import Interpreter

DEFAULT_ATTEMPTS = 5
"""Attempts of a retry policy that sets no limit: every retry has one."""


async def attempt(interpreter: "Interpreter", execution: Execution, task: TryTask) -> Raw:
    """The block; when it fails with an error that `catch` wants: again after a pause, then the handler.

    With retries exhausted and no handler the error goes on; without a retry policy and without a handler it is
    swallowed and the input goes through.
    """
    frame, path = execution.frame, execution.path
    frame.setdefault("phase", "try")
    frame.setdefault("attempt", 1)
    frame.setdefault("started", rfc3339(interpreter.host.now()))
    policy = _policy(task.catch, interpreter)
    while frame["phase"] != "catch":
        if frame["phase"] == "pause":
            await interpreter.sleep(frame["resumeAt"], execution)
            frame["phase"] = "try"
        try:
            return await _once(policy, interpreter, execution)
        except ProblemError as error:
            problem = error.problem.as_dict()
            if not _caught(task.catch, problem, interpreter, execution):
                raise
            pause = _pause(policy, problem, interpreter, execution, task.catch) if policy else None
            if pause is None and policy is not None and task.catch.do_ is None:
                raise
        interpreter.state.close_below(f"{path}/try")
        if pause is None:
            frame.update(phase="catch", error=problem)
        else:
            frame.update(phase="pause", attempt=frame["attempt"] + 1, resumeAt=rfc3339(interpreter.host.now() + pause))
            frame.pop("attemptEnds", None)
            interpreter.report(execution, "retried", attempt=frame["attempt"], error=problem)
    if task.catch.do_ is None:
        return Raw(execution.input)
    variables = {**execution.variables, task.catch.as_: frame["error"]}
    return await interpreter.scope(execution.node.children["catch/do"], execution.input, f"{path}/catch/do", variables)


async def _once(policy: RetryPolicy | None, interpreter: "Interpreter", execution: Execution) -> Raw:
    """One attempt of the block. Raises TimeoutProblem, which `catch` sees, beyond `limit.attempt.duration`."""
    nodes, frame = execution.node.children["try"], execution.frame
    longest = policy.limit.attempt.duration if policy and policy.limit and policy.limit.attempt else None
    if longest is not None and "attemptEnds" not in frame:
        frame["attemptEnds"] = rfc3339(interpreter.host.now() + interpreter.length(longest, execution))
    block = interpreter.scope(nodes, execution.input, f"{execution.path}/try", execution.variables)
    result: Raw = await interpreter.within(block, frame.get("attemptEnds"), execution.site)
    return result


def _policy(catch: Catch, interpreter: "Interpreter") -> RetryPolicy | None:
    if not isinstance(catch.retry, str):
        return catch.retry
    named = interpreter.program.flow.use.retries.get(catch.retry)
    if named is None:
        raise ConfigurationProblem(
            Text(f"use.retries 中没有“{catch.retry}”", f"There is no retry policy “{catch.retry}” in use.retries")
        )
    return named


def _caught(catch: Catch, problem: dict[str, Any], interpreter: "Interpreter", execution: Execution) -> bool:
    if catch.errors is not None and catch.errors.with_ is not None and not matches_error(catch.errors.with_, problem):
        return False
    return _conditions_hold(catch.when, catch.except_when, problem, interpreter, execution, catch.as_)


def matches_error(wanted: ErrorFilter, problem: dict[str, Any]) -> bool:
    """Whether an error has every member as the filter says; aliases of the standard types count as equal."""
    for name, expected in wanted.model_dump(exclude_none=True).items():
        actual = problem.get(name)
        same = canonical_type(str(expected)) == canonical_type(str(actual)) if name == "type" else actual == expected
        if not same:
            return False
    return True


def _conditions_hold(
    when: str | None,
    except_when: str | None,
    problem: dict[str, Any],
    interpreter: "Interpreter",
    execution: Execution,
    name: str,
) -> bool:
    error = {name: problem}
    if when is not None and not interpreter.condition(when, execution, execution.input, error):
        return False
    return except_when is None or not interpreter.condition(except_when, execution, execution.input, error)


def _pause(
    policy: RetryPolicy, problem: dict[str, Any], interpreter: "Interpreter", execution: Execution, catch: Catch
) -> timedelta | None:
    """How long to wait before the next attempt; None when there is none."""
    if not _conditions_hold(policy.when, policy.except_when, problem, interpreter, execution, catch.as_):
        return None
    attempts, limit = execution.frame["attempt"], policy.limit
    most = limit.attempt.count if limit and limit.attempt and limit.attempt.count else None
    bounded = limit is not None and (limit.duration is not None or most is not None)
    if attempts >= (most if most is not None else (attempts + 1 if bounded else DEFAULT_ATTEMPTS)):
        return None
    error = {catch.as_: problem}
    pause = backoff(policy, attempts, interpreter, execution, error)
    if limit is not None and limit.duration is not None:
        longest = interpreter.length(limit.duration, execution, error)
        end = datetime.fromisoformat(execution.frame["started"]) + longest
        if interpreter.host.now() + pause > end:
            return None
    return pause


def backoff(
    policy: RetryPolicy, attempts: int, interpreter: "Interpreter", execution: Execution, error: Variables
) -> timedelta:
    """The pause after so many attempts: constant, growing by the delay, or doubling; plus jitter.

    `error` is the variable that holds the error: a platform may have said when to come again.
    """
    delay = interpreter.length(policy.delay, execution, error) if policy.delay is not None else timedelta()
    if policy.backoff is not None and policy.backoff.linear is not None:
        delay *= attempts
    elif policy.backoff is not None and policy.backoff.exponential is not None:
        delay *= 2 ** min(attempts - 1, 30)
    if policy.jitter is not None:
        bounds = (policy.jitter.from_, policy.jitter.to)
        least, most = (interpreter.length(bound, execution, error) for bound in bounds)
        delay += least + (most - least) * interpreter.host.random()
    return min(delay, LONGEST)
