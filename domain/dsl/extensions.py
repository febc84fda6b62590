"""Extensions: tasks that run before and after every task of a kind.

Source: Serverless Workflow DSL 1.0.3, "Extension".
"""

from typing import TYPE_CHECKING

from domain.dsl.execution import END, EXIT, Execution, Raw
from domain.dsl.program import ExtensionNode
from domain.dsl.tasks import TASKS

if TYPE_CHECKING:
    from domain.dsl.interpreter import Interpreter


async def perform_extended(interpreter: "Interpreter", execution: Execution) -> Raw:
    """What the task yields, with the extensions that apply to it around it; each of their tasks runs once.

    A task before it that says `exit` or `end` stands in for it.
    """
    frame = execution.frame
    if "extensions" not in frame:
        frame["extensions"] = [
            each.name for each in interpreter.program.extensions if _applies(each, execution, interpreter)
        ]
        frame.update(before=0, after=0)
    applying = [each for each in interpreter.program.extensions if each.name in frame["extensions"]]
    before = [(each, index, node) for each in applying for index, node in enumerate(each.before)]
    for extension, index, node in before[frame["before"] :]:
        path = f"{execution.path}/before/{extension.name}/{index}:{node.name}"
        outcome = await interpreter.execute(node, execution.input, path, execution.variables, extended=execution)
        if outcome.directive in (EXIT, END):
            return Raw(outcome.output, END if outcome.directive == END else None)
        frame["before"] += 1
    if "core" not in frame:
        frame["core"] = list(await TASKS[type(execution.node.task)](interpreter, execution, execution.node.task))
    raw = Raw(*frame["core"])
    if execution.descriptor is not None:
        execution.descriptor["output"] = raw.output
    after = [(each, index, node) for each in applying for index, node in enumerate(each.after)]
    for extension, index, node in after[frame["after"] :]:
        path = f"{execution.path}/after/{extension.name}/{index}:{node.name}"
        await interpreter.execute(node, raw.output, path, execution.variables, extended=execution)
        frame["after"] += 1
    return raw


def _applies(extension: ExtensionNode, execution: Execution, interpreter: "Interpreter") -> bool:
    return extension.applies_to(execution.node.task.keyword) and (
        extension.when is None or interpreter.condition(extension.when, execution, execution.input)
    )
