"""A completed form against its schema: every mistake at its field, in Chinese and English."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError

from domain.dsl.schemas import schema_validator
from domain.problems import Text, ValidationProblem

MOST_ERRORS = 50


def check_form(schema: Mapping[str, Any], form: Mapping[str, Any]) -> None:
    """Returns when the form fits its schema.

    :raises ValidationProblem: it does not; `errors` lists `{field, pointer, message: {zh, en}}`.
    """
    errors = [
        {"field": field, "pointer": pointer, "message": message.as_dict()}
        for field, pointer, message in _errors(schema, form)
    ][:MOST_ERRORS]
    if errors:
        fields = ", ".join(dict.fromkeys(str(error["field"]) or "(form)" for error in errors))
        raise ValidationProblem(
            Text(
                f"表单有 {len(errors)} 处需要修改：{fields}", f"{len(errors)} things to correct in the form: {fields}"
            ),
            errors=errors,
        )


def _errors(schema: Mapping[str, Any], form: Mapping[str, Any]) -> Iterator[tuple[str, str, Text]]:
    found = schema_validator(dict(schema)).iter_errors(dict(form))
    for error in sorted(found, key=lambda error: ([str(part) for part in error.absolute_path], error.validator or "")):
        path = [str(part) for part in error.absolute_path]
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            path.append(_named_in(error, missing))
        elif error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
            known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
            path.append(next((str(name) for name in error.instance if name not in known), ""))
        yield ".".join(path), "".join(f"/{part}" for part in path), _sentence(error)


def _named_in(error: ValidationError, names: list[str]) -> str:
    return next((name for name in names if error.message.startswith(f"{name!r} ")), names[0] if names else "")


def _sentence(error: ValidationError) -> Text:
    value: Any = error.validator_value
    match error.validator:
        case "required":
            return Text("必填", "This field is required")
        case "additionalProperties" | "unevaluatedProperties":
            return Text("表单中没有这个字段，请删除", "The form has no such field; remove it")
        case "type":
            return Text(f"类型应为 {_types(value, _TYPES_ZH)}", f"This must be {_types(value, _TYPES_EN)}")
        case "enum":
            choices = ", ".join(map(str, value))
            return Text(f"请从以下选项中选择：{choices}", f"Choose one of: {choices}")
        case "const":
            return Text(f"只能填 {value}", f"This must be {value}")
        case "minimum":
            return Text(f"不能小于 {value}", f"This must not be less than {value}")
        case "maximum":
            return Text(f"不能大于 {value}", f"This must not be more than {value}")
        case "exclusiveMinimum":
            return Text(f"必须大于 {value}", f"This must be more than {value}")
        case "exclusiveMaximum":
            return Text(f"必须小于 {value}", f"This must be less than {value}")
        case "multipleOf":
            return Text(f"必须是 {value} 的倍数", f"This must be a multiple of {value}")
        case "minLength":
            return Text(f"至少 {value} 个字", f"At least {value} characters")
        case "maxLength":
            return Text(f"最多 {value} 个字", f"At most {value} characters")
        case "minItems":
            return Text(f"至少 {value} 项", f"At least {value} items")
        case "maxItems":
            return Text(f"最多 {value} 项", f"At most {value} items")
        case "uniqueItems":
            return Text("不能有重复项", "Items must not repeat")
        case "format":
            return Text(f"格式不正确，应为 {value}", f"The format is wrong; it must be {value}")
        case "pattern":
            return Text(f"格式不正确，应符合 {value}", f"The format is wrong; it must match {value}")
        case _:
            return Text(f"不符合要求（{error.validator}）", error.message)


_TYPES_ZH = {
    "string": "文本",
    "integer": "整数",
    "number": "数字",
    "boolean": "是/否",
    "array": "列表",
    "object": "对象",
    "null": "空",
}
_TYPES_EN = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "empty",
}


def _types(value: Any, words: Mapping[str, str]) -> str:
    names = value if isinstance(value, list) else [value]
    return " / ".join(words.get(str(name), str(name)) for name in names)
