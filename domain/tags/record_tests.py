"""Which records count: `where: { status: [paid, shipped], paid: { at-least: "100.00" } }`."""

from collections.abc import Mapping
from typing import Any, get_args

from domain.dsl.findings import child, did_you_mean, listed
from domain.money import HOME_CURRENCY
from domain.problems import Text
from domain.remarks import Remarks
from domain.tags.bounds import read_number
from domain.tags.conditions import Operator, RecordTest, Value
from domain.tags.facts import DETAIL_PREFIX, Fact, FactField, field_of

_OPERATORS: tuple[str, ...] = (
    "is",
    "in",
    "not",
    *(each for each in get_args(Operator) if each not in ("in", "not-in")),
)
_ORDERED: tuple[Operator, ...] = ("at-least", "at-most", "more-than", "less-than")
MOST_VALUES = 200
LONGEST_VALUE = 200
_SAME = {"status": "state", "state": "status"}


def read_tests(
    fact: Fact, data: Any, pointer: str, remarks: Remarks, currency: str = HOME_CURRENCY
) -> tuple[RecordTest, ...]:
    """The tests of a `where`, with remarks for what cannot be read. currency: of the amounts in it."""
    if data is None:
        return ()
    if not isinstance(data, Mapping):
        remarks.error(
            "bad-condition", pointer, Text("where 下面要写“字段: 值”", "`where` needs “field: value” below it")
        )
        return ()
    tests: list[RecordTest] = []
    for name, value in data.items():
        place = child(pointer, str(name))
        known = _field(fact, str(name), place, remarks)
        if known is not None:
            tests += _tests(str(name), known, value, place, remarks, currency)
    return tuple(tests)


def _field(fact: Fact, name: str, place: str, remarks: Remarks) -> FactField | None:
    found = field_of(fact, name)
    if found is not None:
        return found
    near = did_you_mean(name, fact.fields)
    if not near.zh and _SAME.get(name) in fact.fields:
        near = did_you_mean(_SAME[name], fact.fields)
    fields = listed([*fact.fields, *(("details.…",) if fact.has_details else ())], most=25)
    remarks.error(
        "unknown-field",
        place,
        Text(
            f"{fact.name} 没有“{name}”字段。{near.zh}可用：{fields}",
            f"{fact.name} has no “{name}”.{near.en} It has: {fields}",
        ),
        of_key=True,
    )
    return None


def _tests(name: str, known: FactField, value: Any, place: str, remarks: Remarks, currency: str) -> list[RecordTest]:
    if not isinstance(value, Mapping):
        test = _one(name, known, "in", value, place, remarks, currency)
        return [test] if test else []
    if not value:
        remarks.error("bad-value", place, Text("这里没有写条件", "There is no condition here"))
    remarks.unknown_keys(value, _OPERATORS, place)
    found = [
        _one(name, known, operator, given, child(place, operator), remarks, currency)
        for operator, given in value.items()
        if operator in _OPERATORS
    ]
    return [test for test in found if test is not None]


def _one(
    name: str, known: FactField, operator: str, given: Any, place: str, remarks: Remarks, currency: str
) -> RecordTest | None:
    if operator == "exists":
        if isinstance(given, bool):
            return RecordTest(name, "exists", (given,))
        remarks.error("bad-value", place, Text("这里要写 true 或 false", "Write true or false here"))
        return None
    ordered = next((each for each in _ORDERED if each == operator), None)
    if ordered is not None:
        if known.type not in ("money", "number") and not name.startswith(DETAIL_PREFIX):
            text = Text(f"“{name}”是文字，不能比较大小", f"“{name}” is a text and has no order")
            remarks.error("bad-value", place, text)
            return None
        number = read_number(given, "money" if known.type == "money" else "number", place, remarks, currency)
        return None if number is None else RecordTest(name, ordered, (number,))
    values = given if isinstance(given, list) else [given]
    if not 1 <= len(values) <= MOST_VALUES:
        text = Text(f"这里要写 1 到 {MOST_VALUES} 个值", f"Write 1 to {MOST_VALUES} values here")
        remarks.error("bad-value", place, text)
        return None
    read = [
        _value(name, known, each, child(place, index) if isinstance(given, list) else place, remarks, currency)
        for index, each in enumerate(values)
    ]
    kept = tuple(each for each in read if each is not None)
    if len(kept) < len(read):
        return None
    if operator == "starts-with":
        if known.type != "text" or not all(isinstance(each, str) for each in kept):
            remarks.error("bad-value", place, Text("starts-with 只能用于文字", "starts-with is for texts"))
            return None
        return RecordTest(name, "starts-with", kept)
    return RecordTest(name, "not-in" if operator == "not" else "in", kept)


def _value(name: str, known: FactField, value: Any, place: str, remarks: Remarks, currency: str) -> Value | None:
    if name.startswith(DETAIL_PREFIX) and isinstance(value, str | int | bool):
        return value
    if known.type == "flag":
        if isinstance(value, bool):
            return value
        remarks.error("bad-value", place, Text("这里要写 true 或 false", "Write true or false here"))
        return None
    if known.type in ("money", "number"):
        return read_number(value, known.type, place, remarks, currency)
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_VALUE:
        shown = f"'{value}'" if isinstance(value, int | float) and not isinstance(value, bool) else "'…'"
        remarks.error(
            "bad-value",
            place,
            Text(
                f"“{name}”要写文字（1 到 {LONGEST_VALUE} 字）；编号请加引号：{shown}",
                f"“{name}” takes a text of 1 to {LONGEST_VALUE} characters; quote a number: {shown}",
            ),
        )
        return None
    if known.choices and value not in known.choices:
        near = did_you_mean(value, known.choices)
        remarks.error(
            "unknown-value",
            place,
            Text(
                f"“{name}”没有“{value}”这个值。{near.zh}可用：{listed(known.choices)}",
                f"“{name}” is never “{value}”.{near.en} There are: {listed(known.choices)}",
            ),
        )
        return None
    return value
