"""Expressions of flows: jq, contained.

`compile_expression`, `compile_condition` and `compile_template` compile; what they return evaluates within a budget,
with the run's time, and never reaches outside its input and variables. `inspect_expression` serves the linter.
"""

from domain.dsl.expressions.engine import Expression, compile_condition, compile_expression
from domain.dsl.expressions.meter import DEFAULT_BUDGET, Budget
from domain.dsl.expressions.policy import ExpressionIssue, inspect_expression
from domain.dsl.expressions.syntax import is_expression, strip_expression
from domain.dsl.expressions.template import Template, compile_template

__all__ = [
    "DEFAULT_BUDGET",
    "Budget",
    "Expression",
    "ExpressionIssue",
    "Template",
    "compile_condition",
    "compile_expression",
    "compile_template",
    "inspect_expression",
    "is_expression",
    "strip_expression",
]
