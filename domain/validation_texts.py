"""What a validator of pydantic says, for a person, in Chinese and in English."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from domain.problems import Text

MOST_REASONS = 10

_TEXTS = {
    "missing": Text("必填", "this is required"),
    "extra_forbidden": Text("没有这个字段，请删除", "there is no such member; remove it"),
    "json_invalid": Text("不是有效的 JSON（{error}）", "this is no valid JSON ({error})"),
    "string_type": Text("应为文本", "this must be text"),
    "string_too_short": Text("至少 {min_length} 个字符", "at least {min_length} characters"),
    "string_too_long": Text("最多 {max_length} 个字符", "at most {max_length} characters"),
    "string_pattern_mismatch": Text("格式应符合 {pattern}", "this must match {pattern}"),
    "int_type": Text("应为整数", "this must be a whole number"),
    "int_parsing": Text("应为整数", "this must be a whole number"),
    "int_parsing_size": Text("整数过大", "this number is too large"),
    "int_from_float": Text("应为整数", "this must be a whole number"),
    "float_type": Text("应为数字", "this must be a number"),
    "float_parsing": Text("应为数字", "this must be a number"),
    "finite_number": Text("应为有限的数字", "this must be a finite number"),
    "bool_type": Text("应为 true 或 false", "this must be true or false"),
    "bool_parsing": Text("应为 true 或 false", "this must be true or false"),
    "greater_than": Text("应大于 {gt}", "this must be more than {gt}"),
    "greater_than_equal": Text("不能小于 {ge}", "this must be at least {ge}"),
    "less_than": Text("应小于 {lt}", "this must be less than {lt}"),
    "less_than_equal": Text("不能大于 {le}", "this must be at most {le}"),
    "enum": Text("可选值：{expected}", "this must be one of {expected}"),
    "literal_error": Text("可选值：{expected}", "this must be one of {expected}"),
    "list_type": Text("应为列表", "this must be a list"),
    "set_type": Text("应为列表", "this must be a list"),
    "frozen_set_type": Text("应为列表", "this must be a list"),
    "tuple_type": Text("应为列表", "this must be a list"),
    "dict_type": Text("应为对象", "this must be an object"),
    "mapping_type": Text("应为对象", "this must be an object"),
    "model_type": Text("应为对象", "this must be an object"),
    "model_attributes_type": Text("应为 JSON 对象", "this must be a JSON object"),
    "too_short": Text("至少 {min_length} 项", "at least {min_length} items"),
    "too_long": Text("最多 {max_length} 项", "at most {max_length} items"),
    "datetime_type": Text("应为带时区的时间，如 2026-11-11T00:00:00Z", "this must be an instant: 2026-11-11T00:00:00Z"),
    "datetime_parsing": Text("应为时间，如 2026-11-11T00:00:00Z", "this must be an instant: 2026-11-11T00:00:00Z"),
    "datetime_from_date_parsing": Text(
        "应为时间，如 2026-11-11T00:00:00Z", "this must be an instant: 2026-11-11T00:00:00Z"
    ),
    "timezone_aware": Text("时间缺少时区，如 2026-11-11T00:00:00Z", "a time zone is missing: 2026-11-11T00:00:00Z"),
    "time_type": Text("应为一天中的时间，如 22:00", "this must be a time of day such as 22:00"),
    "time_parsing": Text("应为一天中的时间，如 22:00", "this must be a time of day such as 22:00"),
    "none_required": Text("应为空", "this must be empty"),
}


def explain(error: Mapping[str, Any]) -> Text:
    """The sentence for one error of pydantic's `errors()`; validators of ours say `中文 · English`."""
    known = _TEXTS.get(str(error.get("type")))
    said = str(error.get("msg", "")).removeprefix("Value error, ")[:300]
    if known is None:
        zh, both, en = said.partition(" · ")
        if both:
            return Text(zh, en)
        return Text(f"值不正确（{said}）", said)
    try:
        return known.format(**error.get("ctx", {}))
    except (KeyError, IndexError):
        return Text(f"值不正确（{said}）", said)


def reasons(error: ValidationError) -> Text:
    """What is wrong and where, `orders.0.price: …`, ten things at most; never what was given, which may be personal."""
    found = error.errors(include_url=False, include_input=False)[:MOST_REASONS]
    said = [(".".join(map(str, each["loc"])) or "(root)", explain(each)) for each in found]
    return Text(
        "；".join(f"{place}：{why.zh}" for place, why in said), "; ".join(f"{place}: {why.en}" for place, why in said)
    )
