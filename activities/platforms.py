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
from services.connections import Connections


def platform_activities(
    connector: Connector, binder: CallBinder, connections: Connections, link: Link
) -> list[Activity]:
    """One activity for each call of a connector, each acting for the account that its arguments name."""
    return [binder.bind(call, _implementation(connector, call, connections, link)) for call in connector.calls]


def _implementation(connector: Connector, call: AnyCall, connections: Connections, link: Link) -> Implementation:
    async def perform(request: Any, context: CallContext) -> BaseModel:
        with nothing_sent():
            account = await connections.account(connector.platform, request.account)
            account_id = f"{account.platform}/{account.slug}"
            client = connector.open(account, link.paced(account_id, connector.requests_per_second))
        return await call_capability(client, call, request, key=context.key, attempted=context.open_attempts)

    return _typed(perform, call)


def _typed(perform: Callable[[Any, CallContext], Awaitable[BaseModel]], call: AnyCall) -> Implementation:
    # The registry has checked the connector's own method; the binder checks what it is given, so tell it the types.
    perform.__annotations__ = {"request": call.input, "context": CallContext, "return": call.output}
    return perform
