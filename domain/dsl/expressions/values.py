"""JSON values under jq's rules: kinds, order, arithmetic, text. Every loop over data is counted by the meter.

Values are Python's own: None, bool, int, float, str, list, dict. They are never changed in place.
Whole numbers are exact up to 63 bits; beyond that a result becomes a double, as jq has it.
Source: the jq 1.8 manual, "Types and Values", "Builtin operators", "Ordering".
"""

import json
import operator
from collections.abc import Callable, Collection, Iterable
from functools import cmp_to_key
from itertools import chain
from typing import Any, TypeGuard

from domain.dsl.expressions.failures import Failure
from domain.dsl.expressions.meter import Meter

_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
KIND_ZH = {
    "null": "空值",
    "boolean": "布尔值",
    "number": "数字",
    "string": "文本",
    "array": "数组",
    "object": "对象",
}
_RANKS = {"null": 0, "boolean": 1, "number": 3, "string": 4, "array": 5, "object": 6}
_EXACT_BELOW = 2**63
_WHOLE_BELOW = 2.0**53
_LARGEST = "1.7976931348623157e+308"


def kind(value: Any) -> str:
    """jq's name for the type of a value. Raises Failure for what is not JSON."""
    known = _KINDS.get(type(value))
    if known is not None:
        return known
    for base in (str, dict, list, int, float):  # subclasses, e.g. an enumeration's text
        if isinstance(value, base):
            return _KINDS[base]
    name = type(value).__name__
    raise Failure(f"{name} 不是 JSON 数据", f"{name} is not JSON data")


def is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_truthy(value: Any) -> bool:
    return value is not None and value is not False


def number(value: int | float) -> int | float:
    """A result of arithmetic in its canonical form: whole numbers as int while they are exact."""
    if isinstance(value, int):
        return value if -_EXACT_BELOW <= value < _EXACT_BELOW else as_double(value)
    if value.is_integer() and -_WHOLE_BELOW < value < _WHOLE_BELOW:
        return int(value)
    return value


def as_double(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _calculate(operation: Callable[[Any, Any], Any], left: int | float, right: int | float) -> int | float:
    try:
        return number(operation(left, right))
    except OverflowError:  # a double and a whole number beyond its range
        return number(operation(as_double(left), as_double(right)))


def compare(left: Any, right: Any, meter: Meter, depth: int = 0) -> int:
    """-1, 0 or 1 in jq's total order: null < false < true < numbers < strings < arrays < objects."""
    if type(left) is type(right) and type(left) in (int, str):
        return int(left > right) - int(left < right)
    left_kind, right_kind = kind(left), kind(right)
    if left_kind != right_kind:
        return -1 if _RANKS[left_kind] < _RANKS[right_kind] else 1
    if left_kind == "null":
        return 0
    if left_kind == "number" and (left != left or right != right):
        return -1 if left != left else 1  # NaN sorts below every number, itself included
    if left_kind in ("boolean", "number", "string"):
        return int(left > right) - int(left < right)
    meter.spend(1)
    depth = meter.descend(depth)
    if left_kind == "array":
        for one, other in zip(left, right, strict=False):
            order = compare(one, other, meter, depth)
            if order:
                return order
            meter.spend(2)
        return (len(left) > len(right)) - (len(left) < len(right))
    names, other_names = sorted(left), sorted(right)
    order = compare(names, other_names, meter, depth)
    if order:
        return order
    for name in names:
        meter.spend(3)
        order = compare(left[name], right[name], meter, depth)
        if order:
            return order
    return 0


def equal(left: Any, right: Any, meter: Meter) -> bool:
    if type(left) is str or left is None:
        return bool(left == right)
    return compare(left, right, meter) == 0


def by_order(meter: Meter) -> Callable[[Any], Any]:
    """A sort key that follows jq's order."""
    return cmp_to_key(lambda left, right: compare(left, right, meter))


def sorted_by(keys: list[Any], items: list[Any], meter: Meter) -> list[tuple[Any, Any]]:
    """(key, item) pairs in the order of the keys, stable."""
    meter.spend(2 * len(items))
    meter.allocate_items(4 * len(items))
    pairs = list(zip(keys, items, strict=True))
    types = set(map(type, keys))
    if types <= {str} or types <= {int}:
        pairs.sort(key=operator.itemgetter(0))
    else:
        order = by_order(meter)
        pairs.sort(key=lambda pair: order(pair[0]))
    return pairs


def elements(value: Any) -> Collection[Any]:
    """What `.[]` yields, as something with a length. Raises Failure for what has no elements."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return value.values()
    name = kind(value)
    raise Failure(f"不能遍历{KIND_ZH[name]}", f"Cannot iterate over {name}")


def array(value: Any, zh: str, en: str) -> list[Any]:
    """The value as an array. Raises Failure: "<kind> cannot be <en>"."""
    if isinstance(value, list):
        return value
    name = kind(value)
    raise Failure(f"{KIND_ZH[name]}不能{zh}，需要数组", f"{name} cannot be {en}, as it is not an array")


def text(value: Any, zh: str, en: str) -> str:
    """The value as a string. Raises Failure: "<kind> cannot be <en>"."""
    if isinstance(value, str):
        return value
    name = kind(value)
    raise Failure(f"{KIND_ZH[name]}不能{zh}，需要文本", f"{name} cannot be {en}, as it is not a string")


def numeric(value: Any) -> int | float:
    """The value as a number. Raises Failure otherwise."""
    if is_number(value):
        return value
    name = kind(value)
    raise Failure(f"需要数字，得到的是{KIND_ZH[name]}", f"number required, not {name}")


def _mismatch(left: Any, right: Any, zh: str, en: str) -> Failure:
    one, other = kind(left), kind(right)
    return Failure(f"{KIND_ZH[one]}与{KIND_ZH[other]}不能{zh}", f"{one} and {other} cannot be {en}")


def add(left: Any, right: Any, meter: Meter) -> Any:
    one, other = type(left), type(right)
    if one is int and other is int:
        return number(left + right)
    if one is str and other is str:
        meter.allocate(len(left) + len(right))
        return left + right
    if left is None:
        return right
    if right is None:
        return left
    if is_number(left) and is_number(right):
        return _calculate(operator.add, left, right)
    if isinstance(left, str) and isinstance(right, str):
        meter.allocate(len(left) + len(right))
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        meter.allocate_items(len(left) + len(right))
        return left + right
    if isinstance(left, dict) and isinstance(right, dict):
        meter.allocate_members(len(left) + len(right))
        return {**left, **right}
    raise _mismatch(left, right, "相加", "added")


def total(items: Iterable[Any], meter: Meter) -> Any:
    """`add`: the items added from left to right; null for none."""
    values = list(items)
    meter.spend(len(values))
    types = set(map(type, values))
    if types == {str}:  # joined at once: adding one by one would copy the text again and again
        meter.allocate(sum(map(len, values)))
        return "".join(values)
    if types == {list}:
        meter.allocate_items(sum(map(len, values)))
        return list(chain.from_iterable(values))
    result = None
    for value in values:  # not sum(): its rounding of doubles differs between versions of Python
        result = add(result, value, meter)
    return result


def subtract(left: Any, right: Any, meter: Meter) -> Any:
    if is_number(left) and is_number(right):
        return _calculate(operator.sub, left, right)
    if isinstance(left, list) and isinstance(right, list):
        meter.spend(len(left) * (len(right) + 1))
        return [item for item in left if not any(equal(item, other, meter) for other in right)]
    raise _mismatch(left, right, "相减", "subtracted")


def multiply(left: Any, right: Any, meter: Meter) -> Any:
    if is_number(left) and is_number(right):
        return _calculate(operator.mul, left, right)
    if isinstance(left, str) and is_number(right):
        return _repeat(left, right, meter)
    if isinstance(right, str) and is_number(left):
        return _repeat(right, left, meter)
    if isinstance(left, dict) and isinstance(right, dict):
        return _merge(left, right, meter, 0)
    raise _mismatch(left, right, "相乘", "multiplied")


def _repeat(value: str, times: int | float, meter: Meter) -> str | None:
    if not times >= 0:
        return None
    if not value:
        return ""
    count = int(min(times, meter.budget.allocated_bytes + 1))
    meter.allocate(len(value) * count)
    return value * count


def _merge(left: dict[str, Any], right: dict[str, Any], meter: Meter, depth: int) -> dict[str, Any]:
    depth = meter.descend(depth)
    meter.spend(len(right) + 1)
    meter.allocate_members(len(left) + len(right))
    merged = dict(left)
    for name, new in right.items():
        value = new
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merge(old, value, meter, depth)
        merged[name] = value
    return merged


def divide(left: Any, right: Any, meter: Meter) -> Any:
    if is_number(left) and is_number(right):
        if right == 0:
            raise Failure("不能除以零", "number cannot be divided because the divisor is zero")
        if isinstance(left, int) and isinstance(right, int) and left % right == 0:
            return number(left // right)
        return number(as_double(left) / as_double(right))
    if isinstance(left, str) and isinstance(right, str):
        return split(left, right, meter)
    raise _mismatch(left, right, "相除", "divided")


def remainder(left: Any, right: Any, _meter: Meter) -> Any:
    if not (is_number(left) and is_number(right)):
        raise _mismatch(left, right, "相除取余", "divided")
    if left != left or right != right:
        return float("nan")
    dividend, divisor = _truncated(left), _truncated(right)
    if divisor == 0:
        raise Failure("不能对零取余", "number cannot be divided (remainder) because the divisor is zero")
    size = abs(dividend) % abs(divisor)
    return -size if dividend < 0 else size


def _truncated(value: int | float) -> int:
    """The whole part, held within 64 bits as jq's remainder has it."""
    return int(max(-_EXACT_BELOW, min(value, _EXACT_BELOW - 1)))


def negate(value: Any) -> Any:
    if is_number(value):
        return number(-value)
    name = kind(value)
    raise Failure(f"{KIND_ZH[name]}不能取负", f"{name} cannot be negated")


def split(value: str, separator: str, meter: Meter) -> list[str]:
    meter.allocate(len(value))
    if not value:
        return []
    parts = value.split(separator) if separator else list(value)
    meter.spend(len(parts) // 4)
    meter.allocate(56 * len(parts))
    return parts


def format_number(value: int | float) -> str:
    """A number as jq prints it."""
    if isinstance(value, int):
        return int.__repr__(value) if -(10**400) < value < 10**400 else _LARGEST if value > 0 else "-" + _LARGEST
    if value != value:
        return "null"
    if value - value != 0:
        return _LARGEST if value > 0 else "-" + _LARGEST
    return repr(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)


def encode(value: Any, meter: Meter) -> str:
    """The value as compact JSON text, as `tojson` has it."""
    if isinstance(value, str):
        return _encode_text(value, meter)
    parts: list[str] = []
    _encode(value, parts, meter, 0)
    return "".join(parts)


def _encode_text(value: str, meter: Meter) -> str:
    meter.allocate(len(value) + 2)
    encoded = json.dumps(value, ensure_ascii=False)
    return encoded.replace("\x7f", "\\u007f") if "\x7f" in encoded else encoded


def _encode(value: Any, parts: list[str], meter: Meter, depth: int) -> None:
    meter.spend(4)
    if value is None or isinstance(value, bool):
        parts.append("null" if value is None else "true" if value else "false")
    elif isinstance(value, (int, float)):
        meter.allocate(24)
        parts.append(format_number(value))
    elif isinstance(value, str):
        parts.append(_encode_text(value, meter))
    elif isinstance(value, list):
        depth = meter.descend(depth)
        separator = "["
        for item in value:
            parts.append(separator)
            _encode(item, parts, meter, depth)
            separator = ","
        parts.append("]" if value else "[]")
    elif isinstance(value, dict):
        depth = meter.descend(depth)
        separator = "{"
        for name, item in value.items():
            meter.spend(2)
            parts.append(separator)
            parts.append(_encode_text(name, meter))
            parts.append(":")
            _encode(item, parts, meter, depth)
            separator = ","
        parts.append("}" if value else "{}")
    else:
        kind(value)


def as_text(value: Any, meter: Meter) -> str:
    """`tostring`: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else encode(value, meter)
