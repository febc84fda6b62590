"""From uploaded YAML texts to documents that can be stored."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from domain.definitions import DefinitionKind, FlowTraits
from domain.dsl.definition import parse_definition
from domain.dsl.findings import Finding
from domain.dsl.source import SourceDocument, read_source
from domain.enrolments import read_enrolment
from domain.ids import content_digest
from domain.problems import ProblemError, Text, ValidationProblem
from domain.resources import ResourceKind, parse_resource, resource_kind
from domain.settlement.levels import ANY_LEVELS
from storage.definitions import VersionKey


@dataclass(frozen=True, slots=True)
class SourceText:
    """One YAML text, perhaps of several documents, and the file name its findings are told under."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class UploadedDocument:
    """One document on its way in."""

    file: str
    key: VersionKey
    digest: str
    text: str
    title: str
    properties: dict[str, Any]


def read_documents(texts: Sequence[SourceText]) -> list[UploadedDocument]:
    """Every document of texts that the linter found no error in. Raises ValidationProblem otherwise."""
    return [_read_one(each.file, document) for each in texts for document in read_source(each.text).documents]


def only_resource(text: str, kind: Literal["tag-rule", "grading"]) -> dict[str, Any]:
    """The properties of the one resource in a text; raises ValidationProblem when there is another one, or none."""
    source = read_source(text)
    documents = [each for each in source.documents if resource_kind(each.data) == kind]
    if source.findings or len(documents) != 1 or len(source.documents) != 1:
        raise ValidationProblem(_ONE[kind], findings=[found.as_dict("text.yaml") for found in source.findings])
    return parse_resource(kind, documents[0].data).model_dump(mode="json")


_ONE = {
    "tag-rule": Text("请给出正好一条标签规则（tag-rule: …）", "Give exactly one tag rule (`tag-rule: …`)"),
    "grading": Text("请给出正好一个分级（grading: …）", "Give exactly one grading (`grading: …`)"),
}


def names_in(texts: Sequence[SourceText]) -> dict[DefinitionKind, set[str]]:
    """The names that the readable documents define, by kind; flows as `namespace/name`."""
    names: dict[DefinitionKind, set[str]] = defaultdict(set)
    for _, (kind, namespace, name, _), _ in _readable(texts):
        names[kind].add(f"{namespace}/{name}" if namespace else name)
    return names


def named_twice(texts: Sequence[SourceText]) -> Iterator[tuple[str, Finding]]:
    """A finding, with its file, for every version that is there again with another text."""
    first: dict[VersionKey, tuple[str, str]] = {}
    for each, key, document in _readable(texts):
        file, digest = first.setdefault(key, (each.file, content_digest(document.text)))
        if digest != content_digest(document.text):
            label = " ".join(part for part in key if part)
            line, column = document.start
            text = Text(
                f"{label} 在本次上传中出现了两次，内容不同（另一处：{file}）。请保留一份。",
                f"{label} is in this upload twice with different texts (also in {file}). Keep one of them.",
            )
            yield each.file, Finding("named-twice", "error", line, column, "", text)


def _readable(texts: Sequence[SourceText]) -> Iterator[tuple[SourceText, VersionKey, SourceDocument]]:
    for each in texts:
        for document in read_source(each.text).documents:
            try:
                yield each, _read_one(each.file, document).key, document
            except ProblemError:
                # The linter says what is wrong with it.
                continue


def _read_one(file: str, document: SourceDocument) -> UploadedDocument:
    kind = resource_kind(document.data)
    if kind is not None:
        return _read_resource(file, kind, document)
    definition = parse_definition(document.text)
    flow = definition.flow
    traits = FlowTraits(
        listens=tuple(sorted(definition.listened_types)),
        secrets=tuple(sorted(definition.secrets_used)),
        schedule=flow.schedule,
        enrolment=read_enrolment(flow.document.metadata),
    )
    return UploadedDocument(
        file=file,
        key=("flow", definition.namespace, definition.name, definition.version),
        digest=definition.digest,
        text=definition.text,
        title=flow.document.title or definition.name,
        properties=traits.model_dump(mode="json", by_alias=True, exclude_unset=True),
    )


def _read_resource(file: str, kind: ResourceKind, document: SourceDocument) -> UploadedDocument:
    # How many levels a scheme may have is the linter's to say, by the settings.
    resource = parse_resource(kind, document.data, ANY_LEVELS)
    return UploadedDocument(
        file=file,
        key=(kind, "", resource.name, resource.version),
        digest=content_digest(document.text),
        text=document.text,
        title=resource.title.get("zh") or next(iter(resource.title.values())),
        properties=resource.model_dump(mode="json", by_alias=True),
    )
