"""What each of the twelve kinds of task does.

A function per kind: `async (interpreter, execution, task) -> Raw`. The interpreter has seen to `if`, `input`, `timeout`
and extensions before, and sees to `output`, `export` and `then` after.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from domain.dsl.execution import Execution, Raw
from domain.dsl.model import (
    CallTask,
    DoTask,
    EmitTask,
    ForkTask,
    ForTask,
    ListenTask,
    RaiseTask,
    RunTask,
    SetTask,
    SwitchTask,
    TaskBase,
    TryTask,
    WaitTask,
)
from domain.dsl.tasks import effects, listening, recovery, steering

if TYPE_CHECKING:
    from domain.dsl.interpreter import Interpreter

Perform = Callable[["Interpreter", Execution, Any], Awaitable[Raw]]

TASKS: Mapping[type[TaskBase], Perform] = {
    CallTask: effects.call,
    DoTask: steering.do,
    EmitTask: effects.emit,
    ForTask: steering.iterate,
    ForkTask: steering.fork,
    ListenTask: listening.listen,
    RaiseTask: steering.fail,
    RunTask: effects.run,
    SetTask: steering.assign,
    SwitchTask: steering.switch,
    TryTask: recovery.attempt,
    WaitTask: steering.wait,
}
