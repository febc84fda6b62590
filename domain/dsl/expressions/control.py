"""Compiling what decides and repeats: conditions, errors, labels, bindings, folds, functions.

Source: the jq 1.8 manual, "Conditionals and Comparisons", "Error Handling", "Advanced features".
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from domain.dsl.expressions.code import NOTHING, Code, Frame, Many, One, optional, present, single, stream
from domain.dsl.expressions.composition import combined, constant, constantly, piped
from domain.dsl.expressions.dataflow import DataCompiler
from domain.dsl.expressions.failures import Break, Failure, Refusal
from domain.dsl.expressions.filters import FILTER_FUNCTIONS
from domain.dsl.expressions.functions import VALUE_FUNCTIONS
from domain.dsl.expressions.paths import item, piece
from domain.dsl.expressions.scope import Argument, Definition, Scope
from domain.dsl.expressions.syntax import Node
from domain.dsl.expressions.values import is_truthy
from domain.problems import Text

RECURSION_CODE = "expression-recursion"
UNKNOWN_FUNCTION_CODE = "expression-unknown-function"
PATH_FUNCTIONS = frozenset([("path", 1), ("del", 1), ("pick", 1)])
FUNCTIONS = frozenset(VALUE_FUNCTIONS) | frozenset(FILTER_FUNCTIONS) | PATH_FUNCTIONS

Bind = Callable[[Any, Frame], None]


class ControlCompiler(DataCompiler):
    """Adds control flow and functions to the data flow."""

    @abstractmethod
    def _path_call(self, node: Node, scope: Scope) -> Code:
        """`path(f)`, `del(f)` or `pick(f)`."""

    def _if(self, node: Node, scope: Scope) -> Code:
        branches = [(self.value(test, scope), self.value(then, scope)) for test, then in node[1]]
        otherwise = self.value(node[2] or ("identity",), scope)
        cost = sum(test.cost + then.cost for test, then in branches) + otherwise.cost + 1
        for test, then in reversed(branches):
            otherwise = _choice(test, then, otherwise)
        return Code(otherwise.one, otherwise.maybe, otherwise.many, cost)

    def _opt(self, node: Node, scope: Scope) -> Code:
        """`f?`. After a path it forgives the last step only: in `.a.b?` the step `.a` may still fail."""
        inner = node[1]
        if inner[0] not in ("field", "index", "slice", "iterate") or self.syntax.is_in_brackets(inner):
            return _attempt(self.value(inner, scope), None)
        base, offset = self.value(inner[1], scope), self.place(inner)
        if inner[0] == "iterate":
            return piped(base, _attempt(self.value(("iterate", ("identity",)), scope), None))
        if inner[0] == "field":
            return present(combined(_forgiving(item), [base, constant(inner[2])], offset))
        keys = [constant(None) if key is None else self.value(key, scope) for key in inner[2:]]
        return present(combined(_forgiving(item if inner[0] == "index" else piece), [base, *keys], offset))

    def _try(self, node: Node, scope: Scope) -> Code:
        return _attempt(self.value(node[1], scope), None if node[2] is None else self.value(node[2], scope))

    def _label(self, node: Node, scope: Scope) -> Code:
        slot = self.new_slot()
        body = self.value(node[2], scope.with_label(node[1], slot))

        def many(value: Any, frame: Frame) -> Iterator[Any]:
            inner, token = frame.child(), object()
            inner.slots[slot] = token
            try:
                yield from body.many(value, inner)
            except Break as jump:
                if jump.token is not token:
                    raise

        return stream(many, body.cost + 1)

    def _break(self, node: Node, scope: Scope) -> Code:
        slot = self.label_slot(node, scope)

        def maybe(_value: Any, frame: Frame) -> Any:
            raise Break(frame.slots[slot])

        return optional(maybe, 1)

    def label_slot(self, node: Node, scope: Scope) -> int:
        slot = scope.labels.get(node[1])
        if slot is None:
            raise self.unsupported(node, f"没有名为 ${node[1]} 的 label", f"there is no label ${node[1]}")
        return slot

    def binding(self, node: Node, patterns: list[Node], scope: Scope) -> tuple[Bind, Scope]:
        """What fills the slots of a pattern from a value, and the scope that sees its variables."""
        if len(patterns) != 1:
            raise self.unsupported(node, "不支持 ?// 解构，请用 if", "`?//` is not available; use `if`")
        slots: dict[str, int] = {}
        bind, offset = self._pattern(patterns[0], scope, slots), self.place(node)

        def bind_here(value: Any, frame: Frame) -> None:
            try:
                bind(value, frame)
            except Failure as failure:
                raise failure.at(offset) from None

        return (bind if patterns[0][0] == "pvar" else bind_here), scope.with_variables(slots)

    def _pattern(self, pattern: Node, scope: Scope, slots: dict[str, int]) -> Bind:
        if pattern[0] == "pvar":
            slot = slots.setdefault(pattern[1], self.new_slot())

            def bind_variable(value: Any, frame: Frame) -> None:
                frame.slots[slot] = value

            return bind_variable
        parts: list[tuple[One, Bind]] = []
        if pattern[0] == "parray":
            for place, part in enumerate(pattern[1]):
                parts.append((constantly(place), self._pattern(part, scope, slots)))
        else:
            for key, part, variable in pattern[1]:
                code = self.value(key, scope)
                if code.one is None:
                    raise self.unsupported(key, "解构的键只能有一个值", "a key of a pattern must have one value")
                if variable is not None:
                    parts.append((code.one, self._pattern(("pvar", variable), scope, slots)))
                parts.append((code.one, self._pattern(part, scope, slots)))

        def bind_parts(value: Any, frame: Frame) -> None:
            for key, bind in parts:
                bind(item(value, key(value, frame), frame.meter), frame)

        return bind_parts

    def _as(self, node: Node, scope: Scope) -> Code:
        source = self.value(node[1], scope)
        bind, inner_scope = self.binding(node, node[2], scope)
        body = self.value(node[3], inner_scope)
        if source.one is not None and body.one is not None:
            source_one, body_one = source.one, body.one

            def one(value: Any, frame: Frame) -> Any:
                inner = frame.child()
                bind(source_one(value, frame), inner)
                return body_one(value, inner)

            return single(one, source.cost + body.cost + 1)

        def many(value: Any, frame: Frame) -> Iterator[Any]:
            inner = frame.child()
            for bound in source.many(value, frame):
                frame.meter.spend(body.cost + 1)
                bind(bound, inner)
                yield from body.many(value, inner)

        return stream(many, source.cost + 1)

    def _reduce(self, node: Node, scope: Scope) -> Code:
        source, start = self.value(node[1], scope), self.value(node[3], scope)
        bind, inner_scope = self.binding(node, node[2], scope)
        update = self.value(node[4], inner_scope)
        price = update.cost + 1

        def folded(state: Any, value: Any, frame: Frame) -> Any:
            inner = frame.child()
            for bound in source.many(value, frame):
                frame.meter.spend(price)
                bind(bound, inner)
                state = update.last(state, inner)
                if state is NOTHING:
                    state = None
            return state

        cost = source.cost + start.cost + 1
        if start.one is not None:
            first = start.one
            return single(lambda value, frame: folded(first(value, frame), value, frame), cost)

        def many(value: Any, frame: Frame) -> Iterator[Any]:
            for state in start.many(value, frame):
                frame.meter.spend(source.cost)
                yield folded(state, value, frame)

        return stream(many, cost)

    def _foreach(self, node: Node, scope: Scope) -> Code:
        source, start = self.value(node[1], scope), self.value(node[3], scope)
        bind, inner_scope = self.binding(node, node[2], scope)
        update = self.value(node[4], inner_scope)
        extract = None if node[5] is None else self.value(node[5], inner_scope)
        price = update.cost + (extract.cost if extract else 0) + 1

        def many(value: Any, frame: Frame) -> Iterator[Any]:
            for first in start.many(value, frame):
                state, inner = first, frame.child()
                frame.meter.spend(source.cost)
                for bound in source.many(value, frame):
                    bind(bound, inner)
                    frame.meter.spend(price)
                    for output in update.many(state, inner):
                        frame.meter.spend(price)
                        state = output
                        if extract is None:
                            yield state
                        else:
                            yield from extract.many(state, inner)

        return stream(many, start.cost + 1)

    def _funcdef(self, node: Node, scope: Scope) -> Code:
        _, name, parameters, body, rest = node
        return self.value(rest, scope.with_definition(name, parameters, body))

    def _call(self, node: Node, scope: Scope) -> Code:
        _, name, arguments = node
        key = (name, len(arguments))
        known = scope.functions.get(key)
        if known is not None:
            return self.value(*self.expanded(node, known, scope))
        offset = self.place(node)
        if key in FILTER_FUNCTIONS:
            return FILTER_FUNCTIONS[key]([self.value(argument, scope) for argument in arguments], offset)
        if key in VALUE_FUNCTIONS:
            return self._value_call(key, [self.value(argument, scope) for argument in arguments], offset)
        if key in PATH_FUNCTIONS:
            return self._path_call(node, scope)
        raise Refusal(
            UNKNOWN_FUNCTION_CODE,
            offset,
            Text(f"没有函数 {name}/{len(arguments)}", f"there is no function {name}/{len(arguments)}"),
        )

    def expanded(self, node: Node, known: Definition | Argument, scope: Scope) -> tuple[Node, Scope]:
        """A call of the author's own function as the node and the scope that stand for it."""
        if isinstance(known, Argument):
            return known.node, known.scope
        if known in scope.expanding:
            text = Text(
                f"函数 {node[1]} 调用了自己；请用 until、while 或 reduce",
                f"function {node[1]} calls itself; use until, while or reduce",
            )
            raise Refusal(RECURSION_CODE, self.place(node), text)
        body = known.body
        for parameter in reversed(known.parameters):
            if parameter.startswith("$"):
                name = parameter.removeprefix("$")
                body = ("as", ("call", name, []), [("pvar", name)], body)
        return body, scope.calling(known, node[2])

    def _value_call(self, key: tuple[str, int], arguments: list[Code], offset: int) -> Code:
        function = VALUE_FUNCTIONS[key]
        if arguments:
            here = single(lambda value, _frame: value, 0)
            return combined(lambda *values: function(values[0], values[-1], *values[1:-1]), [here, *arguments], offset)

        def one(value: Any, frame: Frame) -> Any:
            try:
                return function(value, frame.meter)
            except Failure as failure:
                raise failure.at(offset) from None

        return single(one, 1)


def _choice(test: Code, then: Code, otherwise: Code) -> Code:
    """`if test then then else otherwise`, without its cost."""
    if test.one is not None and then.maybe is not None and otherwise.maybe is not None:
        decide, accepted, refused = test.one, then.maybe, otherwise.maybe

        def maybe(value: Any, frame: Frame) -> Any:
            verdict = decide(value, frame)
            return refused(value, frame) if verdict is None or verdict is False else accepted(value, frame)

        return single(maybe, 0) if then.one is not None and otherwise.one is not None else optional(maybe, 0)
    price = then.cost + otherwise.cost + 1

    def many(value: Any, frame: Frame) -> Iterator[Any]:
        for verdict in test.many(value, frame):
            frame.meter.spend(price)
            yield from (then if is_truthy(verdict) else otherwise).many(value, frame)

    return stream(many, 0)


def _forgiving(operation: Callable[..., Any]) -> Callable[..., Any]:
    def attempt(*values: Any) -> Any:
        try:
            return operation(*values)
        except Failure:
            return NOTHING

    return attempt


def _attempt(body: Code, handler: Code | None) -> Code:
    """`try body catch handler`; without a handler an error yields nothing."""
    cost = body.cost + (handler.cost if handler else 0) + 1
    handle: Many | None = handler.many if handler else None
    if body.maybe is not None and (handler is None or handler.maybe is not None):
        attempt, recover = body.maybe, handler.maybe if handler else None

        def maybe(value: Any, frame: Frame) -> Any:
            try:
                return attempt(value, frame)
            except Failure as failure:
                caught = failure.value
            return NOTHING if recover is None else recover(caught, frame)

        always = body.one is not None and handler is not None and handler.one is not None
        return single(maybe, cost) if always else optional(maybe, cost)

    def many(value: Any, frame: Frame) -> Iterator[Any]:
        try:
            yield from body.many(value, frame)
        except Failure as failure:
            caught = failure.value
        else:
            return
        if handle is not None:
            yield from handle(caught, frame)

    return stream(many, cost)
