"""Finding one's way through the annotations of the models: what stands under a key, which branch a tag names."""

import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, Tag

from domain.dsl.model import FIELDS_TAG, ExtensionItem, SwitchItem, TaskItem, task_keyword


def keys_of(model: Any) -> list[str]:
    """The keys that a model knows, as authors write them."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


def way_to(model: Any, key: str, *, deepest: int = 3) -> list[str]:
    """The keys under which a construct would hold a key that it does not know itself; empty when it never does."""
    waiting: list[tuple[Any, list[str]]] = [(model, [])]
    while waiting:
        construct, way = waiting.pop(0)
        if not isinstance(construct, type) or not issubclass(construct, BaseModel):
            continue
        if way and key in keys_of(construct):
            return way
        if len(way) < deepest and not issubclass(construct, RootModel):
            for field in construct.model_fields.values():
                branch = unwrapped(field.annotation)
                inside = tagged(branch, FIELDS_TAG) if is_union(branch) else branch
                waiting.append((inside, [*way, field.alias or ""]))
    return []


def literals(annotation: Any) -> list[str]:
    """The values of a Literal, wherever it stands in an annotation."""
    annotation = unwrapped(annotation)
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [value for inner in get_args(annotation) if inner is not annotation for value in literals(inner)]


def branch_of(annotation: Any, value: dict[str, Any]) -> Any:
    """The member of a tagged union that a mapping would be read as."""
    if not is_union(annotation):
        return annotation
    wanted = (f"<{task_keyword(value)}>", "<secret>" if "use" in value else FIELDS_TAG, FIELDS_TAG)
    return next((found for tag in wanted if (found := tagged(annotation, tag)) is not None), annotation)


def is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def is_optional(annotation: Any) -> bool:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return is_union(annotation) and type(None) in get_args(annotation)


def unwrapped(annotation: Any) -> Any:
    """The annotation without `Annotated` and without `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif is_union(annotation) and type(None) in get_args(annotation):
            members = [member for member in get_args(annotation) if member is not type(None)]
            if len(members) != 1:
                return annotation
            annotation = members[0]
        else:
            return annotation


def tagged(annotation: Any, part: str | int) -> Any:
    """The union member with that tag; None when there is none."""
    if not is_union(annotation):
        return None
    for member in get_args(annotation):
        if get_origin(member) is Annotated and any(
            isinstance(mark, Tag) and mark.tag == part for mark in get_args(member)[1:]
        ):
            return unwrapped(member)
    return None


def branch_named(annotation: Any, label: str | int) -> Any:
    """The branch of an untagged union that pydantic's label for it (`str`, `dict[str,any]`, a class) means."""
    members = [unwrapped(member) for member in get_args(annotation)]
    return next((member for member in members if _label(member) == str(label)), annotation)


def _label(member: Any) -> str:
    origin = get_origin(member)
    return origin.__name__ if origin is not None else getattr(member, "__name__", str(member))


def inner(annotation: Any, part: str | int) -> Any:
    """The annotation of a member; None when it is not known."""
    annotation = unwrapped(annotation)
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return inner(annotation.model_fields["root"].annotation, part)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.values()
        return next((field.annotation for field in fields if field.alias == part), None) or next(
            (field.annotation for name, field in annotation.model_fields.items() if name == part), None
        )
    arguments: Sequence[Any] = get_args(annotation)
    if get_origin(annotation) in (dict, types.MappingProxyType) and len(arguments) == 2:
        return arguments[1]
    if get_origin(annotation) in (tuple, list) and arguments:
        return arguments[0]
    return None


def is_item(annotation: Any) -> bool:
    """Whether it is an item of a list that holds one named thing: a task, a case, an extension."""
    return annotation in (TaskItem, SwitchItem, ExtensionItem)
