"""Which order lines count: `where: { channel: [live], first: true, order-amount: { at-least: '5000.00' } }`."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from domain.dsl.findings import child, did_you_mean, listed
from domain.problems import Text
from domain.remarks import Remarks
from domain.settlement.scalars import read_amount
from domain.settlement.scheme import LineTest


class LineField(NamedTuple):
    """Something that is known of an order line."""

    type: Literal["text", "flag", "money"]
    title: Text


LINE_FIELDS: Mapping[str, LineField] = {
    "platform": LineField("text", Text("平台", "platform")),
    "shop": LineField("text", Text("店铺", "shop")),
    "channel": LineField("text", Text("渠道", "channel")),
    "influencer": LineField("text", Text("达人", "influencer")),
    "category": LineField("text", Text("类目", "category")),
    "article": LineField("text", Text("商品", "article")),
    "first": LineField("flag", Text("客户首单", "the customer's first order")),
    "bonded": LineField("flag", Text("保税仓发货", "shipped from a bonded warehouse")),
    "order-amount": LineField("money", Text("整单金额", "amount of the whole order")),
}
MOST_VALUES = 200
_LONGEST_VALUE = 200
_BOUNDS = ("at-least", "less-than")


def read_line_tests(data: Any, currency: str, pointer: str, remarks: Remarks) -> tuple[LineTest, ...]:
    """The tests of a `where`; all of them have to hold. With remarks for what cannot be read."""
    if data is None:
        return ()
    if not isinstance(data, Mapping) or not data:
        text = Text("where 下面要写“字段: 值”", "`where` needs “field: value” below it")
        remarks.error("bad-filter", pointer, text)
        return ()
    tests = []
    for name, value in data.items():
        place = child(pointer, str(name))
        known = LINE_FIELDS.get(str(name))
        if known is None:
            near = did_you_mean(str(name), LINE_FIELDS)
            text = Text(
                f"订单行没有“{name}”字段。{near.zh}可用：{listed(LINE_FIELDS)}",
                f"Order lines have no “{name}”.{near.en} They have: {listed(LINE_FIELDS)}",
            )
            remarks.error("unknown-field", place, text, of_key=True)
        elif (test := _test(str(name), known, value, currency, place, remarks)) is not None:
            tests.append(test)
    return tuple(tests)


def _test(name: str, known: LineField, value: Any, currency: str, place: str, remarks: Remarks) -> LineTest | None:
    match known.type:
        case "flag":
            if isinstance(value, bool):
                return LineTest(name, flag=value)
            remarks.error("bad-value", place, Text("这里要写 true 或 false", "This is true or false"))
            return None
        case "money":
            return _bounds(name, value, currency, place, remarks)
        case "text":
            values = value if isinstance(value, list) else [value]
            texts = [each for each in values if isinstance(each, str) and 0 < len(each) <= _LONGEST_VALUE]
            if len(texts) == len(values) and 0 < len(values) <= MOST_VALUES:
                return LineTest(name, values=tuple(dict.fromkeys(texts)))
            text = Text(
                f"这里要写 1 到 {MOST_VALUES} 个文本；数字请加引号",
                f"1 to {MOST_VALUES} texts belong here; numbers are quoted",
            )
            remarks.error("bad-value", place, text)
            return None


def _bounds(name: str, value: Any, currency: str, place: str, remarks: Remarks) -> LineTest | None:
    if not isinstance(value, Mapping) or not value:
        example = f"{name}: {{ at-least: '5000.00' }}"
        remarks.error("bad-value", place, Text(f"请写成 {example}", f"Write {example}"))
        return None
    remarks.unknown_keys(value, _BOUNDS, place)
    read = {key: read_amount(value[key], currency, child(place, key), remarks) for key in _BOUNDS if key in value}
    low, high = read.get("at-least"), read.get("less-than")
    if low is not None and high is not None and low >= high:
        text = Text("at-least 应小于 less-than", "`at-least` has to be below `less-than`")
        remarks.error("contradictory-bounds", place, text)
        return None
    return LineTest(name, low=low, high=high)
