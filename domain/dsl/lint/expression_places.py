"""Where a definition may hold expressions, and which variables each of them sees.

Source: Serverless Workflow DSL 1.0.3, "Runtime Expression Arguments"; the profile allows `$secrets` in `input.from` and
in the arguments of calls only.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from domain.dsl.expressions import is_expression
from domain.dsl.findings import child
from domain.dsl.lint.outline import (
    REFUSED_CALLS,
    Outline,
    TaskSite,
    as_dict,
    as_list,
    as_text,
    catch_variable,
    loop_variables,
)

_ALWAYS = frozenset({"workflow", "runtime"})
_BEFORE_INPUT = _ALWAYS | {"context", "task"}
_TASK = _BEFORE_INPUT | {"input", "authorization"}
_AFTER = _TASK | {"output"}
_FLOW_OUTPUT = _ALWAYS | {"context"}
STANDARD_VARIABLES = _AFTER | {"secrets"}

Form = Literal["bare", "template"]


class ExpressionPlace(NamedTuple):
    """A text that is an expression, or may be one.

    form: `bare` texts are expressions with or without `${ }`; `template` texts only with it. label: what the place is
    called. variables: the names it sees, without `$`.
    """

    pointer: str
    text: str
    form: Form
    label: str
    variables: frozenset[str]

    @property
    def is_expression(self) -> bool:
        return self.form == "bare" or is_expression(self.text)


Places = Iterator[ExpressionPlace]


def expression_places(outline: Outline) -> Places:
    """Every place of a definition, in no particular order."""
    data = outline.data
    yield from _transformation("/input/from", as_dict(data.get("input")).get("from"), _ALWAYS | {"secrets"})
    yield from _transformation("/output/as", as_dict(data.get("output")).get("as"), _FLOW_OUTPUT)
    yield from _text("/timeout/after", as_dict(data.get("timeout")).get("after"), "template", "timeout", frozenset())
    yield from _consumption("/schedule/on", as_dict(data.get("schedule")).get("on"), frozenset(), frozenset())
    yield from _reusable(outline)
    for task in outline.tasks:
        yield from _task(task)


def _reusable(outline: Outline) -> Places:
    anywhere = _TASK | outline.every_variable
    for name, policy in outline.part("authentications").items():
        yield from _template(child("/use/authentications", name), policy, "authentication", anywhere | {"secrets"})
    for name, error in outline.part("errors").items():
        yield from _template(child("/use/errors", name), error, "error", anywhere)
    for name, policy in outline.part("retries").items():
        users = [task for task in outline.tasks if as_dict(task.data.get("catch")).get("retry") == name]
        seen = [task.variables | {catch_variable(task)} for task in users if task.keyword == "try"]
        shared = _TASK | frozenset.intersection(*seen) if seen else anywhere
        yield from _retry(child("/use/retries", name), policy, shared)
    for name, timeout in outline.part("timeouts").items():
        pointer = child("/use/timeouts", name, "after")
        yield from _text(pointer, as_dict(timeout).get("after"), "template", "timeout", anywhere)
    for index, item in enumerate(as_list(outline.use.get("extensions"))):
        for name, extension in as_dict(item).items():
            pointer = child("/use/extensions", index, name, "when")
            yield from _text(pointer, as_dict(extension).get("when"), "bare", "when", _TASK)


def _task(task: TaskSite) -> Places:
    data, seen = task.data, task.variables
    inside = _TASK | seen
    yield from _text(task.at("if"), data.get("if"), "bare", "if", _BEFORE_INPUT | seen)
    source = as_dict(data.get("input")).get("from")
    yield from _transformation(task.at("input", "from"), source, _BEFORE_INPUT | seen | {"secrets"})
    yield from _transformation(task.at("output", "as"), as_dict(data.get("output")).get("as"), inside)
    yield from _transformation(task.at("export", "as"), as_dict(data.get("export")).get("as"), _AFTER | seen)
    timeout = as_dict(data.get("timeout")).get("after")
    yield from _text(task.at("timeout", "after"), timeout, "template", "timeout", _BEFORE_INPUT | seen)
    match task.keyword:
        case "call":
            yield from _arguments(task, inside)
        case "emit":
            properties = as_dict(as_dict(data["emit"]).get("event")).get("with")
            yield from _template(task.at("emit", "event", "with"), properties, "emit", inside)
        case "for":
            loop = as_dict(data["for"])
            yield from _text(task.at("for", "in"), loop.get("in"), "bare", "in", inside)
            yield from _text(task.at("while"), data.get("while"), "bare", "while", inside | loop_variables(task))
        case "listen":
            yield from _listen(task, inside)
        case "raise":
            error = as_dict(data["raise"]).get("error")
            if isinstance(error, dict):
                yield from _template(task.at("raise", "error"), error, "error", inside)
        case "run":
            child_input = as_dict(as_dict(data["run"]).get("workflow")).get("input")
            yield from _template(task.at("run", "workflow", "input"), child_input, "input", inside)
        case "set":
            form: Form = "bare" if isinstance(data["set"], str) else "template"
            yield from _template(task.at("set"), data["set"], "set", inside, form)
        case "switch":
            for pointer, _, case in task.cases:
                yield from _text(child(pointer, "when"), case.get("when"), "bare", "when", inside)
        case "try":
            yield from _catch(task, inside)
        case "wait":
            yield from _text(task.at("wait"), data["wait"], "template", "wait", inside)


def _arguments(task: TaskSite, inside: frozenset[str]) -> Places:
    arguments = task.data.get("with")
    name = as_text(task.data.get("call")).partition(":")[0]
    if name in REFUSED_CALLS:
        return
    if name == "human-task" and isinstance(arguments, dict):
        for index, check in enumerate(as_list(arguments.get("checks"))):
            when = as_dict(check).get("when")
            pointer = task.at("with", "checks", index, "when")
            yield from _text(pointer, when, "bare", "checks.when", frozenset({"data", "actor"}))
        arguments = {key: value for key, value in arguments.items() if key != "checks"}
    yield from _template(task.at("with"), arguments, "with", inside | {"secrets"})


def _listen(task: TaskSite, inside: frozenset[str]) -> Places:
    yield from _consumption(task.at("listen", "to"), as_dict(task.data["listen"]).get("to"), inside, inside)
    iterator = as_dict(task.data.get("foreach"))
    within = inside | loop_variables(task)
    yield from _transformation(task.at("foreach", "output", "as"), as_dict(iterator.get("output")).get("as"), within)
    exported = as_dict(iterator.get("export")).get("as")
    yield from _transformation(task.at("foreach", "export", "as"), exported, within | {"output"})


def _catch(task: TaskSite, inside: frozenset[str]) -> Places:
    handler = as_dict(task.data.get("catch"))
    within = inside | {catch_variable(task)}
    for key in ("when", "exceptWhen"):
        yield from _text(task.at("catch", key), handler.get(key), "bare", key, within)
    if isinstance(handler.get("retry"), dict):
        yield from _retry(task.at("catch", "retry"), handler["retry"], within)


def _retry(pointer: str, policy: Any, variables: frozenset[str]) -> Places:
    policy = as_dict(policy)
    for key in ("when", "exceptWhen"):
        yield from _text(child(pointer, key), policy.get(key), "bare", key, variables)
    for key in ("delay", "limit", "jitter"):
        yield from _template(child(pointer, key), policy.get(key), "retry", variables)


def _consumption(pointer: str, strategy: Any, variables: frozenset[str], until: frozenset[str]) -> Places:
    strategy = as_dict(strategy)
    filters = [(child(pointer, "one"), strategy.get("one"))]
    for key in ("all", "any"):
        filters += [(child(pointer, key, index), item) for index, item in enumerate(as_list(strategy.get(key)))]
    for place, wanted in filters:
        yield from _template(child(place, "with"), as_dict(wanted).get("with"), "filter", variables)
        for name, correlation in as_dict(as_dict(wanted).get("correlate")).items():
            key = child(place, "correlate", name)
            yield from _text(child(key, "from"), as_dict(correlation).get("from"), "bare", "from", variables)
            yield from _text(child(key, "expect"), as_dict(correlation).get("expect"), "template", "expect", variables)
    end = strategy.get("until")
    yield from _text(child(pointer, "until"), end, "bare", "until", until)
    if isinstance(end, dict):
        yield from _consumption(child(pointer, "until"), end, variables, until)


def _transformation(pointer: str, value: Any, variables: frozenset[str]) -> Places:
    """`from` and `as`: a text is an expression, an object holds some."""
    label = ".".join(pointer.split("/")[-2:])
    yield from _template(pointer, value, label, variables, "bare" if isinstance(value, str) else "template")


def _text(pointer: str, value: Any, form: Form, label: str, variables: frozenset[str]) -> Places:
    if isinstance(value, str):
        yield ExpressionPlace(pointer, value, form, label, variables)


def _template(pointer: str, value: Any, label: str, variables: frozenset[str], form: Form = "template") -> Places:
    if isinstance(value, str):
        yield ExpressionPlace(pointer, value, form, label, variables)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _template(child(pointer, key), item, label, variables)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _template(child(pointer, index), item, label, variables)
