"""The search attributes by which runs are found in Temporal: registered before the first run needs them."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

SEARCH_ATTRIBUTES = {
    "TandemFlow": "Keyword",
    "TandemVersion": "Keyword",
    "TandemSubject": "KeywordList",
    "TandemCustomer": "Keyword",
    "TandemTicket": "Keyword",
    "TandemPhase": "Keyword",
}
_TYPES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}


async def missing_search_attributes(client: Client) -> list[str]:
    """The names that the client's namespace does not know."""
    try:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.UNIMPLEMENTED:  # the time-skipping server registers but does not list
            return list(SEARCH_ATTRIBUTES)
        raise
    return [name for name in SEARCH_ATTRIBUTES if name not in known.custom_attributes]


async def register_search_attributes(client: Client) -> None:
    """Afterwards the client's namespace knows all of them; calling it twice does no harm."""
    missing = await missing_search_attributes(client)
    if not missing:
        return
    request = AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes={name: _TYPES[SEARCH_ATTRIBUTES[name]] for name in missing}
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        # Another process was faster.
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
