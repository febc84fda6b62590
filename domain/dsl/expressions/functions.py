"""The functions that turn one value, and the values of their arguments, into one value.

Each is `function(value, meter, *arguments)`; with several outputs in its arguments it runs for every combination.
Functions whose arguments are filters run over data are in `filters.py`.
Source: the jq 1.8 manual, "Builtin operators and functions", "Math", "Dates", "SQL-Style Operators".
"""

import math
from collections.abc import Callable
from typing import Any

from domain.dsl.expressions import dates
from domain.dsl.expressions.failures import Failure
from domain.dsl.expressions.meter import Meter
from domain.dsl.expressions.paths import Editor, item, occurrences, path_argument, value_at
from domain.dsl.expressions.texts import TEXT_FUNCTIONS, ValueFunction
from domain.dsl.expressions.values import (
    KIND_ZH,
    array,
    as_double,
    as_text,
    by_order,
    compare,
    elements,
    encode,
    is_number,
    kind,
    number,
    numeric,
    sorted_by,
    total,
)


def _length(value: Any, _meter: Meter) -> Any:
    if value is None:
        return 0
    if is_number(value):
        return abs(value)
    if isinstance(value, (str, list, dict)):
        return len(value)
    raise Failure("布尔值没有长度", "boolean has no length")


def _keys(value: Any, meter: Meter) -> list[Any]:
    names = _keys_unsorted(value, meter)
    return sorted(names) if isinstance(value, dict) else names


def _keys_unsorted(value: Any, meter: Meter) -> list[Any]:
    if not isinstance(value, (dict, list)):
        name = kind(value)
        raise Failure(f"{KIND_ZH[name]}没有键", f"{name} has no keys")
    meter.spend(len(value))
    return list(value) if isinstance(value, dict) else list(range(len(value)))


def _has(value: Any, _meter: Meter, key: Any) -> bool:
    if isinstance(value, dict) and isinstance(key, str):
        return key in value
    if isinstance(value, list) and is_number(key):
        return bool(0 <= key < len(value))
    if value is None:
        return False
    holder, by = kind(value), kind(key)
    raise Failure(f"不能检查{KIND_ZH[holder]}是否含有{KIND_ZH[by]}键", f"Cannot check whether {holder} has a {by} key")


def _contains(value: Any, meter: Meter, other: Any) -> bool:
    if kind(value) != kind(other):
        one, two = kind(value), kind(other)
        raise Failure(
            f"{KIND_ZH[one]}与{KIND_ZH[two]}之间不能判断包含关系",
            f"{one} and {two} cannot have their containment checked",
        )
    return _holds(value, other, meter, 0)


def _holds(value: Any, other: Any, meter: Meter, depth: int) -> bool:
    meter.spend(3)
    if isinstance(value, dict) and isinstance(other, dict):
        depth = meter.descend(depth)
        return all(name in value and _holds(value[name], part, meter, depth) for name, part in other.items())
    if isinstance(value, list) and isinstance(other, list):
        depth = meter.descend(depth)
        return all(any(_holds(candidate, part, meter, depth) for candidate in value) for part in other)
    if isinstance(value, str) and isinstance(other, str):
        meter.spend(len(value) // 256)
        return other in value
    return compare(value, other, meter) == 0


def _toboolean(value: Any, _meter: Meter) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in ("true", "false"):
        return value == "true"
    name = kind(value)
    raise Failure(f"{KIND_ZH[name]}不能转换为布尔值", f"{name} cannot be parsed as a boolean")


def _index(value: Any, meter: Meter, sought: Any) -> Any:
    places = occurrences(value, sought, meter)
    return places[0] if places else None


def _rindex(value: Any, meter: Meter, sought: Any) -> Any:
    places = occurrences(value, sought, meter)
    return places[-1] if places else None


def _sort(value: Any, meter: Meter) -> list[Any]:
    values = array(value, "排序", "sorted")
    return [element for _, element in sorted_by(values, values, meter)]


def _unique(value: Any, meter: Meter) -> list[Any]:
    found: list[Any] = []
    for element in _sort(value, meter):
        if not found or compare(found[-1], element, meter) != 0:
            found.append(element)
    return found


def _min(value: Any, meter: Meter) -> Any:
    values = array(value, "取最小值", "examined")
    meter.spend(len(values))
    return min(values, key=by_order(meter), default=None)


def _max(value: Any, meter: Meter) -> Any:
    values = array(value, "取最大值", "examined")
    meter.spend(len(values))
    return max(reversed(values), key=by_order(meter), default=None)  # jq keeps the last of equals


def _reverse(value: Any, meter: Meter) -> list[Any]:
    if value is None:
        return []
    values = array(value, "倒序", "reversed")
    meter.allocate_items(len(values))
    return values[::-1]


def _flatten(value: Any, meter: Meter, levels: Any = math.inf) -> list[Any]:
    if numeric(levels) < 0:
        raise Failure("flatten 的层数不能为负", "flatten depth must not be negative")
    flat: list[Any] = []
    _flatten_into(elements(value), levels, flat, meter, 0)
    return flat


def _flatten_into(values: Any, levels: float, flat: list[Any], meter: Meter, depth: int) -> None:
    depth = meter.descend(depth)
    meter.spend(len(values))
    for element in values:
        if isinstance(element, list) and levels > 0:
            _flatten_into(element, levels - 1, flat, meter, depth)
        else:
            flat.append(element)


def _transpose(value: Any, meter: Meter) -> list[Any]:
    rows = [array(row, "转置", "transposed") for row in array(value, "转置", "transposed")]
    width = max(map(len, rows), default=0)
    meter.spend(width * len(rows))
    return [[row[place] if place < len(row) else None for row in rows] for place in range(width)]


def _bsearch(value: Any, meter: Meter, sought: Any) -> int:
    values = array(value, "查找", "searched")
    low, high = 0, len(values)
    while low < high:
        meter.spend(1)
        middle = (low + high) // 2
        order = compare(values[middle], sought, meter)
        if order == 0:
            return middle
        low, high = (middle + 1, high) if order < 0 else (low, middle)
    return -1 - low


def _to_entries(value: Any, meter: Meter) -> list[dict[str, Any]]:
    keys = _keys_unsorted(value, meter)
    meter.allocate_members(3 * len(keys))
    return [{"key": key, "value": value[key]} for key in keys]


_KEY_NAMES = ("key", "k", "name", "Name", "Key", "K")
_VALUE_NAMES = ("value", "v", "Value", "V")


def from_entries(value: Any, meter: Meter) -> dict[str, Any]:
    """An object from `{key, value}` entries; `k`, `name` and `v` are accepted, other keys become text."""
    entries = elements(value)
    meter.spend(2 * len(entries))
    meter.allocate_members(len(entries))
    members: dict[str, Any] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise Failure("from_entries 的每一项都必须是对象", "from_entries requires objects")
        key = next((entry[name] for name in _KEY_NAMES if entry.get(name) not in (None, False)), None)
        held = next((entry[name] for name in _VALUE_NAMES if name in entry), None)
        if key is None:
            key = next((entry[name] for name in _KEY_NAMES if name in entry), None)
        members[as_text(key, meter)] = held
    return members


def _toarray(value: Any, _meter: Meter) -> Any:
    return value if isinstance(value, list) else [value]


def _setpath(value: Any, meter: Meter, path: Any, new: Any) -> Any:
    editor = Editor(value, meter)
    editor.put(path_argument(path), new)
    return editor.document


def _delpaths(value: Any, meter: Meter, paths: Any) -> Any:
    editor = Editor(value, meter)
    editor.remove([path_argument(path) for path in array(paths, "作为路径列表", "used as paths")])
    return editor.document


def _getpath(value: Any, meter: Meter, path: Any) -> Any:
    return value_at(value, path_argument(path), meter)


def _abs(value: Any, _meter: Meter) -> Any:
    return abs(numeric(value))


def _rounded(operation: Callable[[float], int]) -> ValueFunction:
    def function(value: Any, _meter: Meter) -> Any:
        exact = numeric(value)
        if isinstance(exact, int) or exact - exact != 0:
            return exact
        return number(operation(exact))

    return function


def _half_away_from_zero(value: float) -> int:
    whole = math.floor(abs(value))
    whole += abs(value) - whole >= 0.5
    return whole if value >= 0 else -whole


def _real(operation: Callable[[float], float], *, at_zero: float = math.nan) -> ValueFunction:
    """A function of real numbers: NaN outside its domain, infinity beyond its range, as C has it."""

    def function(value: Any, _meter: Meter) -> Any:
        argument = as_double(numeric(value))
        try:
            return number(operation(argument))
        except ValueError:
            return at_zero if argument == 0 else math.nan
        except OverflowError:
            return math.inf

    return function


def _pow(_value: Any, _meter: Meter, base: Any, exponent: Any) -> Any:
    try:
        return number(math.pow(as_double(numeric(base)), as_double(numeric(exponent))))
    except ValueError:
        return math.inf if base == 0 else math.nan
    except OverflowError:
        odd = isinstance(exponent, int) and exponent % 2 == 1
        return -math.inf if base < 0 and odd else math.inf


def _isinfinite(value: Any, _meter: Meter) -> bool:
    return as_double(numeric(value)) in (math.inf, -math.inf)


def _isnan(value: Any, _meter: Meter) -> bool:
    return bool(numeric(value) != value)


def _isnormal(value: Any, _meter: Meter) -> bool:
    size = abs(as_double(numeric(value)))
    return 2.2250738585072014e-308 <= size < math.inf


def _error(value: Any, meter: Meter, *message: Any) -> Any:
    """`error` and `error(message)`: the only failures whose words are the author's."""
    raised = message[0] if message else value
    words = (raised if isinstance(raised, str) else encode(raised, meter))[:500]
    raise Failure(words, words, value=raised, raised=True)


VALUE_FUNCTIONS: dict[tuple[str, int], ValueFunction] = {
    **TEXT_FUNCTIONS,
    ("not", 0): lambda value, _meter: value is None or value is False,
    ("type", 0): lambda value, _meter: kind(value),
    ("length", 0): _length,
    ("keys", 0): _keys,
    ("keys_unsorted", 0): _keys_unsorted,
    ("has", 1): _has,
    ("contains", 1): _contains,
    ("inside", 1): lambda value, meter, other: _contains(other, meter, value),
    ("in", 1): lambda value, meter, other: _has(other, meter, value),
    ("toboolean", 0): _toboolean,
    ("indices", 1): lambda value, meter, sought: occurrences(value, sought, meter),
    ("index", 1): _index,
    ("rindex", 1): _rindex,
    ("add", 0): lambda value, meter: total(elements(value), meter),
    ("sort", 0): _sort,
    ("unique", 0): _unique,
    ("min", 0): _min,
    ("max", 0): _max,
    ("reverse", 0): _reverse,
    ("flatten", 0): _flatten,
    ("flatten", 1): _flatten,
    ("transpose", 0): _transpose,
    ("bsearch", 1): _bsearch,
    ("to_entries", 0): _to_entries,
    ("from_entries", 0): from_entries,
    ("toarray", 0): _toarray,
    ("first", 0): lambda value, meter: item(value, 0, meter),
    ("last", 0): lambda value, meter: item(value, -1, meter),
    ("nth", 1): lambda value, meter, place: item(value, place, meter),
    ("getpath", 1): _getpath,
    ("setpath", 2): _setpath,
    ("delpaths", 1): _delpaths,
    ("error", 0): _error,
    ("error", 1): _error,
    ("abs", 0): _abs,
    ("floor", 0): _rounded(math.floor),
    ("ceil", 0): _rounded(math.ceil),
    ("trunc", 0): _rounded(math.trunc),
    ("round", 0): _rounded(_half_away_from_zero),
    ("fabs", 0): _abs,
    ("sqrt", 0): _real(math.sqrt),
    ("pow", 2): _pow,
    ("exp", 0): _real(math.exp),
    ("exp2", 0): _real(lambda power: math.pow(2.0, power)),
    ("exp10", 0): _real(lambda power: math.pow(10.0, power)),
    ("log", 0): _real(math.log, at_zero=-math.inf),
    ("log2", 0): _real(math.log2, at_zero=-math.inf),
    ("log10", 0): _real(math.log10, at_zero=-math.inf),
    ("infinite", 0): lambda _value, _meter: math.inf,
    ("nan", 0): lambda _value, _meter: math.nan,
    ("isinfinite", 0): _isinfinite,
    ("isnan", 0): _isnan,
    ("isnormal", 0): _isnormal,
    ("now", 0): lambda _value, meter: meter.now_s,
    ("gmtime", 0): dates.gmtime,
    ("mktime", 0): dates.mktime,
    ("strftime", 1): dates.strftime,
    ("strptime", 1): dates.strptime,
    ("todate", 0): lambda value, meter: dates.strftime(value, meter, dates.ISO_FORMAT),
    ("fromdate", 0): lambda value, meter: dates.mktime(dates.strptime(value, meter, dates.ISO_FORMAT), meter),
    ("todateiso8601", 0): lambda value, meter: dates.strftime(value, meter, dates.ISO_FORMAT),
    ("fromdateiso8601", 0): lambda value, meter: dates.mktime(dates.strptime(value, meter, dates.ISO_FORMAT), meter),
}
