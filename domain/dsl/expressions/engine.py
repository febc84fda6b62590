"""A compiled expression and the ways to run it.

Compiling is pure and cached; running is bounded by a `Budget`, reads no clock, no environment and no file, and never
changes what it is given. A result may share parts with its input: treat both as read-only.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from domain.dsl.expressions.changes import ExpressionCompiler
from domain.dsl.expressions.code import NOTHING, Frame
from domain.dsl.expressions.dataflow import COMPARISONS
from domain.dsl.expressions.failures import Break, Exhausted, Failure, Refusal, expression_problem
from domain.dsl.expressions.meter import DEFAULT_BUDGET, Budget, Meter, settle
from domain.dsl.expressions.policy import check
from domain.dsl.expressions.syntax import Node, nodes, parse, strip_expression
from domain.dsl.expressions.values import is_truthy
from domain.problems import ExpressionProblem, Text

_CACHED = 4096
BUDGET_CODE = "expression-budget"
FAILURE_CODE = "expression-failed"
_SELECTING = frozenset(
    ["identity", "field", "index", "iterate", "pipe", "comma", "var", "alt", "if", "opt", "try", "and", "or"]
)
_SELECTING_FUNCTIONS = frozenset(
    [
        "select/1",
        "first/0",
        "first/1",
        "last/0",
        "last/1",
        "empty/0",
        "not/0",
        "has/1",
        "length/0",
        "type/0",
        "any/0",
        "any/1",
        "all/0",
        "all/1",
        "startswith/1",
        "endswith/1",
    ]
)


class Expression:
    """A jq expression that has passed the policy. Immutable, safe to share between threads.

    With several outputs the first one counts, with none the result is null: an expression of a flow stands for one
    value, and other runtimes of the DSL take the first as well. Write `[…]` for all of them.
    """

    __slots__ = ("_builds", "_code", "_run", "source", "variables")

    source: str
    """The jq text inside `${ … }`."""
    variables: frozenset[str]
    """The names, without `$`, that the caller must provide."""

    def __init__(self, source: str) -> None:
        """Raises Refusal; use `compile_expression`."""
        syntax = parse(source)
        check(syntax)
        compiler = ExpressionCompiler(syntax)
        try:
            self._code = compiler.compile()
        except RecursionError:
            text = Text("表达式嵌套过深，请拆成几个 set 步骤", "the expression is nested too deeply; split it")
            raise Refusal("expression-too-large", 0, text) from None
        self._builds = any(map(_may_build, nodes(syntax.root)))
        self._run: Callable[[Any, Frame], Any] = self._code.one or self._code.first
        self.source = source
        self.variables = frozenset(compiler.free)

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return compile_expression, (self.source,)

    def evaluate(
        self, value: Any, variables: Mapping[str, Any], *, now: datetime, budget: Budget = DEFAULT_BUDGET
    ) -> Any:
        """The first output for `value` as input; null when there is none.

        `variables` by name without `$`; `now` is the run's time. Raises ExpressionProblem when the evaluation fails or
        goes over its budget.
        """
        return self.run(value, variables, Meter(budget, now))

    def truth(
        self, value: Any, variables: Mapping[str, Any], *, now: datetime, budget: Budget = DEFAULT_BUDGET
    ) -> bool:
        """Whether the first output is neither null nor false; False when there is none. Raises ExpressionProblem."""
        return is_truthy(self.run(value, variables, Meter(budget, now)))

    def run(self, value: Any, variables: Mapping[str, Any], meter: Meter) -> Any:
        """As `evaluate`, on a meter that may be shared by several expressions."""
        try:
            meter.spend(self._code.cost)
            result = self._run(value, Frame(variables, meter, {}))
            if result is NOTHING:
                return None
            return settle(result, meter) if self._builds else result
        except Failure as failure:
            raise self._problem(FAILURE_CODE, failure.offset, failure.text) from None
        except Exhausted as exhausted:
            raise self._problem(BUDGET_CODE, 0, exhausted.text) from None
        except (RecursionError, MemoryError):
            text = Text("表达式的计算嵌套过深或占用内存过多", "the evaluation goes too deep or takes too much memory")
            raise self._problem(BUDGET_CODE, 0, text) from None
        except Break:
            text = Text("break 跳出了它的 label", "a break left its label")
            raise self._problem(FAILURE_CODE, 0, text) from None

    def holds(self, value: Any, variables: Mapping[str, Any], meter: Meter) -> bool:
        """As `truth`, on a meter of the caller's."""
        return is_truthy(self.run(value, variables, meter))

    def _problem(self, code: str, offset: int | None, text: Text) -> ExpressionProblem:
        return expression_problem(self.source, code, offset or 0, text)


def compile_expression(source: str) -> Expression:
    """The compiled jq source (without `${ }`), from a bounded cache.

    Raises ExpressionProblem when it does not parse or breaks the policy; it carries `code`, `offset` and `expression`.
    """
    try:
        return _compiled(source)
    except Refusal as refusal:
        raise expression_problem(source, refusal.code, refusal.offset, refusal.text) from None


def compile_condition(text: str) -> Expression:
    """The compiled expression of a place where the DSL allows it bare (`when`, `in`, `while`, `if`, `as`, `from`).

    `${ }` around it is accepted. Raises ExpressionProblem.
    """
    return compile_expression(strip_expression(text))


def _may_build(node: Node) -> bool:
    """Whether a node may make something new; what is merely selected from the input needs no measuring."""
    if node[0] == "call":
        return f"{node[1]}/{len(node[2])}" not in _SELECTING_FUNCTIONS
    if node[0] == "binop":
        return node[1] not in COMPARISONS
    if node[0] == "const":
        return isinstance(node[1], float)
    return node[0] not in _SELECTING


_compiled = lru_cache(maxsize=_CACHED)(Expression)
