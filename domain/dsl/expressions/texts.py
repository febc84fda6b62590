"""The functions over text, and the `@formats`.

Each is `function(value, meter, *arguments)`, as in `functions.py`. There are no regular expressions: one of them can
hold the interpreter for minutes, and nothing can stop it.
Source: the jq 1.8 manual, "Builtin operators and functions", "Format strings and escaping".
"""

import base64
import binascii
import json
import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from domain.dsl.expressions.failures import Failure
from domain.dsl.expressions.meter import Meter
from domain.dsl.expressions.values import (
    KIND_ZH,
    array,
    as_text,
    elements,
    encode,
    format_number,
    is_number,
    kind,
    number,
    split,
    text,
)

ValueFunction = Callable[..., Any]
_MAX_DIGITS = 400
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")


def _utf8_length(value: Any, meter: Meter) -> int:
    meter.allocate(4 * len(text(value, "计算字节数", "measured in UTF-8 bytes")))
    return len(value.encode("utf-8", "replace"))


def _tonumber(value: Any, meter: Meter) -> Any:
    if is_number(value):
        return value
    written = text(value, "转换为数字", "parsed as a number")
    meter.spend(len(written) // 16)
    if len(written) > _MAX_DIGITS or _NUMBER.fullmatch(written) is None:
        raise Failure("这段文本不是数字", "string cannot be parsed as a number")
    try:
        return int(written)
    except ValueError:  # it has a fraction or an exponent
        return number(float(written))


def _fromjson(value: Any, meter: Meter) -> Any:
    written = text(value, "解析为 JSON", "parsed as JSON")
    meter.spend(len(written) // 8)
    meter.allocate(16 * len(written))
    if _nesting(written) > meter.budget.depth:
        raise Failure("JSON 嵌套过深", "Exceeds depth limit for parsing")
    try:
        parsed = json.loads(written, parse_int=_whole)
    except ValueError:
        raise Failure("这段文本不是 JSON", "string cannot be parsed as JSON") from None
    if "\\ud" in written.lower():  # half a character cannot be written as UTF-8
        return json.loads(_SURROGATE.sub("\ufffd", json.dumps(parsed, ensure_ascii=False)))
    return parsed


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _nesting(written: str) -> int:
    """An upper bound of the nesting; brackets inside strings count too."""
    if written.count("[") + written.count("{") <= 1:
        return 1
    depth = deepest = 0
    for character in written:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _explode(value: Any, meter: Meter) -> list[int]:
    written = text(value, "拆成字符", "exploded")
    meter.allocate_items(len(written))
    meter.spend(len(written) // 4)
    return [ord(character) for character in written]


def _implode(value: Any, meter: Meter) -> str:
    points = array(value, "合成文本", "imploded")
    meter.spend(len(points))
    return "".join(_character(point) for point in points)


def _character(point: Any) -> str:
    if not is_number(point) or point != point:
        raise Failure("合成文本需要字符编码（数字）", "Unicode codepoint must be numeric")
    valid = 0 <= point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF
    return chr(int(point)) if valid else "\ufffd"


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

_UPPER = {upper + 32: upper for upper in range(ord("A"), ord("Z") + 1)}


def _translated(value: Any, meter: Meter, table: dict[int, int]) -> str:
    written = text(value, "转换大小写", "changed in case")
    meter.allocate(2 * len(written))
    meter.spend(len(written) // 16)
    return written.translate(table)


def _both_texts(value: Any, other: Any, function: str) -> None:
    if not (isinstance(value, str) and isinstance(other, str)):
        raise Failure(f"{function} 的输入和参数都必须是文本", f"{function}() requires string inputs")


def _startswith(value: Any, _meter: Meter, start: Any) -> bool:
    _both_texts(value, start, "startswith")
    return bool(value.startswith(start))


def _endswith(value: Any, _meter: Meter, end: Any) -> bool:
    _both_texts(value, end, "endswith")
    return bool(value.endswith(end))


def _ltrimstr(value: Any, meter: Meter, start: Any) -> Any:
    _both_texts(value, start, "ltrimstr")
    meter.allocate(len(value))
    return value.removeprefix(start)


def _rtrimstr(value: Any, meter: Meter, end: Any) -> Any:
    _both_texts(value, end, "rtrimstr")
    meter.allocate(len(value))
    return value.removesuffix(end)


def _trim(value: Any, meter: Meter) -> str:
    meter.allocate(len(text(value, "去除空白", "trimmed")))
    return str(value).strip()


def _ltrim(value: Any, meter: Meter) -> str:
    meter.allocate(len(text(value, "去除空白", "trimmed")))
    return str(value).lstrip()


def _rtrim(value: Any, meter: Meter) -> str:
    meter.allocate(len(text(value, "去除空白", "trimmed")))
    return str(value).rstrip()


def _split(value: Any, meter: Meter, separator: Any) -> list[str]:
    if not (isinstance(value, str) and isinstance(separator, str)):
        raise Failure("split 的输入和分隔符都必须是文本", "split input and separator must be strings")
    return split(value, separator, meter)


def _join(value: Any, meter: Meter, separator: Any) -> str:
    parts = elements(value)
    meter.spend(len(parts))
    if not parts:
        return ""
    written: list[str] = []
    for part in parts:
        if part is None:
            written.append("")
        elif isinstance(part, bool):
            written.append("true" if part else "false")
        elif isinstance(part, (int, float)):
            written.append(format_number(part))
        else:
            written.append(text(part, "用 join 连接", "joined"))
    glue = text(separator, "作为 join 的分隔符", "used as a separator")
    meter.allocate(sum(map(len, written)) + len(glue) * len(written))
    return glue.join(written)


_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"})


def _row(value: Any, meter: Meter, layout: str) -> list[Any]:
    row = array(value, f"写成 {layout}", f"{layout}-formatted")
    meter.spend(len(row))
    for cell in row:
        if isinstance(cell, (list, dict)):
            name = kind(cell)
            raise Failure(f"{layout} 的单元格不能是{KIND_ZH[name]}", f"{name} is not valid in a {layout} row")
    return row


def _csv(value: Any, meter: Meter) -> str:
    cells = _row(value, meter, "csv")
    quoted = ('"' + cell.replace('"', '""') + '"' if isinstance(cell, str) else _plain(cell, meter) for cell in cells)
    return ",".join(quoted)


_TSV = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _tsv(value: Any, meter: Meter) -> str:
    cells = _row(value, meter, "tsv")
    return "\t".join(cell.translate(_TSV) if isinstance(cell, str) else _plain(cell, meter) for cell in cells)


def _plain(cell: Any, meter: Meter) -> str:
    return "" if cell is None else encode(cell, meter)


def _shell(value: Any, meter: Meter) -> str:
    words = _row(value, meter, "sh") if isinstance(value, list) else _row([value], meter, "sh")
    return " ".join(
        "'" + word.replace("'", "'\\''") + "'" if isinstance(word, str) else encode(word, meter) for word in words
    )


def _decoded(value: Any, meter: Meter, decode: Callable[[str], bytes]) -> str:
    written = as_text(value, meter)
    try:
        return decode(written).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise Failure("这段文本不是有效的编码", "string is not valid base64 data") from None


def _base64_bytes(written: str) -> bytes:
    bare = written.rstrip("=")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)


def _unquoted(written: str) -> str:
    try:
        return urllib.parse.unquote(written, errors="strict")
    except UnicodeDecodeError:
        raise Failure("这段文本不是有效的 URI 编码", "string is not a valid uri encoding") from None


FORMATS: dict[str, Callable[[Any, Meter], str]] = {
    "text": as_text,
    "json": encode,
    "html": lambda value, meter: as_text(value, meter).translate(_HTML),
    "uri": lambda value, meter: urllib.parse.quote(as_text(value, meter), safe="-_.~", errors="replace"),
    "urid": lambda value, meter: _unquoted(as_text(value, meter)),
    "csv": _csv,
    "tsv": _tsv,
    "sh": _shell,
    "base64": lambda value, meter: base64.b64encode(as_text(value, meter).encode("utf-8", "replace")).decode(),
    "base64d": lambda value, meter: _decoded(value, meter, _base64_bytes),
}


def apply_format(name: str, value: Any, meter: Meter) -> str:
    """`@name`: the value written in that format; its size is counted."""
    written = FORMATS[name](value, meter)
    meter.spend(3 + len(written) // 16)
    meter.allocate(2 * len(written))
    return written


TEXT_FUNCTIONS: dict[tuple[str, int], ValueFunction] = {
    ("utf8bytelength", 0): _utf8_length,
    ("tostring", 0): as_text,
    ("tojson", 0): encode,
    ("tonumber", 0): _tonumber,
    ("fromjson", 0): _fromjson,
    ("explode", 0): _explode,
    ("implode", 0): _implode,
    ("ascii_downcase", 0): lambda value, meter: _translated(value, meter, _LOWER),
    ("ascii_upcase", 0): lambda value, meter: _translated(value, meter, _UPPER),
    ("startswith", 1): _startswith,
    ("endswith", 1): _endswith,
    ("ltrimstr", 1): _ltrimstr,
    ("rtrimstr", 1): _rtrimstr,
    ("trimstr", 1): lambda value, meter, ends: _rtrimstr(_ltrimstr(value, meter, ends), meter, ends),
    ("trim", 0): _trim,
    ("ltrim", 0): _ltrim,
    ("rtrim", 0): _rtrim,
    ("split", 1): _split,
    ("join", 1): _join,
}
