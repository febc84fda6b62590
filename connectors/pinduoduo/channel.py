"""Pinduoduo's message channel: its address, its frames, and what they say.

One channel serves all shops of an application; a frame names its shop. `Common` frames hold a message and come again
until they are acknowledged; `HeartBeat` frames are signs of life.
Source: open.pinduoduo.com, message service documents, second-hand [S].
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from connectors.accounts import Account
from connectors.channels import Frame, frame_text
from connectors.listed_rows import row_payload
from connectors.payloads import parse_json_object
from connectors.pinduoduo.settings import PinduoduoSettings
from connectors.reading import anomaly, mapping, text, whole_number
from connectors.webhooks import Verified
from connectors.websocket import LARGEST_FRAME
from domain.ids import content_digest
from domain.problems import Text, ValidationProblem

COMMON, ACK, HEARTBEAT = "Common", "Ack", "HeartBeat"
_LAST_MILLISECOND = 4_102_444_800_000


def channel_signature(client_id: str, milliseconds: int, client_secret: str) -> str:
    """base64 of the hex md5 of client id, time and secret."""
    plain = f"{client_id}{milliseconds}{client_secret}".encode()
    return base64.b64encode(hashlib.md5(plain, usedforsecurity=False).hexdigest().encode()).decode()


class PinduoduoChannel:
    """See `connectors.channels.Channel`."""

    heartbeat_s = 30.0
    silence_s = 120.0

    def __init__(self, account: Account) -> None:
        self._settings = account.parse_settings(PinduoduoSettings)
        self.application = f"{self._settings.channel_url}/{self._settings.client_id}"
        self.owner = str(self._settings.mall_id or "")

    def address(self, now: datetime) -> str:
        """`message/{client_id}/{ms}/{signature}` below the channel's base address."""
        settings, at = self._settings, _milliseconds(now)
        signature = channel_signature(settings.client_id, at, settings.client_secret.get_secret_value())
        base = settings.channel_url.rstrip("/")
        return f"{base}/message/{settings.client_id}/{at}/{quote(signature, safe='')}"

    def heartbeat(self, now: datetime) -> str:
        """A sign of life."""
        at = _milliseconds(now)
        return frame_text(commandType=HEARTBEAT, time=at, sendTime=at)

    def read(self, text: str, received_at: datetime) -> Frame:
        """A message with its acknowledgement; nothing for signs of life and for commands Tandem does not know."""
        frame = parse_json_object(text.encode())
        if frame.get("commandType") != COMMON:
            return Frame()
        return _common(frame, text, received_at)

    def known_by(self, text: str) -> str:
        """A digest of the frame without the time at which it was sent this time."""
        try:
            frame = parse_json_object(text.encode(), max_bytes=LARGEST_FRAME)
        except ValidationProblem:
            return content_digest(text)
        told = {name: value for name, value in frame.items() if name != "sendTime"}
        return content_digest(row_payload(told, sort_keys=True))


def message_of(payload: bytes) -> tuple[Mapping[str, Any], datetime | None]:
    """The content of a kept frame and the time of its message. Raises ValidationProblem."""
    frame = parse_json_object(payload)
    message = mapping(frame.get("message"), "message")
    content = message.get("content")
    read = parse_json_object(content.encode()) if isinstance(content, str) else mapping(content, "content")
    return read, _instant(frame, "time")


def _common(frame: Mapping[str, Any], raw: str, received_at: datetime) -> Frame:
    number = whole_number(frame, "id")
    message = mapping(frame.get("message"), "message")
    kind, mall = text(message, "type", limit=128), whole_number(message, "mallID")
    at = _milliseconds(received_at)
    acknowledgement = frame_text(id=number, commandType=ACK, time=at, sendTime=at, type=kind, mallID=mall)
    record = Verified(
        kind=kind,
        payload=raw.encode(),
        dedupe_key=f"message:{number}",
        received_at=received_at,
        sent_at=_instant(frame, "time"),
    )
    return Frame(record, str(mall), acknowledgement)


def _instant(frame: Mapping[str, Any], field: str) -> datetime | None:
    value = whole_number(frame, field, 0)
    if value == 0:
        return None
    if not 0 < value < _LAST_MILLISECOND:
        raise anomaly(field, Text("不是有效的时间", "is no valid time"))
    return datetime.fromtimestamp(value / 1000, UTC)


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
