"""What Temporal keeps of runs, read and decoded: every execution, every event, and what was handed over in it."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from services.orchestrator import Orchestrator, problems


async def history_of(orchestrator: Orchestrator, run_id: str) -> AsyncIterator[dict[str, Any]]:
    """Every event of every execution of a run, the newest execution first: its number, type and instant, and the values
    in it, in clear.

    :raises UnavailableProblem: Temporal does not answer.
    """
    for execution in await orchestrator.executions(run_id):
        with problems(run_id):
            handle = orchestrator.client.get_workflow_handle(run_id, run_id=execution)
            async for event in handle.fetch_history_events():
                yield await _told(orchestrator, execution, event)


async def _told(orchestrator: Orchestrator, execution: str, event: HistoryEvent) -> dict[str, Any]:
    payloads = list(_payloads(event))
    codec = orchestrator.client.data_converter.payload_codec
    if codec is not None and payloads:
        payloads = list(await codec.decode(payloads))
    return {
        "execution": execution,
        "event": event.event_id,
        "type": EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower(),
        "at": event.event_time.ToJsonString(),
        "values": [_value(each) for each in payloads],
    }


def _payloads(message: Message) -> Iterator[Payload]:
    """Whatever an event holds that a program gave it."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for each in _messages(value):
            yield from _payloads(each)


def _messages(value: Any) -> Iterator[Message]:
    """The messages in a field: in a map those that are its values."""
    if isinstance(value, Message):
        yield value
    else:
        for each in value.values() if hasattr(value, "values") else value:
            if isinstance(each, Message):
                yield each


def _value(payload: Payload) -> Any:
    try:
        return json.loads(payload.data) if payload.data else None
    except ValueError:
        return payload.data.decode("utf-8", "replace")
