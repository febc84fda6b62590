"""What authors declare to be personal: fields of calls by `Personal("phone")`, fields of forms by `x-personal: phone`.

Both say the same: a field of a call stands in its JSON Schema with `x-personal` too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from domain.privacy.kinds import KINDS, Kind
from domain.problems import Text

KEYWORD = "x-personal"
_MOST_HOPS = 20


@dataclass(frozen=True, slots=True)
class Personal:
    """Marks a field of a model as somebody's personal data: `name: Annotated[str, Personal("name")]`."""

    kind: Kind

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core_schema), KEYWORD: self.kind}


@dataclass(frozen=True, slots=True)
class Shape:
    """How an object of a declared model is recognised in free JSON: by the keys that it always has; one that always has
    none, by having no others than its own."""

    required: frozenset[str]
    keys: frozenset[str]
    fields: Mapping[str, Kind]

    def fits(self, value: Mapping[Any, Any]) -> bool:
        return self.required <= value.keys() if self.required else self.keys >= value.keys()


def shapes_of(models: Iterable[type[BaseModel]]) -> tuple[Shape, ...]:
    """The shapes of these models, and of the models inside of them, that declare something personal."""
    found: dict[type[BaseModel], Shape] = {}
    waiting, seen = list(models), set[type[BaseModel]]()
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        named = {field.serialization_alias or field.alias or name: field for name, field in model.model_fields.items()}
        fields = {key: mark.kind for key, field in named.items() if (mark := _mark(field)) is not None}
        if fields:
            required = frozenset(key for key, field in named.items() if field.is_required())
            found[model] = Shape(required, frozenset(named), fields)
        for field in named.values():
            waiting.extend(_models_in(field.annotation))
    return tuple(found.values())


def declared_in(schema: Any) -> dict[str, Kind]:
    """The fields that a JSON Schema declares to be personal, by name, at whatever depth they stand."""
    found: dict[str, Kind] = {}
    for name, node in _declarations(schema):
        found.setdefault(name, node[KEYWORD])
    return found


def misplaced_in(schema: Any) -> list[tuple[str, Text]]:
    """Declarations that would protect nothing: `(place, what to do)`, the place relative to the schema."""
    effective = {id(node) for _, node in _declarations(schema)}
    found = []
    for place, node in _nodes(schema):
        kind = node.get(KEYWORD)
        if isinstance(kind, Mapping) or KEYWORD not in node:
            continue  # a field of that name, or nothing
        if kind not in KINDS:
            known = ", ".join(KINDS)
            found.append((f"{place}.{KEYWORD}", Text(f"可选值：{known}", f"it must be one of {known}")))
        elif id(node) not in effective:
            advice = Text(
                "它属于字段：请写在 properties 下的字段里",
                "it belongs to a field: write it below a name under `properties`",
            )
            found.append((f"{place}.{KEYWORD}", advice))
    return found


def _mark(field: FieldInfo) -> Personal | None:
    return next((mark for mark in field.metadata if isinstance(mark, Personal)), None)


def _declarations(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for _, node in _nodes(schema):
        properties = node.get("properties")
        for name, inner in properties.items() if isinstance(properties, Mapping) else ():
            yield from ((str(name), declaring) for declaring in _declaring(schema, inner))


def _declaring(schema: Any, field: Any) -> Iterator[Mapping[str, Any]]:
    """The nodes that declare a field: its own schema, that of its items or choices, one that it refers to."""
    waiting, hops = [field], 0
    while waiting and hops < _MOST_HOPS:
        node, hops = waiting.pop(0), hops + 1
        if not isinstance(node, Mapping):
            continue
        if node.get(KEYWORD) in KINDS:
            yield node
        waiting.append(node.get("items"))
        for choice in ("anyOf", "oneOf", "allOf"):
            waiting.extend(node[choice] if isinstance(node.get(choice), list) else ())
        if isinstance(node.get("$ref"), str):
            waiting.append(_resolved(schema, node["$ref"]))


def _resolved(schema: Any, reference: str) -> Any:
    """What a `#/…` reference means; None when it leads nowhere."""
    node = schema if reference.startswith("#/") else None
    for part in reference.removeprefix("#/").split("/"):
        node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    return node


def _nodes(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    waiting: list[tuple[str, Any]] = [("", schema)]
    while waiting:
        place, node = waiting.pop(0)
        if isinstance(node, Mapping):
            yield place, node
            waiting.extend((f"{place}.{key}", value) for key, value in node.items())
        elif isinstance(node, list):
            waiting.extend((f"{place}.{index}", value) for index, value in enumerate(node))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        if inner is not annotation:
            yield from _models_in(inner)
