"""The names a part of an expression sees while it is compiled.

A `def` is a template: each call is compiled anew with its arguments in place, so nothing recurses at run time and there
is no closure to keep. Variables and labels get a slot of their own, so an inner binding never hides an outer one from
the filters that were written outside.
"""

from dataclasses import dataclass, replace

from domain.dsl.expressions.syntax import Node


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """A `def`: its parameters and body, and the scope it was written in, which knows the `def` itself."""

    parameters: list[str]
    body: Node
    scope: "Scope"


@dataclass(frozen=True, slots=True, eq=False)
class Argument:
    """A filter handed to a `def`, in the scope of the call."""

    node: Node
    scope: "Scope"


Functions = dict[tuple[str, int], Definition | Argument]


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Variables and labels by slot, functions by name and arity; `expanding` are the calls being compiled."""

    variables: dict[str, int]
    labels: dict[str, int]
    functions: Functions
    expanding: tuple[Definition, ...] = ()

    def with_variables(self, slots: dict[str, int]) -> "Scope":
        return replace(self, variables={**self.variables, **slots})

    def with_label(self, name: str, slot: int) -> "Scope":
        return replace(self, labels={**self.labels, name: slot})

    def with_definition(self, name: str, parameters: list[str], body: Node) -> "Scope":
        functions = dict(self.functions)
        scope = replace(self, functions=functions)
        functions[(name, len(parameters))] = Definition(parameters, body, scope)
        return scope

    def calling(self, definition: Definition, arguments: list[Node]) -> "Scope":
        """The scope of a definition's body for a call made from this scope."""
        given: Functions = {
            (parameter.removeprefix("$"), 0): Argument(argument, self)
            for parameter, argument in zip(definition.parameters, arguments, strict=True)
        }
        functions = {**definition.scope.functions, **given}
        return replace(definition.scope, functions=functions, expanding=(*self.expanding, definition))


EMPTY_SCOPE = Scope({}, {}, {})
