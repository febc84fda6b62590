"""The linter: everything there is to say about an author's text, sorted by place, in Chinese and in English.

Each rule is a small function registered under its code; the modules group them. Rules read the document leniently, so
one pass reports the mistakes of a file all at once.
"""

from collections.abc import Iterator

from domain.dsl.findings import Finding, Severity, in_order
from domain.dsl.lint import (
    calls,
    events,
    expressions,
    flow_control,
    reaching,
    references,
    refused,
    resources,
    schedules,
    security,
    structure,
    waiting,
)
from domain.dsl.lint.registry import RULES, Lint, LintResources, Rule
from domain.dsl.shape import check_shape
from domain.dsl.source import Source, SourceDocument, read_source
from domain.problems import ProblemError, Text
from domain.resources import parse_resource, remarks_on, resource_kind

MODULES = (
    structure,
    flow_control,
    waiting,
    calls,
    expressions,
    references,
    events,
    reaching,
    schedules,
    refused,
    security,
    resources,
)

UNKNOWN = LintResources()


def lint(text: str, *, resources: LintResources = UNKNOWN) -> list[Finding]:
    """Every finding about a text, which may hold several documents; empty when there is nothing to say."""
    source = read_source(text)
    findings = list(source.findings)
    for document in source.documents:
        findings += _document_findings(source, document, resources)
    return in_order(findings)


def _document_findings(source: Source, document: SourceDocument, resources: LintResources) -> Iterator[Finding]:
    kind = resource_kind(document.data)
    if kind is not None:
        remarks = remarks_on(kind, document.data, resources.level_limit)
        for each in remarks:
            yield document.finding(each.code, each.severity, each.pointer, each.message, of_key=each.of_key)
        if any(each.severity == "error" for each in remarks):
            return
        try:
            parse_resource(kind, document.data, resources.level_limit)
        except ProblemError as problem:
            yield from _resource_findings(document, problem)
        return
    _, wrong = check_shape(document)
    yield from wrong
    if not isinstance(document.data, dict):
        return
    examined = Lint(source, document, resources)
    for rule in RULES.values():
        yield from rule.findings(examined)


def _resource_findings(document: SourceDocument, problem: ProblemError) -> Iterator[Finding]:
    members = problem.problem.as_dict()
    message = members.get("message") or {}
    detail = Text(message.get("zh", ""), message.get("en", problem.problem.detail or ""))
    for error in members.get("errors") or [{}]:
        pointer = "".join(f"/{part}" for part in str(error.get("place", "")).split(".") if part)
        text = Text(**error["message"]) if "message" in error else detail
        yield document.finding("bad-resource", "error", pointer, text)


__all__ = ["MODULES", "RULES", "UNKNOWN", "Finding", "LintResources", "Rule", "Severity", "lint"]
