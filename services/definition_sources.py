"""From uploaded YAML texts to documents that can be stored, with every reason why one cannot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.definitions import FlowTraits
from domain.dsl.definition import Definition, DefinitionProblem, parse_definition
from domain.dsl.findings import Finding, has_errors, in_order
from domain.dsl.source import SourceDocument, read_source
from domain.ids import content_digest
from domain.problems import Text, ValidationProblem
from domain.resources import ResourceKind, parse_resource, resource_kind
from storage.definitions import VersionKey


@dataclass(frozen=True, slots=True)
class SourceText:
    """One YAML text, perhaps of several documents, and the file name its findings are told under."""

    file: str
    text: str


@dataclass(slots=True)
class UploadedDocument:
    """One document on its way in."""

    file: str
    key: VersionKey
    digest: str
    text: str
    title: str
    properties: dict[str, Any]
    definition: Definition | None = None
    findings: list[Finding] = field(default_factory=list)


def read_documents(texts: Sequence[SourceText]) -> tuple[list[UploadedDocument], list[dict[str, Any]]]:
    """The documents of all texts, and the findings of those that are broken."""
    documents: list[UploadedDocument] = []
    findings: list[dict[str, Any]] = []
    for each in texts:
        source = read_source(each.text)
        if has_errors(source.findings) or not source.documents:
            broken = in_order(source.findings) or [_empty()]
            findings += [found.as_dict(each.file) for found in broken]
            continue
        for document in source.documents:
            try:
                documents.append(_read_one(each.file, document))
            except DefinitionProblem as problem:
                line = document.start[0] - 1 if len(source.documents) > 1 else 0
                findings += [{**found.as_dict(each.file), "line": found.line + line} for found in problem.findings]
            except _BrokenResource as broken_resource:
                findings += [found.as_dict(each.file) for found in broken_resource.findings]
    findings += _named_twice(documents)
    return documents, findings


class _BrokenResource(Exception):
    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__(findings)


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
    )
    return UploadedDocument(
        file=file,
        key=("flow", definition.namespace, definition.name, definition.version),
        digest=definition.digest,
        text=definition.text,
        title=flow.document.title or definition.name,
        properties=traits.model_dump(mode="json", by_alias=True, exclude_unset=True),
        definition=definition,
    )


def _read_resource(file: str, kind: ResourceKind, document: SourceDocument) -> UploadedDocument:
    try:
        resource = parse_resource(kind, document.data)
    except ValidationProblem as problem:
        raise _BrokenResource(
            [
                document.finding(
                    f"wrong-{kind}",
                    "error",
                    "/" + error["place"].replace(".", "/"),
                    Text(f"{error['place']}：{error['message']}", f"{error['place']}: {error['message']}"),
                )
                for error in problem.problem.model_dump()["errors"]
            ]
        ) from None
    return UploadedDocument(
        file=file,
        key=(kind, "", resource.name, resource.version),
        digest=content_digest(document.text),
        text=document.text,
        title=resource.title.get("zh") or next(iter(resource.title.values())),
        properties=resource.model_dump(mode="json", by_alias=True),
    )


def _named_twice(documents: Sequence[UploadedDocument]) -> list[dict[str, Any]]:
    first: dict[VersionKey, UploadedDocument] = {}
    findings = []
    for each in documents:
        other = first.setdefault(each.key, each)
        if other is not each and other.digest != each.digest:
            label = " ".join(part for part in each.key if part)
            text = Text(
                f"{label} 在本次上传中出现了两次，内容不同（另一处：{other.file}）。请保留一份。",
                f"{label} is in this upload twice with different texts (also in {other.file}). Keep one of them.",
            )
            findings.append(Finding("named-twice", "error", 1, 1, "", text).as_dict(each.file))
    return findings


def _empty() -> Finding:
    return Finding("empty", "error", 1, 1, "", Text("文件里没有定义", "There is no definition in this file"))
