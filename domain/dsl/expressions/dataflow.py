"""Compiling what moves and makes values: paths into data, pipes, arrays, objects, texts, operators.

purejq's own evaluator is not used: it cannot be bounded from outside (one `setpath` may allocate ten million elements,
an error message encodes the whole value, shared lists are walked as trees), its name tables are shared by all threads,
and it reads the environment. Its grammar is kept; every operation here pays the meter.
Source: the jq 1.8 manual, "Basic filters", "Types and Values", "Builtin operators".
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from domain.dsl.expressions.code import NOTHING, Code, Frame, One, collected, single, stream
from domain.dsl.expressions.composition import Operation, combined, constant, logical, piped
from domain.dsl.expressions.failures import Failure, Refusal
from domain.dsl.expressions.paths import item, member, piece
from domain.dsl.expressions.scope import EMPTY_SCOPE, Scope
from domain.dsl.expressions.syntax import TOO_LARGE_CODE, Node, Syntax
from domain.dsl.expressions.texts import FORMATS, apply_format
from domain.dsl.expressions.values import (
    KIND_ZH,
    add,
    compare,
    divide,
    elements,
    equal,
    is_truthy,
    kind,
    multiply,
    negate,
    remainder,
    subtract,
)
from domain.problems import Text

UNSUPPORTED_CODE = "expression-unsupported"
_MAX_NODES = 4_000

ARITHMETIC: dict[str, Operation] = {"+": add, "-": subtract, "*": multiply, "/": divide, "%": remainder}
COMPARISONS: dict[str, Operation] = {
    "==": equal,
    "!=": lambda left, right, meter: not equal(left, right, meter),
    "<": lambda left, right, meter: compare(left, right, meter) < 0,
    "<=": lambda left, right, meter: compare(left, right, meter) <= 0,
    ">": lambda left, right, meter: compare(left, right, meter) > 0,
    ">=": lambda left, right, meter: compare(left, right, meter) >= 0,
}
OPERATORS = ARITHMETIC | COMPARISONS


class DataCompiler(ABC):
    """Compiles nodes of the syntax tree into `Code`; a method per node, named after it."""

    def __init__(self, syntax: Syntax) -> None:
        self.syntax = syntax
        self._next_slot = 0
        self._nodes = 0
        self.free: dict[str, int] = {}
        """The variables expected of the caller, and where each is first used."""

    def compile(self) -> Code:
        """The whole expression. Raises Refusal."""
        return self.value(self.syntax.root, EMPTY_SCOPE)

    def place(self, node: Any) -> int:
        return self.syntax.place(node)

    def new_slot(self) -> int:
        self._next_slot += 1
        return self._next_slot

    def unsupported(self, node: Any, zh: str, en: str) -> Refusal:
        return Refusal(UNSUPPORTED_CODE, self.place(node), Text(zh, en))

    def value(self, node: Node, scope: Scope) -> Code:
        """The code that yields a node's outputs."""
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            text = Text(
                "表达式展开后过大，请拆成几个 set 步骤",
                "the expression grows too large; split it into several `set` steps",
            )
            raise Refusal(TOO_LARGE_CODE, self.place(node), text)
        compile_node: Callable[[Node, Scope], Code] = getattr(self, f"_{node[0]}")
        return compile_node(node, scope)

    @abstractmethod
    def _call(self, node: Node, scope: Scope) -> Code:
        """A function called by name."""

    def _identity(self, _node: Node, _scope: Scope) -> Code:
        return single(lambda value, _frame: value, 1)

    def _const(self, node: Node, _scope: Scope) -> Code:
        return constant(node[1])

    def _emptyarray(self, _node: Node, _scope: Scope) -> Code:
        return single(lambda _value, _frame: [], 1)

    def _loc(self, node: Node, _scope: Scope) -> Code:
        raise self.unsupported(node, "不支持 $__loc__", "$__loc__ is not available")

    def _var(self, node: Node, scope: Scope) -> Code:
        name, offset = node[1], self.place(node)
        slot = scope.variables.get(name)
        if slot is not None:
            return single(lambda _value, frame: frame.slots[slot], 1)
        self.free.setdefault(name, offset)

        def one(_value: Any, frame: Frame) -> Any:
            try:
                return frame.variables[name]
            except KeyError:
                raise Failure(f"此处没有变量 ${name}", f"${name} is not available here").at(offset) from None

        return single(one, 1)

    def _field(self, node: Node, scope: Scope) -> Code:
        names: list[str] = []
        base = node
        while base[0] == "field":
            names.append(base[2])
            base = base[1]
        reach = single(_reaching(names[::-1], self.place(node)), len(names))
        return reach if base[0] == "identity" else piped(self.value(base, scope), reach)

    def _index(self, node: Node, scope: Scope) -> Code:
        return combined(item, [self.value(node[1], scope), self.value(node[2], scope)], self.place(node))

    def _slice(self, node: Node, scope: Scope) -> Code:
        bounds = [constant(None) if bound is None else self.value(bound, scope) for bound in node[2:4]]
        return combined(piece, [self.value(node[1], scope), *bounds], self.place(node))

    def _iterate(self, node: Node, scope: Scope) -> Code:
        offset = self.place(node)

        def many(value: Any, frame: Frame) -> Iterator[Any]:
            try:
                items = elements(value)
            except Failure as failure:
                raise failure.at(offset) from None
            frame.meter.spend(len(items))
            return iter(items)

        here = stream(many, 1)
        return here if node[1][0] == "identity" else piped(self.value(node[1], scope), here)

    def _pipe(self, node: Node, scope: Scope) -> Code:
        return piped(self.value(node[1], scope), self.value(node[2], scope))

    def _comma(self, node: Node, scope: Scope) -> Code:
        left, right = self.value(node[1], scope), self.value(node[2], scope)

        def many(value: Any, frame: Frame) -> Iterator[Any]:
            yield from left.many(value, frame)
            yield from right.many(value, frame)

        return stream(many, left.cost + right.cost + 1)

    def _collect(self, node: Node, scope: Scope) -> Code:
        body = self.value(node[1], scope)
        return single(collected(body), body.cost + 1)

    def _object(self, node: Node, scope: Scope) -> Code:
        values = [self.value(value, scope) for _, value in node[1]]
        names = [key[1] for key, _ in node[1] if key[0] == "const" and isinstance(key[1], str)]
        ones = [code.one for code in values if code.one is not None]
        if len(names) == len(ones) == len(values):
            pairs = list(zip(names, ones, strict=True))
            cost = sum(code.cost for code in values) + 1
            return single(lambda value, frame: {name: one(value, frame) for name, one in pairs}, cost)
        offsets = [self.place(key) for key, _ in node[1]]
        keys = [self.value(key, scope) for key, _ in node[1]]
        parts = [part for entry in zip(keys, values, strict=True) for part in entry]

        def made(*flat: Any) -> dict[str, Any]:
            written = [_object_key(key, offset) for key, offset in zip(flat[:-1:2], offsets, strict=True)]
            return dict(zip(written, flat[1:-1:2], strict=True))

        return combined(made, parts, self.place(node), last_outermost=False)

    def _format(self, node: Node, _scope: Scope) -> Code:
        name = self._known_format(node, node[1])
        return single(lambda value, frame: apply_format(name, value, frame.meter), 1)

    def _known_format(self, node: Node, name: str) -> str:
        if name in FORMATS:
            return name
        known = [f"@{format_name}" for format_name in FORMATS]
        raise self.unsupported(
            node,
            f"没有格式 @{name}，可用的有 {'、'.join(known)}",
            f"there is no format @{name}; there are {', '.join(known)}",
        )

    def _str(self, node: Node, scope: Scope) -> Code:
        name = self._known_format(node, node[1] or "text")
        literal = [isinstance(part, str) for part in node[2]]
        parts = [constant(part) if isinstance(part, str) else self.value(part, scope) for part in node[2]]

        def written(*values: Any) -> str:
            *pieces, meter = values
            return "".join(
                part if plain else apply_format(name, part, meter) for part, plain in zip(pieces, literal, strict=True)
            )

        return combined(written, parts, self.place(node))

    def _binop(self, node: Node, scope: Scope) -> Code:
        operands = [self.value(node[2], scope), self.value(node[3], scope)]
        return combined(OPERATORS[node[1]], operands, self.place(node))

    def _neg(self, node: Node, scope: Scope) -> Code:
        return combined(lambda value, _meter: negate(value), [self.value(node[1], scope)], self.place(node))

    def _and(self, node: Node, scope: Scope) -> Code:
        return logical(self.value(node[1], scope), self.value(node[2], scope), decides=False)

    def _or(self, node: Node, scope: Scope) -> Code:
        return logical(self.value(node[1], scope), self.value(node[2], scope), decides=True)

    def _alt(self, node: Node, scope: Scope) -> Code:
        left, right = self.value(node[1], scope), self.value(node[2], scope)
        cost = left.cost + right.cost + 1
        if left.maybe is not None and right.one is not None:
            first, second = left.maybe, right.one

            def one(value: Any, frame: Frame) -> Any:
                result = first(value, frame)
                absent = result is None or result is False or result is NOTHING
                return second(value, frame) if absent else result

            return single(one, cost)

        def many(value: Any, frame: Frame) -> Iterator[Any]:
            found = False
            for result in left.many(value, frame):
                if is_truthy(result):
                    found = True
                    yield result
            if not found:
                yield from right.many(value, frame)

        return stream(many, cost)


def _reaching(names: list[str], offset: int) -> One:
    """`.a.b.c`, the most frequent expression of all."""

    def slowly(value: Any) -> Any:
        try:
            for name in names:
                value = member(value, name)
        except Failure as failure:
            raise failure.at(offset) from None
        return value

    if len(names) == 1:
        only = names[0]

        def reach_one(value: Any, _frame: Frame) -> Any:
            return value.get(only) if type(value) is dict else slowly(value)

        return reach_one

    def reach(value: Any, _frame: Frame) -> Any:
        found = value
        for name in names:
            if type(found) is not dict:
                return slowly(value)
            found = found.get(name)
        return found

    return reach


def _object_key(key: Any, offset: int) -> str:
    if isinstance(key, str):
        return key
    name = kind(key)
    raise Failure(f"对象的键必须是文本，不能是{KIND_ZH[name]}", f"Cannot use {name} as object key").at(offset)
