"""The calls of every connected platform as activities."""

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

from activities.binding import Activity, CallBinder, CallContext, Implementation
from connectors.capabilities import call_capability
from connectors.errors import nothing_sent
from connectors.http import Link
from connectors.registry import Connector
from domain.calls import AnyCall
from domain.canonical.keys import IdentityKey
from services.connections import Connections
from services.direct_messages import DirectMessages
from services.reach import Cause


def platform_activities(
    connector: Connector, binder: CallBinder, connections: Connections, messages: DirectMessages, link: Link
) -> list[Activity]:
    """One activity for each call of a connector, each acting for the account that its arguments name."""
    return [
        binder.bind(call, _implementation(connector, call, connections, messages, link)) for call in connector.calls
    ]


def _implementation(
    connector: Connector, call: AnyCall, connections: Connections, messages: DirectMessages, link: Link
) -> Implementation:
    async def perform(request: Any, context: CallContext) -> BaseModel:
        with nothing_sent():
            account = await connections.account(connector.platform, request.account)
            account_id = f"{account.platform}/{account.slug}"
            client = connector.open(account, link.paced(account_id, connector.requests_per_second))
            recipient = _recipient(call, request, account_id)
            if recipient is not None and await messages.is_erased(recipient):
                refusal: BaseModel = call.parse_result({"message_id": None, "refused": True, "reason": "erased"})
                return refusal
        output = await call_capability(client, call, request, key=context.key, attempted=context.open_attempts)
        if recipient is not None:
            cause = Cause(context.key, context.run_id, context.reference, account_id)
            await messages.record(
                recipient, cause, getattr(output, "message_id", None), getattr(output, "refused", False)
            )
        return output

    return _typed(perform, call)


def _recipient(call: AnyCall, request: Any, account_id: str) -> IdentityKey | None:
    """The customer whom a call writes to."""
    return IdentityKey(call.writes_to, account_id, getattr(request, call.writes_to)) if call.writes_to else None


def _typed(perform: Callable[[Any, CallContext], Awaitable[BaseModel]], call: AnyCall) -> Implementation:
    # The registry has checked the connector's own method; the binder checks what it is given, so tell it the types.
    perform.__annotations__ = {"request": call.input, "context": CallContext, "return": call.output}
    return perform
