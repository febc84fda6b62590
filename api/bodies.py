"""Reading bodies strictly: JSON of bounded depth that the database can hold, and texts of uploaded files."""

import json
import re
from collections.abc import Mapping, Sequence
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import HTTP
from math import isfinite
from typing import Any, NamedTuple

from fastapi import Request

from api.problems import MediaTypeProblem
from domain.dsl.findings import Finding
from domain.dsl.source import decode_source
from domain.problems import Text, ValidationProblem
from domain.storable import is_json_storable
from services.definition_sources import SourceText
from services.definitions import MOST_TEXTS

DEEPEST_JSON = 64
YAML_MEDIA_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain")
UPLOAD_MEDIA_TYPES = (*YAML_MEDIA_TYPES, "multipart/form-data")

_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def media_type_of(headers: Mapping[str, str]) -> str:
    """The media type of a body without its parameters, in small letters; empty when none is named."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def require_media_type(request: Request, allowed: tuple[str, ...]) -> str:
    """The request's media type; raises MediaTypeProblem when it is none of the allowed ones."""
    media_type = media_type_of(request.headers)
    if media_type not in allowed:
        raise MediaTypeProblem(
            Text(
                f"不支持的内容类型“{media_type}”，请使用：{'、'.join(allowed)}",
                f"The content type “{media_type}” is not read here; use {', '.join(allowed)}",
            ),
            accepted=list(allowed),
        )
    return media_type


def parse_json(body: bytes) -> Any:
    """The JSON value of a body.

    :raises ValidationProblem: no JSON of RFC 8259, nested deeper than 64, or text that cannot be stored (NUL, half a
        surrogate pair).
    """
    _refuse_deep(body)
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _no_json(error) from None
    if not is_json_storable(body, value):
        raise ValidationProblem(
            Text(
                "文本中不能包含空字符（\\u0000）或不成对的代理字符",
                "Text must not contain NUL (\\u0000) or half a surrogate pair",
            ),
            errors=[],
        )
    return value


def _refuse_deep(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= DEEPEST_JSON:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        token = match.group()
        if token in b"[{":
            depth += 1
            if depth > DEEPEST_JSON:
                raise ValidationProblem(
                    Text(f"JSON 嵌套超过 {DEEPEST_JSON} 层", f"The JSON is nested deeper than {DEEPEST_JSON} levels"),
                    errors=[],
                )
        elif token in b"]}":
            depth -= 1


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:40]} is out of range")
    return number


def _no_json(error: Exception) -> ValidationProblem:
    place = f"{error.lineno}:{error.colno} " if isinstance(error, json.JSONDecodeError) else ""
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)[:200]
    return ValidationProblem(
        Text(f"请求体不是有效的 JSON：{place}{reason}", f"The body is no valid JSON: {place}{reason}"), errors=[]
    )


async def uploaded_texts(request: Request, name: str | None = None) -> list[SourceText]:
    """The YAML texts of an upload: one as the body itself (told as `name`), or many as the files of a form.

    :raises MediaTypeProblem: another kind of body.
    :raises ValidationProblem: not UTF-8, or a form without files.
    """
    media_type = require_media_type(request, UPLOAD_MEDIA_TYPES)
    body = await request.body()
    if media_type != "multipart/form-data":
        return [_source(name or "definition.yaml", body)]
    files = _files_of_form(request.headers["content-type"], body)
    return [_source(file.name, file.content) for file in files]


class FormFile(NamedTuple):
    """One file of a form. field: the form's name for it."""

    field: str
    name: str
    content: bytes


async def uploaded_files(request: Request, fields: Sequence[str]) -> list[FormFile]:
    """The files of a form with exactly these fields, in their order.

    :raises MediaTypeProblem: no form. :raises ValidationProblem: another set of fields.
    """
    require_media_type(request, ("multipart/form-data",))
    files = {file.field: file for file in _files_of_form(request.headers["content-type"], await request.body())}
    if set(files) != set(fields):
        wanted = ", ".join(fields)
        raise ValidationProblem(
            Text(f"表单需要这些文件字段：{wanted}", f"The form needs a file in each of: {wanted}"),
            errors=[],
        )
    return [files[field] for field in fields]


def _files_of_form(content_type: str, body: bytes) -> list[FormFile]:
    """Every file in a form (RFC 7578): what stands between its boundaries."""
    boundary = _header("Content-Type", content_type.encode("latin-1")).get_param("boundary")
    if not isinstance(boundary, str) or not boundary or not boundary.isascii():
        # RFC 2046 writes boundaries in ASCII.
        raise _no_form()
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:-1]
    if not 1 <= len(parts) <= MOST_TEXTS:
        raise _no_form()
    files = []
    for number, part in enumerate(parts, 1):
        head, _, content = part.partition(b"\r\n\r\n")
        disposition = next(
            (value for name, _, value in map(_split_header, head.split(b"\r\n")) if name == b"content-disposition"), b""
        )
        header = _header("Content-Disposition", disposition)
        field = header.get_param("name", "", "content-disposition")
        name = header.get_filename() or f"file-{number}.yaml"
        files.append(FormFile(field if isinstance(field, str) else "", name, content))
    return files


def _split_header(line: bytes) -> tuple[bytes, bytes, bytes]:
    name, colon, value = line.partition(b":")
    return name.strip().lower(), colon, value.strip()


def _header(name: str, value: bytes) -> Message:
    """One header, its parameters readable."""
    return BytesHeaderParser(policy=HTTP).parsebytes(name.encode() + b": " + value[:2_000] + b"\r\n\r\n")


def _no_form() -> ValidationProblem:
    return ValidationProblem(
        Text(
            f"表单中需要 1 到 {MOST_TEXTS} 个文件，请用 files 字段上传",
            f"The form needs 1 to {MOST_TEXTS} files; send them as `files`",
        ),
        errors=[],
    )


def _source(name: str, content: bytes) -> SourceText:
    text = decode_source(content)
    if isinstance(text, Finding):
        finding = text.as_dict(name)
        raise ValidationProblem(
            Text(f"{name}：{text.message.zh}", f"{name}: {text.message.en}"), errors=[], findings=[finding]
        )
    return SourceText(name, text)
