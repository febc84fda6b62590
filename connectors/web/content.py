"""Bodies on the wire and as JSON-ready values, both ways.

Text and JSON become what they are; everything else is base64 text, in answers and in requests alike, so a file that one
call fetched can be the body of the next.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any
from urllib.parse import urlencode

import httpx

from connectors.web.failures import NEVER_SENT
from domain.catalog.web import scalar_text
from domain.problems import Text, ValidationProblem

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"

_TEXT_TYPES = frozenset(
    {"application/xml", "application/javascript", "application/yaml", "application/x-yaml", "application/graphql", FORM}
)


class UnreadableContent(Exception):
    """The content is not what its type says; the message is a `Text`."""

    def __init__(self, reason: Text) -> None:
        super().__init__(reason.en)
        self.reason = reason


def media_type(content_type: str) -> str:
    """The type alone, in lower case: `application/json` of `Application/JSON; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    return kind in (JSON, "text/json") or kind.endswith("+json")


def is_text(kind: str) -> bool:
    return kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+xml", "+yaml"))


def decode_content(content: bytes, content_type: str) -> Any:
    """An answer's body as a JSON-ready value: JSON parsed, text as text, anything else as base64; null when empty.

    Raises UnreadableContent when JSON is announced and something else comes.
    """
    if not content:
        return None
    kind = media_type(content_type)
    if is_json(kind):
        return _parse_json(content, content_type)
    if is_text(kind):
        return _text(content, content_type)
    return base64.b64encode(content).decode("ascii")


def _parse_json(content: bytes, content_type: str) -> Any:
    try:
        # Without a charset the parser recognises UTF-8, 16 and 32 by itself.
        text = _text(content, content_type) if _charset(content_type) else content
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UnreadableContent(Text(f"不是有效的 JSON（{reason}）", f"it is not valid JSON ({reason})")) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _text(content: bytes, content_type: str) -> str:
    charset = _charset(content_type) or "utf-8-sig"
    try:
        return content.decode(charset, "replace")
    except LookupError:
        return content.decode("utf-8-sig", "replace")


def _charset(content_type: str) -> str | None:
    header = Message()
    header["content-type"] = content_type
    charset = header.get_content_charset()
    # Pages that announce the old GB2312 use the characters of its successor.
    return "gb18030" if charset in ("gb2312", "gbk") else "utf-8-sig" if charset in ("utf-8", "utf8") else charset


def encode_content(body: Any, content_type: str | None) -> tuple[bytes, str | None]:
    """A request's body as bytes, and the content type to announce; nothing for null.

    Raises ValidationProblem when the body cannot be written as the content type asks.
    """
    if body is None:
        return b"", content_type
    try:
        return _encode(body, content_type, media_type(content_type or ""))
    except (ValueError, RecursionError) as error:
        raise _wrong(Text(f"无法编码（{error}）", f"it cannot be encoded ({error})")) from error


def _encode(body: Any, content_type: str | None, kind: str) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        return body, content_type or "application/octet-stream"
    if isinstance(body, str):
        return _encode_text(body, content_type, kind)
    if kind == FORM:
        return urlencode(list(_fields(body, kind))).encode("ascii"), FORM
    if kind == MULTIPART:
        return _encode_multipart(body)
    if kind and not is_json(kind):
        raise _wrong(
            Text(f"内容类型为 {kind} 时请求体必须是文本", f"the body must be text when the content type is {kind}")
        )
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8"), content_type or JSON


def _encode_text(body: str, content_type: str | None, kind: str) -> tuple[bytes, str]:
    if content_type is None:
        return body.encode("utf-8"), "text/plain; charset=utf-8"
    if is_json(kind) or is_text(kind):
        return body.encode("utf-8"), content_type
    try:
        return base64.b64decode(body, validate=True), content_type
    except binascii.Error:
        raise _wrong(
            Text(
                f"内容类型为 {kind} 时文本请求体必须是 base64 编码",
                f"a text body must be base64 when the content type is {kind}",
            )
        ) from None


def _encode_multipart(body: Any) -> tuple[bytes, str]:
    parts = [
        (name, (name, value) if isinstance(value, bytes) else (None, value.encode("utf-8")))
        for name, value in _fields(body, MULTIPART)
    ]
    request = httpx.Request("POST", "http://localhost", files=parts)
    return request.read(), request.headers["content-type"]


def _fields(body: Any, kind: str) -> Iterator[tuple[str, Any]]:
    """Name and text (or bytes) of each field; a list repeats the field, an object is written as JSON."""
    if not isinstance(body, Mapping):
        raise _wrong(Text(f"内容类型为 {kind} 时请求体必须是对象", f"the body must be an object when sent as {kind}"))
    for name, value in body.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, bytes):
                yield name, item
            elif isinstance(item, Mapping | list):
                yield name, json.dumps(item, ensure_ascii=False, allow_nan=False)
            elif item is not None:
                yield name, scalar_text(item)


def _wrong(reason: Text) -> ValidationProblem:
    return ValidationProblem(Text(f"请求体不正确：{reason.zh}", f"Wrong request body: {reason.en}"), **NEVER_SENT)
