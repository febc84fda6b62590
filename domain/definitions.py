"""A definition and its versions: what is known of a published text, and how two texts differ."""

import difflib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.dsl.model import Flow, Schedule, walk_tasks
from domain.enrolments import Enrolment
from domain.resources import ResourceKind

DefinitionKind = Literal["flow"] | ResourceKind
SETTLEMENT_KINDS: frozenset[DefinitionKind] = frozenset({"scheme", "attribution"})
"""What decides who earns what: finance writes and publishes it without a right to flows."""


class FlowTraits(BaseModel):
    """What must be known of a flow before it runs, so that nothing is parsed when it starts.

    listens: `Definition.listened_types`. secrets: names under `use.secrets`. schedule: as written. enrolment: how often
    it takes somebody in.
    """

    model_config = ConfigDict(frozen=True)

    listens: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    schedule: Schedule | None = None
    enrolment: Enrolment | None = None


class DefinitionVersion(BaseModel):
    """One immutable text under its name and version. namespace is empty for forms, queues and messages.

    share_percent: of a tag rule's or grading's version that is tried out, the share of customers who have it; 0 after
    it was taken back.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    kind: DefinitionKind
    namespace: str
    name: str
    version: str
    digest: str
    title: str
    author: str
    uploaded_at: datetime
    published_by: str | None = None
    published_at: datetime | None = None
    share_percent: float | None = None
    properties: dict[str, Any] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """`flow apparel/return-refund 1.2.0`, for people and for the audit trail."""
        return f"{self.kind} {self.namespace}/{self.name} {self.version}".replace(" /", " ")

    @property
    def traits(self) -> FlowTraits:
        return FlowTraits.model_validate(self.properties)


class DefinitionDiff(BaseModel):
    """How two versions differ: the unified text, and tasks by their path of names (`inspect/decide`)."""

    model_config = ConfigDict(frozen=True)

    text: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()


def text_diff(before: str, after: str, before_label: str, after_label: str) -> str:
    """A unified diff with three lines of context; empty when the texts are equal."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), before_label, after_label, lineterm="", n=3)
    return "\n".join(lines)


def diff_flows(before: Flow, after: Flow, text: str) -> DefinitionDiff:
    """The structural summary beside a text diff. sections: top-level parts other than `do` that differ."""
    old, new = _tasks_by_path(before), _tasks_by_path(after)
    return DefinitionDiff(
        text=text,
        added=tuple(path for path in new if path not in old),
        removed=tuple(path for path in old if path not in new),
        changed=tuple(path for path in new if path in old and new[path] != old[path]),
        sections=tuple(
            section
            for section in ("input", "output", "use", "timeout", "schedule", "evaluate")
            if getattr(before, section) != getattr(after, section)
        ),
    )


def _tasks_by_path(flow: Flow) -> dict[str, Any]:
    """Each task without its nested tasks, by the names above it and its own."""
    found: dict[str, Any] = {}
    for reference, _, task in walk_tasks(flow.do_, "/do"):
        content = task.model_dump(mode="json", by_alias=True, exclude_unset=True)
        found["/".join(_names_in(reference.split("/")))] = _without_nested(content)
    return found


def _names_in(parts: Sequence[str]) -> Iterator[str]:
    """The task names of a reference: what follows each index."""
    for index, part in enumerate(parts[1:], 1):
        if parts[index - 1].isdigit():
            yield part


def _without_nested(content: dict[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in content.items() if key not in ("do", "try")}
    for key, nested in (("catch", "do"), ("fork", "branches"), ("foreach", "do")):
        if isinstance(own.get(key), dict):
            own[key] = {name: value for name, value in own[key].items() if name != nested}
    return own
