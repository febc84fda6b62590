"""The JSON Schema that editors check and complete definitions by, generated from the models and the catalog.

Source: JSON Schema 2020-12.
"""

from typing import Any

from domain.calls import AnyCall, Catalog
from domain.dsl.lint.outline import REFUSED_CALLS
from domain.dsl.model import TASK_KEYWORDS, Flow
from domain.dsl.vocabulary import describe
from domain.dsl.web_arguments import arguments_model
from domain.problems import Text

SCHEMA_ID = "https://tandem-scrm.org/schemas/flow.json"
_REF = "#/$defs/"
_EXPRESSION = {"$ref": f"{_REF}Expression"}
_ONE_MEMBER = {"minProperties": 1, "maxProperties": 1}
_SHAPES: dict[str, dict[str, Any]] = {
    "AuthenticationPolicy": _ONE_MEMBER,
    "Backoff": _ONE_MEMBER,
    "DurationFields": {"minProperties": 1},
    "EventConsumption": {
        "oneOf": [{"required": [key]} for key in ("one", "all", "any")],
        "dependentRequired": {"until": ["any"]},
    },
    "Schema": {"oneOf": [{"required": [key]} for key in ("document", "resource")]},
}
"""What the validators of the models say beyond their fields."""

_TASK_MODELS = {keyword: f"{keyword.capitalize()}Task" for keyword in TASK_KEYWORDS}


def definition_schema(catalog: Catalog) -> dict[str, Any]:
    """The schema of a flow definition, with the arguments of every function of the catalog."""
    schema = Flow.model_json_schema(by_alias=True, ref_template=_REF + "{model}")
    parts = schema.pop("$defs")
    for name, part in [*parts.items(), ("Flow", schema)]:
        _polish(part, name)
    for keyword, name in _TASK_MODELS.items():
        # `for` and `do` are told apart by which keyword is there, so every branch requires its own.
        parts[name]["required"] = sorted({keyword, *parts[name].get("required", ())})
    parts["Task"] = _task(parts)
    parts["TaskItem"]["additionalProperties"] = {"$ref": f"{_REF}Task"}
    parts["Use"]["properties"]["functions"]["additionalProperties"] = {"$ref": f"{_REF}Task"}
    parts["Use"]["properties"]["catalogs"] = {"not": {}, **_words(Text("不支持外部函数目录", "Catalogs are refused"))}
    for process in ("script", "shell", "container"):
        parts["Run"]["properties"].pop(process)
    parts["Run"]["required"] = ["workflow"]
    parts["Expression"] = {
        "type": "string",
        "pattern": r"^\s*\$\{[\s\S]*\}\s*$",
        **_words(Text("jq 表达式，写成 ${ … }", "A jq expression in ${ … }")),
    }
    _type_calls(parts, catalog)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "双擎流程 · Tandem flow",
    }
    return {**head, **schema, "$defs": dict(sorted(parts.items()))}


def _task(parts: dict[str, Any]) -> dict[str, Any]:
    """A task: its keyword decides which branch speaks, so that an editor reports the mistakes of that one only."""
    common: dict[str, Any] = {}
    for name in _TASK_MODELS.values():
        for key in parts[name]["properties"]:
            common.setdefault(key, True)
    for keyword, name in _TASK_MODELS.items():
        common[keyword] = _words(describe(name))
    branches = []
    for index, keyword in enumerate(TASK_KEYWORDS):
        absent = [{"not": {"required": [other]}} for other in TASK_KEYWORDS[:index]]
        condition = {"required": [keyword], **({"allOf": absent} if absent else {})}
        branches.append({"if": condition, "then": {"$ref": _REF + _TASK_MODELS[keyword]}})
    return {
        "type": "object",
        **_words(Text("一个任务：写一个关键字说明要做什么", "A task: one keyword says what it does")),
        "properties": common,
        "anyOf": [{"required": [keyword]} for keyword in TASK_KEYWORDS],
        "allOf": branches,
    }


def _type_calls(parts: dict[str, Any], catalog: Catalog) -> None:
    """Give `with` the arguments of the function that `call` names."""
    call = parts["CallTask"]
    known = [{"const": name, **_words(catalog[name].title)} for name in sorted(catalog)]
    call["properties"]["call"] = {
        "type": "string",
        "anyOf": [*known, {"not": {"enum": sorted(REFUSED_CALLS)}, "pattern": "^[^@/]+(@default)?$"}],
        **_words(describe("CallTask", "call")),
    }
    branches = []
    for name in sorted(catalog):
        declared = catalog[name]
        model = arguments_model(declared)
        arguments = model.model_json_schema(by_alias=True, ref_template=_REF + f"{name}." + "{model}")
        for inner, part in arguments.pop("$defs", {}).items():
            parts[f"{name}.{inner}"] = _computable(_polish(part, inner))
        _polish(arguments, model.__name__)
        arguments.update(_words(declared.title))
        parts[f"{name}.with"] = _computable(arguments)
        then: dict[str, Any] = {"properties": {"with": {"$ref": f"{_REF}{name}.with"}}}
        if arguments.get("required"):
            then["required"] = ["with"]
        condition = {"properties": {"call": {"enum": _spellings(declared)}}, "required": ["call"]}
        branches.append({"if": condition, "then": then})
    call["allOf"] = branches


def _spellings(call: AnyCall) -> list[str]:
    versioned = f"{call.name}:{call.version}"
    return [call.name, f"{call.name}@default", versioned, f"{versioned}@default"]


def _computable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of arguments in which every member may be an expression instead."""
    for key, member in schema.get("properties", {}).items():
        schema["properties"][key] = _or_expression(member)
    if isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = _or_expression(schema["additionalProperties"])
    return schema


def _or_expression(schema: dict[str, Any]) -> dict[str, Any]:
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = _or_expression(schema[key])
    unbounded = (
        schema.get("type") == "string" and not {"enum", "pattern", "maxLength", "const", "format"} & schema.keys()
    )
    if unbounded or not {"type", "$ref", "anyOf", "oneOf", "enum", "const"} & schema.keys():
        return schema
    words: dict[str, Any] = {key: schema.pop(key) for key in ("title", "description", "default") if key in schema}
    return {**words, "anyOf": [schema, _EXPRESSION]}


def _polish(schema: dict[str, Any], construct: str) -> dict[str, Any]:
    """Replace pydantic's titles by words for authors, and take away `null`: a key without a value is a mistake."""
    schema.pop("title", None)
    schema.pop("description", None)
    schema.update(_words(describe(construct)))
    schema.update(_SHAPES.get(construct, {}))
    for key, member in schema.get("properties", {}).items():
        schema["properties"][key] = {**_without_null(member), **_member_words(construct, key, member)}
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            schema[part] = _without_null(schema[part])
    return schema


def _member_words(construct: str, key: str, member: dict[str, Any]) -> dict[str, Any]:
    found = describe(construct, key)
    if found is None and "description" in member:
        return {"description": member["description"]}
    return _words(found)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    cleaned = {key: value for key, value in schema.items() if key not in ("title", "description")}
    if cleaned.get("default", ...) is None:
        del cleaned["default"]
    branches = [branch for branch in cleaned.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) == 1:
        del cleaned["anyOf"]
        cleaned = {**branches[0], **cleaned}
    elif branches:
        cleaned["anyOf"] = branches
    return cleaned


def _words(text: Text | None) -> dict[str, str]:
    return {} if text is None else {"title": text.zh, "description": f"{text.zh} · {text.en}"}
