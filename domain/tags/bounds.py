"""What a measure has to be: `{ at-least: 3 }`, `{ of: paid, at-least: '500.00' }`, `{ older-than: P30D }`."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from domain.dsl.durations import parse_duration
from domain.dsl.findings import child, did_you_mean, listed
from domain.money import HOME_CURRENCY, minor_from_major
from domain.problems import ProblemError, Text
from domain.remarks import Remarks
from domain.tags.conditions import Bounds, Leaf, Measure
from domain.tags.facts import Fact, FieldType, field_of
from domain.tags.shares import read_share

_NUMBER_KEYS = ("at-least", "at-most", "more-than", "less-than", "equals")
_AGE_KEYS = ("older-than", "newer-than", "due-within", "due-after")
_AFTER = "after"
_SILENCE_KEYS = ("at-least", "less-than")
_TIMES = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?")
LARGEST_NUMBER = 10**15
LARGEST_COUNT = 1_000_000


ReadLatest = Callable[[Any, str], Leaf | None]
"""Reads which records' latest instant is meant; None with remarks."""


def read_bounds(
    fact: Fact, measure: Measure, data: Any, pointer: str, remarks: Remarks, *, currency: str, read_latest: ReadLatest
) -> tuple[str, Bounds] | None:
    """The field that is measured and its bounds, None with remarks when they cannot be read. currency: of amounts."""
    if measure in ("silence", "share"):
        bounds = _silence(fact, data, pointer, remarks) if measure == "silence" else read_share(data, pointer, remarks)
        return None if bounds is None else ("", bounds)
    is_age = measure in ("latest", "earliest")
    keys = (*(() if measure == "count" else ("of",)), *((*_AGE_KEYS, _AFTER) if is_age else _NUMBER_KEYS))
    if not isinstance(data, Mapping):
        example = f"{measure}: {{ {'older-than: P30D' if is_age else 'at-least: 3'} }}"
        remarks.error("bad-bounds", pointer, Text(f"请写成 {example}", f"Write {example}"))
        return None
    before = len(remarks.found)
    remarks.unknown_keys(data, keys, pointer)
    of = _of(fact, measure, data, pointer, remarks)
    if of is None:
        return None
    given = {key: value for key, value in data.items() if key in keys and key != "of"}
    if not given and len(remarks.found) == before:
        remarks.error(
            "bad-bounds",
            pointer,
            Text(f"还要写界限：{listed(keys)}", f"A bound is missing: {listed(keys)}"),
        )
    of_type = field.type if of and (field := field_of(fact, of)) else "number"
    bounds = (
        _age(given, pointer, remarks, read_latest)
        if is_age
        else _number(given, of_type if measure == "sum" else "number", pointer, remarks, currency)
    )
    if measure in ("count", "distinct") and max(bounds.low or 0, bounds.high or 0) > LARGEST_COUNT:
        text = Text(f"个数最大 {LARGEST_COUNT}", f"A count is at most {LARGEST_COUNT}")
        remarks.error("bad-value", pointer, text)
    if len(remarks.found) > before:
        return None
    if bounds.is_contradictory:
        remarks.error(
            "contradictory-bounds",
            pointer,
            Text("这些界限互相矛盾，没有值能同时满足", "These bounds contradict each other: no value meets them all"),
        )
        return None
    return of, bounds


def _of(fact: Fact, measure: Measure, data: Mapping[str, Any], pointer: str, remarks: Remarks) -> str | None:
    """The field that is added up, told apart or looked at; None with a remark."""
    match measure:
        case "count":
            return ""
        case "sum":
            choices: tuple[str, ...] = fact.amounts
        case "distinct":
            choices = tuple(name for name, each in fact.fields.items() if each.type in ("text", "number"))
        case _:
            choices = fact.instants
    given = data.get("of", choices[0] if measure in ("latest", "earliest") else None)
    if given in choices:
        return str(given)
    if measure == "distinct" and isinstance(given, str) and field_of(fact, given) is not None:
        return given
    if not choices:
        text = Text(f"{fact.name} 没有可以相加的字段", f"Nothing of {fact.name} can be added up")
    elif given is None:
        text = Text(f"还要写 of：{listed(choices)}", f"Say of what: `of: {choices[0]}`; there are {listed(choices)}")
    else:
        near = did_you_mean(str(given), choices)
        text = Text(
            f"{fact.name} 的 {measure} 不能用“{given}”。{near.zh}可用：{listed(choices)}",
            f"{measure} of {fact.name} cannot be of “{given}”.{near.en} There are: {listed(choices)}",
        )
    remarks.error("unknown-field", child(pointer, "of") if "of" in data else pointer, text)
    return None


def _number(given: Mapping[str, Any], of_type: FieldType, pointer: str, remarks: Remarks, currency: str) -> Bounds:
    low: int | None = None
    high: int | None = None
    for key, value in given.items():
        number = read_number(value, of_type, child(pointer, key), remarks, currency)
        if number is None:
            continue
        if key in ("at-least", "more-than", "equals"):
            least = number + (key == "more-than")
            low = least if low is None else max(low, least)
        if key in ("at-most", "less-than", "equals"):
            most = number - (key == "less-than")
            high = most if high is None else min(high, most)
    return Bounds(low, high)


def read_number(
    value: Any, of_type: FieldType, pointer: str, remarks: Remarks, currency: str = HOME_CURRENCY
) -> int | None:
    """A whole number, or an amount of a currency in minor units; None with a remark."""
    if of_type == "money":
        if not isinstance(value, str):
            remarks.error(
                "unquoted-amount",
                pointer,
                Text(
                    f"金额要加引号，单位是元：'{_shown(value)}'",
                    f"Amounts are quoted and in yuan: '{_shown(value)}'",
                ),
            )
            return None
        try:
            return minor_from_major(value, currency)
        except ProblemError as problem:
            remarks.problem("bad-value", pointer, problem)
            return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST_NUMBER:
        remarks.error(
            "bad-value",
            pointer,
            Text(f"这里要写整数，不能是 {value!r}", f"A whole number belongs here, not {value!r}"),
        )
        return None
    return value


def _silence(fact: Fact, data: Any, pointer: str, remarks: Remarks) -> Bounds | None:
    """How many times the interval nothing was bought, in percent: from `at-least` on, until `less-than`."""
    if not fact.has_rhythm:
        text = Text(
            f"{fact.name} 没有购买周期，silence 只能用于 replenishment",
            f"{fact.name} have no interval; `silence` is of replenishment only",
        )
        remarks.error("unknown-field", pointer, text, of_key=True)
        return None
    if not isinstance(data, Mapping) or not data:
        example = "silence: { at-least: '1.5' }"
        remarks.error("bad-bounds", pointer, Text(f"请写成 {example}", f"Write {example}"))
        return None
    before = len(remarks.found)
    remarks.unknown_keys(data, (*_SILENCE_KEYS, "assumed"), pointer)
    if not any(key in data for key in _SILENCE_KEYS):
        text = Text(f"还要写界限：{listed(_SILENCE_KEYS)}", f"A bound is missing: {listed(_SILENCE_KEYS)}")
        remarks.error("bad-bounds", pointer, text)
    given = {key: _percent(data[key], child(pointer, key), remarks) for key in _SILENCE_KEYS if key in data}
    assumed = _whole_days(data["assumed"], child(pointer, "assumed"), remarks) if "assumed" in data else None
    bounds = Bounds(low=given.get("at-least"), high=given.get("less-than"), assumed_days=assumed)
    if len(remarks.found) > before:
        return None
    if bounds.low is not None and bounds.high is not None and bounds.low >= bounds.high:
        text = Text("at-least 应小于 less-than", "`at-least` has to be below `less-than`")
        remarks.error("contradictory-bounds", pointer, text)
        return None
    return bounds


def _whole_days(value: Any, pointer: str, remarks: Remarks) -> int | None:
    try:
        length = parse_duration(value)
    except ProblemError as problem:
        remarks.problem("bad-duration", pointer, problem)
        return None
    if length < timedelta(days=1) or length % timedelta(days=1):
        text = Text("周期是整天数，例如 P30D", "An interval is whole days, such as P30D")
        remarks.error("bad-duration", pointer, text)
        return None
    return length.days


def _percent(value: Any, pointer: str, remarks: Remarks) -> int | None:
    shown = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    found = _TIMES.fullmatch(shown)
    if found is None:
        remarks.error(
            "bad-value",
            pointer,
            Text(
                "这里要写周期的倍数，加引号，最多两位小数，例如 '1.5'",
                "How many times the interval, quoted, with two decimals at most, such as '1.5'",
            ),
        )
        return None
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


def _shown(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) and not isinstance(value, bool) else "500.00"


def _age(given: Mapping[str, Any], pointer: str, remarks: Remarks, read_latest: ReadLatest) -> Bounds:
    lengths: dict[str, timedelta] = {}
    after = read_latest(given[_AFTER], child(pointer, _AFTER)) if _AFTER in given else None
    for key, value in given.items():
        if key == _AFTER:
            continue
        try:
            lengths[key] = parse_duration(value)
        except ProblemError as problem:
            remarks.problem("bad-duration", child(pointer, key), problem)
    older = [lengths[key] * sign for key, sign in (("older-than", 1), ("due-within", -1)) if key in lengths]
    newer = [lengths[key] * sign for key, sign in (("newer-than", 1), ("due-after", -1)) if key in lengths]
    return Bounds(older=max(older, default=None), newer=min(newer, default=None), after=after)
