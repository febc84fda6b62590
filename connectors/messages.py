"""The last step of `send`: a rendered text through its channel.

Whether a customer may be reached (`domain.journeys.reach`) and what the text is (`connectors.templates`) is settled
before. An attempt that was begun once may have died before it was judged: what it sent is looked for, and what it did
not send is judged anew.
"""

from connectors.wecom.client import WecomCorp
from domain.calls import Attempted
from domain.catalog.messages import SendArguments, SendOutput
from domain.catalog.wecom import WECOM_SEND_MESSAGE, SendMessageArguments


async def delivered(
    client: WecomCorp, request: SendArguments, text: str, *, key: str, attempted: Attempted
) -> SendOutput | None:
    """What an earlier attempt sent under this key; None when it sent nothing, so that it may still be refused."""
    sent = await client.sent_message(_message(request, text), key=key, attempted=attempted)
    return SendOutput(sent=True, message_id=sent.message_id) if sent is not None else None


async def deliver(client: WecomCorp, request: SendArguments, text: str, *, key: str) -> SendOutput:
    """Send the text, which no earlier attempt has `delivered`; `unreachable` when the platform does not take this
    customer.

    Raises ValidationProblem for a text the channel cannot carry, else as `connectors.errors` describes.
    """
    sent = await client.send_message(_message(request, text), key=key, attempted=None)
    if sent.refused:
        return SendOutput(sent=False, message_id=sent.message_id, skipped_reason="unreachable")
    return SendOutput(sent=True, message_id=sent.message_id)


def _message(request: SendArguments, text: str) -> SendMessageArguments:
    return WECOM_SEND_MESSAGE.parse_arguments(
        {"account": request.account, "external_userid": request.to, "text": text, "sender": request.sender}
    )
