"""Reading what strangers send: bounded in size and depth, no DTD, nothing that cannot be stored, no surprises."""

import json
from binascii import a2b_qp
from decimal import Decimal
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.webhooks import MAX_BODY_BYTES
from domain.problems import Text, ValidationProblem
from domain.storable import is_json_storable

MAX_DEPTH = 32
_LARGEST_EXPONENT = 30
_MOST_ELEMENTS = 2_000


def parse_json(body: bytes, *, max_bytes: int = MAX_BODY_BYTES) -> Any:
    """The JSON value, fractions as Decimal.

    Raises ValidationProblem when it is none, too large or too deep, or holds text that cannot be stored (NUL, half a
    surrogate pair).
    """
    _bound(body, max_bytes)
    try:
        value = _JSON.decode(body.decode("utf-8"))
    except (ValueError, ArithmeticError, RecursionError):
        # ArithmeticError: a number whose exponent is out of all reach.
        raise _unreadable("JSON") from None
    # Fewer brackets than levels: most bodies need no walk.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_deeper_than(value, MAX_DEPTH):
        raise _too_deep()
    if not is_json_storable(body, value):
        raise ValidationProblem(
            Text("请求体含有空字符或不成对的代理字符", "The body has a NUL character or half a surrogate pair in it"),
            retryable=False,
        )
    return value


def parse_json_object(body: bytes, *, max_bytes: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """As `parse_json`, for a body that must be an object."""
    value = parse_json(body, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise _unreadable("JSON object")
    return value


def percent_decoded(text: str) -> bytes:
    """The bytes of a URL-encoded text, `+` as a space; an escape that is none stays as it is."""
    raw = text.replace("+", " ").encode()
    # Quoted-printable is the same with another mark, and the library decodes it in C.
    plain = a2b_qp(raw.replace(b"=", b"=3D").replace(b"%", b"="))
    # Every escape makes three bytes one. Where that does not come out, one was none; the end of a line is not escaped.
    is_whole = len(plain) == len(raw) - 2 * raw.count(b"%") and b"\n" not in raw and b"\r" not in raw
    return plain if is_whole else unquote_to_bytes(raw)


def parse_flat_xml(body: bytes, *, max_bytes: int = MAX_BODY_BYTES) -> dict[str, str]:
    """The text of the root's children by tag, as WeChat's callbacks are written; DTDs and entities are refused.

    A repeated tag keeps its last text; what lies deeper is joined as `Parent.Child`. Raises ValidationProblem.
    """
    _bound(body, max_bytes)
    if body.count(b"<") > 2 * _MOST_ELEMENTS:
        raise ValidationProblem(
            Text(
                f"请求体超过 {_MOST_ELEMENTS} 个 XML 元素",
                f"The body has more than {_MOST_ELEMENTS} XML elements in it",
            ),
            retryable=False,
        )
    try:
        root = fromstring(body, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise _unreadable("XML") from None
    texts: dict[str, str] = {}
    open_elements = [(str(child.tag), child) for child in root]
    while open_elements:
        path, element = open_elements.pop()
        if path.count(".") >= MAX_DEPTH:
            raise _too_deep()
        if len(element) == 0:
            texts[path] = (element.text or "").strip()
        open_elements.extend((f"{path}.{child.tag}", child) for child in element)
    return texts


def _bound(body: bytes, max_bytes: int) -> None:
    if len(body) > max_bytes:
        raise ValidationProblem(
            Text(f"请求体超过 {max_bytes} 字节", f"The body is larger than {max_bytes} bytes"), retryable=False
        )


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def exact_fraction(digits: str) -> Decimal:
    """A number with a fraction or an exponent, as it is written; ValueError when it is beyond belief.

    `1e8000000` is nine bytes, and takes seconds to become an integer.
    """
    number = Decimal(digits)
    if abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError(digits)
    return number


# Made once: a decoder for every body costs as much as a small body itself.
_JSON = json.JSONDecoder(parse_float=exact_fraction, parse_constant=_refuse_constant)


def _is_deeper_than(value: Any, limit: int) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit):
        children = (child for node in level for child in (node.values() if isinstance(node, dict) else node))
        level = [child for child in children if isinstance(child, (dict, list))]
    return bool(level)


def _too_deep() -> ValidationProblem:
    return ValidationProblem(
        Text(f"请求体嵌套超过 {MAX_DEPTH} 层", f"The body is nested deeper than {MAX_DEPTH} levels"), retryable=False
    )


def _unreadable(form: str) -> ValidationProblem:
    return ValidationProblem(Text(f"请求体不是有效的 {form}", f"The body is no valid {form}"), retryable=False)
