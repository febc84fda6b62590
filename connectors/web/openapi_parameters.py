"""Parameters of an OpenAPI operation as they stand in a path, a query, a header or a cookie.

Source: OpenAPI Specification 3.1.1, "Parameter Object", "Style Values"; 2.0, "collectionFormat".
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from connectors.web.failures import NEVER_SENT
from connectors.web.openapi_document import Parameter
from domain.catalog.web import scalar_text
from domain.problems import Text, ValidationProblem

_SEPARATORS = {"spaceDelimited": "%20", "pipeDelimited": "%7C", "tabDelimited": "%09"}


def path_text(parameter: Parameter, value: Any) -> str:
    """What replaces `{name}` in the path; raises ValidationProblem for a value that would change the path."""
    items = _written(parameter, value)
    match parameter.style:
        case "label":
            separator = "." if parameter.explode else ","
            text = "." + separator.join(_joined(items, parameter.explode, ","))
        case "matrix" if not isinstance(value, list | Mapping):
            text = f";{parameter.name}={items[0][1]}"
        case "matrix" if parameter.explode:
            text = "".join(f";{name or parameter.name}={item}" for name, item in items)
        case "matrix":
            text = f";{parameter.name}=" + ",".join(_joined(items, False, ","))
        case _:
            text = ",".join(_joined(items, parameter.explode, ","))
    if text in ("", ".", ".."):
        raise _wrong(
            parameter,
            Text(f"路径参数的值不能是“{text}”", f"a parameter in the path cannot be '{text}'"),
        )
    return text


def query_text(parameter: Parameter, value: Any) -> str:
    """The part of the query, `a=1&a=2`; empty for an empty list."""
    name, items = quote(parameter.name, safe=""), _written(parameter, value)
    if parameter.style == "deepObject" and isinstance(value, Mapping):
        return "&".join(f"{name}%5B{key}%5D={item}" for key, item in items)
    if parameter.explode:
        return "&".join(f"{key or name}={item}" for key, item in items)
    if not items:
        return ""
    separator = _SEPARATORS.get(parameter.style, ",")
    return f"{name}={separator.join(_joined(items, False, separator))}"


def plain_text(parameter: Parameter, value: Any) -> str:
    """What stands in a header or a cookie; nothing is percent-encoded in a header."""
    encode = parameter.location == "cookie"
    return ",".join(_joined(_written(parameter, value, encode=encode), parameter.explode and not encode, ","))


def _joined(items: list[tuple[str, str]], explode: bool, separator: str) -> list[str]:
    """List items as they are, fields of an object as `k=v` when exploded and as `k,v` otherwise."""
    glue = "=" if explode else separator
    return [f"{key}{glue}{item}" if key else item for key, item in items]


def _written(parameter: Parameter, value: Any, *, encode: bool = True) -> list[tuple[str, str]]:
    """Key and text of each item; a scalar is one item without a key, as are the items of a list."""
    if parameter.as_json:
        pairs: list[tuple[str, Any]] = [("", json.dumps(value, ensure_ascii=False))]
    elif isinstance(value, Mapping):
        pairs = [(str(key), item) for key, item in value.items() if item is not None]
    else:
        pairs = [("", item) for item in (value if isinstance(value, list) else [value])]
    if any(isinstance(item, Mapping | list) for _, item in pairs):
        raise _wrong(parameter, Text("只能有一层列表或对象", "it may hold one level of list or object only"))
    if not encode:
        return [(key, scalar_text(item)) for key, item in pairs]
    try:
        return [(quote(key, safe=""), quote(scalar_text(item), safe="")) for key, item in pairs]
    except UnicodeEncodeError:
        raise _wrong(parameter, Text("含有不完整的字符", "it has half a character in it")) from None


def _wrong(parameter: Parameter, reason: Text) -> ValidationProblem:
    return ValidationProblem(
        Text(f"参数 {parameter.name} 不正确：{reason.zh}", f"Wrong parameter {parameter.name}: {reason.en}"),
        **NEVER_SENT,
    )
