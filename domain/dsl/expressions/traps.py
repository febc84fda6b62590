"""What jq takes and authors rarely mean: a warning for each, with what to write instead."""

import re
from collections.abc import Iterator
from typing import Literal

from domain.dsl.expressions.syntax import Node, Syntax, nodes
from domain.problems import Text

COMPARE_CODE = "expression-compare-kinds"
DEFAULT_CODE = "expression-false-default"
ASSIGNMENT_CODE = "expression-assignment"
OUTPUTS_CODE = "expression-many-outputs"
CONSTANT_CODE = "expression-constant-operand"
Found = tuple[str, Literal["error", "warning"], int, Text]

_NUMERAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_TEXT_FUNCTIONS = frozenset(
    ["tostring", "tojson", "join", "ascii_downcase", "ascii_upcase", "todate", "strftime", "type"]
)
_NUMBER_FUNCTIONS = frozenset(["tonumber", "length", "floor", "ceil", "round", "now", "fromdate", "mktime"])
_BOOLEAN_FUNCTIONS = frozenset(
    ["not", "has", "contains", "inside", "in", "startswith", "endswith", "any", "all", "IN", "isempty", "toboolean"]
)
_KIND_ZH = {"string": "文本", "number": "数字", "boolean": "布尔值", "null": "空值"}


def trap_issues(syntax: Syntax, *, condition: bool) -> Iterator[Found]:
    """The warnings about an expression; `condition` when it decides something."""
    for node in nodes(syntax.root):
        if node[0] == "binop":
            yield from _comparison(node, syntax)
        elif node[0] == "alt":
            yield from _default(node, syntax)
        elif node[0] in ("and", "or"):
            yield from _constant_operand(node, syntax)
        elif node[0] == "assign" and condition and node[1] == "=":
            text = Text("这里的 = 是赋值，比较请用 ==", "`=` assigns here; write `==` to compare")
            yield ASSIGNMENT_CODE, "warning", syntax.place(node), text
    if not condition and _fans_out(syntax.root):
        text = Text(
            "表达式可能有多个结果，只取第一个；要全部结果请加方括号 […]",
            "the expression may have several outputs and only the first counts; write […] for all of them",
        )
        yield OUTPUTS_CODE, "warning", syntax.place(syntax.root), text


def _comparison(node: Node, syntax: Syntax) -> Iterator[Found]:
    _, sign, left, right = node
    if sign not in ("<", "<=", ">", ">=", "==", "!="):
        return
    kinds = _kind(left), _kind(right)
    if None not in kinds and kinds[0] != kinds[1]:
        zh, en = (_KIND_ZH[kind or "null"] for kind in kinds), " and ".join(kind or "null" for kind in kinds)
        text = Text(
            f"{'与'.join(zh)}的比较结果恒定不变（jq 中文本总大于数字）；请先用 tonumber 或 tostring 统一类型",
            f"comparing {en} always gives the same (in jq every text is greater than any number); "
            "convert one side with tonumber or tostring",
        )
        yield COMPARE_CODE, "warning", syntax.place(node), text
        return
    for operand in (left, right):
        if sign not in ("==", "!=") and _is_numeral(operand):
            text = Text(
                f'"{operand[1]}" 是文本，与数字比较大小时文本总是更大；请去掉引号',
                f'"{operand[1]}" is a text, and texts are greater than any number; remove the quotes',
            )
            yield COMPARE_CODE, "warning", syntax.place(operand), text


def _is_numeral(node: Node) -> bool:
    return node[0] == "const" and isinstance(node[1], str) and bool(_NUMERAL.fullmatch(node[1]))


def _kind(node: Node) -> str | None:
    """The kind a node surely yields, where it can be told."""
    if node[0] == "const":
        names = {str: "string", bool: "boolean", type(None): "null", int: "number", float: "number"}
        kind = names[type(node[1])]
        return None if kind == "null" else kind
    if node[0] in ("str", "format"):
        return "string"
    if node[0] == "pipe":
        return _kind(node[2])
    if node[0] == "neg":
        return "number"
    if _is_boolean(node):
        return "boolean"
    if node[0] == "call":
        return "string" if node[1] in _TEXT_FUNCTIONS else "number" if node[1] in _NUMBER_FUNCTIONS else None
    return None


def _is_boolean(node: Node) -> bool:
    if node[0] == "const":
        return isinstance(node[1], bool)
    if node[0] == "pipe":
        return _is_boolean(node[2])
    if node[0] == "binop":
        return node[1] in ("==", "!=", "<", "<=", ">", ">=")
    return node[0] in ("and", "or") or (node[0] == "call" and node[1] in _BOOLEAN_FUNCTIONS)


def _default(node: Node, syntax: Syntax) -> Iterator[Found]:
    """`false // "d"` is "d": the default replaces false as well as null."""
    left, right = node[1], node[2]
    if _is_boolean(left) or right == ("const", True):
        text = Text(
            "// 会把 false 也换成默认值；只想替换空值请写 if . == null then 默认值 else . end",
            "`//` replaces false as well as null; for null only write `if . == null then default else . end`",
        )
        yield DEFAULT_CODE, "warning", syntax.place(node), text


def _constant_operand(node: Node, syntax: Syntax) -> Iterator[Found]:
    for operand in node[1:3]:
        if operand[0] == "const" and not isinstance(operand[1], bool):
            text = Text(
                f"{node[0]} 的一侧是常量，恒为真或恒为假；要与多个值比较请用 IN(…)",
                f"one side of `{node[0]}` is a constant; to compare with several values use IN(…)",
            )
            yield CONSTANT_CODE, "warning", syntax.place(operand), text


def _fans_out(node: Node) -> bool:
    """Whether a node may yield several outputs, as far as its form tells."""
    if node[0] in ("comma", "iterate"):
        return True
    if node[0] == "pipe":
        return _fans_out(node[1]) or _fans_out(node[2])
    if node[0] in ("opt", "try", "field", "slice"):
        return _fans_out(node[1])
    if node[0] in ("alt", "index"):
        return _fans_out(node[1]) or _fans_out(node[2])
    if node[0] == "as":
        return _fans_out(node[1]) or _fans_out(node[3])
    if node[0] == "if":
        return any(_fans_out(then) for _, then in node[1])
    return node[0] == "foreach" or (node[0] == "call" and node[1] in ("range", "limit", "paths", "path", "while"))
