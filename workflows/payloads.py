"""How messages become payloads: JSON, a start marked with its definition so that a worker can fetch it in time."""

from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    CompositePayloadConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
)

from workflows.messages import FlowStart

DEFINITION_METADATA = "tandem-definition"
"""Metadata key under which a payload names the definition that its reader needs."""


class FlowStartConverter(EncodingPayloadConverter):
    """A `FlowStart` as JSON whose metadata names the definition's digest, for a codec that knows no messages."""

    _json = JSONPlainPayloadConverter()

    @property
    def encoding(self) -> str:
        return "json/tandem-flow-start"

    def to_payload(self, value: Any) -> Payload | None:
        if not isinstance(value, FlowStart):
            return None
        payload = self._json.to_payload(value)
        if payload is not None:
            payload.metadata["encoding"] = self.encoding.encode()
            payload.metadata[DEFINITION_METADATA] = value.definition.digest.encode()
        return payload

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        return self._json.from_payload(payload, FlowStart)


class TandemPayloadConverter(CompositePayloadConverter):
    """Starts as above, everything else as Temporal's default."""

    def __init__(self) -> None:
        super().__init__(FlowStartConverter(), *DefaultPayloadConverter.default_encoding_payload_converters)
