"""The document itself: versions, names, durations, JSON Schemas."""

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import PurePath
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from domain.dsl.durations import parse_duration
from domain.dsl.findings import child
from domain.dsl.lint.outline import TaskSite, as_dict, as_list
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.problems import ProblemError, Text

_META_SCHEMA = Draft202012Validator(Draft202012Validator.META_SCHEMA)
_MOST_SCHEMA_ERRORS = 20
_DSL_VERSION = re.compile(r"^1\.0\.\d+(?:-|\+|$)")
RESERVED_NAMES = frozenset({"continue", "exit", "end"})


@rule("dsl-version", "error")
def dsl_version(lint: Lint) -> Iterator[Remark]:
    version = as_dict(lint.outline.data.get("document")).get("dsl")
    if isinstance(version, str) and not _DSL_VERSION.match(version):
        yield Remark(
            "/document/dsl",
            Text(
                f"不支持 DSL 版本 {version}，请写 '1.0.3'",
                f"The DSL version {version} is not supported; write '1.0.3'",
            ),
        )


@rule("file-name", "info")
def file_name(lint: Lint) -> Iterator[Remark]:
    name = as_dict(lint.outline.data.get("document")).get("name")
    file = lint.resources.file_name
    if file and isinstance(name, str) and len(lint.source.documents) == 1 and PurePath(file).stem != name:
        yield Remark(
            "/document/name",
            Text(
                f"流程名是“{name}”，文件名却是“{file}”，建议一致，便于查找",
                f"The flow is called “{name}” and its file “{file}”; equal names are easier to find",
            ),
        )


@rule("reserved-name", "error")
def reserved_name(lint: Lint) -> Iterator[Remark]:
    for task in lint.outline.tasks:
        if task.name in RESERVED_NAMES:
            yield Remark(
                task.pointer,
                Text(
                    f"“{task.name}”是保留字，不能用作任务名，请改名",
                    f"“{task.name}” is a reserved word and cannot name a task; choose another name",
                ),
                of_key=True,
            )
        elif "/" in task.name or not task.name.strip():
            yield Remark(
                task.pointer,
                Text(
                    "任务名不能为空，也不能含有“/”（它用于错误定位），请改名",
                    "A task's name cannot be empty or contain “/”, which separates places; choose another name",
                ),
                of_key=True,
            )


@rule("bad-duration", "error")
def bad_duration(lint: Lint) -> Iterator[Remark]:
    for pointer, value in durations(lint):
        literal = isinstance(value, str) and not value.lstrip().startswith("${")
        parts = isinstance(value, dict) and value and all(isinstance(part, int) for part in value.values())
        if literal or parts:
            try:
                parse_duration(value)
            except ProblemError as problem:
                yield Remark(pointer, _text_of(problem))
    for pointer, policy in retry_policies(lint):
        least, most = _length(policy, "from"), _length(policy, "to")
        if least is not None and most is not None and least > most:
            yield Remark(
                child(pointer, "jitter"),
                Text("jitter 的 from 不能比 to 长，请对调", "`from` of a jitter is longer than its `to`; swap them"),
                of_key=True,
            )


def _length(policy: dict[str, Any], bound: str) -> timedelta | None:
    try:
        return parse_duration(as_dict(policy.get("jitter")).get(bound))
    except ProblemError:
        return None


def _text_of(problem: ProblemError) -> Text:
    message = problem.problem.as_dict().get("message") or {}
    detail = problem.problem.detail or ""
    return Text(message.get("zh", detail), message.get("en", detail))


def durations(lint: Lint) -> Iterator[tuple[str, Any]]:
    """`(pointer, value)` of everything that is a duration."""
    outline = lint.outline
    places: list[tuple[str, Any]] = [("/timeout", outline.data.get("timeout"))]
    places += [(task.at("timeout"), task.data.get("timeout")) for task in outline.tasks]
    places += [(child("/use/timeouts", name), timeout) for name, timeout in outline.part("timeouts").items()]
    for pointer, timeout in places:
        yield child(pointer, "after"), as_dict(timeout).get("after")
    schedule = as_dict(outline.data.get("schedule"))
    for key in ("every", "after"):
        yield child("/schedule", key), schedule.get(key)
    for task in outline.tasks:
        if task.keyword == "wait":
            yield task.at("wait"), task.data["wait"]
    for pointer, policy in retry_policies(lint):
        limit, jitter = as_dict(policy.get("limit")), as_dict(policy.get("jitter"))
        yield child(pointer, "delay"), policy.get("delay")
        yield child(pointer, "limit", "duration"), limit.get("duration")
        yield child(pointer, "limit", "attempt", "duration"), as_dict(limit.get("attempt")).get("duration")
        for key in ("from", "to"):
            yield child(pointer, "jitter", key), jitter.get(key)
    for task, name in outline.calls():
        arguments = as_dict(task.data.get("with"))
        length = {"human-task": "due", "wait-for": "timeout"}.get(name)
        if length:
            yield task.at("with", length), arguments.get(length)


def retry_policies(lint: Lint) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(pointer, policy)` of every retry policy, inline or reusable."""
    for name, policy in lint.outline.part("retries").items():
        yield child("/use/retries", name), as_dict(policy)
    for task in lint.outline.tasks:
        policy = as_dict(task.data.get("catch")).get("retry")
        if isinstance(policy, dict):
            yield task.at("catch", "retry"), policy


@rule("bad-schema", "error")
def bad_schema(lint: Lint) -> Iterator[Remark]:
    for pointer, schema in schemas(lint):
        file_format = schema.get("format", "json")
        if isinstance(file_format, str) and file_format.partition(":")[0] != "json":
            yield Remark(
                child(pointer, "format"),
                Text(
                    f"只支持 JSON Schema（format: json），不支持“{file_format}”",
                    f"Only JSON Schema is supported (format: json), not “{file_format}”",
                ),
            )
        elif "document" in schema:
            yield from _schema_remarks(child(pointer, "document"), schema["document"])
    for task, name in lint.outline.calls():
        form = as_dict(task.data.get("with")).get("form")
        if name.partition(":")[0] == "human-task" and isinstance(form, dict):
            yield from _schema_remarks(task.at("with", "form"), form)


def _schema_remarks(pointer: str, schema: Any) -> Iterator[Remark]:
    if not isinstance(schema, dict | bool):
        yield Remark(
            pointer, Text("JSON Schema 应该是“键: 值”", "A JSON Schema should be “key: value” pairs"), of_key=True
        )
        return
    try:
        for error in islice(_META_SCHEMA.iter_errors(schema), _MOST_SCHEMA_ERRORS):
            words = _schema_words(error)
            yield Remark(
                child(pointer, *error.absolute_path),
                Text(f"JSON Schema 有误：{words.zh}", f"The JSON Schema is wrong: {words.en}"),
            )
    except RecursionError:
        yield Remark(pointer, Text("JSON Schema 嵌套太深", "The JSON Schema is nested too deeply"))


def _schema_words(error: ValidationError) -> Text:
    key = str(error.absolute_path[-1]) if error.absolute_path else "schema"
    if error.validator == "anyOf" and key == "type":
        kinds = "string, number, integer, boolean, object, array, null"
        return Text(f"type 只能是 {kinds}", f"type must be one of {kinds}")
    wanted = {
        "object": Text("“键: 值”", "“key: value” pairs"),
        "array": Text("列表", "a list"),
        "string": Text("文字", "a text"),
        "integer": Text("整数", "a whole number"),
        "number": Text("数字", "a number"),
        "boolean": Text("true 或 false", "true or false"),
    }.get(str(error.validator_value))
    if error.validator == "type" and wanted is not None:
        return Text(f"“{key}”应该是{wanted.zh}", f"“{key}” should be {wanted.en}")
    return Text(f"“{key}”：{error.message[:200]}", f"“{key}”: {error.message[:200]}")


def schemas(lint: Lint) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(pointer, schema)` of every `schema`, inline or at an address."""
    holders: list[tuple[str, dict[str, Any]]] = [("", lint.outline.data)]
    holders += [(task.pointer, task.data) for task in lint.outline.tasks]
    holders += [
        (task.at("foreach"), as_dict(task.data.get("foreach")))
        for task in lint.outline.tasks
        if task.data.get("foreach")
    ]
    for pointer, holder in holders:
        for key in ("input", "output", "export"):
            schema = as_dict(holder.get(key)).get("schema")
            if isinstance(schema, dict):
                yield child(pointer, key, "schema"), schema


@rule("empty-list", "warning")
def empty_list(lint: Lint) -> Iterator[Remark]:
    for scope in lint.outline.scopes:
        owner: TaskSite | None = scope.owner
        if owner is not None and not scope.tasks and not as_list(_list_at(owner, scope.pointer)):
            yield Remark(
                scope.pointer,
                Text(f"“{owner.name}”里没有任务，什么都不会做", f"“{owner.name}” holds no task and does nothing"),
                of_key=True,
            )


def _list_at(owner: TaskSite, pointer: str) -> Any:
    value: Any = owner.data
    for part in pointer.removeprefix(owner.pointer).split("/")[1:]:
        value = as_dict(value).get(part)
    return value
