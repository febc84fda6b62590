"""What an expression may say: the allow-list, read off the syntax tree before anything is compiled.

Refused by name, with what to write instead: everything that reaches outside (environment, files, standard input,
clock zone), everything without an end (`def` calling itself, `recurse`, `repeat`, an unbounded `range`), regular
expressions, and arithmetic on money. Warned of: what jq takes but authors rarely mean.
Source: the flow profile, "Expressions: jq, contained".
"""

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from domain.dsl.expressions.changes import ExpressionCompiler
from domain.dsl.expressions.control import FUNCTIONS, RECURSION_CODE, UNKNOWN_FUNCTION_CODE
from domain.dsl.expressions.failures import Refusal
from domain.dsl.expressions.money import money_issues
from domain.dsl.expressions.syntax import (
    FORBIDDEN_CODE,
    Node,
    Syntax,
    Token,
    nodes,
    parse,
    source_offset,
    strip_expression,
)
from domain.dsl.expressions.traps import trap_issues
from domain.problems import Text

UNBOUNDED_CODE = "expression-unbounded"
DASHED_CODE = "expression-dashed-field"
_MAX_LITERAL_RANGE = 10_000


@dataclass(frozen=True, slots=True)
class ExpressionIssue:
    """A finding about an expression; `offset` counts characters in the text that was inspected."""

    code: str
    severity: Literal["error", "warning"]
    offset: int
    message: Text


_OUTSIDE = Text(
    "表达式只能读取流程数据；请改用 $input、$context", "an expression sees the flow's data only; use $input, $context"
)
_SECRETS = Text("环境变量不可读取；密钥请用 $secrets", "the environment cannot be read; use $secrets for secrets")
_STOP = Text("要中止流程请用 raise 任务", "use a `raise` task to stop the flow")
_PRINT = Text("表达式没有输出通道；请删除", "an expression prints nothing; remove it")
_REGEX = Text(
    "不支持正则表达式；请用 contains、startswith、endswith、split、ltrimstr",
    "there are no regular expressions; use contains, startswith, endswith, split, ltrimstr",
)
_ENDLESS = Text(
    "不支持递归遍历；请用 walk、paths、leaf_paths，或写明路径",
    "there is no recursive descent; use walk, paths, leaf_paths, or write the path",
)
_LOCAL_TIME = Text(
    "结果取决于机器时区；请用 gmtime、strftime（UTC）", "it depends on the machine's zone; use gmtime, strftime (UTC)"
)
_STREAMS = Text("不支持流式格式；请用 paths、to_entries", "streamed form is not available; use paths, to_entries")

_FORBIDDEN: dict[str, Text] = {
    **dict.fromkeys(("env", "$ENV"), _SECRETS),
    **dict.fromkeys(
        ("input", "inputs", "input_filename", "input_line_number", "get_search_list", "modulemeta", "builtins"),
        _OUTSIDE,
    ),
    **dict.fromkeys(("$__prog_args", "$__loc__"), _OUTSIDE),
    **dict.fromkeys(("halt", "halt_error"), _STOP),
    **dict.fromkeys(("debug", "stderr"), _PRINT),
    **dict.fromkeys(("test", "match", "capture", "scan", "splits", "sub", "gsub"), _REGEX),
    "recurse": _ENDLESS,
    "recurse_down": _ENDLESS,
    "repeat": Text("没有终点；请用 until、while 或 limit", "it has no end; use until, while or limit"),
    **dict.fromkeys(("localtime", "strflocaltime"), _LOCAL_TIME),
    **dict.fromkeys(("tostream", "fromstream", "truncate_stream", "getstream", "ltrimstream"), _STREAMS),
}
_REGEX_BY_ARITY = frozenset([("split", 2)])


def check(syntax: Syntax) -> None:
    """Raises Refusal for the first thing that the policy does not allow."""
    errors = [issue for issue in _errors(syntax) if issue.severity == "error"]
    if errors:
        first = min(errors, key=lambda issue: issue.offset)
        raise Refusal(first.code, first.offset, first.message)


def inspect_expression(source: str, *, condition: bool = False) -> list[ExpressionIssue]:
    """All findings about an expression, in the order of the text; empty for a good one.

    `source` may stand inside `${ }`; offsets count from its first character. `condition` says that the expression
    decides something (`when`, `if`, `while`), where an assignment is surely a slip.
    """
    shift = source_offset(source)
    try:
        syntax = parse(strip_expression(source))
    except Refusal as refusal:
        return [_issue(refusal, shift)]
    issues = list(_errors(syntax))
    if not any(issue.severity == "error" for issue in issues):
        try:
            ExpressionCompiler(syntax).compile()
        except Refusal as refusal:
            issues.append(_issue(refusal, 0))
    issues += [ExpressionIssue(*found) for found in trap_issues(syntax, condition=condition)]
    placed = [ExpressionIssue(issue.code, issue.severity, issue.offset + shift, issue.message) for issue in issues]
    return sorted(dict.fromkeys(placed), key=lambda issue: (issue.offset, issue.severity, issue.code))


def _issue(refusal: Refusal, shift: int) -> ExpressionIssue:
    return ExpressionIssue(refusal.code, "error", refusal.offset + shift, refusal.text)


def _errors(syntax: Syntax) -> Iterator[ExpressionIssue]:
    known = {(node[1], len(node[2])) for node in nodes(syntax.root) if node[0] == "funcdef"}
    known |= {(name.removeprefix("$"), 0) for node in nodes(syntax.root) if node[0] == "funcdef" for name in node[2]}
    dashed = dict(_dashed_fields(syntax))
    for node in nodes(syntax.root):
        if node[0] == "var" and f"${node[1]}" in _FORBIDDEN:
            yield _forbidden(f"${node[1]}", syntax.place(node))
        elif node[0] == "loc":
            yield _forbidden("$__loc__", syntax.place(node))
        elif node[0] == "funcdef" and _calls_itself(node):
            yield ExpressionIssue(
                RECURSION_CODE,
                "error",
                syntax.place(node),
                Text(
                    f"函数 {node[1]} 调用了自己，不允许递归；请用 until、while 或 reduce",
                    f"function {node[1]} calls itself; recursion is not allowed, use until, while or reduce",
                ),
            )
        elif node[0] == "call" and (node[1], len(node[2])) not in known:
            yield from _call_errors(node, syntax, dashed)
    for offset, (field, function) in dashed.items():
        if (function, 0) in FUNCTIONS:
            yield _dashed(field, function, offset, "warning")
    yield from (ExpressionIssue(*found) for found in money_issues(syntax))


def _call_errors(node: Node, syntax: Syntax, dashed: dict[int, tuple[str, str]]) -> Iterator[ExpressionIssue]:
    name, arity, offset = node[1], len(node[2]), syntax.place(node)
    if name in _FORBIDDEN or (name, arity) in _REGEX_BY_ARITY:
        written = ".." if syntax.source.startswith("..", offset) else name
        yield _forbidden(written, offset, _FORBIDDEN.get(name, _REGEX))
    elif (name, arity) not in FUNCTIONS:
        if offset in dashed:
            yield _dashed(*dashed[offset], offset, "error")
        else:
            yield ExpressionIssue(UNKNOWN_FUNCTION_CODE, "error", offset, _unknown(name, arity))
    elif name == "range":
        yield from _range_errors(node, syntax)


def _forbidden(name: str, offset: int, advice: Text | None = None) -> ExpressionIssue:
    advice = advice or _FORBIDDEN[name]
    message = Text(f"不允许使用 {name}：{advice.zh}", f"{name} is not allowed: {advice.en}")
    return ExpressionIssue(FORBIDDEN_CODE, "error", offset, message)


def _unknown(name: str, arity: int) -> Text:
    arities = sorted(known_arity for known, known_arity in FUNCTIONS if known == name)
    if arities:
        zh, en = "或".join(map(str, arities)), " or ".join(map(str, arities))
        return Text(
            f"函数 {name} 需要 {zh} 个参数，这里给了 {arity} 个（参数之间用分号）",
            f"function {name} takes {en} arguments, {arity} are given (separate them by semicolons)",
        )
    names = {known for known, _ in FUNCTIONS}
    close = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.72)
    if close:
        return Text(f"没有函数 {name}，是不是 {close[0]}？", f"there is no function {name}; did you mean {close[0]}?")
    return Text(
        f"没有函数 {name}；字段请写 .{name}，文本请加双引号",
        f'there is no function {name}; write .{name} for a field, "{name}" for a text',
    )


def _range_errors(node: Node, syntax: Syntax) -> Iterator[ExpressionIssue]:
    """A range whose literal bounds are endless or too many."""
    bounds = [_literal_number(argument) for argument in node[2]]
    start = 0 if len(bounds) == 1 else bounds[0]
    end = bounds[0] if len(bounds) == 1 else bounds[1]
    step = bounds[2] if len(bounds) == 3 else 1
    endless = any(bound is not None and math.isinf(bound) for bound in (start, end))
    if step == 0:
        endless = True
    if start is not None and end is not None and step and not endless:
        endless = (end - start) / step > _MAX_LITERAL_RANGE
    elif end is not None and start is None:
        endless = endless or abs(end) > 100 * _MAX_LITERAL_RANGE
    if endless:
        yield ExpressionIssue(
            UNBOUNDED_CODE,
            "error",
            syntax.place(node),
            Text(
                f"range 没有终点或超过 {_MAX_LITERAL_RANGE} 个数；请缩小范围",
                f"this range has no end or more than {_MAX_LITERAL_RANGE} numbers; make it smaller",
            ),
        )


def _literal_number(node: Node) -> float | None:
    if node[0] == "neg":
        inner = _literal_number(node[1])
        return None if inner is None else -inner
    if node[0] == "const" and isinstance(node[1], (int, float)):
        return float(node[1]) if abs(node[1]) < 1e300 else math.inf
    if node[0] == "call" and node[1] == "infinite" and not node[2]:
        return math.inf
    return None


def _calls_itself(definition: Node) -> bool:
    _, name, parameters, body, _ = definition
    key = (name, len(parameters))
    if any((parameter.removeprefix("$"), 0) == key for parameter in parameters):
        return False
    inner = list(nodes(body))
    if any(node[0] == "funcdef" and (node[1], len(node[2])) == key for node in inner):
        return False
    return any(node[0] == "call" and (node[1], len(node[2])) == key for node in inner)


def _dashed_fields(syntax: Syntax) -> Iterator[tuple[int, tuple[str, str]]]:
    """`.first-name`: a field, a minus and a word without space between them, by the offset of the word."""
    tokens, starts = syntax.tokens, syntax.starts
    for place in range(len(tokens) - 2):
        field, minus, word = tokens[place : place + 3]
        if field[0] == "FIELD" and minus[:2] == ("OP", "-") and word[0] == "IDENT" and _touching(place, tokens, starts):
            yield starts[place + 2], (field[1], word[1])


def _touching(place: int, tokens: list[Token], starts: list[int]) -> bool:
    return starts[place + 1] == tokens[place][2] and starts[place + 2] == tokens[place + 1][2]


def _dashed(field: str, word: str, offset: int, severity: Literal["error", "warning"]) -> ExpressionIssue:
    whole = f"{field}-{word}"
    return ExpressionIssue(
        DASHED_CODE,
        severity,
        offset,
        Text(
            f'.{whole} 会被读成 .{field} 减 {word}；带连字符的字段请写成 ."{whole}"',
            f'.{whole} reads as .{field} minus {word}; write ."{whole}" for a field with a dash',
        ),
    )
