"""The last step of `send`: a rendered text through its channel.

Whether a customer may be reached (`domain.journeys.reach`) and what the text is (`connectors.templates`) is settled
before; an attempt that was begun once was let through then and is not judged again.
"""

from connectors.wecom.client import WecomCorp
from domain.catalog.messages import SendArguments, SendOutput
from domain.catalog.wecom import WECOM_SEND_MESSAGE


async def deliver(client: WecomCorp, request: SendArguments, text: str, *, key: str, resumed: bool) -> SendOutput:
    """Send the text once per key; `unreachable` when the platform does not take this customer.

    Raises ValidationProblem for a text the channel cannot carry, else as `connectors.errors` describes.
    """
    message = WECOM_SEND_MESSAGE.parse_arguments(
        {"account": request.account, "external_userid": request.to, "text": text, "sender": request.sender}
    )
    sent = await client.send_message(message, key=key, resumed=resumed)
    if sent.refused:
        return SendOutput(sent=False, message_id=sent.message_id, skipped_reason="unreachable")
    return SendOutput(sent=True, message_id=sent.message_id)
