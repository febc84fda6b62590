"""Calls: does the function exist, and are its arguments what it declares?"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from domain.calls import AnyCall
from domain.dsl.annotations import keys_of
from domain.dsl.findings import child, closest, did_you_mean, listed, value_at
from domain.dsl.lint.outline import REFUSED_CALLS, TaskSite, as_text
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.dsl.model import CallTask
from domain.dsl.shape import explain_shape_errors
from domain.dsl.web_arguments import arguments_model
from domain.problems import Text

_KEY_CODES = frozenset({"unknown-key", "missing-key"})
_TASK_KEYS = frozenset(keys_of(CallTask))


@rule("unknown-call", "error")
def unknown_call(lint: Lint) -> Iterator[Remark]:
    catalog, functions = lint.resources.catalog, lint.outline.functions
    for task, name in lint.outline.calls():
        if name in functions or name in REFUSED_CALLS or catalog.resolve(name) or _is_foreign(name):
            continue
        bare = name.partition(":")[0].removesuffix("@default")
        declared = catalog.get(bare)
        if declared is not None:
            yield Remark(
                task.at("call"),
                Text(
                    f"{bare} 没有这个版本，现有版本是 {declared.version}。请写 {bare} 或 {bare}:{declared.version}",
                    f"{bare} has no such version; there is {declared.version}. Write {bare} or "
                    f"{bare}:{declared.version}",
                ),
            )
            continue
        near = did_you_mean(bare, [*catalog, *functions])
        family = [known for known in catalog if known.partition(".")[0] == bare.partition(".")[0]]
        known = family or sorted({call.partition(".")[0] for call in catalog})
        yield Remark(
            task.at("call"),
            Text(
                f"没有名为“{name}”的函数。{near.zh}可用的有：{listed(known)}",
                f"There is no function “{name}”.{near.en} There are: {listed(known)}",
            ),
        )


def _is_foreign(name: str) -> bool:
    return "://" in name or ("@" in name and not name.endswith("@default"))


@rule("wrong-argument", "error")
def wrong_argument(lint: Lint) -> Iterator[Remark]:
    for task, declared in declared_calls(lint):
        given = task.data.get("with")
        if given is not None and not isinstance(given, dict):
            continue
        if given is None and any(closest(key, ["with"]) for key in task.data if key not in _TASK_KEYS):
            continue
        for pointer, message in _argument_errors(lint, task, arguments_model(declared), given or {}):
            yield Remark(pointer, message, of_key=True)


def declared_calls(lint: Lint) -> Iterator[tuple[TaskSite, AnyCall]]:
    """Every call of the catalog with its declaration."""
    for task, name in lint.outline.calls():
        declared = lint.resources.catalog.resolve(name)
        if declared is not None and name not in lint.outline.functions:
            yield task, declared


def _argument_errors(
    lint: Lint, task: TaskSite, model: type[BaseModel], given: dict[str, Any]
) -> Iterator[tuple[str, Text]]:
    misplaced = [key for key in task.data if key not in _TASK_KEYS]
    try:
        model.model_validate(given)
    except ValidationError as error:
        pointer = task.at("with")
        for found in explain_shape_errors(error, lint.document, pointer, model):
            if found.code == "missing-key" and any(f"“{key}”" in found.message.en for key in misplaced):
                continue
            if found.code in _KEY_CODES or not _computed(lint.document.data, found.pointer):
                where = found.pointer if "with" in task.data else task.at("call")
                yield where, found.message


def _computed(data: Any, pointer: str) -> bool:
    """Whether the value at a pointer, or what it stands in, is an expression: then its kind is not known yet."""
    while pointer:
        value = value_at(data, pointer)
        if isinstance(value, str):
            return "${" in value
        if value is not None:
            return False
        pointer = pointer.rpartition("/")[0]
    return False


@rule("wrong-function-argument", "warning")
def wrong_function_argument(lint: Lint) -> Iterator[Remark]:
    """Arguments of the definition's own functions, against the properties that their input schema requires."""
    for task, name in lint.outline.calls():
        function = lint.outline.functions.get(name)
        schema = value_at(function.data, "/input/schema/document") if function else None
        given = task.data.get("with") or {}
        if not isinstance(schema, dict) or not isinstance(given, dict):
            continue
        required = schema.get("required")
        for key in required if isinstance(required, list) else ():
            if isinstance(key, str) and key not in given:
                yield Remark(
                    task.at("call"),
                    Text(
                        f"函数“{name}”需要参数“{key}”，请写在 with 里",
                        f"“{name}” needs the argument “{key}”; add it under `with`",
                    ),
                )
        properties = schema.get("properties")
        if schema.get("additionalProperties") is False and isinstance(properties, dict):
            for key in given:
                if key not in properties:
                    near = did_you_mean(key, properties)
                    yield Remark(
                        child(task.at("with"), key),
                        Text(f"函数“{name}”没有参数“{key}”。{near.zh}", f"“{name}” has no argument “{key}”.{near.en}"),
                        of_key=True,
                    )


@rule("endless-function", "error")
def endless_function(lint: Lint) -> Iterator[Remark]:
    """Functions that call themselves, perhaps through others."""
    functions = lint.outline.functions
    called = {
        name: {
            called_name
            for task in (site, *site.below())
            if task.keyword == "call" and (called_name := as_text(task.data["call"])) in functions
        }
        for name, site in functions.items()
    }
    told: set[str] = set()
    for name, site in functions.items():
        seen: set[str] = set()
        waiting = set(called[name])
        while waiting:
            seen |= waiting
            waiting = set().union(*(called[other] for other in waiting)) - seen
        if name in seen and not told & seen:
            told.add(name)
            yield Remark(
                site.pointer,
                Text(f"函数“{name}”会调用它自己，永远不会结束", f"The function “{name}” calls itself and never ends"),
                of_key=True,
            )
