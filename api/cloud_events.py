"""CloudEvents over HTTP: one in structured or binary mode, or a batch.

Source: CloudEvents 1.0.2, HTTP Protocol Binding (3.1 binary, 3.2 structured, 3.3 batched) and JSON Event Format.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from fastapi import Request
from pydantic import ValidationError

from api.bodies import is_json, media_type_of, parse_json
from api.problems import MediaTypeProblem, invalid
from domain.events import Event
from domain.problems import Text, ValidationProblem
from domain.storable import is_storable

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
_PREFIX = "ce-"


async def events_of(request: Request) -> list[Event]:
    """The events of a request.

    :raises MediaTypeProblem: neither a CloudEvents content type nor `ce-` headers.
    :raises ValidationProblem: no events.
    """
    media_type = media_type_of(request.headers)
    body = await request.body()
    if media_type == BATCHED:
        batch = parse_json(body)
        if not isinstance(batch, list):
            raise ValidationProblem(Text("批量事件应为 JSON 数组", "A batch is a JSON array"), errors=[])
        return [_event(item, number) for number, item in enumerate(batch)]
    if media_type == STRUCTURED:
        return [_event(parse_json(body))]
    if f"{_PREFIX}specversion" in request.headers:
        return [_event(_binary(request.headers, media_type, body))]
    raise MediaTypeProblem(
        Text(
            f"请使用 {STRUCTURED}、{BATCHED}，或带 ce- 头的二进制模式",
            f"Send {STRUCTURED}, {BATCHED}, or binary mode with ce- headers",
        ),
        accepted=[STRUCTURED, BATCHED],
    )


def _binary(headers: Mapping[str, str], media_type: str, body: bytes) -> dict[str, Any]:
    """Attributes from headers, data from the body."""
    attributes: dict[str, Any] = {
        name.removeprefix(_PREFIX): unquote(value) for name, value in headers.items() if name.startswith(_PREFIX)
    }
    if not all(is_storable(value) for value in attributes.values()):
        raise ValidationProblem(
            Text("事件属性中不能包含空字符（NUL）", "An attribute of an event must not contain NUL"), errors=[]
        )
    if media_type:
        attributes["datacontenttype"] = headers["content-type"]
    if body:
        if not media_type or is_json(media_type):
            attributes["data"] = parse_json(body)
        else:
            attributes["data"] = _text_of(body)
    return attributes


def _text_of(body: bytes) -> str:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise ValidationProblem(
            Text("事件数据应为 JSON 或 UTF-8 文本", "The event's data must be JSON or UTF-8 text"), errors=[]
        )
    return text


def _event(value: Any, number: int | None = None) -> Event:
    place: tuple[str | int, ...] = ("body",) if number is None else ("body", number)
    if not isinstance(value, dict):
        raise invalid([{"type": "dict_type", "loc": place, "msg": "a CloudEvent is a JSON object"}])
    attributes = dict(value)
    if isinstance(keys := attributes.get("tandemkeys"), str):
        # An extension attribute of CloudEvents is a text; ours are sent out so.
        attributes["tandemkeys"] = [key for key in keys.split(",") if key]
    if attributes.get("specversion") != "1.0":
        raise invalid([{"type": "version", "loc": (*place, "specversion"), "msg": "this must be “1.0”"}])
    if "data_base64" in attributes:
        attributes["data"] = _from_base64(attributes.pop("data_base64"), place)
    try:
        return Event.model_validate(attributes)
    except ValidationError as error:
        raise invalid([{**item, "loc": (*place, *item["loc"])} for item in error.errors(include_url=False)]) from None


def _from_base64(encoded: Any, place: tuple[str | int, ...]) -> str:
    try:
        return _text_of(base64.b64decode(encoded, validate=True))
    except (binascii.Error, TypeError, ValueError):
        raise invalid([{"type": "base64", "loc": (*place, "data_base64"), "msg": "this is no base64"}]) from None
