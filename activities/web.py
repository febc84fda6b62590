"""`call: http` and `call: openapi` as activities."""

from activities.binding import Activity, CallBinder, CallContext
from connectors.web.caller import WebCaller
from domain.catalog.web import HTTP_CALL, OPENAPI_CALL, HttpRequest, OpenApiRequest, WebOutput


def web_activities(binder: CallBinder, caller: WebCaller) -> list[Activity]:
    """Both web calls, over one guarded client."""

    async def http(request: HttpRequest, context: CallContext) -> WebOutput:
        return WebOutput(await caller.call_http(request, idempotency_key=context.key))

    async def openapi(request: OpenApiRequest, context: CallContext) -> WebOutput:
        return WebOutput(await caller.call_openapi(request, idempotency_key=context.key))

    return [binder.bind(HTTP_CALL, http), binder.bind(OPENAPI_CALL, openapi)]
