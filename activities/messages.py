"""`send`: a message to a customer, decided, rendered, sent and recorded."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from activities.binding import Activity, CallBinder, CallContext
from connectors.acting import TooLate
from connectors.http import Link
from connectors.messages import deliver, delivered
from connectors.templates import TemplateRenderer
from connectors.wecom import WecomConnector
from connectors.wecom.client import WecomCorp
from domain.calls import Attempted
from domain.catalog.messages import SEND, SendArguments, SendOutput
from domain.problems import Problem, ProblemError, UnavailableProblem
from services.connections import Connections
from services.reach import Cause, ReachService


def message_activities(
    binder: CallBinder, connections: Connections, reach: ReachService, renderer: TemplateRenderer, link: Link
) -> list[Activity]:
    """The `send` call. Quiet hours, caps and suppression are decided here, at the moment of sending."""
    wecom = WecomConnector()

    async def send(request: SendArguments, context: CallContext) -> SendOutput:
        account = await connections.account(wecom.platform, request.account)
        account_id = f"{wecom.platform}/{account.slug}"
        client = wecom.open(account, link.paced(account_id, wecom.requests_per_second))
        asked_at = context.attempted.until if context.attempted is not None else None
        cause = Cause(context.key, context.run_id, context.reference, account_id, asked_at)

        async def render() -> str:
            source = request.text if request.text is not None else await reach.template(request.template or "")
            return await renderer.render(source, request.data)

        return await send_once(client, reach, request, render, cause, attempted=context.open_attempts)

    return [binder.bind(SEND, send)]


async def send_once(
    client: WecomCorp,
    reach: ReachService,
    request: SendArguments,
    render: Callable[[], Awaitable[str]],
    cause: Cause,
    *,
    attempted: Attempted | None,
) -> SendOutput:
    """Send unless the house rules say no at this moment, once per key of the cause; recorded either way.

    attempted: when earlier attempts may have sent it. When they did not, the rules are asked again: their answer may
    differ by now, or they died before they asked. Until it is recorded marketing counts for the caps as if it had gone
    out; no longer once it certainly did not.
    """
    output: SendOutput | None = None
    if attempted is not None:
        output = await delivered(client, request, await render(), key=cause.key, attempted=attempted)
        if output is None:
            await attempted.did_nothing()
    if output is None:
        try:
            refusal = await reach.refusal(request, cause)
            if refusal is not None:
                output = SendOutput(sent=False, skipped_reason=refusal)
            else:
                output = await deliver(client, request, await render(), key=cause.key)
        except TooLate:
            # Who has taken over may be sending it by now: it goes on to count.
            raise
        except ProblemError as error:
            if _did_not_go_out(error.problem):
                with suppress(UnavailableProblem):
                    await reach.let_go(cause)
            raise
    await reach.record(request, output, cause)
    return output


def _did_not_go_out(problem: Problem) -> bool:
    """Whether that is certain; our own database may have gone away at any moment."""
    presumed = "unknown" if problem.type == UnavailableProblem.type else "not_done"
    return bool(problem.as_dict().get("outcome", presumed) == "not_done")
