"""Reaching into values: indexing, slicing, and changing a document at paths.

A path is a tuple of names, indexes and slices (`{"start": …, "end": …}`), as `path(…)` yields it.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from domain.dsl.expressions.failures import Failure
from domain.dsl.expressions.meter import Meter
from domain.dsl.expressions.values import KIND_ZH, by_order, compare, is_number, kind

Path = tuple[Any, ...]
_MAX_INDEX = 1_000_000


def _cannot_index(value: Any, key: Any) -> Failure:
    holder, by = kind(value), kind(key)
    return Failure(f"不能用{KIND_ZH[by]}去取{KIND_ZH[holder]}的内容", f"Cannot index {holder} with {by}")


def member(value: Any, name: str) -> Any:
    """`.name`: null for null and for a missing name. Raises Failure for other kinds."""
    if isinstance(value, dict):
        return value.get(name)
    if value is None:
        return None
    holder = kind(value)
    raise Failure(f"不能从{KIND_ZH[holder]}取字段“{name}”", f'Cannot index {holder} with "{name}"')


def item(value: Any, key: Any, meter: Meter) -> Any:
    """`value[key]` under jq's rules; null where there is nothing. Raises Failure for a key that cannot apply."""
    if isinstance(key, str):
        if value is None or isinstance(value, dict):
            return member(value, key)
    elif is_number(key):
        if value is None:
            return None
        if isinstance(value, list):
            position = _position(key, len(value))
            return value[position] if position is not None and 0 <= position < len(value) else None
    elif isinstance(key, dict) and (
        value is None or (isinstance(value, (list, str)) and {"start", "end"} <= key.keys())
    ):
        return piece(value, key.get("start"), key.get("end"), meter)
    elif isinstance(key, list) and isinstance(value, list):
        return occurrences(value, key, meter)
    raise _cannot_index(value, key)


def piece(value: Any, start: Any, end: Any, meter: Meter) -> Any:
    """`value[start:end]` of an array or a string; null for null."""
    if value is None:
        return None
    if not isinstance(value, (list, str)):
        raise _cannot_index(value, {})
    low, high = _bounds(start, end, len(value))
    meter.allocate_items(high - low)
    return value[low:high]


def _position(index: int | float, length: int) -> int | None:
    """An index counted from the front; None for NaN."""
    if index != index:
        return None
    whole = math.floor(max(-(2**62), min(index, 2**62)))
    return whole + length if whole < 0 else whole


def _bounds(start: Any, end: Any, length: int) -> tuple[int, int]:
    for bound in (start, end):
        if bound is not None and not is_number(bound):
            raise Failure("切片的起止位置必须是数字", "Start and end indices of an array slice must be numbers")
    low = 0 if start is None else _position(start, length)
    high = length if end is None or end != end else _position(math.ceil(max(-(2**62), min(end, 2**62))), length)
    low = max(0, min(low or 0, length))
    return low, max(low, min(high or 0, length))


def occurrences(value: Any, sought: Any, meter: Meter) -> list[int] | None:
    """`indices`: where a text occurs in a text, an array in an array, or an element in an array."""
    if value is None:
        return None
    if isinstance(value, str) and isinstance(sought, str):
        return list(_places_of_text(value, sought, meter))
    if not isinstance(value, list):
        raise _cannot_index(value, sought)
    if not isinstance(sought, list):
        return [place for place, element in enumerate(value) if _same(element, sought, meter)]
    width = len(sought)
    if not width:
        return []
    return [
        place
        for place in range(len(value) - width + 1)
        if all(_same(value[place + step], sought[step], meter) for step in range(width))
    ]


def _places_of_text(value: str, sought: str, meter: Meter) -> Iterator[int]:
    if not sought:
        return
    place = value.find(sought)
    while place >= 0:
        meter.spend(1 + len(sought) // 32)
        yield place
        place = value.find(sought, place + 1)


def _same(left: Any, right: Any, meter: Meter) -> bool:
    meter.spend(1)
    return compare(left, right, meter) == 0


def value_at(root: Any, path: Sequence[Any], meter: Meter) -> Any:
    """`getpath`: null where the path leads nowhere."""
    meter.spend(len(path))
    value = root
    for component in path:
        value = item(value, component, meter)
    return value


class Editor:
    """Changes a document at many paths, copying each container on the way at most once.

    The document handed in is never touched. Containers copied by this editor are changed in place afterwards, so that
    updating n elements costs n, not n².
    """

    def __init__(self, document: Any, meter: Meter) -> None:
        self.document = document
        self._meter = meter
        self._copies: dict[int, Any] = {}

    def get(self, path: Path) -> Any:
        """The value there now. What is handed out is not changed in place any more."""
        value = value_at(self.document, path, self._meter)
        if id(value) in self._copies:
            self._copies.clear()
        return value

    def put(self, path: Path, value: Any) -> None:
        """`setpath`. Raises Failure where the path cannot lead."""
        self.document = self._put(self.document, path, 0, value)

    def remove(self, paths: Sequence[Sequence[Any]]) -> None:
        """`delpaths`: all at once, so that one removal does not shift the others."""
        resolved = [self._resolve(path) for path in paths]
        for path in sorted(resolved, key=by_order(self._meter), reverse=True):
            self.document = self._remove(self.document, path, 0)

    def _own(self, container: Any) -> Any:
        if id(container) in self._copies:
            return container
        if isinstance(container, list):
            self._meter.allocate_items(len(container))
        else:
            self._meter.allocate_members(len(container))
        copy = container.copy()
        self._copies[id(copy)] = copy
        return copy

    def _put(self, holder: Any, path: Path, level: int, value: Any) -> Any:
        if level == len(path):
            return value
        self._meter.spend(2)
        self._meter.descend(level)
        component = path[level]
        if isinstance(component, str) and (holder is None or isinstance(holder, dict)):
            members = self._own({} if holder is None else holder)
            members[component] = self._put(members.get(component), path, level + 1, value)
            return members
        if is_number(component) and (holder is None or isinstance(holder, list)):
            items = self._own([] if holder is None else holder)
            place = self._writable(component, len(items))
            if place >= len(items):
                self._meter.allocate_items(place + 1 - len(items))
                items.extend([None] * (place + 1 - len(items)))
            items[place] = self._put(items[place], path, level + 1, value)
            return items
        if isinstance(component, dict) and (holder is None or isinstance(holder, list)):
            items = self._own([] if holder is None else holder)
            low, high = _bounds(component.get("start"), component.get("end"), len(items))
            replacement = self._put(items[low:high], path, level + 1, value)
            if not isinstance(replacement, list):
                raise Failure("数组切片只能赋值为数组", "A slice of an array can only be assigned another array")
            self._meter.allocate_items(len(replacement))
            items[low:high] = replacement
            return items
        if isinstance(component, dict) and isinstance(holder, str):
            raise Failure("不能修改文本的一部分", "Cannot update string slices")
        raise _cannot_index(holder, component)

    @staticmethod
    def _writable(index: int | float, length: int) -> int:
        place = _position(index, length)
        if place is None:
            raise Failure("数组下标不能是 NaN", "Cannot set array element at NaN index")
        if place < 0:
            raise Failure("负下标超出了数组范围", "Out of bounds negative array index")
        if place > _MAX_INDEX:
            raise Failure("数组下标过大", "Array index too large")
        return place

    def _resolve(self, path: Sequence[Any]) -> list[Any]:
        """The path with places counted from the front, so that paths can be ordered."""
        self._meter.spend(6 + 4 * len(path))
        resolved: list[Any] = []
        value = self.document
        for component in path:
            place = component
            if isinstance(value, list) and is_number(component):
                place = _position(component, len(value))
            elif isinstance(value, list) and isinstance(component, dict):
                low, high = _bounds(component.get("start"), component.get("end"), len(value))
                place = {"start": low, "end": high}
            resolved.append(place)
            value = item(value, component, self._meter)
        return resolved

    def _remove(self, holder: Any, path: list[Any], level: int) -> Any:
        if level == len(path) or holder is None:
            return None
        self._meter.spend(1)
        self._meter.descend(level)
        component, last = path[level], level + 1 == len(path)
        if isinstance(holder, dict) and isinstance(component, str):
            if component not in holder:
                return holder
            holder = self._own(holder)
            if last:
                del holder[component]
            else:
                holder[component] = self._remove(holder[component], path, level + 1)
            return holder
        if isinstance(holder, list) and isinstance(component, dict):
            low, high = component["start"], component["end"]
            holder = self._own(holder)
            holder[low:high] = [] if last else self._remove(holder[low:high], path, level + 1)
            return holder
        if isinstance(holder, list) and (component is None or isinstance(component, int)):
            if component is None or not 0 <= component < len(holder):
                return holder
            holder = self._own(holder)
            if last:
                del holder[component]
            else:
                holder[component] = self._remove(holder[component], path, level + 1)
            return holder
        raise _cannot_index(holder, component)


def path_argument(value: Any) -> Path:
    """An array as a path. Raises Failure for anything else."""
    if not isinstance(value, list):
        raise Failure("路径必须是数组", "Path must be specified as an array")
    return tuple(value)


def all_paths(value: Any, meter: Meter, path: Path = (), depth: int = 0) -> Iterator[tuple[Path, Any]]:
    """Every path below a value with what is there, parents first; the root's own empty path comes first."""
    meter.spend(2 + depth // 4)
    yield path, value
    if isinstance(value, list):
        depth = meter.descend(depth)
        for place, element in enumerate(value):
            yield from all_paths(element, meter, (*path, place), depth)
    elif isinstance(value, dict):
        depth = meter.descend(depth)
        for name, element in value.items():
            yield from all_paths(element, meter, (*path, name), depth)
