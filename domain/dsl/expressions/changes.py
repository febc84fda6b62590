"""Compiling what names places and changes them: `path(f)`, `del(f)`, `pick(f)`, `=`, `|=`, `+=` and the like.

The left side of an assignment is compiled a second way, into a function that yields the paths it selects.
Source: the jq 1.8 manual, "Assignment", "Builtin operators and functions".
"""

from collections.abc import Callable, Iterator
from typing import Any

from domain.dsl.expressions.code import NOTHING, Code, Frame, Many, single, stream
from domain.dsl.expressions.control import ControlCompiler
from domain.dsl.expressions.dataflow import ARITHMETIC
from domain.dsl.expressions.failures import Break, Failure
from domain.dsl.expressions.filters import FILTER_FUNCTIONS
from domain.dsl.expressions.paths import Editor, Path, item, path_argument, piece, value_at
from domain.dsl.expressions.scope import Scope
from domain.dsl.expressions.syntax import Node
from domain.dsl.expressions.values import elements, is_truthy

Places = Callable[[Path, Any, Frame], Iterator[tuple[Path, Any]]]
_CHOOSING = frozenset(
    [("select", 1), ("empty", 0), ("error", 0), ("error", 1)]
    + [(name, 0) for name in ("values", "nulls", "booleans", "numbers", "strings", "arrays", "objects")]
    + [(name, 0) for name in ("iterables", "scalars")]
)


class ExpressionCompiler(ControlCompiler):
    """The whole language."""

    def _path_call(self, node: Node, scope: Scope) -> Code:
        places, offset = self.places(node[2][0], scope), self.place(node)

        def paths(value: Any, frame: Frame) -> Iterator[Any]:
            for path, _ in places((), value, frame):
                frame.meter.allocate_items(len(path))
                yield list(path)

        def deleted(value: Any, frame: Frame) -> Any:
            editor = Editor(value, frame.meter)
            editor.remove([path for path, _ in places((), value, frame)])
            return editor.document

        def picked(value: Any, frame: Frame) -> Any:
            editor = Editor(None, frame.meter)
            for path, _ in places((), value, frame):
                editor.put(path, value_at(value, path, frame.meter))
            return editor.document

        if node[1] == "path":
            return stream(paths, 1)
        return single(_placed(deleted if node[1] == "del" else picked, offset), 1)

    def _assign(self, node: Node, scope: Scope) -> Code:
        _, operator, target, source = node
        places, right, offset = self.places(target, scope), self.value(source, scope), self.place(node)
        if operator == "|=":
            return single(_placed(_updating(places, right), offset), right.cost + 1)
        operation = ARITHMETIC.get(operator[:-1])

        def assigned(value: Any, new: Any, frame: Frame) -> Any:
            editor = Editor(value, frame.meter)
            for path, old in places((), value, frame):
                frame.meter.spend(1)
                if operator == "=":
                    editor.put(path, new)
                elif operation is not None:
                    editor.put(path, operation(editor.get(path), new, frame.meter))
                elif not is_truthy(old):
                    editor.put(path, new)
            return editor.document

        if right.one is not None:
            new_value = right.one
            return single(
                _placed(lambda value, frame: assigned(value, new_value(value, frame), frame), offset), right.cost + 1
            )

        def many(value: Any, frame: Frame) -> Iterator[Any]:
            for new in right.many(value, frame):
                yield assigned(value, new, frame)

        return stream(many, right.cost + 1)

    def places(self, node: Node, scope: Scope) -> Places:
        """What yields the paths a node selects, each with the value there. Raises Refusal for what selects nothing."""
        compile_places: Callable[[Node, Scope], Places] | None = getattr(self, f"_places_{node[0]}", None)
        if compile_places is None:
            raise self.unsupported(
                node, "这里需要指向数据的路径，例如 .a.b", "a path into the data is needed here, e.g. `.a.b`"
            )
        self.value(("identity",), scope)  # counts the node
        return compile_places(node, scope)

    def _places_identity(self, _node: Node, _scope: Scope) -> Places:
        return lambda path, value, _frame: iter(((path, value),))

    def _places_field(self, node: Node, scope: Scope) -> Places:
        return self._stepping(node, lambda _value, _frame: iter((node[2],)), scope)

    def _places_index(self, node: Node, scope: Scope) -> Places:
        return self._stepping(node, self.value(node[2], scope).many, scope)

    def _stepping(self, node: Node, keys: Many, scope: Scope) -> Places:
        base, offset = self.places(node[1], scope), self.place(node)

        def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
            for before, held in base(path, value, frame):
                for key in keys(value, frame):
                    frame.meter.spend(1 + len(before) // 8)
                    try:
                        found = item(held, key, frame.meter)
                    except Failure as failure:
                        raise failure.at(offset) from None
                    yield (*before, key), found

        return places

    def _places_slice(self, node: Node, scope: Scope) -> Places:
        base = self.places(node[1], scope)
        low, high = (None if bound is None else self.value(bound, scope) for bound in node[2:4])

        def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
            for before, held in base(path, value, frame):
                for end in high.many(value, frame) if high else (None,):
                    for start in low.many(value, frame) if low else (None,):
                        frame.meter.spend(1)
                        yield (*before, {"start": start, "end": end}), piece(held, start, end, frame.meter)

        return places

    def _places_iterate(self, node: Node, scope: Scope) -> Places:
        base, offset = self.places(node[1], scope), self.place(node)

        def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
            for before, held in base(path, value, frame):
                if held is None:
                    continue
                try:
                    items = elements(held)
                except Failure as failure:
                    raise failure.at(offset) from None
                frame.meter.spend(len(items) * (1 + len(before) // 8))
                keys = held if isinstance(held, dict) else range(len(items))
                for key, element in zip(keys, items, strict=True):
                    yield (*before, key), element

        return places

    def _places_pipe(self, node: Node, scope: Scope) -> Places:
        left, right = self.places(node[1], scope), self.places(node[2], scope)

        def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
            for before, held in left(path, value, frame):
                frame.meter.spend(1)
                yield from right(before, held, frame)

        return places

    def _places_comma(self, node: Node, scope: Scope) -> Places:
        left, right = self.places(node[1], scope), self.places(node[2], scope)

        def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
            yield from left(path, value, frame)
            yield from right(path, value, frame)

        return places

    def _places_alt(self, node: Node, scope: Scope) -> Places:
        left, right = self.places(node[1], scope), self.places(node[2], scope)

        def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
            found = False
            for place in left(path, value, frame):
                if is_truthy(place[1]):
                    found = True
                    yield place
            if not found:
                yield from right(path, value, frame)

        return places

    def _places_if(self, node: Node, scope: Scope) -> Places:
        otherwise = self.places(node[2] or ("identity",), scope)
        for test, then in reversed(node[1]):
            otherwise = _choosing(self.value(test, scope), self.places(then, scope), otherwise)
        return otherwise

    def _places_opt(self, node: Node, scope: Scope) -> Places:
        """As for values, `?` after a path forgives the last step only."""
        inner = node[1]
        if inner[0] in ("field", "iterate") and not self.syntax.is_in_brackets(inner):
            base, step = self.places(inner[1], scope), self.places((inner[0], ("identity",), *inner[2:]), scope)
            forgiven = _forgiven(step)

            def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
                for before, held in base(path, value, frame):
                    yield from forgiven(before, held, frame)

            return places
        return _forgiven(self.places(inner, scope))

    def _places_try(self, node: Node, scope: Scope) -> Places:
        if node[2] is not None:
            raise self.unsupported(node, "赋值的左侧不能用 catch", "`catch` cannot stand on the left of an assignment")
        return _forgiven(self.places(node[1], scope))

    def _places_as(self, node: Node, scope: Scope) -> Places:
        source = self.value(node[1], scope)
        bind, inner_scope = self.binding(node, node[2], scope)
        body = self.places(node[3], inner_scope)

        def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
            inner = frame.child()
            for bound in source.many(value, frame):
                frame.meter.spend(1)
                bind(bound, inner)
                yield from body(path, value, inner)

        return places

    def _places_label(self, node: Node, scope: Scope) -> Places:
        slot = self.new_slot()
        body = self.places(node[2], scope.with_label(node[1], slot))

        def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
            inner, token = frame.child(), object()
            inner.slots[slot] = token
            try:
                yield from body(path, value, inner)
            except Break as jump:
                if jump.token is not token:
                    raise

        return places

    def _places_break(self, node: Node, scope: Scope) -> Places:
        code = self.value(node, scope)
        return lambda path, value, frame: ((path, found) for found in code.many(value, frame))

    def _places_funcdef(self, node: Node, scope: Scope) -> Places:
        _, name, parameters, body, rest = node
        return self.places(rest, scope.with_definition(name, parameters, body))

    def _places_call(self, node: Node, scope: Scope) -> Places:
        _, name, arguments = node
        key = (name, len(arguments))
        known = scope.functions.get(key)
        if known is not None:
            return self.places(*self.expanded(node, known, scope))
        if key in _CHOOSING:
            code = self.value(node, scope)
            return lambda path, value, frame: ((path, value) for _ in code.many(value, frame))
        if key in (("first", 0), ("last", 0)):
            return self._places_index(("index", ("identity",), ("const", 0 if name == "first" else -1)), scope)
        if key == ("getpath", 1):
            return _reached(self.value(arguments[0], scope))
        if key in (("first", 1), ("last", 1), ("limit", 2)):
            return self._some_places(node, scope)
        raise self.unsupported(
            node,
            f"{name} 不能作为路径；这里需要指向数据的路径，例如 .a.b",
            f"{name} does not select a path; a path into the data is needed here, e.g. `.a.b`",
        )

    def _some_places(self, node: Node, scope: Scope) -> Places:
        """`first(f)`, `last(f)`, `limit(n; f)`: the value function runs over (path, value) pairs."""
        _, name, arguments = node
        body = self.places(arguments[-1], scope)
        counts = [self.value(argument, scope) for argument in arguments[:-1]]
        offset = self.place(node)

        def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
            pairs = stream(lambda held, inner: body(path, held, inner), 1)
            return FILTER_FUNCTIONS[(name, len(arguments))]([*counts, pairs], offset).many(value, frame)

        return places


def _placed(operation: Callable[[Any, Frame], Any], offset: int) -> Callable[[Any, Frame], Any]:
    def one(value: Any, frame: Frame) -> Any:
        try:
            return operation(value, frame)
        except Failure as failure:
            raise failure.at(offset) from None

    return one


def _updating(places: Places, update: Code) -> Callable[[Any, Frame], Any]:
    """`|=`: each place gets the first output of the update; a place without output is removed at the end."""
    price = update.cost + 1

    def updated(value: Any, frame: Frame) -> Any:
        editor = Editor(value, frame.meter)
        removed: list[Path] = []
        for path, _ in places((), value, frame):
            frame.meter.spend(price)
            new = update.first(editor.get(path), frame)
            if new is NOTHING:
                removed.append(path)
            else:
                editor.put(path, new)
        editor.remove(removed)
        return editor.document

    return updated


def _forgiven(body: Places) -> Places:
    def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
        try:
            yield from body(path, value, frame)
        except Failure:
            return

    return places


def _choosing(test: Code, then: Places, otherwise: Places) -> Places:
    def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
        frame.meter.spend(test.cost)
        for verdict in test.many(value, frame):
            yield from (then if is_truthy(verdict) else otherwise)(path, value, frame)

    return places


def _reached(argument: Code) -> Places:
    def places(path: Path, value: Any, frame: Frame) -> Iterator[tuple[Path, Any]]:
        for given in argument.many(value, frame):
            further = path_argument(given)
            yield (*path, *further), value_at(value, further, frame.meter)

    return places
