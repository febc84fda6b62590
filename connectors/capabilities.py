"""From a declared call to the method that implements it, checked when the program starts and not when money moves.

The call `youzan.agree_refund` is the method `agree_refund` of the platform's client::

    async def get_refund(self, request: RefundArguments) -> GetRefundOutput                            # effect="none"
    async def agree_refund(self, request: AgreeRefundArguments, *, key: str, resumed: bool) -> AgreeRefundOutput

key: the same for every attempt of one effect. resumed: an earlier attempt started and nobody knows how it ended, so the
method asks the platform before it does anything. That of a call that is declared with `searches` gets `attempted:
Attempted | None` instead: when those attempts were at work, None when there were none. It awaits
`attempted.did_nothing()` between the search and what it does.
"""

import inspect
from typing import Any, get_type_hints

from pydantic import BaseModel

from domain.calls import AnyCall, Attempted
from domain.problems import ConfigurationProblem, Text


def method_name(call: AnyCall) -> str:
    """The method that implements a call: what follows the platform's name."""
    return call.name.partition(".")[2]


def check_capabilities(client: type[Any], calls: tuple[AnyCall, ...]) -> None:
    """Raises ConfigurationProblem that names every call whose method is missing or has another shape."""
    wrong = [f"{call.name}: {fault}" for call in calls if (fault := _fault(client, call))]
    if wrong:
        faults = "; ".join(wrong)
        raise ConfigurationProblem(
            Text(
                f"连接器 {client.__name__} 未按声明实现：{faults}",
                f"{client.__name__} breaks its declarations: {faults}",
            )
        )


async def call_capability(
    client: object, call: AnyCall, request: BaseModel, *, key: str, attempted: Attempted | None
) -> BaseModel:
    """Run one call on a platform's client. Raises problems as `connectors.errors` describes them.

    attempted: when those earlier attempts were at work of which nobody knows how they ended.
    """
    method = getattr(client, method_name(call))
    more: dict[str, Any] = {}
    if call.effect == "keyed":
        more = {"key": key} | ({"attempted": attempted} if call.searches else {"resumed": attempted is not None})
    result: BaseModel = await method(request, **more)
    return result


def _fault(client: type[Any], call: AnyCall) -> str | None:
    method = getattr(client, method_name(call), None)
    if method is None:
        return f"no method {method_name(call)}"
    if not inspect.iscoroutinefunction(method):
        return "not a coroutine function"
    hints = get_type_hints(method)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    effect = [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    expected = ["key", "attempted" if call.searches else "resumed"] if call.effect == "keyed" else []
    if effect != expected or len(parameters) != 1 + len(effect):
        return f"parameters must be (self, request{', *, ' if expected else ''}{', '.join(expected)})"
    if hints.get(parameters[0].name) is not call.input:
        return f"the request must be {call.input.__name__}"
    if hints.get("return") is not call.output:
        return f"the result must be {call.output.__name__}"
    return None
