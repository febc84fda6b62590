"""Structures of a definition whose texts may be expressions, compiled once and rendered many times.

In strict mode (the default) a text is an expression when the whole of it is one `${ … }`; every other text stands for
itself. In loose mode a bare text is an expression as well when it compiles and mentions data — a field, `.`, or a
variable — so `.order.id` and `$input | length` are, while `hello`, `length`, `138-0013-8000` and `12:30` stay texts. As
the specification has it, a bare text whose evaluation fails stands for itself; one that goes over its budget still
fails. Inside `${ … }` loose mode is as strict as strict mode: the mark is a promise.
Source: Serverless Workflow DSL 1.0.3, "Runtime Expressions", "Evaluate".
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from domain.dsl.expressions.engine import FAILURE_CODE, Expression, compile_expression
from domain.dsl.expressions.failures import Refusal
from domain.dsl.expressions.meter import DEFAULT_BUDGET, Budget, Meter
from domain.dsl.expressions.syntax import is_expression, nodes, parse, strip_expression
from domain.problems import ExpressionProblem

Mode = Literal["strict", "loose"]
_Render = Callable[[Any, Mapping[str, Any], Meter], Any]


class Template:
    """A compiled structure. Immutable; iterating yields each expression with its JSON pointer, for the linter."""

    __slots__ = ("_expressions", "_render", "is_constant", "variables")

    is_constant: bool
    """Whether there is no expression in it: it renders to an equal structure every time."""
    variables: frozenset[str]
    """The names, without `$`, that its expressions need."""

    def __init__(self, render: _Render, expressions: list[tuple[str, Expression]]) -> None:
        """Use `compile_template`."""
        self._render = render
        self._expressions = tuple(expressions)
        self.is_constant = not expressions
        self.variables = frozenset().union(*(expression.variables for _, expression in expressions))

    def __iter__(self) -> Iterator[tuple[str, Expression]]:
        return iter(self._expressions)

    def render(
        self, value: Any, variables: Mapping[str, Any], *, now: datetime, budget: Budget = DEFAULT_BUDGET
    ) -> Any:
        """A fresh structure with every expression replaced by its result for `value` as input.

        One budget covers all of its expressions. Lists and objects of the template are new each time; the result of an
        expression may share parts with the input. Raises ExpressionProblem.
        """
        return self._render(value, variables, Meter(budget, now))

    def run(self, value: Any, variables: Mapping[str, Any], meter: Meter) -> Any:
        """As `render`, on a meter of the caller's."""
        return self._render(value, variables, meter)


def compile_template(value: Any, *, mode: Mode = "strict") -> Template:
    """The template of a JSON-like structure. Names of members are never expressions.

    Raises ExpressionProblem, its `pointer` saying where in the structure, for an expression that does not compile.
    """
    expressions: list[tuple[str, Expression]] = []
    render = _compiled(value, "", mode, expressions)
    return Template(render, expressions)


def _compiled(value: Any, pointer: str, mode: Mode, expressions: list[tuple[str, Expression]]) -> _Render:
    if isinstance(value, str):
        return _text(value, pointer, mode, expressions)
    if isinstance(value, Mapping):
        members = [
            (name, _compiled(part, f"{pointer}/{_escaped(str(name))}", mode, expressions))
            for name, part in value.items()
        ]
        return lambda data, variables, meter: {name: render(data, variables, meter) for name, render in members}
    if isinstance(value, (list, tuple)):
        items = [_compiled(part, f"{pointer}/{place}", mode, expressions) for place, part in enumerate(value)]
        return lambda data, variables, meter: [render(data, variables, meter) for render in items]
    return lambda _data, _variables, _meter: value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _text(text: str, pointer: str, mode: Mode, expressions: list[tuple[str, Expression]]) -> _Render:
    if is_expression(text):
        try:
            expression = compile_expression(strip_expression(text))
        except ExpressionProblem as problem:
            raise ExpressionProblem.of(problem.problem.model_copy(update={"pointer": pointer})) from None
        expressions.append((pointer, expression))
        return expression.run
    bare = _bare_expression(text) if mode == "loose" else None
    if bare is None:
        return lambda _data, _variables, _meter: text
    expressions.append((pointer, bare))
    return _forgiving(bare, text)


def _bare_expression(text: str) -> Expression | None:
    """The expression that a bare text of loose mode is meant as, if it is."""
    try:
        mentions_data = any(node[0] in ("identity", "field", "var") for node in nodes(parse(text.strip()).root))
        return compile_expression(text.strip()) if mentions_data else None
    except (Refusal, ExpressionProblem):
        return None


def _forgiving(expression: Expression, text: str) -> _Render:
    def render(data: Any, variables: Mapping[str, Any], meter: Meter) -> Any:
        try:
            return expression.run(data, variables, meter)
        except ExpressionProblem as problem:
            if (problem.problem.model_extra or {}).get("code") != FAILURE_CODE:
                raise
            return text

    return render
