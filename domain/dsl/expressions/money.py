"""Arithmetic on money inside expressions is refused.

jq counts in doubles (0.1 * 3 is 0.30000000000000004) and knows neither currency nor rounding; sums of money belong to
the settlement functions. A field is money by its name: `amount`, `…_amount`, `…Amount`, `…_minor`, `…_cents`, `…_fen`.
The check follows values through pipes, `map`, variables and conditions, as far as names can tell.
"""

import re
from collections.abc import Iterable
from typing import Literal

from domain.dsl.expressions.syntax import Node, Syntax
from domain.problems import Text

MONEY_CODE = "expression-money-arithmetic"
Found = tuple[str, Literal["error", "warning"], int, Text]

_MONEY = re.compile(r"(?:^|_)(?:amount|amounts|minor|cents|fen)$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ARITHMETIC_SIGNS = frozenset("+-*/%")
# Functions whose outputs are their input, or parts of it.
_PASSING = frozenset(
    [
        "tonumber",
        "abs",
        "sort",
        "sort_by",
        "reverse",
        "unique",
        "unique_by",
        "group_by",
        "flatten",
        "select",
        "del",
        "first",
        "last",
        "nth",
        "min",
        "min_by",
        "max",
        "max_by",
        "values",
        "numbers",
        "toarray",
    ]
)
_COUNTING = frozenset(
    ["add", "floor", "ceil", "round", "trunc", "fabs", "sqrt", "pow", "exp", "exp2", "exp10", "log", "log2", "log10"]
)
_OF_ARGUMENT = frozenset(["map", "first", "last", "limit", "skip", "nth", "add", "map_values", "until", "while"])
_TEXT_FUNCTIONS = frozenset(["tostring", "tojson", "join", "ascii_downcase", "ascii_upcase", "todate", "strftime"])


def is_money(name: str) -> bool:
    """Whether a field of this name holds money."""
    return bool(_MONEY.search(_CAMEL.sub("_", name).lower()))


def money_issues(syntax: Syntax) -> list[Found]:
    """An error for each calculation on money."""
    reader = _Reader(syntax)
    reader.read(syntax.root, None, {})
    return reader.found


class _Reader:
    """Reads the tree once; every visit answers which money field a node's outputs may come from."""

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
        self.found: list[Found] = []

    def read(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        """`dot` is the money field that the input comes from, `variables` the same by variable."""
        visit = getattr(self, f"_{node[0]}", None)
        if visit is not None:
            answer: str | None = visit(node, dot, variables)
            return answer
        self._read_parts(node[1:], dot, variables)
        return None

    def _read_parts(self, parts: Iterable[object], dot: str | None, variables: dict[str, str | None]) -> None:
        for part in parts:
            if isinstance(part, tuple) and part and isinstance(part[0], str):
                self.read(part, dot, variables)
            elif isinstance(part, (tuple, list)):
                self._read_parts(part, dot, variables)

    def _refuse(self, node: Node, field: str) -> None:
        text = Text(
            f"不能对金额字段 {field} 做运算；金额计算请用结算函数（整数分）",
            f"no arithmetic on the money field {field}; calculate money with the settlement functions (minor units)",
        )
        self.found.append((MONEY_CODE, "error", self._syntax.place(node), text))

    def _identity(self, _node: Node, dot: str | None, _variables: dict[str, str | None]) -> str | None:
        return dot

    def _field(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        self.read(node[1], dot, variables)
        return node[2] if is_money(node[2]) else None

    def _index(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        base = self.read(node[1], dot, variables)
        self.read(node[2], dot, variables)
        key = node[2]
        if key[0] == "const" and isinstance(key[1], str):
            return key[1] if is_money(key[1]) else None
        return base

    def _slice(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        for bound in node[2:4]:
            if bound is not None:
                self.read(bound, dot, variables)
        return self.read(node[1], dot, variables)

    def _iterate(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        return self.read(node[1], dot, variables)

    _opt = _collect = _iterate

    def _pipe(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        return self.read(node[2], self.read(node[1], dot, variables), variables)

    def _comma(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        left, right = self.read(node[1], dot, variables), self.read(node[2], dot, variables)
        return left or right

    _alt = _comma

    def _try(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        if node[2] is not None:
            self.read(node[2], None, variables)
        return self.read(node[1], dot, variables)

    def _if(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        answers = [self.read(node[2], dot, variables) if node[2] is not None else dot]
        for test, then in node[1]:
            self.read(test, dot, variables)
            answers.append(self.read(then, dot, variables))
        return next(filter(None, answers), None)

    def _var(self, node: Node, _dot: str | None, variables: dict[str, str | None]) -> str | None:
        return variables.get(node[1])

    def _as(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        source = self.read(node[1], dot, variables)
        return self.read(node[3], dot, {**variables, **_bound(node[2], source)})

    def _reduce(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        source, start = self.read(node[1], dot, variables), self.read(node[3], dot, variables)
        inner = {**variables, **_bound(node[2], source)}
        result = self.read(node[4], start, inner)
        if node[0] == "foreach" and node[5] is not None:
            return self.read(node[5], result, inner)
        return result

    _foreach = _reduce

    def _neg(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        operand = self.read(node[1], dot, variables)
        if operand:
            self._refuse(node, operand)
        return None

    def _binop(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        _, sign, left, right = node
        money = [self.read(left, dot, variables), self.read(right, dot, variables)]
        field = money[0] or money[1]
        joins_text = sign == "+" and (_is_text(left) or _is_text(right))
        if field and sign in _ARITHMETIC_SIGNS and not joins_text:
            self._refuse(node, field)
        return None

    def _assign(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        _, operator, target, source = node
        held = self.read(target, dot, variables)
        new = self.read(source, held if operator == "|=" else dot, variables)
        if operator[:-1] in _ARITHMETIC_SIGNS and (held or new) and not _is_text(source):
            self._refuse(node, held or new or "")
        return dot

    def _funcdef(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        self.read(node[3], None, {})
        return self.read(node[4], dot, variables)

    def _call(self, node: Node, dot: str | None, variables: dict[str, str | None]) -> str | None:
        _, name, arguments = node
        answers = [self.read(argument, dot, variables) for argument in arguments]
        given = answers[-1] if answers else dot
        if name == "pow":
            given = next(filter(None, answers), None)
        if name in _COUNTING and given:
            self._refuse(node, given)
        if name in _OF_ARGUMENT and answers:
            return answers[-1]
        return dot if name in _PASSING else None


def _bound(patterns: list[Node], source: str | None) -> dict[str, str | None]:
    """The money behind the variables of patterns."""
    found: dict[str, str | None] = {}
    waiting: list[tuple[Node, str | None]] = [(pattern, source) for pattern in patterns]
    while waiting:
        pattern, held = waiting.pop()
        if pattern[0] == "pvar":
            found[pattern[1]] = held
        elif pattern[0] == "parray":
            waiting.extend((part, held) for part in pattern[1])
        else:
            for key, part, variable in pattern[1]:
                name = key[1] if key[0] == "const" and isinstance(key[1], str) else ""
                member = name if is_money(name) else None
                if variable is not None:
                    found[variable] = member
                waiting.append((part, member))
    return found


def _is_text(node: Node) -> bool:
    """Whether a node surely yields text."""
    if node[0] == "const":
        return isinstance(node[1], str)
    if node[0] in ("str", "format"):
        return True
    if node[0] == "pipe":
        return _is_text(node[2])
    if node[0] == "binop":
        return node[1] == "+" and (_is_text(node[2]) or _is_text(node[3]))
    return node[0] == "call" and node[1] in _TEXT_FUNCTIONS
