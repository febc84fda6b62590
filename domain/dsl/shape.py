"""Does a document have the shape of a flow? Every violation as a sentence for its author.

The models decide; this translates their errors: a union speaks only for the branch the author meant, a mistake at one
place is told once, and the usual slips (a task not indented under its name, two tasks in one item, a full-width colon)
are recognised as what they are.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from domain.dsl.annotations import branch_of, inner, is_optional, keys_of, unwrapped, way_to
from domain.dsl.findings import Finding, child, closest
from domain.dsl.model import Flow
from domain.dsl.shape_errors import ShapeError
from domain.dsl.source import SourceDocument
from domain.problems import Text


def check_shape(document: SourceDocument) -> tuple[Flow | None, list[Finding]]:
    """The typed flow, or None and what is wrong with the shape of the document."""
    findings = list(_without_value(document))
    try:
        return Flow.model_validate(document.data), findings
    except ValidationError as error:
        findings += explain_shape_errors(error, document, "", Flow)
        return None, findings


def explain_shape_errors(
    error: ValidationError, document: SourceDocument, pointer: str, model: type[BaseModel]
) -> list[Finding]:
    """Findings for a pydantic error about the value at a pointer of the document, validated by a model."""
    settled: set[str] = set()
    findings: list[Finding] = []
    places = [ShapeError(details, pointer, model, document) for details in error.errors(include_url=False)]
    for place in _without_noise(places):
        if any(_inside(place.pointer, above) for above in settled):
            continue
        misshapen = place.misshapen_item()
        if misshapen is not None:
            item, finding = misshapen
            settled.add(item)
            findings.append(finding)
            continue
        told = place.finding()
        if told is not None:
            findings.append(told)
    return findings


def _without_noise(places: list[ShapeError]) -> Iterator[ShapeError]:
    """One place per mistake: a misspelt key is not also a missing one, a union complains once."""
    unknown = [place for place in places if place.kind == "extra_forbidden"]
    spoken: dict[str, ShapeError] = {}
    for place in places:
        if place.kind == "missing" and any(
            other.pointer.rpartition("/")[0] == place.pointer.rpartition("/")[0]
            and (
                closest(other.key, keys_of(other.owner)) == place.key
                or way_to(other.owner, other.key)[:1] == [place.key]
            )
            for other in unknown
        ):
            continue
        if not place.in_union:
            yield place
            continue
        # Untagged unions report every branch: the one that went furthest into the data is the one that was meant.
        rivals = [other for other in places if other.in_union == place.in_union]
        if place is max(rivals, key=lambda rival: len(rival.pointer)):
            first = spoken.setdefault(place.in_union, place)
            if first is place:
                if all(rival.pointer == place.in_union for rival in rivals):
                    place.wanted = [rival.kind for rival in rivals]
                yield place


def _without_value(document: SourceDocument) -> Iterator[Finding]:
    """Keys of the language that were written and left empty: the models take them for absent, authors do not."""

    def walk(annotation: Any, value: Any, pointer: str) -> Iterator[Finding]:
        annotation = unwrapped(annotation)
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from walk(inner(annotation, index), item, child(pointer, index))
        elif isinstance(value, dict):
            for key, item in value.items():
                branch = branch_of(annotation, value)
                expected = inner(branch, key)
                if item is None and expected not in (None, Any) and is_optional(expected):
                    yield document.finding(
                        "empty-value",
                        "error",
                        child(pointer, key),
                        Text(
                            f"“{key}”后面没有内容，请填写或删除这一行", f"“{key}” has no value; fill it in or remove it"
                        ),
                        of_key=True,
                    )
                elif expected is not None:
                    yield from walk(expected, item, child(pointer, key))

    yield from walk(Flow, document.data, "")


def _inside(pointer: str, above: str) -> bool:
    return pointer == above or pointer.startswith(above + "/")
