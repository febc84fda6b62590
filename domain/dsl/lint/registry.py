"""Rules and what they look at: one small function per code, registered under it."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from domain.calls import Catalog
from domain.catalog import CATALOG
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.dsl.findings import Finding, Severity, value_at
from domain.dsl.lint.expression_places import ExpressionPlace, expression_places
from domain.dsl.lint.outline import Outline
from domain.dsl.source import Source, SourceDocument
from domain.problems import Text
from domain.settlement.levels import LAW, LevelLimit


@dataclass(frozen=True, slots=True)
class LintResources:
    """What is known around a definition; None means not known, and what depends on it is not checked.

    forms, queues, templates, flows (`namespace/name`), secrets: names that exist. allowed_hosts: where http and openapi
    calls may go, `*.example.com` included. event_types: types known besides Tandem's own. file_name: without folders.
    level_limit: how many levels a scheme may have.
    """

    forms: Collection[str] | None = None
    queues: Collection[str] | None = None
    templates: Collection[str] | None = None
    flows: Collection[str] | None = None
    secrets: Collection[str] | None = None
    allowed_hosts: Collection[str] | None = None
    event_types: Collection[str] = ()
    file_name: str | None = None
    level_limit: LevelLimit = LAW
    catalog: Catalog = field(default_factory=lambda: CATALOG)


@dataclass(eq=False)
class Lint:
    """One document under examination."""

    source: Source
    document: SourceDocument
    resources: LintResources

    @cached_property
    def outline(self) -> Outline:
        return Outline(self.document.data)

    @cached_property
    def expression_places(self) -> list[ExpressionPlace]:
        return list(expression_places(self.outline))

    @cached_property
    def event_types(self) -> frozenset[str]:
        """Every event type that something is known to publish."""
        return frozenset(KNOWN_EVENT_TYPES) | frozenset(self.resources.event_types) | self.outline.emitted_types


class Remark(NamedTuple):
    """What a rule says, and where.

    of_key: the key is meant, not the value. offset: characters into the text at the place. code, severity: instead of
    the rule's own.
    """

    pointer: str
    message: Text
    of_key: bool = False
    offset: int = 0
    code: str | None = None
    severity: Severity | None = None


Check = Callable[[Lint], Iterator[Remark]]


@dataclass(frozen=True, slots=True)
class Rule:
    code: str
    severity: Severity
    check: Check

    def findings(self, lint: Lint) -> Iterator[Finding]:
        """The rule's remarks with their places in the author's text."""
        for remark in self.check(lint):
            code, severity = remark.code or self.code, remark.severity or self.severity
            found = lint.document.finding(code, severity, remark.pointer, remark.message, of_key=remark.of_key)
            yield shifted(found, remark.offset, lint)


RULES: dict[str, Rule] = {}
_LITERAL_BLOCK = re.compile(r"\|[-+]?\s*(?:#.*)?$")


def rule(code: str, severity: Severity) -> Callable[[Check], Check]:
    """Register a function as the rule with that code."""

    def register(check: Check) -> Check:
        if code in RULES:
            raise ValueError(f"there are two rules {code}")
        RULES[code] = Rule(code, severity, check)
        return check

    return register


def shifted(found: Finding, offset: int, lint: Lint) -> Finding:
    """The finding moved into the text it points at, as far as the text stands there as it was written."""
    lines = lint.source.lines
    if offset <= 0 or found.line > len(lines):
        return found
    line, column = found.line, found.column
    written = lines[line - 1]
    if _LITERAL_BLOCK.match(written[column - 1 :]):
        above = str(value_at(lint.document.data, found.pointer))[:offset].split("\n")
        line += len(above)
        if line > len(lines):
            return found
        written = lines[line - 1]
        column = len(lines[found.line]) - len(lines[found.line].lstrip()) + len(above[-1]) + 1
    else:
        column += offset + (1 if written[column - 1 : column] in ("'", '"') else 0)
    if column > len(written):
        return found
    return Finding(found.code, found.severity, line, column, found.pointer, found.message)
