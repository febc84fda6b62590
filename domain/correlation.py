"""Does this event match that filter? One answer for triggers, for `listen` and for `wait-for`.

Source: Serverless Workflow DSL 1.0.3, "Event Filter" and "Correlation".
"""

from collections.abc import Callable, Mapping
from typing import Any

from domain.dsl.expressions import is_expression
from domain.dsl.model import EventFilter
from domain.events import Event

Evaluate = Callable[[str, Any], Any]
"""`(expression, value of .) -> result`; raises ExpressionProblem."""


def matches(wanted: EventFilter, event: Event, evaluate: Evaluate) -> bool:
    """Whether every attribute the filter names is as it says; correlations are `correlate`'s.

    A literal must be equal. An expression on `data` sees the data as `.`, on any other attribute that attribute: a
    boolean result decides, any other must be equal to the attribute. A literal object under `data` must be contained
    in the event's data.
    """
    envelope = event.envelope()
    for name, expected in wanted.with_.model_dump(exclude_none=True).items():
        if not _attribute_matches(expected, envelope.get(name), evaluate):
            return False
    return True


def correlate(
    wanted: EventFilter, event: Event, evaluate: Evaluate, expectations: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The correlation values of an event, or None when one differs from what is expected.

    `from` sees the whole event as `.`. What `expect` says is in `expectations` by name when it is known already;
    a name without expectation takes the event's own value, which binds the events after it.
    """
    envelope = event.envelope()
    values: dict[str, Any] = {}
    for name, correlation in wanted.correlate.items():
        value = evaluate(correlation.from_, envelope)
        if value is None or (name in expectations and expectations[name] != value):
            return None
        values[name] = value
    return values


def contains(whole: Any, part: Any) -> bool:
    """Whether every member of `part` is in `whole` with an equal (for objects: containing) value."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    return bool(whole == part)


def _attribute_matches(expected: Any, actual: Any, evaluate: Evaluate) -> bool:
    if isinstance(expected, str) and is_expression(expected):
        result = evaluate(expected, actual)
        return result if isinstance(result, bool) else bool(result == actual)
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and _attribute_matches(value, actual[key], evaluate) for key, value in expected.items()
        )
    return bool(expected == actual)
