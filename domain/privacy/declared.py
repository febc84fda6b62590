"""What authors declare to be personal: fields of calls by `Personal("phone")`, fields of forms by `x-personal: phone`.

Both say the same: a field of a call stands in its JSON Schema with `x-personal` too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from domain.privacy.kinds import KINDS, Kind

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
    """How an object of a declared model is recognised in free JSON: by the keys that it always has."""

    required: frozenset[str]
    fields: Mapping[str, Kind]

    def fits(self, value: Mapping[Any, Any]) -> bool:
        return self.required <= value.keys()


def shapes_of(models: Iterable[type[BaseModel]]) -> tuple[Shape, ...]:
    """The shapes of these models, and of the models inside of them, that declare something personal."""
    found: dict[type[BaseModel], Shape] = {}
    waiting, seen = list(models), set[type[BaseModel]]()
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        fields: dict[str, Kind] = {}
        required: set[str] = set()
        for name, field in model.model_fields.items():
            key = field.serialization_alias or field.alias or name
            mark = next((mark for mark in field.metadata if isinstance(mark, Personal)), None)
            if mark is not None:
                fields[key] = mark.kind
            if field.is_required():
                required.add(key)
            waiting.extend(_models_in(field.annotation))
        if fields:
            found[model] = Shape(frozenset(required), fields)
    return tuple(found.values())


def declared_in(schema: Any) -> dict[str, Kind]:
    """The fields that a JSON Schema declares to be personal, by name, at whatever depth they stand."""
    found: dict[str, Kind] = {}
    for name, node in _declarations(schema):
        found.setdefault(name, node[KEYWORD])
    return found


def misplaced_in(schema: Any) -> list[tuple[str, str]]:
    """Declarations that would protect nothing: `(place, what to do)`, the place relative to the schema."""
    effective = {id(node) for _, node in _declarations(schema)}
    found = []
    for place, node in _nodes(schema):
        kind = node.get(KEYWORD)
        if isinstance(kind, Mapping) or KEYWORD not in node:
            continue  # a field of that name, or nothing
        if kind not in KINDS:
            found.append((f"{place}.{KEYWORD}", f"it must be one of {', '.join(KINDS)}"))
        elif id(node) not in effective:
            found.append((f"{place}.{KEYWORD}", "it belongs to a field: write it below a name under `properties`"))
    return found


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
