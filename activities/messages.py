"""`send`: a message to a customer, decided, rendered, sent and recorded."""

from activities.binding import Activity, CallBinder, CallContext
from connectors.http import Link
from connectors.messages import deliver
from connectors.templates import TemplateRenderer
from connectors.wecom import WecomConnector
from domain.catalog.messages import SEND, SendArguments, SendOutput
from services.connections import Connections
from services.reach import Cause, ReachService


def message_activities(
    binder: CallBinder, connections: Connections, reach: ReachService, renderer: TemplateRenderer, link: Link
) -> list[Activity]:
    """The `send` call. Quiet hours, caps and suppression are decided here, at the moment of sending."""
    wecom = WecomConnector()

    async def send(request: SendArguments, context: CallContext) -> SendOutput:
        account = await connections.account(wecom.platform, request.account)
        cause = Cause(context.key, context.run_id, context.reference, f"{wecom.platform}/{account.slug}")
        if not context.resumed:
            refusal = await reach.refusal(request, cause)
            if refusal is not None:
                skipped = SendOutput(sent=False, skipped_reason=refusal)
                await reach.record(request, skipped, cause)
                return skipped
        source = request.text if request.text is not None else await reach.template(request.template or "")
        text = await renderer.render(source, request.data)
        output = await deliver(wecom.open(account, link), request, text, key=context.key, resumed=context.resumed)
        await reach.record(request, output, cause)
        return output

    return [binder.bind(SEND, send)]
