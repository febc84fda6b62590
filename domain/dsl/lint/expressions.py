"""Expressions: do they compile, are they allowed, can what they refer to exist where they stand?"""

import re
from collections.abc import Iterator
from functools import lru_cache

from domain.dsl.expressions import (
    ExpressionIssue,
    compile_expression,
    inspect_expression,
    is_expression,
    strip_expression,
)
from domain.dsl.findings import child, closest, did_you_mean
from domain.dsl.lint.expression_places import STANDARD_VARIABLES, ExpressionPlace
from domain.dsl.lint.outline import TaskSite, as_dict
from domain.dsl.lint.references import secret_references
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.problems import ExpressionProblem, Text

_SECRET = re.compile(r"\$secrets\s*(?:\.\s*([A-Za-z_]\w*)|\.?\s*\[\s*\"([^\"]+)\"\s*\]|\.\s*\"([^\"]+)\")")
_PATH = re.compile(r"^\.[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d*\])*$")
_VARIABLE = re.compile(r"^\$([A-Za-z_]\w*)(?:[.\[].*)?$")
_DECIDING = frozenset({"if", "when", "exceptWhen", "while", "until"})
_NAME = re.compile(r"^[A-Za-z_]\w*$")
_FILE_EXTENSIONS = frozenset({".pdf", ".csv", ".xlsx", ".jpg", ".png", ".zip", ".txt", ".json", ".yaml"})

_ELSEWHERE: dict[str, Text] = {
    "output": Text(
        "$output 只在 export.as 中可用；在 output.as 中请用 . 表示任务的输出",
        "$output exists in export.as only; in output.as write . for the task's output",
    ),
    "secrets": Text(
        "$secrets 只能用在 input.from 和 call 的参数（with）里，以免泄露。请把它移到 with 中",
        "$secrets may stand in input.from and in the arguments of a call (with) only, lest it leak. Move it there",
    ),
    "input": Text(
        "这里还没有 $input（任务的输入还没有整理），请用 . 表示传入的数据",
        "$input does not exist yet here; write . for the data that comes in",
    ),
    "context": Text("这里还没有 $context，请用 .", "$context does not exist yet here; use ."),
    "task": Text("这里不在任务里，没有 $task", "This is not within a task: there is no $task"),
    "authorization": Text(
        "$authorization 只在任务自身的定义、output.as 和 export.as 中可用",
        "$authorization exists within a task's own definition, output.as and export.as only",
    ),
}


def _expressions(lint: Lint) -> Iterator[tuple[ExpressionPlace, str]]:
    """Every place that holds an expression, with the jq in it; texts that were cut off left out."""
    for place in lint.expression_places:
        if place.is_expression:
            yield place, strip_expression(place.text)


@rule("bad-expression", "error")
def bad_expression(lint: Lint) -> Iterator[Remark]:
    for place, source in _expressions(lint):
        if "${" in source and not _compiles(source):
            yield Remark(place.pointer, _several(place), code="expression-in-text")
            continue
        decides = place.label.rpartition(".")[2] in _DECIDING
        for issue in _issues(place.text, decides):
            yield Remark(place.pointer, issue.message, offset=issue.offset, code=issue.code, severity=issue.severity)


@lru_cache(maxsize=4096)
def _issues(text: str, decides: bool) -> tuple[ExpressionIssue, ...]:
    """What the engine says about an expression, remembered: a file is checked again with every change to it."""
    return tuple(inspect_expression(text, condition=decides))


def _compiles(source: str) -> bool:
    try:
        compile_expression(source)
    except ExpressionProblem:
        return False
    return True


@rule("expression-in-text", "warning")
def expression_in_text(lint: Lint) -> Iterator[Remark]:
    for place in lint.expression_places:
        if place.form == "template" and "${" in place.text and not is_expression(place.text):
            yield Remark(place.pointer, _several(place), offset=place.text.index("${"))


def _several(place: ExpressionPlace) -> Text:
    if place.pointer.endswith(("/endpoint", "/uri")):
        return Text(
            '地址中的 ${ } 不会被计算。请用 {变量名} 占位，或把整个地址写成 ${ "https://…\\(.id)" }',
            "${ } inside an address is not evaluated. Write {name} there, or make the whole address one expression: "
            '${ "https://…\\(.id)" }',
        )
    return Text(
        "文字中间的 ${ } 不会被计算，会原样输出。请把整个值写成一个表达式：'${ \"退款单 \\(.refund_id) 已通过\" }'",
        "${ } within a text is not evaluated and appears as it stands. Make the whole value one expression: "
        "'${ \"Refund \\(.refund_id) is approved\" }'",
    )


@rule("expression-not-here", "error")
def expression_not_here(lint: Lint) -> Iterator[Remark]:
    """Where the standard takes a text as it stands: which flow runs, which errors are caught."""
    for task in lint.outline.tasks:
        named = as_dict(as_dict(task.data.get("run")).get("workflow")) if task.keyword == "run" else {}
        wanted = as_dict(as_dict(as_dict(task.data.get("catch")).get("errors")).get("with"))
        places = [(task.at("run", "workflow", key), named.get(key)) for key in ("namespace", "name", "version")]
        places += [(task.at("catch", "errors", "with", key), value) for key, value in wanted.items()]
        for pointer, value in places:
            if isinstance(value, str) and "${" in value:
                yield Remark(
                    pointer,
                    Text(
                        "这里不计算表达式，请直接写出。按数据选择子流程请用 switch，按数据筛选错误请用 catch.when",
                        "Nothing is evaluated here; write it out. Choose among flows with `switch`, filter errors by "
                        "what they say with `catch.when`",
                    ),
                )


@rule("unevaluated-text", "warning")
def unevaluated_text(lint: Lint) -> Iterator[Remark]:
    """Texts that look like an expression where only `${ }` makes one."""
    if as_dict(lint.outline.data.get("evaluate")).get("mode") == "loose":
        return
    for place in lint.expression_places:
        text = place.text.strip()
        if place.form != "template" or is_expression(text):
            continue
        variable = _VARIABLE.match(text)
        known = variable is not None and variable[1] in place.variables | STANDARD_VARIABLES
        if known or (_PATH.match(text) and text.lower() not in _FILE_EXTENSIONS):
            yield Remark(
                place.pointer,
                Text(
                    f"“{text}”在这里只是文字，不会被计算。请写成 ${{ {text} }}",
                    f"“{text}” is a mere text here and is not evaluated. Write ${{ {text} }}",
                ),
            )


@rule("unknown-variable", "error")
def unknown_variable(lint: Lint) -> Iterator[Remark]:
    for place, name in _free_variables(lint):
        if name in place.variables or name in STANDARD_VARIABLES or name in lint.outline.every_variable:
            continue
        near = closest(name, place.variables)
        suggestion = Text(f"是不是想写 ${near}？", f" Did you mean ${near}?") if near else Text("", "")
        shown = ", ".join(f"${variable}" for variable in sorted(place.variables))
        yield Remark(
            place.pointer,
            Text(
                f"没有变量 ${name}。{suggestion.zh}这里可用：{shown or '无'}",
                f"There is no variable ${name}.{suggestion.en} Here there are: {shown or 'none'}",
            ),
            offset=_offset(place, name),
        )


@rule("variable-not-here", "error")
def variable_not_here(lint: Lint) -> Iterator[Remark]:
    for place, name in _free_variables(lint):
        if name in place.variables:
            continue
        offset = _offset(place, name)
        if name in _ELSEWHERE and name in STANDARD_VARIABLES:
            yield Remark(place.pointer, _ELSEWHERE[name], offset=offset)
        elif name in STANDARD_VARIABLES or name in lint.outline.every_variable:
            yield Remark(
                place.pointer,
                Text(
                    f"变量 ${name} 只在声明它的循环（for、foreach）或 catch 里面可用，这里没有",
                    f"${name} exists only within the loop (for, foreach) or the catch that declares it, not here",
                ),
                offset=offset,
            )


def _free_variables(lint: Lint) -> Iterator[tuple[ExpressionPlace, str]]:
    for place, source in _expressions(lint):
        if "$" not in source:
            continue
        try:
            names = compile_expression(source).variables
        except ExpressionProblem:
            continue
        for name in sorted(names):
            yield place, name


def _offset(place: ExpressionPlace, name: str) -> int:
    found = re.search(rf"\${re.escape(name)}\b", place.text)
    return found.start() if found else 0


@rule("unlisted-secret", "error")
def unlisted_secret(lint: Lint) -> Iterator[Remark]:
    listed = lint.outline.secrets
    references = [(pointer, name, 0) for pointer, name in secret_references(lint.outline)]
    for place, _ in _expressions(lint):
        if "secrets" in place.variables:
            references += [
                (place.pointer, next(filter(None, found.groups())), found.start())
                for found in _SECRET.finditer(place.text)
            ]
    for pointer, name, offset in references:
        if name not in listed:
            near = did_you_mean(name, listed)
            yield Remark(
                pointer,
                Text(
                    f"密钥“{name}”没有列在 use.secrets 中，运行时无权读取。{near.zh}请加到 use.secrets",
                    f"The secret “{name}” is not listed in use.secrets and cannot be read.{near.en} Add it there",
                ),
                offset=offset,
            )


@rule("bad-variable-name", "error")
def bad_variable_name(lint: Lint) -> Iterator[Remark]:
    for task in lint.outline.tasks:
        for pointer, name in _declared(task):
            if name in STANDARD_VARIABLES:
                yield Remark(
                    pointer,
                    Text(
                        f"变量名“{name}”会盖住内置变量 ${name}，请换一个名字",
                        f"The name “{name}” would hide the variable ${name} that is always there; choose another",
                    ),
                )
            elif not _NAME.match(name):
                yield Remark(
                    pointer,
                    Text(
                        f"“{name}”不能用作变量名：只能用英文字母、数字和下划线，不能以数字开头，前面不写 $",
                        f"“{name}” cannot name a variable: letters, digits and underscores only, no digit first, no $",
                    ),
                )


def _declared(task: TaskSite) -> Iterator[tuple[str, str]]:
    keys = {"for": (("for", "each"), ("for", "at")), "listen": (("foreach", "item"), ("foreach", "at"))}
    for holder, key in keys.get(task.keyword, ()) + ((("catch", "as"),) if task.keyword == "try" else ()):
        name = as_dict(task.data.get(holder)).get(key)
        if isinstance(name, str):
            yield child(task.pointer, holder, key), name


@rule("expression-in-check", "error")
def expression_in_check(lint: Lint) -> Iterator[Remark]:
    """Conditions of a form are evaluated when it is completed, not when the task begins."""
    for place in lint.expression_places:
        if place.label == "checks.when" and "${" in place.text:
            yield Remark(
                place.pointer,
                Text(
                    "表单校验条件请不要写 ${ }：它在提交表单时才计算，. 是提交的表单，$data 是任务数据",
                    "Write a form's condition without ${ }: it is evaluated when the form is completed, where . is the "
                    "form and $data the task's data",
                ),
            )
